"""How sure the shipped policy says it is, with good pictures and with spoilt ones, and what the gate makes of it.

``python -m benchmarks.confidence [--episodes 10]``: the engine's planner in a closed loop with the simulated arm, in
one process and without the rest of the runtime. The gate only looks on, so that the successes say what would have
happened without it. The last two kinds are those that the score does not see.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.record import record
from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.messages import GateState, Observation, OperatorCommand, OperatorKind
from edge_runtime.control.confidence import ConfidenceGate
from edge_runtime.engine.bundle_policy import BundlePolicy
from edge_runtime.engine.planner import Planner
from edge_runtime.ipc.bus import Refusals
from edge_runtime.ipc.frames import FrameRing, ring_name
from export_tools.families.pocket_vla.closed_loop import evaluate

Pixels = NDArray[np.uint8]
Float64 = NDArray[np.float64]
OBSERVE_EVERY_NS = 200_000_000
SEED_0 = 700


def _noise(picture: Pixels, amplitude: float, chunk: int) -> Pixels:
    noise = np.random.default_rng(chunk).normal(0.0, amplitude, picture.shape)
    spoilt: Pixels = np.clip(picture + noise, 0, 255).astype(np.uint8)
    return spoilt


def _covered(picture: Pixels) -> Pixels:
    covered: Pixels = picture.copy()
    covered[30:90, 30:90] = 60
    return covered


@dataclass(frozen=True)
class Kind:
    """What is wrong with pictures: `spoil(picture, chunk number)`, for these cameras."""

    spoil: Callable[[Pixels, int], Pixels]
    cameras: tuple[str, ...] = ("scene", "wrist")


def _black(picture: Pixels, _chunk: int) -> Pixels:
    return np.zeros_like(picture)


KINDS = {
    "as trained": Kind(lambda picture, _: picture),
    "both black": Kind(_black),
    "scene black": Kind(_black, ("scene",)),
    "wrist black": Kind(_black, ("wrist",)),
    "a quarter of the light": Kind(lambda picture, _: picture // 4),
    "noise of 40 of 255": Kind(lambda picture, chunk: _noise(picture, 40.0, chunk)),
    "noise alone": Kind(lambda picture, chunk: _noise(np.full_like(picture, 127), 100.0, chunk)),
    "every other black": Kind(lambda picture, chunk: picture * np.uint8(chunk % 2)),
    "red and blue swapped": Kind(lambda picture, _: picture[..., ::-1]),
    "a grey square": Kind(lambda picture, _: _covered(picture), ("scene",)),
    "mirrored": Kind(lambda picture, _: picture[:, ::-1], ("scene",)),
    "moved by 12 px": Kind(lambda picture, _: np.roll(picture, (12, 12), (0, 1)), ("scene",)),
}


@dataclass
class HandClock:
    """Time as the loop below says it."""

    virtual: bool = True
    time_ns: int = 1_000_000_000

    def now_ns(self) -> int:
        """This moment."""
        return self.time_ns


@dataclass
class Bench:
    """A planner with everything around it, asked as the closed loop asks."""

    planner: Planner
    clock: HandClock
    gate: ConfidenceGate
    rings: dict[str, FrameRing]
    joint_digest: str
    kind: Kind
    scores: list[float | None] = field(default_factory=list)
    states: list[GateState] = field(default_factory=list)
    instructions: int = 0

    def choose(self, scene: Pixels, wrist: Pixels, words: str, state: Float64, chunk: int) -> Float64:
        """See `closed_loop.Chooser`."""
        self.clock.time_ns += OBSERVE_EVERY_NS
        if chunk == 0:
            self.clock.time_ns += 10 * OBSERVE_EVERY_NS
            self.instructions += 1
            self.planner.instruct(
                OperatorCommand(id=self.instructions, kind=OperatorKind.INSTRUCT, stamp_ns=0, instruction=words)
            )
            self.gate.answer()
        refs = []
        for camera, picture in (("scene", scene[0]), ("wrist", wrist[0])):
            self.rings[camera].slot()[:] = self.kind.spoil(picture, chunk) if camera in self.kind.cameras else picture
            refs.append(self.rings[camera].commit(self.clock.time_ns))
        made = self.planner.answer(
            [
                Observation(
                    sequence=len(self.scores),
                    exposure_ns=self.clock.time_ns,
                    published_ns=self.clock.time_ns,
                    joint_digest=self.joint_digest,
                    position=tuple(state.tolist()),
                    velocity=(0.0,) * len(state),
                    frames=tuple(refs),
                )
            ]
        )
        assert made is not None
        self.scores.append(made.confidence)
        self.gate.judge(made.confidence)
        self.states.append(self.gate.state)
        return np.array(made.position)


def measure(kind: str, episodes: int, folder: Path) -> dict[str, float]:
    """Scores and gate over `episodes` with pictures spoilt like this."""
    config = load_config(SIM_CONFIG)
    embodiment = config.embodiment
    policy = BundlePolicy.load(config.bundle_dir, embodiment, threads=config.engine.threads)
    clock = HandClock()
    rings = {
        camera.name: FrameRing.create(ring_name(folder, camera.name), camera.name, camera.width_px, camera.height_px)
        for camera in embodiment.cameras
    }
    try:
        bench = Bench(
            planner=Planner(policy, embodiment, clock, replan_interval_ns=0, refusals=Refusals()),
            clock=clock,
            gate=ConfidenceGate(config.confidence),
            rings=rings,
            joint_digest=embodiment.joint_digest,
            kind=KINDS[kind],
        )
        tally = evaluate(bench.choose, range(SEED_0, SEED_0 + episodes))
    finally:
        for ring in rings.values():
            ring.close()
    scores = np.array([score for score in bench.scores if score is not None])
    withheld = [state in (GateState.ASKING, GateState.ESCALATED) for state in bench.states]
    return {
        "chunks": len(bench.scores),
        "successes": tally.successes,
        "score_min": round(float(scores.min()), 4),
        "score_p5": round(float(np.percentile(scores, 5)), 4),
        "score_p50": round(float(np.percentile(scores, 50)), 4),
        "score_p95": round(float(np.percentile(scores, 95)), 4),
        "slowed": round(bench.states.count(GateState.CAUTIOUS) / len(bench.states), 4),
        "withheld": round(sum(withheld) / len(withheld), 4),
    }


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=10, help="of each kind (10)")
    episodes = parser.parse_args().episodes
    console = Console()
    figures = {}
    table = Table(title=f"{episodes} episodes of each kind; share of chunks slowed and withheld", title_justify="left")
    for column in ("pictures", "done", "score min", "p5", "p50", "p95", "slowed", "withheld"):
        table.add_column(column, justify="left" if column == "pictures" else "right")
    with tempfile.TemporaryDirectory(prefix="edge-") as folder:
        for kind in KINDS:
            found = figures[kind] = measure(kind, episodes, Path(folder))
            scores = (f"{found[f'score_{name}']:.2f}" for name in ("min", "p5", "p50", "p95"))
            shares = (f"{found[name]:.0%}" for name in ("slowed", "withheld"))
            table.add_row(kind, f"{found['successes']:.0f}", *scores, *shares)
    console.print(table)
    record("confidence", {"episodes": episodes, "kinds": figures}, console)


if __name__ == "__main__":
    main()
