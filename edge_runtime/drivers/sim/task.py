"""What the simulated robot is asked to do, in words and in judged facts.

Guarantees that the same `(seed, split)` gives the same task, that the two splits share neither seeds nor sentences,
and that every word of an evaluation sentence also occurs in training sentences. Knows nothing about physics or models.

Left and right are the robot's: the robot looks along +x of the world, so left is +y and right is -y.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edge_runtime.contracts.messages import SceneOutcome

Split = Literal["train", "eval"]
Verb = Literal["touch", "push_left", "push_right"]
Status = SceneOutcome
"""How an episode stands."""

COLOURS: tuple[str, ...] = ("red", "green", "blue", "yellow", "purple")
SHAPES: tuple[str, ...] = ("cube", "ball", "cylinder")
VERBS: tuple[Verb, ...] = ("touch", "push_left", "push_right")

TIME_LIMIT_S = 10.0
PUSH_DISTANCE_M = 0.05
BYSTANDER_LIMIT_M = 0.03

_NOUNS: dict[str, tuple[str, ...]] = {
    "cube": ("cube", "block"),
    "ball": ("ball", "sphere"),
    "cylinder": ("cylinder", "can"),
}

_OBJECT_PHRASES: dict[Split, tuple[str, ...]] = {
    "train": (
        "the {colour} {noun}",
        "the {colour} {noun}",
        "the {noun} that is {colour}",
        "the {colour} coloured {noun}",
    ),
    "eval": (
        "the {colour} {noun}",
        "the {colour} {noun}",
        "the {noun} that is {colour}",
        "the {noun} coloured {colour}",
    ),
}

_TOUCH: dict[Split, tuple[str, ...]] = {
    "train": (
        "touch {object}",
        "tap {object}",
        "please touch {object}",
        "can you tap {object}",
        "reach for {object}",
        "make contact with {object}",
        "go to {object} and touch it",
        "i want you to tap {object}",
        "put your finger on {object}",
        "you should touch {object} now",
        "go and make contact with {object} please",
        "could you reach over and tap {object}",
    ),
    "eval": (
        "please tap {object}",
        "can you touch {object} please",
        "reach for {object} and tap it",
        "i want you to make contact with {object}",
        "go and touch {object} now",
        "could you put your finger on {object}",
    ),
}

_PUSH: dict[Split, tuple[str, ...]] = {
    "train": (
        "push {object} to the {side}",
        "push {object} {side}",
        "slide {object} to the {side}",
        "please push {object} to the {side}",
        "can you nudge {object} {side}",
        "shove {object} toward the {side}",
        "move {object} over to the {side}",
        "i want you to slide {object} {side}",
        "go and push {object} to the {side} side",
        "could you move {object} toward the {side} side please",
        "{object} should go to the {side}",
        "nudge {object} over to the {side} now",
    ),
    "eval": (
        "please slide {object} toward the {side}",
        "can you push {object} over to the {side}",
        "i want you to shove {object} to the {side} side",
        "go and nudge {object} to the {side}",
        "could you slide {object} {side} please",
        "move {object} to the {side} now",
    ),
}


@dataclass(frozen=True)
class Outcome:
    """The verdict on an episode so far; `reason` is a short sentence for people, empty while running."""

    status: Status
    reason: str = ""


@dataclass(frozen=True)
class SceneObject:
    """One object as a person would name it."""

    colour: str
    shape: str

    def __str__(self) -> str:
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True)
class Task:
    """One episode's order. `objects[target_index]` is the object the instruction means; the outcome is judged on it.

    `swapped_instruction` fits the same scene but means another object: a policy that obeys it fails the task.
    """

    seed: int
    split: Split
    instruction: str
    swapped_instruction: str
    verb: Verb
    objects: tuple[SceneObject, SceneObject, SceneObject]
    target_index: int
    time_limit_s: float = TIME_LIMIT_S

    @property
    def target(self) -> SceneObject:
        return self.objects[self.target_index]

    @property
    def distractors(self) -> tuple[SceneObject, ...]:
        return tuple(o for i, o in enumerate(self.objects) if i != self.target_index)


def phrase(verb: Verb, item: SceneObject, split: Split, rng: np.random.Generator) -> str:
    """One sentence of `split` that asks for `verb` on `item`, drawn with `rng`."""
    noun_phrase = str(rng.choice(_OBJECT_PHRASES[split])).format(
        colour=item.colour, noun=str(rng.choice(_NOUNS[item.shape]))
    )
    if verb == "touch":
        return str(rng.choice(_TOUCH[split])).format(object=noun_phrase)
    side = "left" if verb == "push_left" else "right"
    return str(rng.choice(_PUSH[split])).format(object=noun_phrase, side=side)


def phrases_for(verb: Verb, item: SceneObject, split: Split) -> tuple[str, ...]:
    """Every sentence of `split` that asks for `verb` on `item`, each once."""
    templates = _TOUCH[split] if verb == "touch" else _PUSH[split]
    side = "right" if verb == "push_right" else "left"
    sentences = [
        template.format(object=noun_phrase.format(colour=item.colour, noun=noun), side=side)
        for template in templates
        for noun_phrase in _OBJECT_PHRASES[split]
        for noun in _NOUNS[item.shape]
    ]
    return tuple(dict.fromkeys(sentences))


def all_phrases(split: Split) -> Iterator[str]:
    """Every sentence the grammar can make for `split`."""
    for colour, shape, verb in itertools.product(COLOURS, SHAPES, VERBS):
        yield from phrases_for(verb, SceneObject(colour, shape), split)


def task_rng(seed: int, split: Split) -> np.random.Generator:
    """The episode's one source of chance. The splits never meet: the split is part of the seed sequence."""
    if seed < 0:
        raise ValueError(f"seed must be >= 0, got {seed}")
    return np.random.default_rng([0 if split == "train" else 1, seed])


def draw_task(seed: int, split: Split, rng: np.random.Generator) -> Task:
    """Draw objects, target, verb and words. No two objects of a scene share both colour and shape."""
    kinds = [SceneObject(c, s) for c in COLOURS for s in SHAPES]
    first, second, third = (kinds[int(i)] for i in rng.choice(len(kinds), size=3, replace=False))
    # One distractor in two shares a word with the target: naming only the colour, or only the shape, is not enough.
    if rng.random() < 0.5:
        relatives = [
            k for k in kinds if k not in (first, third) and (k.colour == first.colour or k.shape == first.shape)
        ]
        second = relatives[int(rng.integers(len(relatives)))]
    drawn = [first, second, third]
    order = [int(i) for i in rng.permutation(3)]
    objects = (drawn[order[0]], drawn[order[1]], drawn[order[2]])
    target_index = order.index(0)
    verb = VERBS[int(rng.integers(len(VERBS)))]
    other = objects[(target_index + 1 + int(rng.integers(2))) % 3]
    return Task(
        seed=seed,
        split=split,
        instruction=phrase(verb, objects[target_index], split, rng),
        swapped_instruction=phrase(verb, other, split, rng),
        verb=verb,
        objects=objects,
        target_index=target_index,
    )
