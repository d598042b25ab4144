"""The C kernel and its Python reference agree bit for bit, whatever they are fed: every verdict and the whole state."""

from __future__ import annotations

import math
import random
import struct
from typing import Any

from edge_runtime.native import ffi, lib
from edge_runtime.safety import Kernel, Measurement, Reason, State, Target, Verdict
from edge_runtime.safety.reference import ReferenceKernel
from edge_runtime.safety.reference.config import kernel_config_check
from edge_runtime.safety.reference.structs import Config
from tests.safety.stream import Stream, random_config

GEOMETRY_REASONS = {
    Reason.LIMIT_GEOMETRY,
    Reason.LIMIT_TOOL_SPEED,
    Reason.LIMIT_SINGULARITY,
    Reason.ODOMETRY_LOST,
}


def verdict_bits(verdict: Verdict) -> bytes:
    """Everything that a verdict holds."""
    floats = (
        *(*verdict.q, *verdict.dq, *verdict.ddq, verdict.accepted),
        *(verdict.speed_scale, verdict.stop_margin, verdict.stop_margin_m, verdict.time_to_rest_s),
    )
    whole = (verdict.state, verdict.reasons, verdict.faults, verdict.stop_margin_axis)
    return struct.pack(f"{len(floats)}d4Q", *floats, *whole) + verdict.config_digest + verdict.bundle_digest


def bits(value: Any) -> object:
    """A number so that equal means the same bits; an array of floats as one piece, others as tuples of such."""
    if isinstance(value, float):
        return struct.pack("d", value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, list):
        if value and all(type(one) is float for one in value):
            return struct.pack(f"{len(value)}d", *value)
        return tuple(bits(one) for one in value)
    if isinstance(value, ffi.CData) and ffi.typeof(value).kind == "array":
        if ffi.typeof(value).item.cname == "double":
            return bytes(ffi.buffer(value))
        return tuple(bits(one) for one in value)
    names = [name for name, _ in ffi.typeof(value).fields] if isinstance(value, ffi.CData) else value.__slots__
    return {name: bits(getattr(value, name)) for name in names}


PER_AXIS = ("q", "dq", "ddq", "target", "target_speed", "measured", "shown_least", "shown_most", "left")


def native_state(kernel: Kernel, n: int) -> object:
    """The whole `kernel_state`; nothing behind the last axis is ever touched."""
    state = bits(kernel._state[0])
    assert isinstance(state, dict)
    used = n * len(struct.pack("d", 0.0))
    for name in PER_AXIS:
        assert not any(state[name][used:])
        state[name] = state[name][:used]
    assert not any(any(row[used:]) for row in state["trail"])
    assert not any(state["apart_ticks"][n:])
    state["trail"] = tuple(row[:used] for row in state["trail"])
    state["apart_ticks"] = state["apart_ticks"][:n]
    return state


