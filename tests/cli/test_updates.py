"""What a person is told of updates, and by which names."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from edge_runtime.cli.display import Called, describe, live_display, plain_line
from edge_runtime.client.status import Watcher
from edge_runtime.client.updates import Names, UpdateTold, plain_release, short, update_line
from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.contracts.states import ControlState, UpdateState
from edge_runtime.contracts.updates import UpdateStatus

OLD, NEW = "a" * 64, "b" * 64
RELEASE = f"bundles/arm_policy/{'c' * 64}.json"


def update(state: str, running: str = OLD, **more: object) -> UpdateStatus:
    fields = {
        "stamp_ns": 1,
        "pid": 1,
        "state": UpdateState(state),
        "running": running,
        "running_counter": 1,
        "release": RELEASE,
    }
    return UpdateStatus(**{**fields, **more})  # type: ignore[arg-type]


def told(*seen: UpdateStatus | None) -> list[str]:
    names = {OLD: "arm 1.0", NEW: "arm 1.1"}
    teller = UpdateTold(names.__getitem__, lambda _: "arm 1.1")
    return [line for status in seen for line in teller.since(status)]


def test_an_update_that_goes_through_is_told_step_by_step() -> None:
    states = ["idle", "downloading", "downloading", "verifying", "building", "golden_check", "ready", "activating"]
    lines = told(
        *map(update, states), update("probation", NEW), update("probation", NEW), update("committed", NEW), None
    )
    assert lines == [
        "update: downloading arm 1.1",
        "update: verifying every file of arm 1.1",
        "update: building the engine of arm 1.1",
        "update: running the golden pairs of arm 1.1",
        "update: ready: arm 1.1",
        "update: arm 1.1 acts from now on",
        "update: on probation: arm 1.1",
        "update: arm 1.1 has proven itself: committed",
    ]


@pytest.mark.parametrize("last", ["committed", "idle"])
def test_a_commit_is_told_once_however_much_of_it_is_seen(last: str) -> None:
    assert told(update("probation", NEW), update(last, NEW), update("idle", NEW)) == [
        "update: arm 1.1 has proven itself: committed"
    ]


@pytest.mark.parametrize("seen", [("rolling_back", "failed", "idle"), ("failed", "idle"), ("idle",)])
def test_a_rollback_is_told_once_with_its_reason_however_much_of_it_is_seen(seen: tuple[str, ...]) -> None:
    why = "probation_episodes"
    assert told(update("probation", NEW), *(update(state, OLD, reason=why) for state in seen)) == [
        f"update: rolled back to arm 1.0: {why}"
    ]


def test_what_was_given_up_before_it_acted_is_told_with_its_reason() -> None:
    seen = [update("golden_check"), update("failed", reason="golden_differs", detail="joint 1 is off")]
    assert told(*seen) == ["update: given up arm 1.1: golden_differs, joint 1 is off"]


def test_an_agent_that_comes_back_repeats_nothing() -> None:
    assert told(None, update("probation", NEW), None, None, update("probation", NEW)) == []


def test_one_line_says_how_far_a_download_is_and_how_a_trial_does() -> None:
    loading = update("downloading", bytes_done=2_500_000, bytes_total=10_000_000)
    assert update_line(loading) == "downloading arm_policy (cccccccc), 2.5 of 10.0 MB, 25%"
    trial = update("probation", NEW, trial="1 of 3 successful episodes")
    assert update_line(trial, lambda _: "arm 1.1") == "on probation: arm 1.1, 1 of 3 successful episodes"
    assert update_line(update("idle", release="")) == "none under way"
    assert update_line(None) == "agent not running, or silent for a second"


def test_names_come_from_the_robots_disk_and_digests_stand_in_for_the_rest() -> None:
    config = load_config(SIM_CONFIG)
    manifest = read_manifest(config.bundle_dir)
    names = Names(config)
    assert names.bundle(manifest.digest) == f"{manifest.name} {manifest.version} ({manifest.digest[:8]})"
    assert (names.bundle(""), short("")) == ("none", "none")
    assert names.release(RELEASE) == "cccccccc"
    assert plain_release("") == "none"


def test_the_displays_show_the_bundle_and_the_update(tmp_path: object) -> None:
    with Watcher(tmp_path) as watcher:  # type: ignore[arg-type]
        nothing = watcher.status()
    status = msgspec.structs.replace(nothing, bundle=NEW, standby=OLD, update=update("probation", NEW))
    called = Called({OLD: "arm 1.0", NEW: "arm 1.1"}.__getitem__, lambda _: "arm 1.1")
    console = Console(width=120)
    with console.capture() as capture:
        console.print(describe(status, "title", None, called))
    table = capture.get()
    assert "arm 1.1, arm 1.0 stands by" in table
    assert "on probation: arm 1.1" in table
    assert "bundle arm 1.1  update: on probation: arm 1.1" in plain_line(status, None, called)
    assert "update" not in plain_line(nothing)
    assert "update: agent not running" in plain_line(nothing, None, Called(has_agent=True))


def test_words_from_elsewhere_are_shown_and_do_nothing_in_any_display(tmp_path: Path) -> None:
    hostile = "fine\nactive\x1b[2J\x9b31m\u202e\u200b[red]"
    shown = r"fine\nactive\x1b[2J\x9b31m\u202e\u200b[red]"
    with Watcher(tmp_path) as watcher:
        status = msgspec.structs.replace(
            watcher.status(),
            state=ControlState.ACTIVE,
            ticks=1,
            instruction=hostile,
            reason=hostile,
            update=update("downloading", reason=hostile),
        )
    console = Console(width=400, file=io.StringIO(), force_terminal=False)
    console.print(describe(status, hostile))
    with live_display(console, "robot") as display:
        display.show(status)
        display.note(hostile.replace("\n", " "))
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert said.count(shown) >= 5, said
    assert all(char == "\n" or char.isprintable() for char in said)
    assert told(update("ready"), update("failed", detail=hostile)) == [f"update: given up arm 1.1: {shown}"]
