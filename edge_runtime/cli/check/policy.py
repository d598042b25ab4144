"""Rows about the policy: the bundle that runs here, and how long it takes."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

from edge_runtime.bundles.installed import Installed, verified
from edge_runtime.cli import pace
from edge_runtime.cli.check.row import Level, Row
from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.messages import Observation

_INFERENCES = 30


def has_one(config: RobotConfig) -> bool:
    """Does robot.toml name a policy at all?"""
    return config.bundle is not None


def bundle(config: RobotConfig) -> Iterator[Row]:
    """Which bundle the robot runs, whole and made for it."""
    if not has_one(config):
        remedy = "bundle in [robot], a policy made for this robot; until then: edge-runtime run --hold"
        yield Row("bundle", Level.WARN, "none: it can be armed, and stands still", remedy)
        return
    manifest, boot = Installed.of(config).boot_first(partial(verified, config=config))
    size_mb = sum(blob.size_bytes for blob in manifest.blobs) / 1e6
    found = f"{manifest.name} {manifest.version}, {manifest.precision}, {size_mb:.1f} MB, {manifest.digest[:12]}"
    found += f"; made for {manifest.policy.embodiment}"
    if boot.passed_over:
        problems = "; ".join(boot.passed_over)
        remedy = "the update agent's log says what becomes of it"
        yield Row("bundle", Level.WARN, f"{found}; runs in place of a better one: {problems}", remedy)
    else:
        yield Row("bundle", Level.OK, found)


def inference(config: RobotConfig) -> Iterator[Row]:
    """How long the policy takes here, in what will run it, and whether it can act at that pace."""
    from edge_runtime.engine.bundle_policy import BundlePolicy
    from edge_runtime.engine.engines import Engines
    from edge_runtime.ipc.frames import FrameRing

    embodiment = config.embodiment
    load = partial(BundlePolicy.load, embodiment=embodiment, threads=config.engine.threads, engines=Engines.of(config))
    policy, _ = Installed.of(config).boot_first(load)
    took_s = []
    with ExitStack() as stack:
        rings = [
            stack.enter_context(
                FrameRing.create(f"edge-frames-check-{secrets.token_hex(6)}", c.name, c.width_px, c.height_px)
            )
            for c in embodiment.cameras
        ]
        for sequence in pace.for_a_while(range(_INFERENCES)):
            for ring in rings:
                ring.slot()[:] = 100
            now_ns = time.monotonic_ns()
            observation = Observation(
                sequence=sequence,
                exposure_ns=now_ns,
                published_ns=now_ns,
                joint_digest=embodiment.joint_digest,
                position=embodiment.home,
                velocity=(0.0,) * len(embodiment.axes),
                frames=tuple(ring.commit(now_ns) for ring in rings),
            )
            policy.infer(observation, "touch the red cube", sequence)
            took_s.append((time.monotonic_ns() - now_ns) / 1e9)
    level, found, remedy = pace.verdict(took_s, policy.manifest.policy, config)
    yield Row("inference", Level(level), found, remedy)
