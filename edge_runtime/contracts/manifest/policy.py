"""The policy contract: what a policy is fed, which graphs it is, how they are decoded, and what comes out of it.

It says everything that a robot needs to run a policy that it does not know beforehand, and `require_fit` says whether
it may. Which families there are is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from edge_runtime.contracts.axes import BaseYaw
from edge_runtime.contracts.embodiment import LONE_GRIPPER, Embodiment
from edge_runtime.contracts.errors import HandshakeError
from edge_runtime.contracts.manifest.decoding import (
    Decoder,
    DiffusionDecoder,
    FlowDecoder,
    Graph,
    GraphRole,
    RegressionDecoder,
    TokensDecoder,
)
from edge_runtime.contracts.manifest.inputs import (
    EndEffectorState,
    GripperState,
    GripperUnit,
    Inputs,
    StateGroup,
    gripper_in_words,
)
from edge_runtime.contracts.manifest.outputs import (
    BaseVelocity,
    EndEffectorMotion,
    GripperOpening,
    GripperSwitch,
    Held,
    InDecoder,
    JointPositions,
    JointVelocities,
    OutputGroup,
    Outputs,
)
from edge_runtime.contracts.manifest.parts import Part

Fit = Callable[[str], str]
"""What a field is called in the manifest that a person has before her."""


class PolicyContract(Part, frozen=True):
    """What the policy was trained for; checked against the robot's embodiment before it may drive it.

    `joint_names` and `joint_digest` are the robot's axes, in its own order, see `Embodiment.order_names`; inputs and
    outputs name the axes that they are of, in the policy's.
    """

    family: str
    embodiment: str
    joint_names: tuple[str, ...]
    joint_digest: str
    inputs: Inputs
    graphs: tuple[Graph, ...]
    decoder: Decoder
    outputs: Outputs

    def __post_init__(self) -> None:
        steps = sum(graph.role is GraphRole.STEP for graph in self.graphs)
        if not self.graphs or steps > 1 or any(graph.role is GraphRole.STEP for graph in self.graphs[:-1]):
            raise ValueError("a policy has graphs, and one of them at most is its step, listed behind those it follows")
        if isinstance(self.decoder, (FlowDecoder, DiffusionDecoder)) and not steps:
            raise ValueError(f"decoder {self.decoder.__struct_config__.tag} needs a graph with the role step")
        if isinstance(self.decoder, RegressionDecoder) and steps:
            raise ValueError("decoder regression takes no step: its graph has the role encode")
        if isinstance(self.decoder, TokensDecoder) and (self.decoder.token is not None) != bool(steps):
            raise ValueError("decoder tokens needs the name of token exactly where a graph has the role step")
        delay = self.outputs.delay
        if delay is not None and isinstance(delay.told, InDecoder) and not isinstance(self.decoder, FlowDecoder):
            raise ValueError('outputs.delay.told is "in_decoder", which goes with the decoder flow alone')

    @property
    def horizon(self) -> int:
        """Number of actions that the graphs give."""
        return self.outputs.horizon

    @property
    def rows(self) -> int:
        """Number of actions of a chunk, with those under way."""
        return self.outputs.rows

    @property
    def before_ns(self) -> tuple[int, ...]:
        """How long before the newest observation each one is that is fed beside it, oldest first; none: empty."""
        history = self.inputs.history
        return () if history is None else history.before_ns(self.outputs.action_dt_ns)[:-1]

    @property
    def action_dt_ns(self) -> int:
        """Time between two actions."""
        return self.outputs.action_dt_ns

    @property
    def cameras(self) -> tuple[str, ...]:
        """The robot's cameras that it looks at."""
        return tuple(image.camera for image in self.inputs.cameras if image.camera is not None)

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of everything in the bundle that it names."""
        text = self.inputs.text
        graphs = [path for graph in self.graphs for path in (graph.path, *graph.external_data)]
        return (*graphs, *(() if text is None else (text.tokenizer.path,)))

    @property
    def axes(self) -> int:
        """Number of the robot's axes: its only gripper is none of `joint_names`, where it is called "gripper"."""
        grippers = {name or LONE_GRIPPER for name in self._grippers}
        return len(self.joint_names) + (LONE_GRIPPER in grippers and LONE_GRIPPER not in self.joint_names)

    @property
    def joints(self) -> tuple[str, ...]:
        """Names of the robot's axes that are no gripper, in its order."""
        return tuple(name for name in self.joint_names if name not in self._grippers)

    @property
    def _grippers(self) -> tuple[str | None, ...]:
        """The grippers that it moves or holds; None is the only one."""
        names: list[str | None] = []
        for group in self.outputs.groups:
            if isinstance(group, (GripperOpening, GripperSwitch)):
                names.append(group.gripper)
            elif isinstance(group, Held):
                names += [*group.grippers, *((None,) if group.gripper else ())]
        return tuple(names)

    @property
    def moves_gripper(self) -> bool:
        """Whether one of its numbers is a gripper's."""
        return any(isinstance(group, (GripperOpening, GripperSwitch)) for group in self.outputs.groups)

    def require_fit(self, embodiment: Embodiment, name_of: Fit = str) -> None:
        """Check that this policy may drive `embodiment`.

        Raises:
            HandshakeError: names the first field that differs.
        """
        _require(name_of("policy.embodiment"), embodiment.name, self.embodiment)
        _require(name_of("policy.joint_names"), embodiment.order_names, self.joint_names)
        _require(name_of("policy.joint_digest"), embodiment.joint_digest, self.joint_digest)
        cameras = {camera.name for camera in embodiment.cameras}
        for image in self.inputs.cameras:
            if image.camera is not None and image.camera not in cameras:
                raise HandshakeError(name_of("policy.inputs.cameras.camera"), sorted(cameras), image.camera)
        text = self.inputs.text
        for field, groups in (
            ("policy.inputs.state", () if self.inputs.state is None else self.inputs.state.groups),
            ("policy.inputs.text.state", () if text is None or text.state is None else text.state.groups),
        ):
            for group in groups:
                _require_state(name_of(field), group, embodiment)
        _require_outputs(name_of("policy.outputs.groups"), self.outputs.groups, embodiment)


