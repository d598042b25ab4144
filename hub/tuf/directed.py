"""What a robot's targets say: one release, under terms that two people approved. Pure."""

from __future__ import annotations

from tuf.api.metadata import Metadata, TargetFile, Targets

from edge_runtime.contracts.assignment import Assignment, AssignmentTerms, ReleaseTerms, custom_of, read_terms
from edge_runtime.contracts.errors import HubError, HubRefusal, SigningError
from edge_runtime.releases.sign import expiry

DIRECTED_EXPIRES_DAYS = 7


def target_of(path: str, released: TargetFile, terms: AssignmentTerms) -> TargetFile:
    """The release at `path` as a robot is told to run it."""
    target = TargetFile(released.length, dict(released.hashes), path)
    target.unrecognized_fields["custom"] = custom_of(terms)
    return target


def directed(version: int, listed: dict[str, TargetFile], now_s: float) -> Metadata[Targets]:
    """Targets that are to be signed."""
    return Metadata(Targets(version=version, expires=expiry(now_s, DIRECTED_EXPIRES_DAYS), targets=dict(listed)))


def assignment_in(targets: Metadata[Targets]) -> Assignment:
    """The one assignment that signed targets hold.

    Raises:
        SigningError: there is none, or several.
        OtaError: its terms are none.
    """
    listed = targets.signed.targets
    if len(listed) != 1:
        raise SigningError(Targets.type, f"the director's targets name {len(listed)} releases instead of one")
    path, target = next(iter(listed.items()))
    terms = read_terms(target.custom, AssignmentTerms)
    sha256 = target.hashes.get("sha256")
    if sha256 is None:
        raise SigningError(Targets.type, f"{path} has no SHA-256")
    return Assignment(path=path, length_bytes=target.length, sha256=sha256, terms=terms)


def require_approved(path: str, terms: AssignmentTerms, approved: ReleaseTerms) -> None:
    """Whether two people approved what a robot is to be assigned.

    Raises:
        HubError: OTHER_HARDWARE or COUNTER_NOT_APPROVED.
    """
    if terms.hardware not in approved.hardware:
        problem = f"is released for {', '.join(approved.hardware)}, not for {terms.hardware}"
        raise HubError(HubRefusal.OTHER_HARDWARE, path, problem)
    if terms.release_counter not in approved.release_counters:
        problem = f"counter {terms.release_counter} was never approved for it"
        raise HubError(HubRefusal.COUNTER_NOT_APPROVED, path, problem)


def goes_back(before: Assignment, path: str, terms: AssignmentTerms) -> bool:
    """Whether a robot would be given a lower counter than before, or the same for another release."""
    if terms.release_counter == before.terms.release_counter:
        return path != before.path
    return terms.release_counter < before.terms.release_counter
