"""A display that is drawn again in its place, without flicker on a slow line.

Guarantees that nothing is blank in between: a line is written over, and what is left of the old one erased behind it. A
terminal that knows synchronised output (private mode 2026) shows each drawing as a whole; others ignore those words.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderResult
from rich.live import Live
from rich.segment import ControlType, Segment

_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
_ERASE_REST, _ERASE_BELOW, _UP = "\x1b[K", "\x1b[J", "\x1b[A"


class Redrawn(Live):
    """rich's `Live`, redrawn by `update` alone, that writes over what it has drawn."""

    def __init__(self, console: Console) -> None:
        super().__init__(console=console, auto_refresh=False)

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """See `rich.live.Live`."""
        shape = self._live_render._shape
        height = 0 if shape is None else shape[1]
        processed = super().process_renderables(renderables)
        if not self.console.is_interactive:
            return processed
        # The first is what erases the old drawing: in its place, only the way to its top.
        return [_Overwriting(height, processed[1:])]


class _Overwriting:
    """`parts`, written over the last `height` lines."""

    def __init__(self, height: int, parts: list[ConsoleRenderable]) -> None:
        self._height, self._parts = height, parts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _control(_BEGIN + "\r" + _UP * max(0, self._height - 1))
        drawn = 1
        for part in self._parts:
            for segment in _with_ends_erased(console, part, options):
                drawn += segment.text.count("\n")
                yield segment
        if drawn < self._height:
            # From the line below: in a full line the cursor stands on its last character.
            yield _control(f"\n{_ERASE_BELOW}{_UP}")
        yield _control(_END)


def _with_ends_erased(console: Console, part: RenderableType, options: ConsoleOptions) -> Iterator[Segment]:
    """`part` with the rest of each row erased that it does not fill; the terminal folds a line that is too long."""
    width = 0
    for segment in console.render(part, options):
        if segment.control:
            yield segment
            continue
        for index, line in enumerate(segment.text.split("\n")):
            if index > 0:
                if not width or width % options.max_width:
                    yield _control(_ERASE_REST)
                yield Segment.line()
                width = 0
            yield Segment(line, segment.style)
            width += cell_len(line)
    if width % options.max_width:
        yield _control(_ERASE_REST)


def _control(words: str) -> Segment:
    return Segment(words, None, [(ControlType.CARRIAGE_RETURN,)])
