"""Rows about the policy: the bundle that runs here, and how long it takes."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import numpy as np

from contracts.messages import Observation
from edge_runtime.cli.check.row import Level, Row
from edge_runtime.config import RobotConfig
from edge_runtime.installed import Installed, verified

_INFERENCES = 30
_INFERENCES_MS = 10_000


def bundle(config: RobotConfig) -> Iterator[Row]:
    """Which bundle the robot runs, whole and made for it."""
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
    """How long the policy takes here, in what will run it."""
    from edge_runtime.engine.bundle_policy import BundlePolicy
    from edge_runtime.engine.engines import Engines
    from edge_runtime.frames import FrameRing
    from edge_runtime.policies.processor import allowed, describe, threads_for

    embodiment = config.embodiment
    load = partial(BundlePolicy.load, embodiment=embodiment, threads=config.engine.threads, engines=Engines.of(config))
    policy, _ = Installed.of(config).boot_first(load)
    took_ms = []
    with ExitStack() as stack:
        rings = [
            stack.enter_context(
                FrameRing.create(f"edge-frames-check-{secrets.token_hex(6)}", c.name, c.width_px, c.height_px)
            )
            for c in embodiment.cameras
        ]
        for sequence in range(_INFERENCES):
            for ring in rings:
                ring.slot()[:] = 100
            now_ns = time.monotonic_ns()
            observation = Observation(
                sequence=sequence,
                exposure_ns=now_ns,
                published_ns=now_ns,
                joint_digest=embodiment.joint_digest,
                position_rad=embodiment.home_rad,
                velocity_rad_s=(0.0,) * len(embodiment.joints),
                gripper_opening_m=embodiment.gripper.opening_max_m,
                frames=tuple(ring.commit(now_ns) for ring in rings),
            )
            policy.infer(observation, "touch the red cube", sequence)
            took_ms.append((time.monotonic_ns() - now_ns) / 1e6)
            if sum(took_ms) > _INFERENCES_MS:
                break
    p50_ms, p99_ms = np.percentile(took_ms, (50, 99)).tolist()
    interval_ms = config.engine.replan_interval_s * 1e3
    took = f"{p50_ms:.1f} / {p99_ms:.1f} ms (p50 / p99)"
    asked, possible = config.engine.threads, allowed()
    threads = threads_for(asked)
    reduced = f" ({asked} asked, {possible} processors allowed)" if threads < asked else ""
    found = f"{took}, threads: {threads}{reduced}, wanted every {interval_ms:.0f} ms, on {describe()}"
    if p50_ms > interval_ms:
        more = "more [engine] threads, " if threads < possible else ""
        yield Row("inference", Level.FAIL, found, f"{more}a longer replan_interval_s, or a smaller policy")
    elif p99_ms > interval_ms:
        yield Row("inference", Level.WARN, found, "a quieter machine, or a longer [engine] replan_interval_s")
    else:
        yield Row("inference", Level.OK, found)
