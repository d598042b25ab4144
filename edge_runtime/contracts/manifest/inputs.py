"""What a policy is fed. None of it need be there; whatever is there says all that a robot must know to feed it."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from edge_runtime.contracts.manifest.history import History
from edge_runtime.contracts.manifest.parts import Part, PictureRange, SentenceContract
from edge_runtime.contracts.manifest.statistics import Statistics, require_size

INSTRUCTION = "{instruction}"
STATE = "{state}"

GripperUnit = Literal["m", "rad", "fraction_open", "fraction_closed"]
"""Metres between the fingers, or the jaw's angle; or a fraction of the way, 1 at wide open or at closed."""


def gripper_in_words(name: str | None) -> str:
    """What a person calls it; None is the only one."""
    return "the gripper" if name is None else f"the gripper {name}"


class Stretch(Part, frozen=True, tag_field="kind", tag="stretch"):
    """Width and height are resized each for itself: the aspect is not kept."""


class Pad(Part, frozen=True, tag_field="kind", tag="pad"):
    """The whole picture is resized with its aspect kept, and what is left is filled with `value`, 0 to 255.

    `anchor` is where the picture lies in it.
    """

    value: int
    anchor: Literal["centre", "top_left", "bottom_right"]

    def __post_init__(self) -> None:
        if not 0 <= self.value <= 255:
            raise ValueError("value of a padding must lie between 0 and 255")


class Crop(Part, frozen=True, tag_field="kind", tag="crop"):
    """The largest middle part of the right aspect is cut out and resized; `fraction` of its sides is kept."""

    fraction: float

    def __post_init__(self) -> None:
        if not 0.0 < self.fraction <= 1.0:
            raise ValueError("fraction of a crop must lie above 0 and at most at 1")


Resize = Stretch | Pad | Crop


class RawPixels(Part, frozen=True, tag_field="kind", tag="raw"):
    """UINT8, 0 to 255."""


class ScaledPixels(Part, frozen=True, tag_field="kind", tag="scaled"):
    """Floating point, ``(pixel / 255 - mean) / std``; three values each, in the order of `colours`."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __post_init__(self) -> None:
        if not all(value > 0.0 for value in self.std):
            raise ValueError("std of pixels must be above zero")


class CameraInput(Part, frozen=True, omit_defaults=True):
    """One camera, as `tensor` takes it: (1, height_px, width_px, 3), or (1, 3, height_px, width_px) for "chw".

    Attributes:
        camera: its name on the robot; null: the policy has a place for one that this robot does not have, and black is
            fed there.
        interpolation: of the pixels between pixels.
        antialias: what happens to the detail that a smaller picture has no room for. "none": it flickers; "area": the
            mean over each pixel's area; "triangle": a triangle as wide as two of the new pixels, as Pillow's and
            torchvision's bilinear filters have it.
        mask: BOOL or integer tensor (1,) that says whether this camera is there.
        trained_on: what its training pictures looked like, for the engine to tell how familiar a picture is.
    """

    camera: str | None
    tensor: str
    width_px: int
    height_px: int
    resize: Resize
    interpolation: Literal["nearest", "bilinear"]
    antialias: Literal["none", "area", "triangle"]
    colours: Literal["rgb", "bgr"]
    layout: Literal["hwc", "chw"]
    scale: RawPixels | ScaledPixels
    mask: str | None = None
    trained_on: PictureRange | None = None

    def __post_init__(self) -> None:
        if self.interpolation == "nearest" and self.antialias != "none":
            raise ValueError('interpolation "nearest" takes single pixels: its antialias is "none"')


class JointPositionState(Part, frozen=True, tag_field="kind", tag="joint_positions"):
    """Measured positions, rad or m, of these joints in this order."""

    joints: tuple[str, ...]
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


class JointVelocityState(Part, frozen=True, tag_field="kind", tag="joint_velocities"):
    """Measured velocities, rad/s or m/s, of these joints, or axes of a base, in this order."""

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


class GripperState(Part, frozen=True, omit_defaults=True, tag_field="kind", tag="gripper"):
    """How far a gripper is open: the one that is named, or the robot's only one."""

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


Rotation = Literal["rotation_vector", "euler_xyz", "quaternion_xyzw", "matrix_6d"]
ROTATION_WIDTH: dict[str, int] = {"rotation_vector": 3, "euler_xyz": 3, "quaternion_xyzw": 4, "matrix_6d": 6}


class EndEffectorState(Part, frozen=True, tag_field="kind", tag="end_effector"):
    """Pose of the tool in the robot's base: metres, and a rotation."""

    rotation: Rotation
    statistics: Statistics

    def __post_init__(self) -> None:
        require_size(self.statistics, self.width, "end_effector")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"dimension {number} of the end effector's pose" for number in range(self.width))

    @property
    def width(self) -> int:
        return 3 + ROTATION_WIDTH[self.rotation]


