"""The trusted core: the C kernel, its limits, and a Python reference that it is tested against."""

from edge_runtime.safety.kernel_binding import Kernel, Measurement, Target, Verdict
from edge_runtime.safety.limits import AxisKind, BaseAxes, EndSpeed, KernelConfig
from edge_runtime.safety.states import Policy, Reason, Request, Result, State, said

__all__ = [
    "AxisKind",
    "BaseAxes",
    "EndSpeed",
    "Kernel",
    "KernelConfig",
    "Measurement",
    "Policy",
    "Reason",
    "Request",
    "Result",
    "State",
    "Target",
    "Verdict",
    "said",
]
