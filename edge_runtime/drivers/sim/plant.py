"""The physics behind the simulated driver: arm, gripper, table, objects, cameras and the judge of the task.

Guarantees the same motion for the same seed and commands. Knows no process, socket or clock: one `step` is one
millisecond, whoever calls it. Trusts its caller for nothing but shapes; actuators saturate at the published torques.
"""

from __future__ import annotations

from importlib import resources

import numpy as np
import numpy.typing as npt

from edge_runtime.drivers.sim.declaration import N_JOINTS as N_JOINTS
from edge_runtime.drivers.sim.rendering import Renderers, mujoco
from edge_runtime.drivers.sim.scene import N_OBJECTS, REST_HEIGHT_M, draw_colour, draw_layout
from edge_runtime.drivers.sim.task import (
    BYSTANDER_LIMIT_M,
    PUSH_DISTANCE_M,
    SHAPES,
    Outcome,
    Split,
    Status,
    Task,
    draw_task,
    task_rng,
)

Array = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]

STEP_S = 0.001
GRIPPER_MAX_OPENING_M = 0.08


class Plant:
    """One simulated robot cell at 1 kHz (or `step_s`, for those who trade fidelity for speed).

    All joint vectors are (7,) in the order of `declaration.JOINT_NAMES`, radians; the fingers go by themselves. Not
    thread-safe. `reset` must come before `step`.
    """

    def __init__(self, step_s: float = STEP_S) -> None:
        source = resources.files("edge_runtime.drivers.sim").joinpath("world.xml").read_text(encoding="utf-8")
        self._model = mujoco.MjModel.from_xml_string(source)
        self._model.opt.timestep = step_s
        self._data = mujoco.MjData(self._model)
        self._renderers = Renderers(self._model)
        self._task: Task | None = None
        self._outcome = Outcome(Status.RUNNING)

        model = self._model
        self._object_qpos = np.array([int(model.joint(f"object{i}").qposadr[0]) for i in range(N_OBJECTS)])
        self._tool_site = int(model.site("tool").id)
        self._table_geom = int(model.geom("table").id)
        # -1: neither robot nor object; -2: robot; 0, 1, 2: that object.
        self._owner_of_geom = np.full(model.ngeom, -1, dtype=np.int64)
        for geom in range(model.ngeom):
            body = model.body(int(model.geom_bodyid[geom])).name
            if body.startswith("object"):
                self._owner_of_geom[geom] = int(body.removeprefix("object"))
            elif body != "world":
                self._owner_of_geom[geom] = -2
        self._start_xy = np.zeros((N_OBJECTS, 2))

    def reset(self, seed: int, split: Split) -> Task:
        """Start the episode of `(seed, split)`, arm at rest at its drawn start; returns the task. `seed` >= 0."""
        rng = task_rng(seed, split)
        task = draw_task(seed, split, rng)
        layout = draw_layout(rng)
        model, data = self._model, self._data
        mujoco.mj_resetData(model, data)
        self._dress(task, layout.table_rgb, rng)
        data.qpos[:N_JOINTS] = layout.q
        data.qpos[N_JOINTS : N_JOINTS + 2] = layout.gripper_opening_m / 2
        for i, address in enumerate(self._object_qpos):
            half_yaw = layout.yaw_rad[i] / 2
            data.qpos[address : address + 7] = [
                *layout.position_m[i],
                REST_HEIGHT_M[task.objects[i].shape],
                np.cos(half_yaw),
                0.0,
                0.0,
                np.sin(half_yaw),
            ]
        data.ctrl[:N_JOINTS] = layout.q
        data.ctrl[N_JOINTS:] = layout.gripper_opening_m / 2
        mujoco.mj_forward(model, data)
        self._task = task
        self._start_xy = layout.position_m.copy()
        self._outcome = Outcome(Status.RUNNING)
        return task

    def _dress(self, task: Task, table_rgb: Array, rng: np.random.Generator) -> None:
        model = self._model
        model.geom_rgba[self._table_geom, :3] = table_rgb
        for i, item in enumerate(task.objects):
            rgba = draw_colour(item.colour, rng)
            for shape in SHAPES:
                geom = int(model.geom(f"object{i}_{shape}").id)
                solid = shape == item.shape
                model.geom_rgba[geom] = rgba if solid else 0.0
                model.geom_contype[geom] = 2 if solid else 0
                model.geom_conaffinity[geom] = 3 if solid else 0

    def step(self, q_command: npt.ArrayLike, gripper_opening_m: float) -> None:
        """Advance one step under position servo. Commands beyond a joint's range saturate at it."""
        data = self._data
        data.ctrl[:N_JOINTS] = q_command
        data.ctrl[N_JOINTS:] = gripper_opening_m / 2
        mujoco.mj_step(self._model, data)
        if self._outcome.status is Status.RUNNING:
            self._outcome = self._judge()

    def _judge(self) -> Outcome:
        task = self.task
        if task.verb == "touch":
            touched = self._touched_object()
            if touched >= 0:
                if touched == task.target_index:
                    return Outcome(Status.SUCCESS, f"touched the {task.target}")
                return Outcome(Status.FAILED, f"touched the {task.objects[touched]}, not the {task.target}")
        else:
            moved = self.object_position_m[:, :2] - self._start_xy
            for i, item in enumerate(task.objects):
                if i != task.target_index and float(np.hypot(*moved[i])) > BYSTANDER_LIMIT_M:
                    return Outcome(Status.FAILED, f"moved the {item}, not the {task.target}")
            to_the_left = float(moved[task.target_index, 1])
            wanted = to_the_left if task.verb == "push_left" else -to_the_left
            if wanted >= PUSH_DISTANCE_M:
                return Outcome(Status.SUCCESS, f"pushed the {task.target} {wanted * 100:.0f} cm")
            if wanted <= -PUSH_DISTANCE_M:
                return Outcome(Status.FAILED, f"pushed the {task.target} the wrong way")
        if self.time_s >= task.time_limit_s:
            return Outcome(Status.FAILED, "out of time")
        return self._outcome

    def _touched_object(self) -> int:
        """Index of an object the robot touches now, or -1."""
        if self._data.ncon == 0:
            return -1
        pairs = self._owner_of_geom[self._data.contact.geom]
        robot = pairs == -2
        hits = pairs[:, ::-1][robot]
        hits = hits[hits >= 0]
        return int(hits[0]) if hits.size else -1

    def outcome(self) -> Outcome:
        """The verdict so far; latched once it is SUCCESS or FAILED."""
        return self._outcome

    def render(self, camera: str, out: Image) -> None:
        """Draw what `camera` sees into `out` ((H, W, 3) uint8 RGB, top row first, at most 480 by 640).

        Raises:
            MissingSystemPackageError: the machine has no EGL; the message names the packages.
        """
        self._renderers.draw(self._data, camera, out)

    @property
    def configuration(self) -> Array:
        """Where everything is, as `pose` takes it."""
        return np.array(self._data.qpos)

    def pose(self, configuration: Array) -> None:
        """Put arm and objects where `configuration` of a plant with the same scene says, for drawing."""
        self._data.qpos[:] = configuration
        mujoco.mj_fwdPosition(self._model, self._data)

    def close(self) -> None:
        """Free the OpenGL contexts. The plant can't draw after that."""
        self._renderers.close()

    @property
    def task(self) -> Task:
        if self._task is None:
            raise RuntimeError("Plant.reset() must be called first")
        return self._task

    @property
    def time_s(self) -> float:
        """Simulated time since `reset`."""
        return float(self._data.time)

    @property
    def q(self) -> Array:
        return np.array(self._data.qpos[:N_JOINTS])

    @property
    def dq(self) -> Array:
        return np.array(self._data.qvel[:N_JOINTS])

    @property
    def tau(self) -> Array:
        """Actuator torques of the last step (gravity compensation not counted)."""
        return np.array(self._data.qfrc_actuator[:N_JOINTS])

    @property
    def gripper_opening_m(self) -> float:
        """Distance between the finger pads, 0 to 0.08."""
        return float(self._data.qpos[N_JOINTS] + self._data.qpos[N_JOINTS + 1])

    @property
    def gripper_speed_m_s(self) -> float:
        """How fast that distance grows."""
        return float(self._data.qvel[N_JOINTS] + self._data.qvel[N_JOINTS + 1])

    @property
    def gripper_force_n(self) -> float:
        """What the fingers were driven with in the last step, positive to open."""
        return float(self._data.qfrc_actuator[N_JOINTS] + self._data.qfrc_actuator[N_JOINTS + 1]) / 2.0

    @property
    def object_position_m(self) -> Array:
        """(3, 3) centres in the world frame. Ground truth: for judges and teachers, never for a policy."""
        return np.stack([self._data.qpos[a : a + 3] for a in self._object_qpos])

    @property
    def tool_position_m(self) -> Array:
        """(3,) point between the fingertips, world frame."""
        return np.array(self._data.site_xpos[self._tool_site])

    def project(self, camera: str, points_m: Array) -> Array:
        """Where world points (N, 3) appear in `camera`: (N, 2) as fractions of width and height, origin top left.

        Values outside [0, 1] are out of the picture. For teachers: it says nothing about what hides what.
        """
        cam = int(self._model.camera(camera).id)
        R_WC = self._data.cam_xmat[cam].reshape(3, 3)
        p_C = (points_m - self._data.cam_xpos[cam]) @ R_WC
        scale = 0.5 / np.tan(np.deg2rad(self._model.cam_fovy[cam]) / 2)
        # The camera looks along its -z; pictures are square.
        depth = np.maximum(-p_C[:, 2], 1e-6)
        return np.stack([0.5 + scale * p_C[:, 0] / depth, 0.5 - scale * p_C[:, 1] / depth], axis=1)
