"""Bundles, updates, the hub and its keys."""

from __future__ import annotations

from edge_runtime.contracts.errors.base import EdgeError
from edge_runtime.contracts.errors.refusals import HubRefusal, OtaRefusal, ReportRefusal


class BundleError(EdgeError):
    """A model bundle that is incomplete, altered or unusable."""


class UnprovenError(BundleError):
    """A bundle whose golden pairs come out differently in the engine of this machine: it may not act here."""


class OtaError(EdgeError):
    """An update that was refused; what the robot has keeps running.

    Attributes:
        refusal: the reason, for the journal, the report and the counters.
        detail: what exactly was wrong, for people.
    """

    def __init__(self, refusal: OtaRefusal, detail: str) -> None:
        super().__init__(f"{refusal}: {detail}")
        self.refusal = refusal
        self.detail = detail


class ReportError(EdgeError):
    """A robot's report that the hub declined; nothing was stored.

    Attributes:
        refusal: the reason, which the robot is told.
        detail: what exactly was wrong, for people.
    """

    def __init__(self, refusal: ReportRefusal, detail: str) -> None:
        super().__init__(f"{refusal}: {detail}")
        self.refusal = refusal
        self.detail = detail


class HubError(EdgeError):
    """What an operator asked of the hub and can't have.

    Attributes:
        refusal: the reason, for programs.
        subject: the robots, the release or the folder that it is about.
        problem: what is wrong and what to do about it.
    """

    def __init__(self, refusal: HubRefusal, subject: str, problem: str) -> None:
        super().__init__(f"{subject}: {problem}")
        self.refusal = refusal
        self.subject = subject
        self.problem = problem


class SigningError(EdgeError):
    """A key, a signature or metadata that may not be used like this; nothing was signed or published.

    Attributes:
        subject: the key, role or file at fault.
        problem: what is wrong and what to do about it.
    """

    def __init__(self, subject: str, problem: str) -> None:
        super().__init__(f"{subject}: {problem}")
        self.subject = subject
        self.problem = problem
