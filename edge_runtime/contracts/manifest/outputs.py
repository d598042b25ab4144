"""What a policy's numbers mean: groups of dimensions, side by side in the order of the model's own vector."""

from __future__ import annotations

from typing import Literal

from edge_runtime.contracts.manifest.inputs import ROTATION_WIDTH, GripperUnit, Rotation, gripper_in_words
from edge_runtime.contracts.manifest.parts import Part
from edge_runtime.contracts.manifest.statistics import Statistics, require_size
from edge_runtime.contracts.messages import MAX_ACTION_DT_NS, MAX_HORIZON, MIN_ACTION_DT_NS


class JointPositions(Part, frozen=True, tag_field="kind", tag="joint_positions"):
    """Positions, rad or m, of these joints in this order.

    `relative_to`: "zero" is absolute; "observed" the position at the exposure of the observation; "previous" the action
    before, and for the first one what was observed.
    """

    joints: tuple[str, ...]
    relative_to: Literal["zero", "observed", "previous"]
    statistics: Statistics

    def __post_init__(self) -> None:
        require_size(self.statistics, self.width, "joint_positions")

    @property
    def names(self) -> tuple[str, ...]:
        """Of its dimensions, in order."""
        return self.joints

    @property
    def width(self) -> int:
        """Number of its dimensions."""
        return len(self.joints)


class JointVelocities(Part, frozen=True, tag_field="kind", tag="joint_velocities"):
    """Velocities, rad/s or m/s, of these joints in this order, each held until the next action."""

    joints: tuple[str, ...]
    statistics: Statistics

    def __post_init__(self) -> None:
        require_size(self.statistics, self.width, "joint_velocities")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"the velocity of {joint}" for joint in self.joints)

    @property
    def width(self) -> int:
        return len(self.joints)


class EndEffectorMotion(Part, frozen=True, tag_field="kind", tag="end_effector"):
    """Pose of the tool, metres and a rotation: absolute in the robot's base, or the change from one action to the next.

    `frame` is the one that a change is measured in.
    """

    relative_to: Literal["base", "previous"]
    frame: Literal["base", "tool"]
    rotation: Rotation
    statistics: Statistics

    def __post_init__(self) -> None:
        require_size(self.statistics, self.width, "end_effector")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"dimension {number} of the end effector's motion" for number in range(self.width))

    @property
    def width(self) -> int:
        return 3 + ROTATION_WIDTH[self.rotation]


class GripperOpening(Part, frozen=True, omit_defaults=True, tag_field="kind", tag="gripper"):
    """How far a gripper shall be open, the one that is named or the robot's only one; kept inside what it can do."""

    unit: GripperUnit
    statistics: Statistics
    gripper: str | None = None

    def __post_init__(self) -> None:
        require_size(self.statistics, 1, "gripper")

    @property
    def names(self) -> tuple[str, ...]:
        return (gripper_in_words(self.gripper),)

    @property
    def width(self) -> int:
        return 1


class GripperSwitch(Part, frozen=True, omit_defaults=True, tag_field="kind", tag="gripper_switch"):
    """Open or closed, whichever side of `threshold` the number is on; `open_is` says which one means open.

    It is of the gripper that is named, or of the robot's only one.
    """

    open_is: Literal["above", "below"]
    threshold: float
    statistics: Statistics
    gripper: str | None = None

    def __post_init__(self) -> None:
        require_size(self.statistics, 1, "gripper_switch")

    @property
    def names(self) -> tuple[str, ...]:
        return (gripper_in_words(self.gripper),)

    @property
    def width(self) -> int:
        return 1


class BaseVelocity(Part, frozen=True, tag_field="kind", tag="base_velocity"):
    """Velocity of a mobile base along these axes of its own, m/s and rad/s."""

    axes: tuple[Literal["x", "y", "yaw"], ...]
    statistics: Statistics

    def __post_init__(self) -> None:
        require_size(self.statistics, self.width, "base_velocity")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"the base's {axis}" for axis in self.axes)

    @property
    def width(self) -> int:
        return len(self.axes)


class Padding(Part, frozen=True, tag_field="kind", tag="padding"):
    """Dimensions of the model's vector that mean nothing on this robot."""

    width: int

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError("a padding has at least one dimension")


