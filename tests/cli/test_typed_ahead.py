"""What a person types at a live table that reads no keys is forgotten, and not left for her shell to run."""

from __future__ import annotations

import os
import pty
import select
import sys
import time
from pathlib import Path

COMMAND = "import sys; from edge_runtime.cli import main; main(sys.argv[1:])"


def test_what_was_typed_at_the_table_is_not_left_for_the_shell(tmp_path: Path) -> None:
    shell, terminal = pty.fork()
    if shell == 0:
        # In the place of a shell: it waits for the command, as the terminal's owner, and reads what is left.
        status = os.spawnv(
            os.P_WAIT,
            sys.executable,
            [sys.executable, "-c", COMMAND, "monitor", "--seconds", "3", "--run-dir", str(tmp_path)],
        )
        left = os.read(0, 100) if select.select([0], [], [], 0.2)[0] else b""
        os.write(1, b"\nstatus %d, left %d\n" % (status, len(left)))
        os._exit(0)
    said = b""
    os.set_blocking(terminal, False)
    end_s = time.monotonic() + 60.0
    typed = False
    while b"left" not in said and time.monotonic() < end_s:
        if select.select([terminal], [], [], 0.1)[0]:
            said += os.read(terminal, 4096)
        if b"listening" in said and not typed:
            typed = True
            os.write(terminal, b"touch the purple ball\n")
    os.waitpid(shell, 0)
    os.close(terminal)
    assert typed
    assert b"left 0" in said, said