StateGroup = JointPositionState | JointVelocityState | GripperState | EndEffectorState


class StateInput(Part, frozen=True, omit_defaults=True):
    """The robot's own state: the groups side by side, normalized, in `tensor`, (1, width) floating point.

    `padded_to`: zeros follow up to this width.
    """

    tensor: str
    groups: tuple[StateGroup, ...]
    padded_to: int | None = None

    def __post_init__(self) -> None:
        if not self.groups:
            raise ValueError("a state without groups feeds nothing: leave it out")
        if self.padded_to is not None and self.padded_to < self.fields:
            raise ValueError(f"padded_to is {self.padded_to}, less than its {self.fields} fields")

    @property
    def fields(self) -> int:
        """Number of dimensions that mean something."""
        return sum(group.width for group in self.groups)

    @property
    def width(self) -> int:
        """Number of dimensions that are fed."""
        return self.padded_to or self.fields


class WordList(Part, frozen=True, tag_field="kind", tag="words"):
    """Word-level tokenizer, a JSON blob: {"words": {word: id}, "pad": id, "unknown": id}."""

    path: str


class HuggingFaceTokenizer(Part, frozen=True, tag_field="kind", tag="huggingface"):
    """A `tokenizer.json` as the `tokenizers` library reads it, with everything that it adds to a sentence.

    `pad` is the id that fills up to `max_tokens`, on the side `padding`.
    """

    path: str
    pad: int
    padding: Literal["left", "right"]


class StateInPrompt(Part, frozen=True):
    """The normalized state as whole numbers in the prompt: `bins` equal ones over -1 … 1, a space between two."""

    bins: int
    groups: tuple[StateGroup, ...]

    def __post_init__(self) -> None:
        if not 2 <= self.bins <= 65_536 or not self.groups:
            raise ValueError("a state in the prompt needs groups and 2 to 65536 bins")


class TextInput(Part, frozen=True, omit_defaults=True):
    """An instruction as token ids, (1, max_tokens) integers in `tensor`.

    Attributes:
        template: what is read, with `{instruction}` where the sentence goes and `{state}` where the state does.
        mask: tensor (1, max_tokens), BOOL or integer, that is 1 where a token means something.
    """

    tensor: str
    max_tokens: int
    template: str
    tokenizer: WordList | HuggingFaceTokenizer
    mask: str | None = None
    state: StateInPrompt | None = None
    sentences: SentenceContract | None = None

    def __post_init__(self) -> None:
        if self.template.count(INSTRUCTION) != 1:
            raise ValueError(f"template needs {INSTRUCTION} once")
        if self.template.count(STATE) != (self.state is not None):
            raise ValueError(f"template needs {STATE} once where there is a state in the prompt, and nowhere else")


class EmbodimentInput(Part, frozen=True):
    """A number that tells a policy of many robots which one it is on: integer (1,) in `tensor`."""

    tensor: str
    value: int


class Inputs(Part, frozen=True, omit_defaults=True):
    """All that is fed."""

    cameras: tuple[CameraInput, ...] = ()
    state: StateInput | None = None
    text: TextInput | None = None
    embodiment: EmbodimentInput | None = None
    history: History | None = None

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names of all tensors that are fed, as often as they are named."""
        names = [camera.tensor for camera in self.cameras]
        names += [camera.mask for camera in self.cameras if camera.mask is not None]
        if self.state is not None:
            names.append(self.state.tensor)
        if self.text is not None:
            names += [self.text.tensor, *((self.text.mask,) if self.text.mask is not None else ())]
        if self.embodiment is not None:
            names.append(self.embodiment.tensor)
        return tuple(names)

    def __post_init__(self) -> None:
        if not self.tensors:
            raise ValueError("a policy that is fed nothing can't know what to do")
        if self.history is not None:
            of_past = [camera.tensor for camera in self.cameras]
            of_past += [] if self.state is None else [self.state.tensor]
            for tensor in self.history.tensors:
                if self.history.tensors.count(tensor) > 1 or tensor not in of_past:
                    raise ValueError(f"history.tensors names {tensor}: each is a camera's or the state's, once")

    @property
    def past_cameras(self) -> tuple[str, ...]:
        """The robot's cameras whose pictures are fed with those before."""
        return tuple(
            camera.camera for camera in self.cameras if camera.camera is not None and self.has_past(camera.tensor)
        )

    def has_past(self, tensor: str) -> bool:
        """Whether `tensor` is fed with what was observed before."""
        return self.history is not None and tensor in self.history.tensors


def twice(names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `names` that stand there more than once."""
    return tuple(name for name, count in Counter(names).items() if count > 1)
