"""A page, from its settings to a server that answers, until it is told to end."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from edge_runtime.client.run_dir import recordings_folder
from edge_runtime.client.updates import Names
from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.page.about import about
from edge_runtime.page.asking import Asking
from edge_runtime.page.gathered import Gathered
from edge_runtime.page.origins import Origins, is_loopback
from edge_runtime.page.pictures import Pictures, can_be_made
from edge_runtime.page.recordings import Recordings
from edge_runtime.page.server import PageServer, Served
from edge_runtime.page.tokens import Tokens, token_path

_LOOK_S = 0.2


def serve(
    config: RobotConfig,
    run_dir: Path,
    options: argparse.Namespace,
    ended: Callable[[], bool],
    tell: Callable[[str], None],
) -> None:
    """Serve the page of the robot in `run_dir` until `ended`.

    Args:
        options: as of `add_options`.
        tell: is told where to look, once the page is there.

    Raises:
        ConfigError: the token file can't be used, or another machine is to be served without one.
        ProcessError: the port is taken, or the robot belongs to another user.
    """
    tokens = Tokens(options.token_file or token_path(run_dir))
    tokens.require_usable()
    is_near = is_loopback(options.listen) and not options.name
    if not is_near and not tokens.exists:
        problem = f"other machines are served only with a token, and {tokens.path} holds none: make one first with"
        raise ConfigError("--listen", f"{problem} `edge-runtime page token`")
    if options.private and not tokens.exists:
        raise ConfigError("--private", f"{tokens.path} holds no token: make one first with `edge-runtime page token`")
    robot = about(
        config,
        run_dir,
        takes_requests=tokens.exists,
        takes_arming=is_near or options.arming,
        needs_token=options.private,
    )
    names = Names(config)
    with contextlib.ExitStack() as stack:
        gathered = stack.enter_context(Gathered(robot, run_dir, names.bundle, names.release))
        pictures = Pictures(run_dir) if robot.cameras and can_be_made() else None
        if pictures is not None:
            stack.callback(pictures.close)
        served = Served(
            robot=robot,
            gathered=gathered,
            pictures=pictures,
            recordings=Recordings(recordings_folder(run_dir)),
            asking=Asking(run_dir, takes_arming=robot.takes_arming),
            tokens=tokens,
            origins=Origins(options.listen, options.name),
        )
        server = PageServer(options.listen, options.port, served)
        server.start()
        stack.callback(server.close)
        tell(address_of(options.listen, server.server_port))
        while not ended():
            time.sleep(_LOOK_S)


def address_of(listen: str, port: int) -> str:
    """Where to look."""
    host = f"[{listen}]" if ":" in listen else listen
    return f"http://{host}:{port}/"
