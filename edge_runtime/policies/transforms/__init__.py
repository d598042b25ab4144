"""From an observation to the tensors a bundle wants, and from its output back to physical units.

All that differs between policies (sizes, statistics, vocabulary, representation) comes out of the manifest; nothing
here knows a policy by name.
"""

from edge_runtime.policies.transforms.actions import ActionTransform
from edge_runtime.policies.transforms.pictures import ImageTransform
from edge_runtime.policies.transforms.scaling import Normalizer
from edge_runtime.policies.transforms.state import StateTransform
from edge_runtime.policies.transforms.text import InstructionTransform

__all__ = ["ActionTransform", "ImageTransform", "InstructionTransform", "Normalizer", "StateTransform"]
