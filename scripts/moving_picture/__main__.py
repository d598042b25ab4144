"""Runs the simulated arm with all of its processes, then draws what happened: `python -m scripts.moving_picture`.

Everything in the picture was so in that run: where the arm and the objects stood, the sentence, the state, what the
safety kernel did. Only the view is another one than the policy's cameras have.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from edge_runtime.cli.launch import ProcessTable
from edge_runtime.client.operator import Operator
from edge_runtime.client.status_lines import state_line, verdicts_line
from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.errors import EdgeError, OperatorError, ProcessError
from edge_runtime.contracts.messages import SceneOutcome
from edge_runtime.drivers.sim.plant import Plant
from edge_runtime.drivers.sim.rendering import mujoco
from scripts.moving_picture import filmed_arm
from scripts.moving_picture.filmed_arm import FILM, Instant

ROOT = Path(__file__).parents[2]
_OUT = ROOT / "docs" / "pictures" / "arm.gif"
_EPISODES = 40
_READ_S = 1.6
"""How long an ending stays, so that it can be read."""
_SEEN_S = 0.2
"""After this a scene that was laid out is on film."""
_STOP_AFTER_S = 1.0
_UNREADABLE = "pick up the mug"
_SIZE_PX = (560, 340)
_BAND_PX = 44
_FRAME_S = 0.1
_COLOURS = 256
_SAMPLES = 24
"""Pictures that the palette is drawn from."""
_DARK, _LIGHT, _DIM = (24, 26, 30), (240, 240, 240), (150, 155, 165)
_GREEN, _AMBER, _RED = (110, 200, 130), (235, 185, 80), (240, 110, 100)
_STATE_COLOURS = {"active": _GREEN, "ready": _DIM, "fault": _RED}


@dataclass(frozen=True)
class Caption:
    """What stands around the picture from `stamp_ns` on."""

    stamp_ns: int
    sentence: str
    state: str
    kernel: str
    ending: str
    succeeded: bool


class Shoot:
    """One run, and the captions that go with it."""

    def __init__(self, operator: Operator, table: ProcessTable) -> None:
        self._operator, self._table = operator, table
        operator.on_wait = self._look
        self.captions: list[Caption] = []
        self.takes: list[tuple[int, int]] = []
        """Stretches of time that are shown, on the monotonic clock."""
        self._sentence = self._ending = ""
        self._succeeded = False

    def wait(self, seconds: float) -> None:
        self._operator.wait_until(lambda: False, seconds)

    def episode(self, seed: int) -> bool:
        """One task, done as `edge-runtime run` does it; whether it succeeded."""
        operator = self._operator
        operator.wait_ready()
        operator.lay_out(seed, "eval")
        self.wait(_SEEN_S)
        self._begin(self._scene_instruction())
        operator.instruct(self._sentence)
        operator.arm()
        started_ns = time.monotonic_ns()
        operator.wait_until(lambda: self._decided() is not None, 15.0)
        decided = self._decided()
        self._succeeded = decided is not None and decided[0] is SceneOutcome.SUCCESS
        self._ending = decided[1] if decided is not None else "undecided"
        self.wait(0.3)
        operator.disarm()
        self.wait(_READ_S)
        self.takes.append((started_ns, time.monotonic_ns()))
        return self._succeeded

    def refused(self, sentence: str) -> None:
        """A sentence of which the policy does not know every word."""
        started_ns = time.monotonic_ns()
        self._begin(sentence)
        try:
            self._operator.instruct(sentence)
            raise ProcessError(f"{sentence!r} was not refused")
        except OperatorError as error:
            if error.answer != "refused_unreadable":
                raise
        engine = self._operator.watcher.engine
        assert engine is not None
        self._ending = f"refused: {engine.detail.partition(';')[0]}"
        self.wait(_READ_S + 0.6)
        self.takes.append((started_ns, time.monotonic_ns()))

    def stopped(self, seed: int) -> None:
        """A stop in mid-motion, as `edge-runtime operator stop` asks for it."""
        operator = self._operator
        operator.wait_ready()
        operator.lay_out(seed, "eval")
        self.wait(_SEEN_S)
        self._begin(self._scene_instruction())
        operator.instruct(self._sentence)
        operator.arm()
        started_ns = time.monotonic_ns()
        self.wait(_STOP_AFTER_S)
        self._ending = "$ edge-runtime operator stop"
        operator.stop()
        operator.wait_until(lambda: operator.watcher.control_state.is_latched, 5.0)
        self.wait(_READ_S + 0.8)
        self.takes.append((started_ns, time.monotonic_ns()))

    def _begin(self, sentence: str) -> None:
        self._sentence, self._ending, self._succeeded = sentence, "", False
        self._look()

    def _scene_instruction(self) -> str:
        scene = self._operator.watcher.scene
        assert scene is not None
        return scene.instruction

    def _decided(self) -> tuple[SceneOutcome, str] | None:
        scene = self._operator.watcher.scene
        if scene is None or scene.outcome is SceneOutcome.RUNNING:
            return None
        return scene.outcome, scene.reason

    def _look(self) -> None:
        self._table.tend()
        status = self._operator.watcher.status()
        # The state's own name where the explanation is longer than the line has room for.
        state = state_line(status) if status.state.is_latched else status.state
        moves = status.state.is_armed
        kernel = verdicts_line(status) if moves else "nothing to do"
        self.captions.append(Caption(time.monotonic_ns(), self._sentence, state, kernel, self._ending, self._succeeded))


def shoot(run_dir: Path, seed: int) -> tuple[list[Instant], Shoot]:
    """Two tasks that succeed one after the other, a refused sentence, a stop.

    Raises:
        ProcessError: no two tasks in a row succeeded.
    """
    config_path = run_dir / "robot.toml"
    folder = SIM_CONFIG.parent
    text = SIM_CONFIG.read_text(encoding="utf-8")
    for name in ("embodiment", "safety", "bundle"):
        text = text.replace(f'{name} = "', f'{name} = "{folder}/', 1)
    config_path.write_text(text.replace('driver = "sim"', f'driver = "{filmed_arm.__file__}"'), encoding="utf-8")
    config = load_config(config_path)
    with Operator(run_dir) as operator, ProcessTable(config, run_dir) as table:
        table.start()
        film = Shoot(operator, table)
        operator.wait_ready()
        # What a robot says while it starts is not what is filmed.
        film.wait(_READ_S + 1.0)
        for number in range(seed, seed + _EPISODES):
            if not film.episode(number):
                film.takes.clear()
            elif len(film.takes) == 2:
                break
        else:
            raise ProcessError(f"no two of {_EPISODES} tasks in a row succeeded")
        film.refused(_UNREADABLE)
        film.stopped(number + 1)
        operator.on_wait = None
        table.stop()
    lines = (run_dir / FILM).read_bytes().splitlines()
    return [msgspec.json.decode(line, type=Instant) for line in lines], film


def draw(instants: list[Instant], film: Shoot) -> list[Image.Image]:
    """One picture for each tenth of a second that is shown."""
    plant = Plant()
    camera = mujoco.MjvCamera()
    camera.lookat[:] = (0.30, 0.0, 0.26)
    camera.distance, camera.azimuth, camera.elevation = 1.38, 142.0, -20.0
    width, height = _SIZE_PX
    pixels = np.zeros((height, width, 3), np.uint8)
    stamps, captions = [i.stamp_ns for i in instants], film.captions
    caption_stamps = [caption.stamp_ns for caption in captions]
    pictures: list[Image.Image] = []
    scene: tuple[int, str] | None = None
    for started_ns, ended_ns in film.takes:
        for now_ns in range(started_ns, ended_ns, round(_FRAME_S * 1e9)):
            instant = instants[max(0, bisect_right(stamps, now_ns) - 1)]
            if scene != (instant.seed, instant.split):
                scene = (instant.seed, instant.split)
                plant.reset(instant.seed, "eval" if instant.split == "eval" else "train")
            plant.pose(np.array(instant.configuration))
            plant.render(camera, pixels)
            pixels[~pixels.any(axis=2)] = _DARK
            caption = captions[max(0, bisect_right(caption_stamps, now_ns) - 1)]
            pictures.append(_framed(Image.fromarray(pixels), caption))
    plant.close()
    return pictures


def _framed(picture: Image.Image, caption: Caption) -> Image.Image:
    width, height = _SIZE_PX
    whole = Image.new("RGB", (width, height + 2 * _BAND_PX), _DARK)
    whole.paste(picture, (0, _BAND_PX))
    pen = ImageDraw.Draw(whole)
    large, small = ImageFont.load_default(17), ImageFont.load_default(13)
    pen.text((12, 12), f"\u201c{caption.sentence}\u201d", _LIGHT, large)
    if caption.ending:
        colour = _GREEN if caption.succeeded else _RED
        pen.text((12, _BAND_PX + 10), caption.ending, colour, large, stroke_width=3, stroke_fill=_DARK)
    state = caption.state
    pen.text((12, height + _BAND_PX + 5), f"state: {state}", _STATE_COLOURS.get(state.split(" ")[0], _AMBER), small)
    pen.text((12, height + _BAND_PX + 23), f"safety kernel: {caption.kernel}", _DIM, small)
    return whole


def write(pictures: list[Image.Image], out: Path) -> None:
    """One GIF, with one palette for all of it."""
    width, height = pictures[0].size
    sample = Image.new("RGB", (width, height * _SAMPLES))
    for row in range(_SAMPLES):
        sample.paste(pictures[row * (len(pictures) - 1) // (_SAMPLES - 1)], (0, row * height))
    # A small yellow ball counts as much as a large table.
    palette = sample.quantize(_COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    frames = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    out.parent.mkdir(parents=True, exist_ok=True)
    frames[0].save(
        out, save_all=True, append_images=frames[1:], duration=round(_FRAME_S * 1000), loop=0, optimize=True, disposal=1
    )


def main() -> int:
    """Make it."""
    parser = argparse.ArgumentParser(prog="python -m scripts.moving_picture", description=__doc__)
    parser.add_argument("--out", type=Path, default=_OUT, help="the file that is written (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=3, help="of the first scene (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="moving-picture-") as folder:
        try:
            instants, film = shoot(Path(folder), options.seed)
        except EdgeError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        pictures = draw(instants, film)
    write(pictures, options.out)
    size_kb = options.out.stat().st_size / 1e3
    print(f"{options.out}: {len(pictures)} pictures, {len(pictures) * _FRAME_S:.0f} s, {size_kb:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
