"""The proof that a policy does on this machine what the trained one did, made before it may act.

Guarantees: a policy that `load_proved` returns either answered its bundle's golden pairs within their bound, in the
very sessions that will drive the robot, or says that its bundle has nothing to be compared with; one that answered
differently is not returned. A kept proof stands for a run only under everything that the answers depend on, and what
was really loaded, not what should have been, is a part of that. Trusts the bundle's manifest for data and bound.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import cv2
import msgspec
import numpy as np

from edge_runtime.bundles.installed import require_ours
from edge_runtime.bundles.kept_proofs import KeptProofs, ProofKey
from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts import golden
from edge_runtime.contracts.errors import UnprovenError
from edge_runtime.contracts.golden import GOLDEN_NAME, GoldenReport, Proof, ProofVerdict
from edge_runtime.contracts.manifest import Manifest, read_manifest
from edge_runtime.contracts.manifest.soundness import is_measured
from edge_runtime.engine.bundle_policy import BundlePolicy
from edge_runtime.engine.engines import Engines
from edge_runtime.policies.golden import run_pairs
from edge_runtime.policies.processor import threads_for

_ROOMS = (Path(__file__).parent, Path(__file__).parents[1] / "policies", Path(golden.__file__).parent)


def load_proved(
    folder: Path, config: RobotConfig, engines: Engines, kept: KeptProofs, *, anew: bool = False
) -> BundlePolicy:
    """A warm policy of the bundle in `folder` with its proof.

    Args:
        anew: run the golden pairs whatever is kept.

    Raises:
        UnprovenError: it does not do on this machine what it was trained to.
        BundleError, HandshakeError, EngineError: as `BundlePolicy.load`, `require_ours` and `run_pairs`.
    """
    # Before anything takes long.
    require_ours(read_manifest(folder), config)
    policy = BundlePolicy.load(folder, config.embodiment, threads=config.engine.threads, engines=engines)
    policy.proof = proof_of(policy.manifest, report_of(policy, folder, config, engines, kept, anew=anew), engines)
    return policy


def report_of(
    policy: BundlePolicy,
    folder: Path,
    config: RobotConfig,
    engines: Engines,
    kept: KeptProofs,
    *,
    anew: bool = False,
) -> GoldenReport:
    """What the golden pairs in `folder`, where `policy` was loaded from, show here: as kept, or found out and kept.

    Raises:
        BundleError, EngineError: as `run_pairs`.
    """
    key = ProofKey(
        bundle=policy.digest,
        embodiment=sha256(msgspec.json.encode(config.embodiment, order="sorted")).hexdigest(),
        backend=engines.backend.name,
        backend_version=engines.backend.version,
        device=engines.backend.device,
        driver=engines.backend.driver,
        flags=engines.backend.flags,
        threads=threads_for(config.engine.threads),
        engines=tuple(sorted(policy.engine_digests.items())),
        software=_software(),
    )
    report = None if anew else kept.read(key)
    if report is None:
        report = run_pairs(policy, policy.manifest, folder, config.embodiment)
        # What differs is looked at again each time: a person may be mending it.
        if report.verdict == "matched":
            kept.write(key, report)
    return report


def proof_of(manifest: Manifest, report: GoldenReport, engines: Engines) -> Proof:
    """What `report` proves.

    Raises:
        UnprovenError: that the policy does something else here.
    """
    if report.verdict == "differs":
        backend = engines.backend
        raise UnprovenError(
            f"{manifest.name} {manifest.version} ({manifest.digest[:12]}) does not do on this machine what it was "
            f"trained to: {report.worst}; {backend.name} {backend.version} on {backend.device}"
        )
    missing = []
    if report.verdict == "no_data":
        missing.append(f"it carries no golden pairs ({GOLDEN_NAME})")
    if not is_measured(manifest.parity):
        missing.append("its parity report is of zeros")
    if not missing:
        return Proof(ProofVerdict.MATCHED, f"its golden pairs match here: {report.worst}")
    shown = f"; {report.worst}" if report.worst else ""
    return Proof(
        ProofVerdict.NO_DATA,
        f"it was never shown that {manifest.name} {manifest.version} does what it was trained to: "
        f"{' and '.join(missing)}{shown}",
    )


@lru_cache(maxsize=1)
def _software() -> str:
    """Of the code between a camera and a plan, which may change while its version does not, and of its libraries."""
    digest = sha256(f"numpy {np.__version__} opencv {cv2.__version__}".encode())
    for path in sorted(path for room in _ROOMS for path in room.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
