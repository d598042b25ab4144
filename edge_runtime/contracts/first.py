"""What every command does before anything else: Ctrl-C while Python is still loading ends it, without a traceback."""

import signal


def end_by_ctrl_c() -> None:
    """Until the program handles it, Ctrl-C ends this process as it would end any program; ignored, it stays ignored."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