class Held(Part, frozen=True, omit_defaults=True, tag_field="kind", tag="held"):
    """What the policy does not move stays where it was observed: no dimension.

    These joints, the robot's only gripper if `gripper`, and these `grippers`; axes of a base stand still.
    """

    joints: tuple[str, ...]
    gripper: bool
    grippers: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """No dimension of the model's is of it."""
        return 0


OutputGroup = (
    JointPositions
    | JointVelocities
    | EndEffectorMotion
    | GripperOpening
    | GripperSwitch
    | BaseVelocity
    | Padding
    | Held
)


class Untold(Part, frozen=True, tag_field="kind", tag="nothing"):
    """The policy is told nothing of the actions under way: it was trained to expect them."""


class InDecoder(Part, frozen=True, tag_field="kind", tag="in_decoder"):
    """A flow's first actions are those under way, before each step and after the last.

    The step graph's time is (1, horizon), one for each action: `time_to` of the decoder for those under way. Source:
    Black et al., Training-Time Action Conditioning for Efficient Real-Time Chunking, 2025.
    """


class AsTensor(Part, frozen=True, tag_field="kind", tag="tensor"):
    """The actions under way, normalized as the policy's own are: (1, trained_delay, width) floating point in `tensor`.

    `mask`: BOOL or integer tensor (1, trained_delay), whether there are any.
    """

    tensor: str
    mask: str | None = None


class Delay(Part, frozen=True):
    """What becomes of the first `trained_delay` actions after an observation: those before are still under way then.

    A robot is asked for these again, each for its own instant, and for the policy's own from there on.

    Attributes:
        rows: "included": the policy's chunk begins one step after the observation, and what it says of them is
            dropped. "left_out": its first action is the first one after them.
        told: how the policy learns of them.
        at_start: where nothing is under way. "hold": as if the posture that is observed had been asked for. "free":
            the policy is told that there are none, and its whole chunk counts.
    """

    rows: Literal["included", "left_out"]
    told: Untold | InDecoder | AsTensor
    at_start: Literal["hold", "free"]

    def __post_init__(self) -> None:
        if self.rows == "left_out" and (self.at_start == "free" or isinstance(self.told, InDecoder)):
            raise ValueError('delay.rows "left_out" has no actions to be free, nor for the decoder to begin with')
        if self.at_start == "free" and isinstance(self.told, AsTensor) and self.told.mask is None:
            raise ValueError('delay.at_start "free" needs a mask, by which the policy is told that there are none')

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names of the tensors that they are fed in."""
        if not isinstance(self.told, AsTensor):
            return ()
        return (self.told.tensor, *((self.told.mask,) if self.told.mask is not None else ()))


class Outputs(Part, frozen=True, omit_defaults=True):
    """`horizon` actions, `action_dt_ns` apart; the first is due one such step after the observation.

    `trained_delay`: the policy was trained for so many actions being under way still when its own begin, and `delay`
    says what that means; 0, and no delay: it was not.
    """

    horizon: int
    action_dt_ns: int
    trained_delay: int
    groups: tuple[OutputGroup, ...]
    delay: Delay | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.horizon <= MAX_HORIZON:
            raise ValueError(f"horizon must lie between 1 and {MAX_HORIZON}")
        if not MIN_ACTION_DT_NS <= self.action_dt_ns <= MAX_ACTION_DT_NS:
            raise ValueError("action_dt_ns must lie between 1 ms and 10 s")
        if not 0 <= self.trained_delay < self.horizon:
            raise ValueError("trained_delay must be shorter than the horizon")
        if bool(self.trained_delay) != (self.delay is not None):
            raise ValueError("a trained_delay above 0 needs a delay that says what becomes of its actions; 0 has none")
        if self.rows > MAX_HORIZON:
            raise ValueError(f"horizon and a delay that is left out are {self.rows} actions, at most {MAX_HORIZON}")
        if self.width < 1:
            raise ValueError("outputs need a group with a dimension")

    @property
    def width(self) -> int:
        """Number of dimensions of an action, as the model has it."""
        return sum(group.width for group in self.groups)

    @property
    def rows(self) -> int:
        """Number of actions that a robot is asked for."""
        left_out = self.delay is not None and self.delay.rows == "left_out"
        return self.horizon + (self.trained_delay if left_out else 0)
