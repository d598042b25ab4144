"""The root of the tree, and what concerns every room: agreements between parts, and settings."""

from __future__ import annotations

from edge_runtime.contracts.errors.refusals import Refusal


class EdgeError(Exception):
    """Base of everything this project raises on purpose."""


class ContractError(EdgeError):
    """What another process or file sent is not what was agreed."""


class DecodeError(ContractError):
    """Bytes on a topic that are not one valid message of that topic.

    Attributes:
        topic: name of the topic the bytes came from.
        refusal: the kind of fault, for counting.
        detail: what exactly was wrong, for people.
    """

    def __init__(self, topic: str, refusal: Refusal, detail: str) -> None:
        super().__init__(f"{topic}: {refusal}: {detail}")
        self.topic = topic
        self.refusal = refusal
        self.detail = detail


class HandshakeError(ContractError):
    """Two parts that do not fit together, for example a bundle trained for another joint order.

    Attributes:
        field: dotted name of the field that differs.
        expected: what this side has.
        actual: what the other side has.
    """

    def __init__(self, field: str, expected: object, actual: object) -> None:
        super().__init__(f"{field}: expected {expected!r}, got {actual!r}")
        self.field = field
        self.expected = expected
        self.actual = actual


class ConfigError(EdgeError):
    """A setting that is unknown, missing or impossible.

    Attributes:
        key: dotted name of the setting, or the file if it could not be read at all.
        problem: what is wrong and what to do about it.
    """

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key}: {problem}")
        self.key = key
        self.problem = problem
