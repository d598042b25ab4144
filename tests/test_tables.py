"""Docs and systemd units say what the tables in the code say."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.contracts.topics import TOPICS
from edge_runtime.processes import BESIDE, PROCESSES, Process

ROOT = Path(__file__).parents[1]
UNITS = ROOT / "jetson" / "systemd"


def read_unit(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(path)
    return parser


def test_docs_are_rendered_from_the_tables() -> None:
    script = ROOT / "scripts" / "render_docs.py"
    command = [sys.executable, str(script), "--check"]
    done = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_one_unit_for_each_process_and_none_else() -> None:
    assert {path.stem for path in UNITS.glob("*.service")} == {f"edge-runtime-{p.name}" for p in PROCESSES + BESIDE}
    wanted = read_unit(UNITS / "edge-runtime.target")["Unit"]["Wants"].split()
    assert sorted(wanted) == sorted(f"edge-runtime-{p.name}.service" for p in PROCESSES)


def test_what_a_robot_moves_without_is_enabled_by_hand_and_never_in_the_way() -> None:
    for process in BESIDE:
        unit = read_unit(UNITS / f"edge-runtime-{process.name}.service")
        assert unit["Install"]["WantedBy"] == "edge-runtime.target"
        # Not idle: an order to go back may not wait until nobody else wants the processor.
        assert "CPUSchedulingPolicy" not in unit["Service"]
        assert int(unit["Service"]["Nice"]) > 0
        assert int(unit["Service"]["OOMScoreAdjust"]) > 0
        assert not {"LimitRTPRIO", "LimitMEMLOCK"} & set(unit["Service"])
        # A wrong setting needs a person; starting again would only say the same.
        assert unit["Service"]["RestartPreventExitStatus"] == "2"


@pytest.mark.parametrize("process", PROCESSES + BESIDE, ids=lambda process: process.name)
def test_a_unit_starts_what_the_table_says_and_restarts_it(process: Process) -> None:
    service = read_unit(UNITS / f"edge-runtime-{process.name}.service")["Service"]
    assert f"-m {process.module} --config " in service["ExecStart"]
    assert service["Restart"] == "always"


def test_an_engine_is_started_again_however_often_a_bundle_has_ended_it() -> None:
    assert read_unit(UNITS / "edge-runtime-engine.service")["Unit"]["StartLimitIntervalSec"] == "0"


def test_every_topic_has_a_producer_of_the_table() -> None:
    names = {process.name for process in PROCESSES + BESIDE} | {"operator", "anyone"}
    assert {topic.producer for topic in TOPICS} <= names
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)


def test_every_page_is_linked_from_the_index_that_the_readme_links_and_every_link_leads_somewhere() -> None:
    index = ROOT / "docs" / "README.md"
    linked: dict[Path, set[Path]] = {}
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (page.parent / target).exists(), (page, target)
            linked.setdefault(page, set()).add((page.parent / target).resolve())
    assert {index, ROOT / "CONTRIBUTING.md", ROOT / "docs" / "troubleshooting.md"} <= linked[ROOT / "README.md"]
    pages = {page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "adr"}
    # A folder of references is linked as one.
    assert {page for page in pages if not {page, page.parent} & linked[index]} == {index}


def test_every_heading_that_a_page_links_to_is_there() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")):
        for target, name in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
            text = ((page.parent / target) if target else page).read_text(encoding="utf-8")
            headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert name in anchors, (page, target, name)


def test_the_moving_picture_moves_and_is_small() -> None:
    path = ROOT / "docs" / "pictures" / "arm.gif"
    assert path.stat().st_size < 1_500_000
    # A graphic control block precedes every picture of a GIF.
    assert path.read_bytes().count(b"\x21\xf9\x04") >= 40
    assert "(docs/pictures/arm.gif)" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("process", PROCESSES + BESIDE, ids=lambda process: process.name)
def test_what_a_unit_makes_is_for_its_group_and_nobody_else(process: Process) -> None:
    assert read_unit(UNITS / f"edge-runtime-{process.name}.service")["Service"]["UMask"] == "0007"


def test_an_operators_topic_is_for_processes_of_the_table() -> None:
    names = {process.name for process in PROCESSES + BESIDE}
    for topic in TOPICS:
        assert topic.has_senders == (topic.producer in ("operator", "anyone")), topic.name
        assert topic.is_open == (topic.producer == "anyone"), topic.name
        assert set(topic.receivers) <= names


def test_every_test_that_the_readme_names_is_there() -> None:
    names = re.findall(r"`((?:tests/[a-z_/]+/)?test_[a-z_]+\.py)`", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(names) > 20, "each guarantee names the test that holds it"
    known = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    for name in names:
        assert any(path == name or path.endswith(f"/{name}") for path in known), name
