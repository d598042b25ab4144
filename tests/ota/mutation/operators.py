"""What mutmut does not do to a program by itself: a check that is never true, one that is always, a raise that is gone.

A check that refuses an attack is tested only if a test fails without it. mutmut turns `!=` into `==`, which any honest
update finds; a branch that is never taken is found by an attack alone. Words for people are left as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import libcst as cst
from mutmut.mutation import mutators

Operator = Callable[[Any], Iterable[cst.CSTNode]]


def forced_branch(node: cst.If) -> Iterator[cst.CSTNode]:
    """The branch that is never taken, and the one that always is."""
    for constant in ("False", "True"):
        yield node.with_changes(test=cst.Name(constant), whitespace_before_test=cst.SimpleWhitespace(" "))


def forced_operand(node: cst.BooleanOperation) -> Iterator[cst.CSTNode]:
    """`a and b` without `a`, and without `b`."""
    yield node.left
    yield node.right


def no_raise(_: cst.Raise) -> Iterator[cst.CSTNode]:
    """The error that is found and not said."""
    yield cst.Pass()


class _NotWords:
    """An operator that leaves what people read alone: formatted strings, and sentences."""

    def __init__(self, operator: Operator, words: set[int]) -> None:
        self._operator = operator
        self._words = words

    def __call__(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        if id(node) in self._words:
            return
        if isinstance(node, cst.SimpleString) and " " in node.raw_value:
            return
        for mutated in self._operator(node):
            if not (isinstance(node, cst.Call) and isinstance(mutated, cst.Call) and _lost_words(node, mutated)):
                yield mutated


def _lost_words(before: cst.Call, after: cst.Call) -> bool:
    kept = {id(argument.value) for argument in after.args}
    return any(_is_words(argument.value) and id(argument.value) not in kept for argument in before.args)


def _is_words(node: cst.BaseExpression) -> bool:
    if isinstance(node, cst.SimpleString):
        return " " in str(node.raw_value)
    return isinstance(node, (cst.FormattedString, cst.ConcatenatedString))


def install() -> None:
    """Give mutmut these operators beside its own. It forks: whatever it starts afterwards has them too."""
    words: set[int] = set()
    kept: list[cst.CSTNode] = []

    def mark(node: cst.FormattedString | cst.ConcatenatedString) -> Iterator[cst.CSTNode]:
        """Remember everything inside; mutmut comes to the outer node first."""
        kept.append(node)  # so that no other node gets the same id
        stack: list[cst.CSTNode] = [node]
        while stack:
            inner = stack.pop()
            words.add(id(inner))
            stack.extend(inner.children)
        yield from ()

    ours: list[tuple[type[cst.CSTNode], Operator]] = [
        (cst.If, forced_branch),
        (cst.BooleanOperation, forced_operand),
        (cst.Raise, no_raise),
    ]
    theirs = [(kind, _NotWords(operator, words)) for kind, operator in mutators.mutation_operators]
    all_of_them = [(cst.FormattedString, mark), (cst.ConcatenatedString, mark), *theirs, *ours]
    mutators.mutation_operators[:] = all_of_them  # type: ignore[index]
