"""The fields of a message class, as its annotations say them."""

from __future__ import annotations

import re
import typing
from collections.abc import Callable
from dataclasses import dataclass, fields

from edge_runtime.drivers.ros2.messages import Message

_T = typing.TypeVar("_T")


def once_for_each(make: Callable[[type[Message]], _T]) -> Callable[[type[Message]], _T]:
    """`make`, which is called once for each class of messages."""
    made: dict[type[Message], _T] = {}

    def cached(kind: type[Message]) -> _T:
        if kind not in made:
            made[kind] = make(kind)
        return made[kind]

    return cached


@dataclass(frozen=True)
class Field:
    """One field.

    Attributes:
        name: of the field.
        base: of one value: the name of a ROS primitive, or a message class.
        count: None for one value, 0 for a sequence, otherwise how many there always are.
    """

    name: str
    base: str | type[Message]
    count: int | None


@once_for_each
def layout_of(kind: type[Message]) -> tuple[Field, ...]:
    """The fields of `kind`, in order."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return tuple(_field(each.name, hints[each.name]) for each in fields(kind))  # type: ignore[arg-type]


def _field(name: str, hint: object) -> Field:
    if isinstance(hint, type) and issubclass(hint, Message):
        return Field(name, hint, None)
    if typing.get_origin(hint) is tuple:
        return Field(name, typing.get_args(hint)[0], 0)
    (ros,) = hint.__metadata__  # type: ignore[attr-defined]
    match = re.fullmatch(r"(\w+)(?:\[(\d*)\])?", ros)
    assert match is not None
    base, count = match.groups()
    return Field(name, base, None if count is None else int(count or 0))