class Pair:
    """Both kernels, asked the same; they must answer the same and be left in the same state."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.in_c, self.in_python = Kernel(stream.config), ReferenceKernel(stream.config)
        self.seen = Reason(0)

    def step(self, measurement: Measurement, target: Target | None) -> Verdict:
        one = self.in_c.step(measurement, target, self.stream.now_ns)
        other = self.in_python.step(measurement, target, self.stream.now_ns)
        assert verdict_bits(one) == verdict_bits(other), (one, other)
        self.seen |= one.reasons | one.faults
        return one

    def ask(self, measurement: Measurement) -> None:
        generator = self.stream.random
        request = self.stream.request(self.in_c.state)
        if request is not None:
            answer = self.in_c.request(request, measurement, self.stream.now_ns)
            assert answer == self.in_python.request(request, measurement, self.stream.now_ns)
        if generator.random() < 0.02:
            tighter = self.stream.tightening()
            assert self.in_c.tighten(**tighter) == self.in_python.tighten(**tighter)
        if generator.random() < 0.004:
            targets = self.stream.rehearsal()
            for one, other in zip(self.in_c.rehearse(targets), self.in_python.rehearse(targets), strict=True):
                assert verdict_bits(one) == verdict_bits(other)

    def compare_states(self) -> None:
        assert native_state(self.in_c, self.stream.n) == bits(self.in_python._state)


def drive(seed: int, ticks: int, *, body: bool = False) -> tuple[Reason, set[State]]:
    """Both kernels on one stream; the reasons and states that were met."""
    stream = Stream(seed, body=body)
    pair = Pair(stream)
    states = set()
    for k in range(ticks):
        stream.step_clock()
        measurement = stream.measurement()
        try:
            verdict = pair.step(measurement, stream.target())
            pair.ask(measurement)
            pair.compare_states()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, tick {k}: {error}") from error
        states.add(verdict.state)
        stream.follow(verdict)
    return pair.seen, states


def test_joints_tick_for_tick() -> None:
    seen, states = Reason(0), set()
    for seed in range(110):
        reasons, visited = drive(seed, 500)
        seen |= reasons
        states |= visited
    # Agreement is worth something only if they met everything there is.
    assert {reason for reason in Reason if reason & seen} == set(Reason) - {Reason.INTERNAL} - GEOMETRY_REASONS
    assert states == set(State)


def test_the_whole_body_tick_for_tick() -> None:
    seen = Reason(0)
    for seed in range(60):
        seen |= drive(seed, 250, body=True)[0]
    assert {reason for reason in Reason if reason & seen} >= GEOMETRY_REASONS


EDGES = (
    0.0,
    1e-9,
    1e-3,
    1e-2,
    0.1,
    1.0,
    3.14,
    60.0,
    1e3,
    1e4,
    1e5,
    1e6,
    1e8,
    -1.0,
    -1e3,
    -1e4,
    -1e5,
    math.nan,
    math.inf,
)
WHOLE = (0, 1, 2, 3, 4, 32, 33, 10_000, 10_001, 99_999, 100_000, 1_000_000, 1_000_001, 20_000_001)


def spoiled(config: Any, generator: random.Random) -> None:
    """One field set to something at, or a hair beyond, one of the bounds that there are."""
    name = generator.choice([name for name, _ in ffi.typeof(config[0]).fields if name not in ("digest", "reserved")])
    value = getattr(config, name)
    edge = generator.choice(EDGES)
    number = generator.choice((edge, math.nextafter(edge, math.inf), math.nextafter(edge, -math.inf)))
    n = max(1, min(config.n_axes, 32))
    if name == "geometry":
        _spoil_geometry(value, generator)
    elif isinstance(value, float):
        setattr(config, name, number)
    elif isinstance(value, int):
        setattr(config, name, generator.choice((-1, *WHOLE) if name.endswith("_ns") else WHOLE))
    elif name == "axis_kind":
        value[generator.randrange(n)] = generator.randrange(5)
    elif name == "base_axis":
        value[generator.randrange(3)] = generator.randrange(-2, 33)
    elif name.startswith("end_speed"):
        value[generator.randrange(2)][generator.randrange(n)] = number
    else:
        value[generator.randrange(min(n, len(value)))] = number


def _spoil_geometry(model: Any, generator: random.Random) -> None:
    if generator.random() < 0.4:
        model.n_axes = generator.choice((0, 1, model.n_axes + 1, 32, 33))
    elif generator.random() < 0.4:
        model.joints[generator.randrange(max(1, model.n_joints))].axis = generator.randrange(-1, 33)
    else:
        model.n_tools = generator.choice((0, 1, 5))


def test_configs_are_checked_alike() -> None:
    generator = random.Random(3)
    index, errors = ffi.new("uint32_t *"), set()
    for k in range(6000):
        if k % 100 == 0:
            good = random_config(generator, body=k % 500 == 0).to_native()
        config = ffi.new("kernel_config *", good[0])
        for _ in range(generator.choice((0, 1, 1, 2))):
            spoiled(config, generator)
        error = lib.kernel_config_check(config, index)
        assert (error, index[0]) == kernel_config_check(Config.of(config)), k
        errors.add(ffi.typeof("kernel_config_error").elements[error])
    assert errors == set(ffi.typeof("kernel_config_error").elements.values())