def _require(field: str, expected: object, actual: object) -> None:
    if expected != actual:
        raise HandshakeError(field, expected, actual)


def _require_state(field: str, group: StateGroup, embodiment: Embodiment) -> None:
    if isinstance(group, EndEffectorState):
        raise HandshakeError(field, "joints and grippers, which is all that this robot reports", "end_effector")
    if isinstance(group, GripperState):
        _require_gripper(field, group.gripper, group.unit, embodiment)
    else:
        _require_joints(field, group.joints, embodiment)


def _require_joints(field: str, joints: Iterable[str], embodiment: Embodiment) -> None:
    known = [axis.name for axis in embodiment.axes if not axis.is_gripper]
    for joint in joints:
        if joint not in known:
            raise HandshakeError(field, tuple(known), joint)


def _require_gripper(field: str, name: str | None, unit: GripperUnit | None, embodiment: Embodiment) -> str:
    """The gripper's name; `unit` is one that it can be told in, or None if that does not matter."""
    names = tuple(gripper.name for gripper in embodiment.grippers)
    if not names:
        raise HandshakeError(field, "no gripper: this robot has none", gripper_in_words(name))
    if name is None and names[0] in embodiment.order_names:
        raise HandshakeError(field, f"one of the grippers {', '.join(names)}, by its name", "a gripper without a name")
    if name is not None and name not in names:
        raise HandshakeError(field, names, name)
    gripper = embodiment.grippers[0 if name is None else names.index(name)]
    if unit in ("m", "rad") and unit != gripper.unit:
        raise HandshakeError(field, f"{gripper.unit}, or a fraction: that is what {gripper.name} is told in", unit)
    return gripper.name


def _require_outputs(field: str, groups: tuple[OutputGroup, ...], embodiment: Embodiment) -> None:
    """Each axis of the robot is moved, or held, by exactly one group; and there is nothing else."""
    moved: list[str] = []
    along = {"yaw" if isinstance(axis, BaseYaw) else axis.along: axis.name for axis in embodiment.base_axes}
    for group in groups:
        if isinstance(group, EndEffectorMotion):
            expected = "joint_positions or joint_velocities: this software has no inverse kinematics for this robot"
            raise HandshakeError(field, expected, "end_effector")
        if isinstance(group, BaseVelocity):
            for axis in group.axes:
                if axis not in along:
                    has = f"a base that moves along {', '.join(along)}" if along else "no mobile base"
                    raise HandshakeError(field, f"{has}: that is what this robot has", f"base_velocity along {axis}")
                moved.append(along[axis])
        if isinstance(group, (JointPositions, JointVelocities, Held)):
            _require_joints(field, group.joints, embodiment)
            moved += group.joints
        if isinstance(group, (JointPositions, JointVelocities)):
            for joint in group.joints:
                if joint in along.values():
                    expected = f"{joint} in a group of the kind base_velocity: it is an axis of the base"
                    raise HandshakeError(field, expected, group.__struct_config__.tag)
        if isinstance(group, GripperOpening):
            moved.append(_require_gripper(field, group.gripper, group.unit, embodiment))
        if isinstance(group, GripperSwitch):
            moved.append(_require_gripper(field, group.gripper, None, embodiment))
        if isinstance(group, Held):
            held = (*group.grippers, *((None,) if group.gripper else ()))
            moved += [_require_gripper(field, name, None, embodiment) for name in held]
    for axis_name in embodiment.axis_names:
        if moved.count(axis_name) != 1:
            part = "the gripper" if axis_name == LONE_GRIPPER else axis_name
            expected = f"{part} in one group; in one of the kind held, if the policy does not move it"
            raise HandshakeError(field, expected, f"{part} in {moved.count(axis_name)} groups")
