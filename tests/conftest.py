"""What holds for all tests."""

from __future__ import annotations

import signal

# A shell that starts the tests in the background has its children ignore Ctrl-C, and so would theirs: those that a test
# interrupts would never hear of it.
signal.signal(signal.SIGINT, signal.default_int_handler)
