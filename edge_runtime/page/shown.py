"""What the page's server says to a browser, as JSON: every struct of it, and nothing else.

Numbers are in the unit that is named beside them; an axis's values are in its own. `docs/reference/page.md` and
`/api/schema.json` are made from these structs. Frozen and pure; knows neither bus nor web.
"""

from __future__ import annotations

from typing import Literal

import msgspec

VERSION = 1
"""Of everything below: a browser that holds another one's script loads the page again."""

Tone = Literal["good", "busy", "wait", "bad", "unknown"]
"""How much something wants to be seen: at work, on its way, a person is needed, an alarm, nothing is known."""


class _Shown(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all."""


class AxisShown(_Shown, frozen=True):
    """One axis of the robot, and what it is held to."""

    name: str
    """Its name."""
    kind: str
    """Such as "revolute" or "parallel_gripper"."""
    unit: str
    """Of its value."""
    rate_unit: str
    """Of the change of its value in a second."""
    is_gripper: bool
    """It holds things."""
    is_velocity: bool
    """Its value is a velocity."""
    low: float | None
    """Lower end of the range that it is held to; null: it has none."""
    high: float | None
    """Upper end of that range; null: it has none."""
    speed_max: float | None
    """Largest speed that it is held to, in `rate_unit`; of a velocity in `unit`. Null: it has none."""


class GroupShown(_Shown, frozen=True):
    """Axes that belong together."""

    name: str
    """What a person calls them."""
    kind: str
    """Such as "arm", "hand" or "base"."""
    axes: tuple[AxisShown, ...]
    """In the order of every vector of this robot."""


class RobotShown(_Shown, frozen=True):
    """`/api/robot`: which robot this is, and what the page may do with it."""

    version: int
    """Of this schema."""
    boot: str
    """Another one after the page's process was started again."""
    name: str
    """The robot's own name."""
    embodiment: str
    """Its type."""
    driver: str
    """What drives it."""
    runtime_version: str
    """Of this software."""
    run_dir: str
    """Folder of the run, as `--run-dir` of commands takes it; empty for the usual one."""
    groups: tuple[GroupShown, ...]
    """All axes, in order."""
    cameras: tuple[str, ...]
    """Cameras whose pictures can be had."""
    clearance_min_m: float | None
    """What links keep from each other and from zones; null: nothing is known of the geometry."""
    tool_speed_max_m_s: float | None
    """Largest speed of the tool; null: nothing is known of the geometry."""
    has_updates: bool
    """Whether an update agent should be running."""
    takes_requests: bool
    """Whether a token opens anything; else the page is for looking alone."""
    takes_arming: bool
    """Whether arm and resume are taken as well."""
    needs_token: bool
    """Whether looking needs the token too."""


class Sentence(_Shown, frozen=True):
    """Something that has a stable name, in words."""

    name: str
    """The stable name, such as "tracking_error"."""
    words: str
    """What it means."""
    next_step: str = ""
    """What a person can do, with requests as [name]; empty for nothing."""
    is_alarming: bool = False
    """It is no part of ordinary work."""


class Standing(_Shown, frozen=True):
    """The state tile: how the robot stands, why, and what a person can do."""

    state: str
    """A name of `ControlState`."""
    tone: Tone
    """How much it wants to be seen."""
    words: str
    """The state in a sentence."""
    why: tuple[Sentence, ...]
    """What has stopped it, or keeps it from moving, the gravest first; empty while it is at work."""
    next_step: str
    """What to do next, with requests as [name]; empty where it wants nothing."""
    moved_by: str
    """Who moves it."""
    changes: tuple[Sentence, ...]
    """What the safety kernel changed or refused in the last two seconds."""


class RequestShown(_Shown, frozen=True):
    """Something that a person may ask for now, or why not."""

    name: str
    """As in `/api/requests/NAME`."""
    is_possible: bool
    """Whether control would take it now, as far as is known."""
    why_not: str = ""
    """Why it would not."""


class Margins(_Shown, frozen=True):
    """How far the robot is from what the kernel keeps it from, over a full stop from here."""

    stop_margin: float | None
    """Least distance of an axis from an end of its range, in that axis's unit; null: not known."""
    stop_margin_axis: str
    """Name of that axis; empty: not known."""
    stop_margin_unit: str
    """Unit of that axis; empty: not known."""
    stop_margin_m: float | None
    """Smallest clearance of links; null: nothing is known of the geometry."""
    speed_scale: float | None
    """Share of the velocity limits that is in force."""
    reduced: str
    """Reduced-speed mode in words; empty while it is off."""
    speed: str
    """How fast it may go and what makes it slower, in words."""
    interventions: str
    """In how many ticks the kernel changed what was asked for, in words."""


class LatencyPart(_Shown, frozen=True):
    """A part of the way from exposure to command, of the last hundred chunks that were followed."""

    name: str
    """Of the part; "total" is from exposure to command."""
    p50_ms: float | None
    """Half are shorter; null before the first."""
    p99_ms: float | None
    """One in a hundred is longer; null before the first."""


class ChunkShown(_Shown, frozen=True):
    """A chunk of the policy and what became of it. Times in s from the newest report of control."""

    sequence: int
    """Its number."""
    exposure_s: float
    """When what it is computed from was seen."""
    published_s: float
    """When the engine had it ready."""
    from_s: float | None
    """The first tick that followed it; null: none did."""
    until_s: float
    """How far it reaches."""
    fate: Literal["arrived", "followed", "replaced", "refused"]
    """`arrived`: nothing more is known yet. `replaced`: a newer one came before a tick followed it."""
    refusal: str = ""
    """Why it was refused, in words."""
    confidence: float | None = None
    """Of the policy, 0 to 1; null: it does not say."""


class Chunks(_Shown, frozen=True):
    """The last ten seconds of chunks."""

    shown: tuple[ChunkShown, ...]
    """Oldest first."""
    left_s: float | None
    """How long the plan that is followed still reaches; null: none is followed."""
    age_s: float | None
    """How long ago what it is computed from was seen; null: none is followed."""
    taken: int
    """Chunks that were followed since control started."""
    refused: str
    """Refused messages in words."""


class UpdateShown(_Shown, frozen=True):
    """How the update of this robot stands."""

    state: str
    """A name of `UpdateState`; empty: the agent is silent."""
    tone: Tone
    """How much it wants to be seen."""
    words: str
    """How it stands, in a sentence."""
    running: str
    """The bundle that should act, by name."""
    release: str
    """The update that is under way, or was last, by name."""
    share: float | None
    """Of the download, 0 to 1; null: there is none under way."""
    bytes_done: int
    """Of the download."""
    bytes_total: int
    """Of the download."""
    trial: str
    """How a bundle on trial does; empty: none is on trial."""
    reason: str
    """Why it waits, failed or was rolled back."""
    detail: str
    """The agent's last words."""


class Event(_Shown, frozen=True):
    """Something that has happened."""

    number: int
    """Grows from event to event, from 1."""
    time_s: float
    """Seconds since 1970, by this machine's clock, when the page heard of it."""
    kind: Literal["state", "stop", "request", "bundle", "update", "process", "episode", "recording", "policy", "speed"]
    """What it is about."""
    tone: Tone
    """How much it wants to be seen."""
    words: str
    """What has happened."""


class Curve(_Shown, frozen=True):
    """One axis over time: `t_s` in s on control's clock, the others in the axis's unit, null where there is none."""

    axis: int
    """Which axis."""
    number: int
    """Of the newest sample: what to ask for next as `since`."""
    t_s: tuple[float, ...]
    """Times of reports of control."""
    planned: tuple[float | None, ...]
    """What the chunk that was followed asks for at that time."""
    commanded: tuple[float, ...]
    """What the kernel let through."""
    measured: tuple[float, ...]
    """Where the axis was."""
    ahead_t_s: tuple[float, ...]
    """Times of what the chunk that is followed asks for from now on."""
    ahead: tuple[float, ...]
    """What it asks for."""


class Policy(_Shown, frozen=True):
    """The task, and the policy that works at it."""

    instruction: str
    """The sentence that is followed, or why none is."""
    is_refused: bool
    """Whether the newest sentence was refused."""
    words: str
    """How sure the policy is, or what became of it."""
    tone: Tone
    """How much that wants to be seen."""
    bundle: str
    """The one that acts, by name."""
    standby: str
    """The one that is warm beside it; empty: none."""
    proof: str
    """Whether it does here what it was trained to."""
    episodes: int
    """Attempts at a task that have ended since the page started."""
    successes: int
    """Those that succeeded."""


class Machine(_Shown, frozen=True):
    """The robot's processes and this machine's timing."""

    alive: dict[str, bool]
    """Whether each process has said something in the last second."""
    timing: str
    """How punctual the control loop is, in words."""
    grade: str
    """Of this machine's timing; empty: not known yet."""
    recording: str
    """File name of the newest recording of the black box; empty: none yet."""
    recording_problem: str
    """Why the last one could not be written."""


class Look(_Shown, frozen=True):
    """`/api/look`: one look at the robot, five to ten times a second."""

    version: int
    """Of this schema."""
    boot: str
    """Another one after the page's process was started again."""
    control_age_s: float | None
    """Since control's last report reached the page; null: none has. Above 1, what control says is old."""
    standing: Standing
    """The state tile."""
    requests: tuple[RequestShown, ...]
    """What a person may ask for."""
    measured: tuple[float, ...]
    """Newest values of all axes; empty before the first report."""
    commanded: tuple[float, ...]
    """Newest commands of all axes; empty before the first report."""
    margins: Margins
    """Distances, and speed."""
    latency: tuple[LatencyPart, ...]
    """From exposure to command: capture, wait, inference, buffer, loop, total."""
    chunks: Chunks
    """The timeline of chunks."""
    policy: Policy
    """The task, and who works at it."""
    machine: Machine
    """Processes and timing."""
    update: UpdateShown | None
    """Null: there is no update agent."""
    events: tuple[Event, ...]
    """Those after the number that was asked for, oldest first."""
    curve: Curve
    """The axis that was asked for."""


class Answered(_Shown, frozen=True):
    """What became of a request, or why it was not made."""

    done: bool
    """Whether control, or the engine, has said that it is done."""
    words: str
    """What happened, for a person; with requests as [name]."""
    took_ms: float = 0.0
    """From the request's arrival to the answer."""


class RecordingShown(_Shown, frozen=True):
    """A file of the black box."""

    name: str
    """Its file name."""
    written: str
    """When, in UTC."""
    cause: str
    """What it was written for."""
    size_bytes: int
    """Its size."""


class RecordingList(_Shown, frozen=True):
    """`/api/recordings`: the files of the black box, newest first."""

    recordings: tuple[RecordingShown, ...]
    """Newest first."""
    folder: str
    """Where they lie."""


class RecordedAxis(_Shown, frozen=True):
    """One axis of a recording. Null: no number, or nothing was asked for."""

    name: str
    """Its name."""
    unit: str
    """Of its values; empty: not said."""
    low: float
    """Lower end of the range in force."""
    high: float
    """Upper end of the range in force."""
    setpoint: tuple[float | None, ...]
    """What was asked for."""
    command: tuple[float | None, ...]
    """What the kernel let through."""
    measured: tuple[float | None, ...]
    """Where it was."""


class Span(_Shown, frozen=True):
    """A name that held for a while, in s from the trip."""

    name: str
    """A state, or a reason."""
    words: str
    """What it means."""
    from_s: float
    """Its first tick."""
    until_s: float
    """Its last tick."""


class RecordingOpened(_Shown, frozen=True):
    """`/api/recordings/NAME`: a recording's ticks as curves, and what the kernel makes of it now."""

    name: str
    """Its file name."""
    robot: str
    """Whose it is."""
    cause: str
    """ "trip", "operator", or "error"."""
    reasons: tuple[Sentence, ...]
    """What tripped."""
    written_utc: str
    """When it was written."""
    runtime_version: str
    """Of the software that wrote it."""
    verdict: str
    """What came of running every record through the kernel again, in words."""
    is_identical: bool
    """Whether every verdict and every next state came out bit for bit as recorded."""
    torn: str
    """Why records are missing at the end; empty for a whole file."""
    ticks: int
    """How many it holds; the curves have fewer."""
    t_s: tuple[float, ...]
    """Times of the curves, in s from the trip, or from the request."""
    axes: tuple[RecordedAxis, ...]
    """Every axis."""
    states: tuple[Span, ...]
    """States of the kernel, in order."""
    acted: tuple[Span, ...]
    """Limits, refusals and trips of the kernel."""


ANSWERS: tuple[type[msgspec.Struct], ...] = (
    RobotShown,
    Look,
    Answered,
    RecordingList,
    RecordingOpened,
)
"""What comes back from the server, at the top."""
