"""How the server's log looks: one line a record, whatever a peer had put into it."""

from __future__ import annotations

import logging
from typing import Any

from contracts.text import printable, printable_lines


class PrintableFormatter(logging.Formatter):
    """Shows what is in a message; a traceback keeps its lines, which are this program's."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the library's name)
        """See `logging.Formatter`."""
        record.message = printable(record.message, None)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        return printable_lines(super().format(record))


LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"()": PrintableFormatter, "fmt": "%(levelname)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "loggers": {"uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False}},
}
