"""A packed bundle is the bundle again, byte for byte; what a robot has already is not sent again."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.tensor_bundle import WEIGHTS, Tensors, gaussian, replaced, tuned, write_bundle
from edge_runtime.config.robot_file import SIM_BUNDLE
from edge_runtime.contracts.errors import BundleError, OtaError, OtaRefusal
from edge_runtime.contracts.manifest import blob_of, read_manifest, verify_bundle, write_manifest
from edge_runtime.contracts.release import MAX_PACK_BYTES, ReleaseManifest, load
from edge_runtime.releases import pack as pack_module
from edge_runtime.releases import packs as packs_module
from edge_runtime.releases.delta import decode_delta
from edge_runtime.releases.pack import Base, cost, pack_bundle
from edge_runtime.releases.unpack import PackReader, assemble
from export_tools.cli import main

COUNT = 100
SHAPE = (64, 256)
OLD = gaussian(1, SHAPE)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """A release of 100 tensors of 32 KiB each, as robots have it."""
    folder = tmp_path_factory.mktemp("base")
    write_bundle(folder / "bundle", "1", COUNT, OLD)
    return Base(pack_bundle(folder / "bundle", folder / "store"), folder / "store")


def packed(tmp_path: Path, tensors: Tensors, base: Base | None, count: int = COUNT) -> ReleaseManifest:
    write_bundle(tmp_path / "bundle", "2", count, tensors)
    return pack_bundle(tmp_path / "bundle", tmp_path / "store", base=base)


def same_bytes(release: ReleaseManifest, store: Path, bundle: Path, place: Path) -> bool:
    assemble(release, store, place)
    verify_bundle(place)
    return all((place / file.path).read_bytes() == (bundle / file.path).read_bytes() for file in release.files)


def test_the_shipped_bundle_is_itself_again(tmp_path: Path) -> None:
    release = pack_bundle(SIM_BUNDLE, tmp_path)
    assert release.bundle_digest == read_manifest(SIM_BUNDLE).digest
    assert same_bytes(release, tmp_path, SIM_BUNDLE, tmp_path / "again")
    assert {file.path for file in release.files} == {path.name for path in SIM_BUNDLE.iterdir()}
    assert load((tmp_path / release.target_path).read_bytes()) == release


def test_packs_are_named_by_their_bytes_and_nothing_else_is_left(tmp_path: Path) -> None:
    release = pack_bundle(SIM_BUNDLE, tmp_path)
    for pack in release.packs:
        data = (tmp_path / pack.path).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (pack.sha256, pack.size_bytes)
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {release.target_path, *(pack.path for pack in release.packs)}


def test_packing_twice_gives_the_same_release(tmp_path: Path) -> None:
    assert pack_bundle(SIM_BUNDLE, tmp_path / "one") == pack_bundle(SIM_BUNDLE, tmp_path / "two")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.dictionaries(
        st.sampled_from(["a.bin", "b.onnx", "c.safetensors", "deep/er/d.json"]),
        st.tuples(st.binary(max_size=300), st.integers(0, 2000)).map(lambda part: part[0] * part[1]),
        max_size=4,
    ),
    changed=st.binary(max_size=50),
)
def test_any_files_are_themselves_again_also_over_a_base(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], changed: bytes
) -> None:
    tmp_path = tmp_path_factory.mktemp("any")
    base = None
    for version in ("one", "two"):
        bundle = tmp_path / version
        write_bundle(bundle, version, 1, OLD)
        for path, data in files.items():
            (bundle / path).parent.mkdir(parents=True, exist_ok=True)
            (bundle / path).write_bytes(data if version == "one" else data[:1000] + changed + data[1000:])
        manifest = read_manifest(bundle)
        blobs = (*manifest.blobs, *(blob_of(bundle, path) for path in files))
        write_manifest(bundle, msgspec.structs.replace(manifest, blobs=blobs))
        release = pack_bundle(bundle, tmp_path / "store", base=base)
        assert same_bytes(release, tmp_path / "store", bundle, tmp_path / f"{version} again")
        base = Base(release, tmp_path / "store")


def test_a_change_of_one_percent_moves_at_most_one_point_two_percent(tmp_path: Path, base: Base) -> None:
    release = packed(tmp_path, replaced(OLD, gaussian(2, SHAPE), [40]), base)
    fetched = cost(release, frozenset(base.release.blobs))
    assert fetched.bytes - len(release.canonical_json()) <= 0.012 * release.size_bytes
    assert same_bytes(release, tmp_path / "store", tmp_path / "bundle", tmp_path / "again")


def test_a_full_fine_tune_moves_at_most_a_quarter_and_leads_to_the_same_bytes(tmp_path: Path, base: Base) -> None:
    release = packed(tmp_path, tuned(OLD, 3, 1e-3), base)
    fetched = cost(release, frozenset(base.release.blobs))
    assert fetched.deltas == COUNT
    assert fetched.bytes - len(release.canonical_json()) <= 0.25 * release.size_bytes
    held = PackReader(base.release, base.folder)
    for delta in release.deltas:
        pack = (tmp_path / "store" / release.packs[delta.pack].path).read_bytes()
        stored = pack[delta.offset : delta.offset + delta.stored_bytes]
        size = release.blobs[delta.blob].size_bytes
        parts = decode_delta(stored, io.BytesIO(held.blob(delta.base)), delta.element_bytes, size)
        assert hashlib.sha256(b"".join(parts)).hexdigest() == delta.blob
    assert same_bytes(release, tmp_path / "store", tmp_path / "bundle", tmp_path / "again")


def test_weights_that_have_nothing_in_common_get_no_deltas(tmp_path: Path, base: Base) -> None:
    release = packed(tmp_path, gaussian(9, SHAPE), base)
    assert all(delta.stored_bytes < release.blobs[delta.blob].stored_bytes for delta in release.deltas)
    assert len(release.deltas) < COUNT / 10


def test_a_tensor_put_between_others_moves_itself_alone(tmp_path: Path, base: Base) -> None:
    def tensors(n: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float16]]:
        return gaussian(2, SHAPE)(0) if n == 50 else OLD(n - (n > 50))

    release = packed(tmp_path, tensors, base, COUNT + 1)
    fetched = cost(release, frozenset(base.release.blobs))
    assert fetched.bytes - len(release.canonical_json()) < 2 * OLD(0).nbytes


def test_tensors_of_another_shape_get_no_deltas(tmp_path: Path, base: Base) -> None:
    release = packed(tmp_path, gaussian(1, (64, 128)), base)
    assert release.deltas == ()


def test_the_same_tensor_many_times_is_stored_once(tmp_path: Path) -> None:
    release = packed(tmp_path, lambda _n: OLD(0), None)
    assert sum(pack.size_bytes for pack in release.packs) < 2 * OLD(0).nbytes + 5000
    assert same_bytes(release, tmp_path / "store", tmp_path / "bundle", tmp_path / "again")


def test_the_release_over_a_base_stands_without_the_folder_of_the_base(tmp_path: Path) -> None:
    write_bundle(tmp_path / "one", "1", 3, OLD)
    first = Base(pack_bundle(tmp_path / "one", tmp_path / "store of one"), tmp_path / "store of one")
    release = packed(tmp_path, replaced(OLD, gaussian(2, SHAPE), [1]), first, 3)
    shutil.rmtree(tmp_path / "store of one")
    assert same_bytes(release, tmp_path / "store", tmp_path / "bundle", tmp_path / "again")


def test_large_bundles_fill_several_packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs_module, "MAX_PACK_BYTES", 100_000)
    release = packed(tmp_path, OLD, None, 20)
    assert len(release.packs) > 5
    assert max(pack.size_bytes for pack in release.packs) <= 100_000
    assert same_bytes(release, tmp_path / "store", tmp_path / "bundle", tmp_path / "again")


def test_the_caps_leave_room_for_the_largest_blob() -> None:
    assert packs_module.MAX_PACK_BYTES == MAX_PACK_BYTES == 64_000_000


@pytest.mark.parametrize(
    "damage",
    [
        lambda bundle: (bundle / WEIGHTS).write_bytes(b"x" * (bundle / WEIGHTS).stat().st_size),
        lambda bundle: (bundle / WEIGHTS).write_bytes((bundle / WEIGHTS).read_bytes()[:-1]),
        lambda bundle: (bundle / WEIGHTS).unlink(),
        lambda bundle: (bundle / "manifest.json").write_bytes(b"{}"),
    ],
    ids=["altered", "cut", "gone", "no manifest"],
)
def test_a_bundle_that_is_not_what_it_says_is_never_released(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    write_bundle(tmp_path / "bundle", "1", 3, OLD)
    damage(tmp_path / "bundle")
    with pytest.raises((BundleError, OSError)):
        pack_bundle(tmp_path / "bundle", tmp_path / "store")
    assert not list(tmp_path.glob("store/bundles/**/*.json"))
    assert not list(tmp_path.glob("store/packs/.*"))


def test_a_bundle_whose_name_cannot_be_signed_is_refused(tmp_path: Path) -> None:
    manifest = write_bundle(tmp_path / "bundle", "1", 3, OLD)
    write_manifest(tmp_path / "bundle", msgspec.structs.replace(manifest, name="../other"))
    with pytest.raises(OtaError) as caught:
        pack_bundle(tmp_path / "bundle", tmp_path / "store")
    assert caught.value.refusal is OtaRefusal.RELEASE_MALFORMED


def test_an_altered_pack_is_an_error_and_no_bundle(tmp_path: Path) -> None:
    release = packed(tmp_path, OLD, None, 3)
    path = tmp_path / "store" / release.packs[0].path
    data = bytearray(path.read_bytes())
    for at in (10, len(data) // 2, len(data) - 10):
        data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match="altered"):
        assemble(release, tmp_path / "store", tmp_path / "again")
    path.unlink()
    with pytest.raises(BundleError, match="No such file"):
        assemble(release, tmp_path / "store", tmp_path / "once more")


def test_an_altered_frame_is_an_error_and_no_traceback(tmp_path: Path) -> None:
    release = packed(tmp_path, OLD, None, 3)
    blob = next(blob for blob in release.blobs.values() if blob.codec == "zstd")
    path = tmp_path / "store" / release.packs[blob.pack].path
    data = path.read_bytes()
    path.write_bytes(data[: blob.offset] + b"none" + data[blob.offset + 4 :])
    with pytest.raises(BundleError, match=f"the blob at {blob.offset} is altered"):
        assemble(release, tmp_path / "store", tmp_path / "again")


def test_a_release_that_lies_about_a_file_gives_no_bundle(tmp_path: Path) -> None:
    release = packed(tmp_path, OLD, None, 3)
    lying = msgspec.structs.replace(release.files[0], sha256="0" * 64)
    with pytest.raises(BundleError, match="contradicts itself"):
        assemble(
            msgspec.structs.replace(release, files=(lying, *release.files[1:])), tmp_path / "store", tmp_path / "x"
        )


def test_more_pieces_than_a_release_can_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack_module, "MAX_BLOBS", 10)
    with pytest.raises(BundleError, match="more than the 10 pieces"):
        packed(tmp_path, OLD, None, 20)
    assert not list(tmp_path.glob("store/packs/.*"))


def test_packs_of_a_base_on_another_disk_are_copied(tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        write_bundle(tmp_path / "one", "1", 3, OLD)
        first = Base(pack_bundle(tmp_path / "one", Path(folder)), Path(folder))
        release = packed(tmp_path, replaced(OLD, gaussian(2, SHAPE), [1]), first, 3)
    assert same_bytes(release, tmp_path / "store", tmp_path / "bundle", tmp_path / "again")
    assert not list(tmp_path.glob("store/packs/.*"))


PEAK = """
import sys
from pathlib import Path
from edge_runtime.releases.pack import pack_bundle
from edge_runtime.releases.unpack import assemble
assemble(pack_bundle(Path(sys.argv[1]), Path(sys.argv[2])), Path(sys.argv[2]), Path(sys.argv[3]))
lines = open("/proc/self/status").read().splitlines()
print(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")))
"""


def test_memory_does_not_grow_with_the_bundle(tmp_path: Path) -> None:
    """One tensor of many parts and an opaque file; the second bundle is twice the first, which fills every buffer."""
    peaks = []
    for mebibytes in (64, 128):
        folder = tmp_path / str(mebibytes)
        manifest = write_bundle(folder / "bundle", "1", 1, OLD)
        header = b'{"w":{"dtype":"F16","shape":[1],"data_offsets":[0,%d]}}' % (mebibytes << 20)
        with (folder / "bundle" / WEIGHTS).open("wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            for seed in range(mebibytes):
                file.write(np.random.default_rng(seed).bytes(1 << 20))
        (folder / "bundle" / "opaque.bin").write_bytes(np.random.default_rng(1).bytes(mebibytes << 18))
        blobs = tuple(blob_of(folder / "bundle", path) for path in (WEIGHTS, "tokenizer.json", "opaque.bin"))
        write_manifest(folder / "bundle", msgspec.structs.replace(manifest, blobs=blobs))
        places = [str(folder / name) for name in ("bundle", "store", "again")]
        run = subprocess.run(
            [sys.executable, "-c", PEAK, *places], capture_output=True, text=True, timeout=60, check=True
        )
        peaks.append(int(run.stdout))
    assert peaks[1] - peaks[0] < 12_000, f"{peaks} KiB at their peaks"


def test_the_command_packs_and_says_what_a_robot_with_the_base_fetches(
    tmp_path: Path, base: Base, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bundle(tmp_path / "bundle", "2", COUNT, tuned(OLD, 3, 1e-3))
    named = base.folder / base.release.target_path
    options = [
        "--base",
        str(named),
        "--base-store",
        str(base.folder),
        "--gpu-architecture",
        "sm_87",
        "--tensorrt",
        "10.3:11",
    ]
    assert main(["pack", str(tmp_path / "bundle"), "-o", str(tmp_path / "store"), *options]) == 0
    said = capsys.readouterr().out
    (path,) = tmp_path.glob("store/bundles/made_up_weights/*.json")
    release = load(path.read_bytes())
    assert release.compatibility.gpu_architectures == ("sm_87",)
    assert (release.compatibility.tensorrt.at_least, release.compatibility.tensorrt.below) == ("10.3", "11")
    part = cost(release, frozenset(base.release.blobs)).bytes / release.size_bytes
    assert f"{part:.2%} of the bundle" in said
    assert str(path) in said


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--base", "x.json"], 2, "goes with --base-store"),
        (["--tensorrt", "10.3"], 2, "write 10.3:11"),
        (["--jetpack", "latest:"], 2, "matching regex"),
        (["--architecture", "../x"], 2, "matching regex"),
    ],
)
def test_a_wrong_command_line_is_refused_before_any_packing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], status: int, said: str
) -> None:
    try:
        actual = main(["pack", str(SIM_BUNDLE), "-o", str(tmp_path / "store"), *options])
    except SystemExit as error:
        actual = int(error.code or 0)
    assert actual == status
    assert said in capsys.readouterr().err
    assert not (tmp_path / "store").exists()
