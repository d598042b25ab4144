"""The row of `edge-runtime check` that runs a bundle's golden pairs, in the engine that would act."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from edge_runtime.bundles.installed import Installed
from edge_runtime.bundles.kept_proofs import KeptProofs
from edge_runtime.cli.check.row import Level, Row
from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.errors import UnprovenError
from edge_runtime.contracts.golden import ProofVerdict

NAME = "golden pairs"


def golden_pairs(config: RobotConfig) -> Iterator[Row]:
    """Whether the best bundle that loads does on this machine what it was trained to; looked at anew each time.

    Raises:
        EdgeError: no bundle can be loaded.
    """
    from edge_runtime.engine.engines import Engines
    from edge_runtime.engine.proof import load_proved

    load = partial(load_proved, config=config, engines=Engines.of(config), kept=KeptProofs.of(config), anew=True)
    try:
        policy, boot = Installed.of(config).boot_first(load)
    except UnprovenError as error:
        remedy = "this robot is not armed for it: build its engines anew, use another backend, or another bundle"
        yield Row(NAME, Level.FAIL, str(error), remedy)
        return
    proof = policy.proof
    if boot.passed_over:
        found = f"{proof.detail}; in place of a better one: {'; '.join(boot.passed_over)}"
        yield Row(NAME, Level.WARN, found, "the update agent's log says what becomes of it")
    elif proof.verdict is ProofVerdict.NO_DATA:
        yield Row(NAME, Level.WARN, proof.detail, "a bundle with golden pairs and a measured parity report")
    else:
        yield Row(NAME, Level.OK, proof.detail)
