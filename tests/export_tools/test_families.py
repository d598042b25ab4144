"""Families are found by entry point, also of packages outside of this project's tree, and a broken one stands alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_runtime.contracts.console import BUG, DONE, FAILED, WRONG_SETTING
from edge_runtime.contracts.golden import GOLDEN_NAME
from edge_runtime.contracts.manifest import ActionSteps, verify_bundle
from edge_runtime.testing.golden_bundles import seal
from export_tools.families.registry import GROUP, families, family_names
from export_tools.families.seam import Family

ROOT = Path(__file__).parents[2]
THEIRS = Path(__file__).parent / "their_policy"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip has installed the package with their family; nothing of this project knows of it."""
    folder = tmp_path_factory.mktemp("theirs")
    sources = shutil.copytree(THEIRS, folder / "sources", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(folder / "site"), str(sources)]
    done = subprocess.run([*pip, *offline], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Packages whose families can't be loaded, each in a way of its own."""
    folder = tmp_path / "broken"
    modules = {
        "no_library": "import surely_not_installed",
        "no_python": "FAMILY = (",
        "leaves": "raise SystemExit(3)",
        "raises": "raise RuntimeError('no\\nlicence')",
        "no_family": "FAMILY = 5",
        "a_class": (THEIRS / "their_policy" / "family.py").read_text().replace("TheirPolicy()", "TheirPolicy"),
        "another_name": (THEIRS / "their_policy" / "family.py").read_text(),
    }
    for name, text in modules.items():
        (folder / f"{name}-1.0.dist-info").mkdir(parents=True)
        (folder / f"{name}.py").write_text(text)
        info = folder / f"{name}-1.0.dist-info"
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {name}:FAMILY\n")
    # Not even its metadata is whole.
    (folder / "torn-1.0.dist-info").mkdir()
    (folder / "torn-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: torn\nVersion: 1.0\n")
    (folder / "torn-1.0.dist-info" / "entry_points.txt").write_bytes(b"[\xff\n")
    return folder


PROBLEMS = {
    "no_library": "can't be loaded: No module named 'surely_not_installed'",
    "no_python": "can't be loaded: SyntaxError: '(' was never closed (no_python.py, line 1)",
    "leaves": "can't be loaded: SystemExit: 3",
    "raises": "can't be loaded: RuntimeError: no licence",
    "no_family": "is no family: it has no name",
    "a_class": "is a class: an entry point names the family itself, an object of it",
    "another_name": "calls itself 'their_policy': a family has the name of its entry point",
    "torn": "can't be read: UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 1: invalid start byte",
}


def edge_export(cwd: Path, sites: tuple[Path, ...], *arguments: object) -> subprocess.CompletedProcess[str]:
    """As a person types it, on a machine with these packages besides."""
    return subprocess.run(
        [sys.executable, "-m", "export_tools", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, *sites)))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_ours_is_registered_as_any_other() -> None:
    project = msgspec.toml.decode((ROOT / "pyproject.toml").read_bytes())["project"]
    assert list(project["entry-points"][GROUP]) == ["pocket_vla"]
    assert "pocket_vla" in family_names()
    (found,) = (each for each in families() if each.name == "pocket_vla")
    assert (found.package, found.problem) == ("edge-runtime", "")
    assert found.family is not None
    assert found.family.trains


def test_a_family_of_another_package_builds_and_exports_a_bundle_that_passes(site: Path, tmp_path: Path) -> None:
    listed = edge_export(tmp_path, (site,), "families")
    assert listed.stderr == ""
    assert listed.stdout.splitlines() == [
        "pocket_vla: the policy that ships, trained on scripted demonstrations in simulation "
        "(build, export; of edge-runtime)",
        "their_policy: goes on as it moved (build, export; of their-policy)",
    ]
    shown = edge_export(tmp_path, (site,), "build", "their_policy", "--help").stdout
    assert "--gain" in shown
    assert "--observations" not in shown

    built = edge_export(tmp_path, (site,), "build", "their_policy", "--gain", "2")
    assert (built.returncode, built.stderr) == (DONE, ""), built.stdout
    assert "a robot's own check of it holds" in built.stdout
    bundle = tmp_path / "their_policy"
    manifest = verify_bundle(bundle)
    assert (manifest.name, manifest.policy.family, manifest.precision) == ("coasting", "their_policy", "fp32")
    assert manifest.provenance.command == "python -m export_tools build their_policy --gain 2"
    assert manifest.policy.inputs.history is not None
    assert manifest.policy.inputs.history.instants == ActionSteps(observations=2, every=1)

    embodiment = site / "their_policy" / "embodiment.toml"
    checked = edge_export(tmp_path, (), "check", bundle, "--embodiment", embodiment, "--json")
    assert (checked.returncode, checked.stderr) == (DONE, "")
    assert json.loads(checked.stdout)["verdict"] == "matched"

    # Without a name it is the one that recognises the weights.
    again = edge_export(tmp_path, (site,), "export", "--weights", "their_policy.json", "-o", "again")
    assert (again.returncode, again.stderr) == (DONE, "")
    assert verify_bundle(tmp_path / "again").policy == manifest.policy


