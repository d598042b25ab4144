"""What an update asks of the rest of the robot: the seam between the life cycle and everything that it is about."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from edge_runtime.ota.transfer.staging import Staging


class Robot(Protocol):
    """See the module. Each call has an end, and may come again after it was done."""

    def fetch(self, staging: Staging) -> None:
        """Put every piece that is missing.

        Raises:
            OtaError: it goes on later.
        """

    def heed(self) -> None:
        """Return at once, if there is time for something that takes long.

        Raises:
            OtaError: `NOT_NOW`: there is not; it goes on later.
        """

    def build(self, folder: Path) -> None:
        """Build what runs on this robot's accelerator from the bundle in `folder`, where that is not done yet.

        Raises:
            EdgeError: this bundle cannot be built here.
        """

    def golden_check(self, folder: Path) -> str:
        """Compare what was built with the bundle's stored observations and actions; what that showed, in words.

        Raises:
            EdgeError: it differs.
        """

    def serve(self, folder: Path, standby: Path) -> bool:
        """Order the engine to run the bundle in `folder`, with the one in `standby` loaded beside it.

        Whether it does already: if not, `Runner.hear_engine` is called once it does, or will not.

        Raises:
            EdgeError: it will not.
        """

    def return_to(self, folder: Path) -> bool:
        """Order the engine to run the bundle in `folder` again; where there is none, the next one will. As `serve`."""
