"""Does the exported policy still do what the trained one does? Judged in the robot's units, never by a cosine.

Pure functions over arrays of physical actions; whoever calls them runs the models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import BundleError
from edge_runtime.contracts.manifest import ParityReport
from edge_runtime.policies.golden import differences

Array = npt.NDArray[np.floating]
Inputs = Mapping[str, npt.NDArray[np.generic]]

# A tenth of a degree of disagreement is lost in a servo; a finger's width at the tool is about 0.02 rad.
BOUND_P99_RAD = 0.01
INT8 = "int8"
MINIMUM_COVERAGE = 0.9


def compare(
    reference: Array, candidate: Array, embodiment: Embodiment, quantized_weight_fraction: float, inert: tuple[str, ...]
) -> ParityReport:
    """Report on chunks (S, horizon, axes): reference policy against exported one, same noise."""
    if reference.shape != candidate.shape or reference.ndim != 3:
        raise ValueError(f"chunks differ in shape: {reference.shape} and {candidate.shape}")
    error, flips = differences(reference, candidate, embodiment)
    return ParityReport(
        samples=len(reference),
        error_max_rad=tuple(round(float(e), 6) for e in error.max(axis=0)),
        error_p99_rad=tuple(round(float(e), 6) for e in np.percentile(error, 99, axis=0)),
        bound_p99_rad=BOUND_P99_RAD,
        gripper_flips=flips,
        quantized_weight_fraction=round(quantized_weight_fraction, 4),
        inert_inputs=inert,
    )


def inert_inputs(run: Callable[[Inputs], Array], inputs: Inputs, perturbed: Inputs) -> tuple[str, ...]:
    """Names of inputs that may as well not exist: replacing one with its `perturbed` value leaves the output as it was.

    A graph that silently lost an input passes every comparison on the inputs that are left.
    """
    base = run(inputs)
    return tuple(
        name for name, value in perturbed.items() if not np.any(np.abs(run({**inputs, name: value}) - base) > 1e-4)
    )


def require_parity(report: ParityReport, precision: str) -> None:
    """Raise `BundleError` naming every gate that failed.

    That most of the weights are quantized is asked of a bundle whose `precision` says so.
    """
    failed = []
    if max(report.error_p99_rad) > report.bound_p99_rad:
        failed.append(f"p99 error {max(report.error_p99_rad):.4f} rad is above {report.bound_p99_rad} rad")
    if report.gripper_flips:
        failed.append(
            f"{report.gripper_flips} actions open the gripper where the trained policy closes it, or the reverse"
        )
    if precision == INT8 and report.quantized_weight_fraction < MINIMUM_COVERAGE:
        failed.append(f"only {report.quantized_weight_fraction:.0%} of the weights are INT8")
    if report.inert_inputs:
        failed.append(f"inputs without effect: {', '.join(report.inert_inputs)}")
    if failed:
        raise BundleError("parity: " + "; ".join(failed))
