"""The LeRobot driver process: makes the robot that `[driver]` describes, connects to it, and is driven by the SDK."""

from __future__ import annotations

from contextlib import ExitStack

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.drivers.lerobot import robots
from edge_runtime.drivers.lerobot.arm import LeRobotArm
from edge_runtime.drivers.lerobot.declaration import RATE_HZ, WATCHDOG_NS
from edge_runtime.drivers.lerobot.settings import settings_of
from edge_runtime.drivers.lerobot.units import axis_maps
from edge_runtime.drivers.sdk.driver import serve
from edge_runtime.service import Arguments, StopSignal


def drive(arguments: Arguments, stop: StopSignal) -> None:
    """Be the driver until `stop`.

    Raises:
        ConfigError: settings that LeRobot or the embodiment doesn't take.
        DriverError: the robot doesn't answer.
    """
    if arguments.lockstep:
        raise ConfigError("--lockstep", "this driver runs in real time only; virtual time is for simulators")
    serve(connected, arguments, stop, rate_hz=RATE_HZ, watchdog_ns=WATCHDOG_NS)


def connected(config: RobotConfig) -> LeRobotArm:
    """The robot that `[driver]` describes, ready to be driven. Its motors hold.

    Raises:
        ConfigError, DriverError: as `drive`.
    """
    settings = settings_of(config)
    robot = robots.make_robot(settings, config.path.parent)
    buses = robots.buses_of(robot)
    motors = {key: motor for bus in buses for key, motor in bus.motors()}
    maps = axis_maps(config.embodiment, settings, robot.observation_features, robot.action_features, motors)
    cameras = {name: robots.make_camera(name, given) for name, given in settings.cameras.items()}
    seen = {name for name, kind in robot.observation_features.items() if isinstance(kind, tuple)}
    rates_hz = {camera.name: camera.rate_hz for camera in config.embodiment.cameras}
    for name in rates_hz:
        if name not in cameras and name not in seen:
            raise ConfigError(
                f"driver.cameras.{name}", f"is missing: {settings.type} has no camera of that name itself"
            )
    with ExitStack() as stack:
        set_up = robots.connect(robot, settings, buses)
        stack.callback(robot.disconnect)
        for camera in cameras.values():
            camera.connect()
            stack.callback(camera.disconnect)
        latency_s = {name: settings.camera_latency_s for name in rates_hz if settings.camera_latency_s is not None}
        arm = LeRobotArm(
            config,
            robot,
            maps,
            buses=buses,
            cameras=cameras,
            camera_latency_s={**{name: 1.0 / rates_hz[name] for name in cameras}, **latency_s},
            rate_max_hz=settings.rate_max_hz,
        )
        if set_up:
            arm.settle()
        stack.pop_all()
    return arm
