"""Bytes, keys and hashes, against implementations that are not ours: rosbags' and Cyclone DDS's own."""

from __future__ import annotations

import dataclasses
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.drivers.ros2 import messages
from edge_runtime.drivers.ros2.cdr import CdrError, decode, encode
from edge_runtime.drivers.ros2.layout import layout_of
from edge_runtime.drivers.ros2.messages import (
    Header,
    Image,
    JointState,
    JointTrajectory,
    Message,
    Odometry,
    Time,
    Twist,
)
from edge_runtime.drivers.ros2.type_hash import type_hash

KINDS = Message.__subclasses__()

PUBLISHED = {
    "sensor_msgs/msg/JointState": "a13ee3a330e346c9d87b5aa18d24e11690752bd33a0350f11c5882bc9179260e",
    "std_msgs/msg/Float64MultiArray": "1025ddc6b9552d191f89ef1a8d2f60f3d373e28b283d8891ddcc974e8c55397f",
    "trajectory_msgs/msg/JointTrajectory": "179b33eba59d676f6d967ac71fe35e7ca2f64b2f3928f4a018cec115e213796e",
    "nav_msgs/msg/Odometry": "3cc97dc7fb7502f8714462c526d369e35b603cfc34d946e3f2eda2766dfec6e0",
    "geometry_msgs/msg/Twist": "9c45bf16fe0983d80e3cfe750d6835843d265a9a6c46bd2e609fcddde6fb8d2a",
    "geometry_msgs/msg/TwistStamped": "5f0fcd4f81d5d06ad9b4c4c63e3ea51b82d6ae4d0558f1d475229b1121db6f64",
    "geometry_msgs/msg/WrenchStamped": "8dc3deaf06b2ab281f9f9a742a8961c328ca7cec16e3fd6586d3a5c83fa78f77",
    "sensor_msgs/msg/Image": "d31d41a9a4c4bc8eae9be757b0beed306564f7526c88ea6a4588fb9582527d47",
}
"""As rosbags makes them of the definitions of Humble, Jazzy and Kilted, which agree."""


def some(kind: type[Message], random: np.random.Generator) -> Message:
    """A message with something in every field."""
    values: dict[str, Any] = {}
    for field in layout_of(kind):
        count = 1 if field.count is None else field.count or int(random.integers(0, 4))
        made = [_one(field.base, random) for _ in range(count)]
        if field.count is None:
            values[field.name] = made[0]
        elif isinstance(field.base, str) and field.base != "string":
            values[field.name] = np.array(made, dtype=field.base)
        else:
            values[field.name] = tuple(made)
    return kind(**values)


def _one(base: str | type[Message], random: np.random.Generator) -> Any:
    if isinstance(base, type):
        return some(base, random)
    if base == "string":
        return "".join(chr(int(c)) for c in random.integers(97, 123, int(random.integers(0, 9)))) + "é" * int(
            random.integers(0, 2)
        )
    return float(random.normal()) if base == "float64" else int(random.integers(0, 200))


def equal(left: Any, right: Any) -> bool:
    if dataclasses.is_dataclass(left):
        return all(equal(getattr(left, f.name), getattr(right, f.name)) for f in dataclasses.fields(left))
    if isinstance(left, tuple):
        return len(left) == len(right) and all(map(equal, left, right))
    return bool(np.array_equal(left, right))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_message_comes_back_as_it_was(kind: type[Message]) -> None:
    random = np.random.default_rng(3)
    for _ in range(20):
        message = some(kind, random)
        assert equal(message, decode(kind, encode(message)))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_bytes_and_hash_are_those_of_rosbags(kind: type[Message]) -> None:
    typesys = pytest.importorskip("rosbags.typesys")
    store = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
    assert f"RIHS01_{type_hash(kind)[7:]}" == store.hash_rihs01(kind.ros_type)
    random = np.random.default_rng(4)
    for _ in range(10):
        message = some(kind, random)
        theirs = store.deserialize_cdr(encode(message), kind.ros_type)
        for little_endian in (True, False):
            data = bytes(store.serialize_cdr(theirs, kind.ros_type, little_endian=little_endian))
            assert equal(message, decode(kind, data))
        # They pad the end to four bytes, which says nothing.
        little = bytes(store.serialize_cdr(theirs, kind.ros_type, little_endian=True))
        assert little.rstrip(b"\0") == encode(message).rstrip(b"\0")


@pytest.mark.parametrize("ros_type", PUBLISHED)
def test_hashes_of_the_topics_are_those_that_were_published(ros_type: str) -> None:
    (kind,) = [kind for kind in KINDS if kind.ros_type == ros_type]
    assert type_hash(kind) == f"RIHS01_{PUBLISHED[ros_type]}"


def test_names_on_the_wire_are_those_of_ros() -> None:
    assert JointState.dds_type() == "sensor_msgs::msg::dds_::JointState_"


def test_a_zenoh_key_is_that_of_rmw_zenoh() -> None:
    pytest.importorskip("zenoh")
    from edge_runtime.drivers.ros2.zenoh_bus import key_of

    wanted = f"7/arm/joint_states/sensor_msgs::msg::dds_::JointState_/RIHS01_{PUBLISHED['sensor_msgs/msg/JointState']}"
    assert key_of(7, "/arm/joint_states", JointState) == wanted


def test_the_types_that_dds_announces_have_the_layout_of_ours() -> None:
    """Cyclone's own serializer, made from the type that is announced, writes the same bytes."""
    pytest.importorskip("cyclonedds")
    from edge_runtime.drivers.ros2.dds import _idl

    header = _idl(Header)(stamp=_idl(Time)(sec=5, nanosec=6), frame_id="base")
    theirs = _idl(JointState)(header=header, name=["a", "bc"], position=[1.0, 2.0], velocity=[], effort=[3.0, 4.0])
    ours = JointState(Header(Time(5, 6), "base"), ("a", "bc"), np.array([1.0, 2.0]), np.zeros(0), np.array([3.0, 4.0]))
    assert bytes(theirs.serialize()).rstrip(b"\0") == encode(ours).rstrip(b"\0")
    assert _idl(JointState).__idl__.idl_transformed_typename.replace(".", "::") == JointState.dds_type()


@given(data=st.binary(max_size=300), kind=st.sampled_from([JointState, JointTrajectory, Odometry, Image]))
def test_any_bytes_are_a_message_or_refused(data: bytes, kind: type[Message]) -> None:
    try:
        decode(kind, b"\x00\x01\x00\x00" + data)
    except CdrError:
        return


@pytest.mark.parametrize("cut", [3, 20, 40])
def test_what_is_cut_off_is_refused(cut: int) -> None:
    message = JointState(Header(), ("a",), np.ones(1), np.ones(1), np.ones(1))
    with pytest.raises(CdrError, match="sensor_msgs/msg/JointState"):
        decode(JointState, encode(message)[:-cut])


def test_another_encoding_is_refused() -> None:
    with pytest.raises(CdrError, match="encapsulation"):
        decode(Twist, b"\x00\x07\x00\x00" + bytes(48))


def test_a_length_that_is_not_there_takes_no_memory() -> None:
    body = struct.pack("<iII", 0, 0, 1) + b"\0" + b"\0" * 3 + struct.pack("<I", 0xFFFFFFFF)
    with pytest.raises(CdrError):
        decode(JointState, b"\x00\x01\x00\x00" + body)


def test_every_message_says_its_ros_type() -> None:
    assert all(kind.ros_type.endswith("/" + kind.__name__) for kind in KINDS)
    assert messages.Time.of_ns(1_500_000_000).ns == 1_500_000_000
