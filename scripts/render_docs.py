"""Writes the parts of the docs that are drawn from tables in the code and from recorded figures:
``python -m scripts.render_docs``.

``--check`` fails when a page is stale.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from edge_runtime.cli.claims import claims_sheet
from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.states import UpdateState
from edge_runtime.contracts.topics import TOPICS
from edge_runtime.native import lib
from edge_runtime.ota.lifecycle.lifecycle import DONE, ENTRY, RESTARTS_MAX, TABLE
from edge_runtime.processes import BESIDE, PROCESSES
from edge_runtime.safety import Reason, State
from edge_runtime.safety.states import Event
from scripts.command_reference import command_reference
from scripts.config_reference import config_reference
from scripts.page_reference import page_reference
from scripts.result_tables import fleet, going_back, jitter, kernel, limiters, power_cuts, probation

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
KERNEL_H = ROOT / "edge_runtime" / "safety" / "kernel" / "kernel.h"


def states() -> str:
    """The kernel's transition table as a Mermaid diagram."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for state in State:
        for event in Event:
            target = lib.kernel_transition(state, event)
            if target not in (state, lib.KERNEL_STATE_COUNT):
                arrows.setdefault((state.name.lower(), State(target).name.lower()), []).append(event.name.lower())
    lines = [f"    {source} --> {target}: {', '.join(events)}" for (source, target), events in arrows.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> silent", *lines, "```"])


def life_cycle() -> str:
    """The table of an update's life as a Mermaid diagram."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (state, event), target in TABLE.items():
        if target is not state:
            arrows.setdefault((state.value, target.value), []).append(event.value)
    lines = [f"    {source} --> {target}: {', '.join(events)}" for (source, target), events in arrows.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> idle", *lines, "```"])


def life_cycle_states() -> str:
    """What is done in each state of an update's life."""
    rows = ["| state | on entering it, and again after a power cut | then | restarts |", "| --- | --- | --- | --- |"]
    for state in UpdateState:
        effects = ", ".join(effect.value for effect in ENTRY[state]) or "nothing"
        then = DONE[state].value if state in DONE else "waits"
        rows.append(f"| {state.value} | {effects} | {then} | {RESTARTS_MAX.get(state, 'any')} |")
    return "\n".join(rows)


def reasons() -> str:
    """Everything a verdict may give as a reason, with the words of the header."""
    enum = re.search(r"typedef enum \{([^}]*)\} kernel_reason;", KERNEL_H.read_text(encoding="utf-8"))
    assert enum is not None
    lines: list[str] = []
    for name, words, group in re.findall(
        r"KERNEL_REASON_(\w+) = \d+,(?: */\* (.*?) \*/)?|/\* (.*?) \*/", enum[1], flags=re.DOTALL
    ):
        if group:
            lines += ["", f"**{group[0].upper()}{group[1:]}**", ""]
        elif name != "COUNT":
            assert name in Reason.__members__, name
            lines.append(f"- `{name.lower()}`{': ' if words else ''}{words}")
    return "\n".join(lines[1:])


def claims() -> str:
    """The claims sheet of the shipped configuration."""
    return claims_sheet(load_config(SIM_CONFIG)).rstrip()


def topics() -> str:
    """The topic table."""
    rows = ["| topic | message | producer | rate | oldest | largest |", "| --- | --- | --- | --- | --- | --- |"]
    for topic in TOPICS:
        rate = f"{topic.rate_hz:g} Hz" if topic.rate_hz else "on event"
        age = f"{topic.max_age_s:g} s" if topic.max_age_s else "any age"
        size = f"{topic.max_bytes} bytes"
        rows.append(f"| `{topic.name}` | {topic.message.__name__} | {topic.producer} | {rate} | {age} | {size} |")
    return "\n".join(rows)


def processes() -> str:
    """The process table."""
    rows = ["| process | started as | when it dies |", "| --- | --- | --- |"]
    rows += [f"| {p.name} | `python -m {p.module}` | {p.on_death} |" for p in PROCESSES + BESIDE]
    return "\n".join(rows)


PARTS = {
    "SAFETY.md": {"states": states, "reasons": reasons, "limiters": limiters},
    "claims.md": {"claims": claims},
    "architecture.md": {"topics": topics, "processes": processes},
    "ota.md": {
        "life-cycle": life_cycle,
        "life-cycle-states": life_cycle_states,
        "power-cuts": power_cuts,
        "probation": probation,
        "going-back": going_back,
    },
    "reference/cli.md": {"commands": command_reference},
    "reference/config.md": {"config": config_reference},
    "reference/page.md": {"page": page_reference},
    "guides/hub.md": {"fleet": fleet},
    "guides/timing.md": {"kernel": kernel, "jitter": jitter},
}


def main() -> int:
    """Render all parts; returns 1 if ``--check`` found a stale page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    stale = []
    for page, parts in PARTS.items():
        path = DOCS / page
        before = after = path.read_text(encoding="utf-8")
        for name, render in parts.items():
            pattern = re.compile(rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)", re.DOTALL)
            body = render()
            after, count = pattern.subn(lambda match, body=body: f"{match[1]}{body}\n{match[2]}", after)  # type: ignore[misc]
            if count != 1:
                sys.exit(f"{page}: the markers of {name!r} are missing")
        if after != before:
            stale.append(page)
            if not options.check:
                path.write_text(after, encoding="utf-8")
    if options.check and stale:
        print(f"stale: {', '.join(stale)}; run python -m scripts.render_docs")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
