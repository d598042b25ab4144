"""RIHS01 hashes of message types, as REP 2016 and rosidl_generator_type_description make them: part of a Zenoh key."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from edge_runtime.drivers.ros2.layout import Field, layout_of, once_for_each
from edge_runtime.drivers.ros2.messages import Message

# type_description_interfaces/msg/FieldType.
_NESTED = 1
_TYPE_IDS = {"uint8": 3, "int32": 6, "uint32": 7, "float64": 11, "string": 17}
_ARRAY, _UNBOUNDED_SEQUENCE = 48, 144


@once_for_each
def type_hash(kind: type[Message]) -> str:
    """RIHS01_ and 64 hexadecimal digits."""
    referenced = sorted(_referenced(kind) - {kind}, key=lambda each: each.ros_type)
    description = {
        "type_description": _description(kind),
        "referenced_type_descriptions": [_description(each) for each in referenced],
    }
    text = json.dumps(description, separators=(", ", ": "))
    return f"RIHS01_{hashlib.sha256(text.encode()).hexdigest()}"


def _referenced(kind: type[Message]) -> set[type[Message]]:
    nested = [field.base for field in layout_of(kind) if isinstance(field.base, type)]
    return {kind}.union(*(_referenced(each) for each in nested))


def _description(kind: type[Message]) -> dict[str, Any]:
    return {"type_name": kind.ros_type, "fields": [_field(field) for field in layout_of(kind)]}


def _field(field: Field) -> dict[str, Any]:
    nested = isinstance(field.base, type)
    type_id = _TYPE_IDS[field.base] if isinstance(field.base, str) else _NESTED
    if field.count is not None:
        type_id += _ARRAY if field.count else _UNBOUNDED_SEQUENCE
    return {
        "name": field.name,
        "type": {
            "type_id": type_id,
            "capacity": field.count or 0,
            "string_capacity": 0,
            "nested_type_name": field.base.ros_type if nested else "",  # type: ignore[union-attr]
        },
    }
