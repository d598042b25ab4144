"""Before a policy acts its golden pairs are run in the sessions that will act; a kept proof stands for no others."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge_runtime.bundles.engine_cache import EngineCache
from edge_runtime.bundles.kept_proofs import KeptProofs
from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.errors import HandshakeError, UnprovenError
from edge_runtime.contracts.golden import GoldenReport, ProofVerdict
from edge_runtime.contracts.manifest import ParityReport, read_manifest, version_1
from edge_runtime.engine import proof
from edge_runtime.engine.engines import Engines, OnnxRuntimeBackend
from edge_runtime.engine.proof import load_proved
from edge_runtime.policies.processor import allowed
from edge_runtime.policies.session import optimize
from edge_runtime.testing.golden_bundles import SHIPPED, Arrays, altered, copy_with, seal
from edge_runtime.testing.two_bundles import TwoBundles
from tests.saturating import plant, saturating
from tests.system.drift_bundle import write_robot


def two_pairs(data: Arrays) -> None:
    """The first two alone, which is as many as it takes."""
    data.update({name: array[:2] for name, array in data.items() if array.ndim})


class Counted:
    """A robot that counts how often golden pairs were really run."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.robot = TwoBundles(write_robot(folder / "config"))
        self.config: RobotConfig = self.robot.config
        self.kept = KeptProofs.of(self.config)
        self.runs = 0
        really = proof.run_pairs

        def run_pairs(*arguments: object) -> GoldenReport:
            self.runs += 1
            return really(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(proof, "run_pairs", run_pairs)

    def load(self, bundle: Path, engines: Engines | None = None, *, anew: bool = False) -> tuple[ProofVerdict, str]:
        made = load_proved(bundle, self.config, engines or Engines.of(self.config), self.kept, anew=anew).proof
        return made.verdict, made.detail


@pytest.fixture
def robot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(tmp_path, monkeypatch)


def test_the_second_start_runs_nothing_and_knows_the_same(robot: Counted) -> None:
    first = robot.load(SHIPPED)
    assert first[0] is ProofVerdict.MATCHED
    assert "is off by 0.00" in first[1]
    assert robot.load(SHIPPED) == first
    assert robot.runs == 1
    assert robot.load(SHIPPED, anew=True) == first
    assert robot.runs == 2


def test_an_engine_from_the_cache_is_looked_at_for_itself(robot: Counted) -> None:
    robot.load(SHIPPED)
    engines, cache = Engines.of(robot.config), EngineCache.of(robot.config)
    assert cache is not None
    digest = read_manifest(SHIPPED).digest
    for graph in ("encode.onnx", "denoise.onnx"):
        engines.build(digest, SHIPPED, graph, lambda _: None)
    robot.load(SHIPPED)
    assert robot.runs == 2, "what the optimiser made is not what was proved before"
    robot.load(SHIPPED)
    assert robot.runs == 2


def test_flags_version_and_threads_are_looked_at_again(robot: Counted) -> None:
    robot.load(SHIPPED)

    class Other(OnnxRuntimeBackend):
        def __init__(self) -> None:
            super().__init__()
            self.flags = (*self.flags, "another=1")

    robot.load(SHIPPED, Engines(Other()))
    assert robot.runs == 2
    if allowed() < 2:
        return
    robot.config = msgspec.structs.replace(robot.config, engine=msgspec.structs.replace(robot.config.engine, threads=2))
    robot.load(SHIPPED)
    assert robot.runs == 3


def test_a_saturating_engine_in_the_cache_does_not_ride_on_the_proof_of_another(robot: Counted, tmp_path: Path) -> None:
    bundle = copy_with(tmp_path / "bundle", two_pairs)
    assert robot.load(bundle)[0] is ProofVerdict.MATCHED
    plant(robot.config, bundle)
    for _ in range(2):
        with pytest.raises(UnprovenError, match=r"does not do on this machine .* joint\d is off by 0\.\d+ rad \(p99\)"):
            robot.load(bundle)
    assert robot.runs == 3, "what differs is looked at again each time"


def test_a_saturating_session_is_found_without_any_cache(robot: Counted, tmp_path: Path) -> None:
    class Saturating(OnnxRuntimeBackend):
        def build(self, name: str, model: bytes, cache: object, say: object) -> bytes:  # noqa: ARG002
            return optimize(name, saturating(model))

        def run_as_is(self, name: str, model: bytes, threads: int) -> None:  # noqa: ARG002
            return None

    with pytest.raises(UnprovenError, match=r"joint\d is off by"):
        robot.load(copy_with(tmp_path / "bundle", two_pairs), Engines(Saturating()))


def test_what_differs_is_refused_with_joint_angle_and_backend(robot: Counted, tmp_path: Path) -> None:
    def shift(data: Arrays) -> None:
        data["plan"][:, :, 3] += 0.02

    with pytest.raises(UnprovenError, match=r"joint4 is off by 0\.02.* rad .*0\.01 is allowed.*onnxruntime"):
        robot.load(copy_with(tmp_path / "bundle", shift))
    assert not list(tmp_path.rglob("proofs/*.json"))


def _zeros(folder: Path) -> ParityReport:
    parity = read_manifest(folder).parity
    return msgspec.structs.replace(parity, error_max_rad=(0.0,) * 7, error_p99_rad=(0.0,) * 7)


def test_a_bundle_that_nothing_was_held_against_says_so(robot: Counted, tmp_path: Path) -> None:
    bare = copy_with(tmp_path / "bare", Arrays.clear)
    verdict, detail = robot.load(bare)
    assert verdict is ProofVerdict.NO_DATA
    assert "carries no golden pairs" in detail
    unmeasured = copy_with(tmp_path / "unmeasured")
    verdict, detail = robot.load(seal(unmeasured, parity=_zeros(unmeasured)))
    assert verdict is ProofVerdict.NO_DATA
    assert "its parity report is of zeros; joint4 is off by 0.00" in detail


def test_a_bound_beyond_the_robots_own_is_refused_before_anything_is_loaded(robot: Counted, tmp_path: Path) -> None:
    bundle = copy_with(tmp_path / "bundle")
    parity = msgspec.structs.replace(read_manifest(bundle).parity, bound_p99_rad=1000.0)
    with pytest.raises(HandshakeError, match=r"parity\.bound_p99_rad: expected 'at most 0\.05"):
        robot.load(seal(bundle, parity=parity))
    assert robot.runs == 0


def test_statistics_in_degrees_are_found_by_the_pairs(robot: Counted, tmp_path: Path) -> None:
    bundle = copy_with(tmp_path / "bundle")
    policy = read_manifest(bundle).policy
    before = version_1.written(policy).action_normalization
    scaled = msgspec.structs.replace(before, std=tuple(57.3 * value for value in before.std))
    with pytest.raises(UnprovenError, match="is off by"):
        robot.load(seal(bundle, policy=altered(policy, action_normalization=scaled)))
    absolute = copy_with(tmp_path / "absolute")
    with pytest.raises(UnprovenError, match="is off by"):
        robot.load(seal(absolute, policy=altered(policy, action_representation="absolute")))
