"""The C kernel once more, line for line, in float64 Python: the oracle of the differential tests, never a fallback.

One file per C file, functions by their names there. Every floating-point operation stands in the order of the C file,
and both round each one alone (no contraction), so the two agree bit for bit. Change both or neither. Integers are
unbounded here; where C saturates, so does this.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge_runtime.safety.kernel_binding import Measurement, Target, Verdict
from edge_runtime.safety.limits import KernelConfig
from edge_runtime.safety.reference.kernel import (
    fastest_tool_m_s,
    kernel_init,
    kernel_rehearse,
    kernel_request,
    kernel_step,
    kernel_tighten,
)
from edge_runtime.safety.reference.structs import Config, Tightening
from edge_runtime.safety.states import Request, Result, State

__all__ = ["ReferenceKernel"]


class ReferenceKernel:
    """Same interface as `Kernel`, same results to the last bit, about a thousand times slower."""

    def __init__(self, config: KernelConfig) -> None:
        self.config = config
        self._config = Config.of(config.to_native())
        self._state = kernel_init(self._config)

    @property
    def state(self) -> State:
        """The state after the last step or request."""
        return self._state.state

    def step(self, measurement: Measurement, target: Target | None, now_ns: int) -> Verdict:
        """One tick; see `Kernel.step`."""
        return kernel_step(self._state, self._config, measurement, target, now_ns)

    def request(self, request: Request | int, measurement: Measurement, now_ns: int) -> Result:
        """Ask between ticks; see `Kernel.request`."""
        return kernel_request(self._state, self._config, measurement, request, now_ns)

    def tighten(self, *, speed_scale: float = 1.0, tool_speed_max_m_s: float | None = None) -> Result:
        """Set what is tighter than the config from now on; see `Kernel.tighten`."""
        fastest_m_s = fastest_tool_m_s(self._config) if tool_speed_max_m_s is None else tool_speed_max_m_s
        return kernel_tighten(self._state, self._config, Tightening(speed_scale, fastest_m_s))

    def rehearse(self, targets: Sequence[Target]) -> list[Verdict]:
        """What would come of setpoints of consecutive ticks; see `Kernel.rehearse`."""
        return kernel_rehearse(self._state, self._config, targets)