def test_what_differs_is_the_answer_for_programs_too(site: Path, tmp_path: Path) -> None:
    assert edge_export(tmp_path, (site,), "build", "their_policy").returncode == DONE
    bundle = tmp_path / "their_policy"
    with np.load(bundle / GOLDEN_NAME) as archive:
        golden = dict(archive)
    golden["plan"] += 0.05
    np.savez(bundle / GOLDEN_NAME, **golden)
    seal(bundle)
    checked = edge_export(
        tmp_path, (), "check", bundle, "--embodiment", site / "their_policy" / "embodiment.toml", "--json"
    )
    assert checked.returncode == FAILED
    assert json.loads(checked.stdout)["verdict"] == "differs"
    assert checked.stderr.startswith(f"error: {bundle}: it does not do what it was trained to: ")


def test_a_broken_family_is_named_and_takes_no_other_along(site: Path, broken: Path, tmp_path: Path) -> None:
    listed = edge_export(tmp_path, (site, broken), "families", "--json")
    assert (listed.returncode, listed.stderr) == (DONE, "")
    answer = json.loads(listed.stdout)
    assert [each["name"] for each in answer["families"]] == ["pocket_vla", "their_policy"]
    assert {each["name"]: each["problem"] for each in answer["broken"]} == PROBLEMS
    shown = edge_export(tmp_path, (site, broken), "families")
    assert shown.returncode == DONE
    assert len(shown.stdout.splitlines()) == 2
    warnings = shown.stderr.splitlines()
    assert len(warnings) == len(PROBLEMS)
    assert all(line.startswith("warning: ") for line in warnings)
    # The others work.
    assert edge_export(tmp_path, (site, broken), "build", "their_policy").returncode == DONE
    found = edge_export(tmp_path, (site, broken), "export", "--weights", "their_policy.json", "-o", "again")
    assert (found.returncode, found.stderr) == (DONE, "")
    for name in ("no_library", "another_name"):
        refused = edge_export(tmp_path, (site, broken), "build", name)
        assert refused.returncode == WRONG_SETTING
        assert refused.stderr == f"error: family: {name!r} ({name}:FAMILY of {name}) {PROBLEMS[name]}\n"


def test_a_family_that_is_not_there_is_named_with_those_that_are(site: Path, tmp_path: Path) -> None:
    done = edge_export(tmp_path, (site,), "export", "smolvla", "--weights", "x")
    assert done.returncode == WRONG_SETTING
    assert done.stderr.startswith("error: family: there is no family 'smolvla'; installed: pocket_vla, their_policy. ")
    (tmp_path / "strange.bin").write_bytes(bytes(100))
    done = edge_export(tmp_path, (site,), "export", "--weights", "strange.bin")
    assert done.returncode == WRONG_SETTING
    assert done.stderr.startswith("error: --weights: no family recognises strange.bin; edge-export families lists them")


def test_a_name_that_two_packages_have_is_refused_and_nothing_else_is(tmp_path: Path) -> None:
    info = tmp_path / "other-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\npocket_vla = other:FAMILY\n")
    done = edge_export(tmp_path, (tmp_path,), "build")
    assert done.returncode == WRONG_SETTING
    assert (
        "'pocket_vla' is the name of 2 families: export_tools.families.pocket_vla.family:FAMILY of edge-runtime, "
        in (done.stderr)
    )
    assert edge_export(tmp_path, (tmp_path,), "check").returncode == DONE


def test_what_a_family_gets_wrong_leaves_the_bundle_that_was_there(site: Path, tmp_path: Path) -> None:
    assert edge_export(tmp_path, (site,), "build", "their_policy").returncode == DONE
    before = verify_bundle(tmp_path / "their_policy").digest
    (tmp_path / "their_policy.json").write_text("[]")
    failed = edge_export(tmp_path, (site,), "export", "their_policy")
    assert failed.returncode != DONE
    assert "in the family their_policy: TypeError" in failed.stderr
    for options in (("--gain", "--out"), ("self.name, help", "self.nowhere, help")):
        theirs = shutil.copytree(site / "their_policy", tmp_path / "-".join(options)[-7:] / "their_policy")
        text = (theirs / "family.py").read_text()
        assert options[0] in text
        (theirs / "family.py").write_text(text.replace(*options))
        failed = edge_export(tmp_path, (theirs.parent, site), "build", "their_policy")
        assert failed.returncode == BUG
        assert "in the family their_policy: A" in failed.stderr
    (tmp_path / "their_policy.json").write_text('{"gain": 1.5}')
    failed = edge_export(tmp_path, (site,), "export", "their_policy", "--draft-of", "another")
    assert failed.returncode == FAILED
    assert failed.stderr == "error: the family their_policy exported a policy of the family another\n"
    assert verify_bundle(tmp_path / "their_policy").digest == before


def test_a_build_where_the_shipped_bundle_lies_does_not_replace_it() -> None:
    shipped = ROOT / "edge_runtime" / "drivers" / "sim" / "bundles"
    done = edge_export(shipped, (), "build", "--observations", "1", "--steps", "1")
    assert done.returncode == WRONG_SETTING
    assert done.stderr == "error: --out: the bundle that ships lies here: to replace it, name it: --out pocket_vla\n"


def test_weights_are_recognised_without_torch_and_anything_else_is_not(tmp_path: Path) -> None:
    (found,) = (each.family for each in families() if each.name == "pocket_vla")
    assert found is not None
    ours: Family = found
    assert ours.recognises(ROOT / "assets" / ours.checkpoint_name)
    for number, data in enumerate((b"", b"{}", b"\xff" * 40, (2).to_bytes(8, "little") + b"[]", b"\0" * 9)):
        (tmp_path / str(number)).write_bytes(data)
        assert not ours.recognises(tmp_path / str(number))
    assert not ours.recognises(tmp_path)
