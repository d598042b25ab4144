"""What the simulated cell has, as its driver declares it. Imports no simulator."""

from __future__ import annotations

from edge_runtime.contracts.axes import ParallelGripper, Revolute
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.drivers.sdk.declaration import DriverDeclaration

JOINT_NAMES: tuple[str, ...] = tuple(f"joint{number}" for number in range(1, 8))
N_JOINTS = len(JOINT_NAMES)
CAMERAS: tuple[str, ...] = ("scene", "wrist")
PICTURE_MAX_PX = (640, 480)

WATCHDOG_NS = 100_000_000
"""A real arm allows 20 ms; a simulated one often lives in a virtual machine, which its host stops for longer."""


def require_simulated(embodiment: Embodiment) -> None:
    """Check that the simulated cell has the axes and cameras of `embodiment`.

    Raises:
        ConfigError: names the first that it has not.
    """
    axes = embodiment.axes
    if (
        embodiment.joint_names != JOINT_NAMES
        or embodiment.gripper_indices != (N_JOINTS,)
        or not all(isinstance(axis, Revolute) for axis in axes[:N_JOINTS])
        or not isinstance(axes[N_JOINTS], ParallelGripper)
    ):
        has = f"{', '.join(JOINT_NAMES)}, which turn, and then a parallel gripper, in this order"
        raise ConfigError("groups", f"the simulated arm has {has}")
    for index, camera in enumerate(embodiment.cameras):
        if camera.name not in CAMERAS:
            raise ConfigError(f"cameras[{index}].name", f"{camera.name!r}: the simulation has {', '.join(CAMERAS)}")
        if camera.width_px > PICTURE_MAX_PX[0] or camera.height_px > PICTURE_MAX_PX[1]:
            most = "{} x {}".format(*PICTURE_MAX_PX)
            raise ConfigError(f"cameras[{index}]", f"the simulation draws at most {most} px")


DRIVER = DriverDeclaration(
    start="edge_runtime.drivers.sim.driver:drive",
    watchdog_ns=WATCHDOG_NS,
    packages=("mujoco",),
    extras=("sim",),
    require_fit=require_simulated,
    has_scenes=True,
)
