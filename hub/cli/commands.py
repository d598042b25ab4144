"""What each `edge-hub` command does: reads files, asks the rooms that know, writes files, says what came of it."""

from __future__ import annotations

import argparse
import contextlib
import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from securesystemslib.signer import SSlibKey
from tuf.api.metadata import Metadata, Root, Targets

from edge_runtime.contracts.assignment import AssignmentTerms, ReleaseTerms, read_terms
from edge_runtime.contracts.errors import SigningError
from edge_runtime.contracts.text import printable
from edge_runtime.releases.key_files import create_key, load_public, load_signer
from edge_runtime.releases.sign import RELEASES, read_draft, releases_of, sign_draft, write_draft
from hub.fleet.robots import enrolled_in
from hub.fleet.selection import EVERY, read_names, select
from hub.hub import DEVELOPMENT_WARNING, Hub, make_development_hub
from hub.lock import signing
from hub.trouble import IMAGE as IMAGE_PART
from hub.trouble import Trouble, robots_in_words, troubled
from hub.tuf.keys import first_root, next_root, next_targets, require_peoples_targets, revoke

IMAGE = "image"
DIRECTOR = "director"

Say = Callable[[str], None]


def init(arguments: argparse.Namespace, now_s: float, say: Say) -> None:
    """Make a development hub."""
    hub = make_development_hub(arguments.hub, now_s)
    say(DEVELOPMENT_WARNING)
    say(f"hub ready in {hub.folder}; robots are delivered with {hub.folder / 'robot'}/*.root.json")
    say(f"exporter's key: {hub.development_keys / 'exporter.key'}, approver's: {hub.development_keys / 'approver.key'}")


def show(arguments: argparse.Namespace, now_s: float, say: Say) -> None:
    """Who may sign, what is released, who is assigned what."""
    hub = _hub(arguments.hub, say)
    # What is damaged is named at the end; all else is shown.
    for show_part in (_show_roots, _show_releases):
        with contextlib.suppress(SigningError):
            show_part(hub, now_s, say)
    for robot_id in hub.director.robots():
        assigned = hub.director.known(robot_id)
        if assigned is not None:
            say(f"robot {robot_id}: counter {assigned.terms.release_counter}, {printable(assigned.path)}")
    troubles = hub.troubles()
    if troubles:
        raise troubled("damaged", troubles)


def _show_roots(hub: Hub, now_s: float, say: Say) -> None:
    for name, root in ((DIRECTOR, hub.director.root()), (IMAGE, hub.image.metadata.root())):
        say(f"{name} root, version {root.signed.version}, expires in {_days(root, now_s)} days")
        for role, asked in root.signed.roles.items():
            say(f"  {role:10} {asked.threshold} of {len(asked.keyids)}: {', '.join(asked.keyids)}")


def _show_releases(hub: Hub, now_s: float, say: Say) -> None:
    targets = hub.image.metadata.role(Targets.type)
    say(f"delegation to {RELEASES}, expires in {_days(targets, now_s)} days")
    delegations = targets.signed.delegations
    if delegations is not None:
        say(f"  {RELEASES:10} all of {len(delegations.keys)}: {', '.join(delegations.keys)}")
    releases = hub.image.releases()
    if releases is not None:
        say(f"{RELEASES}, version {releases.signed.version}, expires in {_days(releases, now_s)} days")
        _list_releases(releases.signed, (), say)


def publish(arguments: argparse.Namespace, now_s: float, say: Say) -> None:
    """Publish what exporter and approver signed."""
    hub = _hub(arguments.hub, say)
    fresh = hub.image.publish_release(read_draft(arguments.draft), arguments.packed, hub.online(), now_s)
    for path in fresh:
        say(f"released under counter {hub.image.newest(path)}: {path}")
    if not fresh:
        say("published: no bundle is new, its counters or expiry are")


def assign(arguments: argparse.Namespace, now_s: float, say: Say) -> None:
    """Tell robots what to run."""
    hub = _hub(arguments.hub, say)
    asked = [*arguments.robot, *(() if arguments.robots is None else read_names(arguments.robots))]
    if arguments.all:
        asked.append(EVERY)
    if not asked:
        raise SigningError("assign", "tell whom: --robot, --robots or --all")
    counter = hub.image.newest(arguments.release) if arguments.counter is None else arguments.counter
    told = [
        AssignmentTerms(
            robot_id=robot_id,
            release_counter=counter,
            hardware=arguments.hardware,
            not_before_s=int(now_s) if arguments.not_before is None else arguments.not_before,
            rollout_id=arguments.rollout,
            probation_s=arguments.probation,
        )
        for robot_id in select(asked, enrolled_in(hub.folder), also_unknown=arguments.not_enrolled)
    ]
    failed = hub.director.assign_all(arguments.release, told, hub.image, hub.online(), now_s)
    for terms in told:
        if terms.robot_id not in failed:
            say(f"{terms.robot_id}: counter {counter}, {arguments.release}")
    say(f"Assigned to {robots_in_words(len(told) - len(failed))}; each learns it when it asks next")
    if failed:
        raise troubled("not assigned", (Trouble(name, problem) for name, problem in failed.items()))


def refresh(arguments: argparse.Namespace, now_s: float, say: Say) -> None:
    """Sign online metadata anew."""
    hub = _hub(arguments.hub, say)
    report = hub.sign_anew(now_s)
    image = "" if any(trouble.what == IMAGE_PART for trouble in report.troubles) else "image repository, "
    say(f"signed anew: {image}{robots_in_words(report.robots)}")
    for name, metadata in _offline(hub):
        days = _days(metadata, now_s)
        if days < 30:
            say(f"{name} expires in {days} days and has to be signed by people: see docs/guides/keys.md")
    if report.troubles:
        raise troubled("not signed anew", report.troubles)


def approve(arguments: argparse.Namespace, now_s: float, say: Say) -> None:
    """The approver's signature on a release draft, after saying what is in it."""
    del now_s
    with signing(arguments.draft):
        _approve(arguments, say)


def _approve(arguments: argparse.Namespace, say: Say) -> None:
    draft = read_draft(arguments.draft)
    before = () if arguments.published is None else tuple(releases_of(read_draft(arguments.published)).targets)
    _list_releases(releases_of(draft), before, say)
    sign_draft(draft, load_signer(arguments.key, _passphrase(arguments)))
    write_draft(arguments.draft, draft)
    say(f"approved: {arguments.draft} has {_signatures(draft)}")


def keys_create(arguments: argparse.Namespace, now_s: float, say: Say) -> None:
    """A new key."""
    del now_s
    passphrase = _passphrase(arguments)
    public = create_key(arguments.folder, arguments.name, passphrase)
    place = arguments.folder / arguments.name
    say(f"{public.keyid}\nsecret: {place}.key, public: {place}.pub")
    if passphrase is None:
        say("the secret is not encrypted: right for a hub's online key, wrong for anything a person holds")


def keys_root(arguments: argparse.Namespace, now_s: float, say: Say) -> None:
    """The draft of a repository's first root."""
    keys: dict[str, list[SSlibKey]] = {}
    for role, path in arguments.key:
        keys.setdefault(role, []).append(load_public(path))
    _write(first_root(keys, dict(arguments.threshold), now_s), arguments.out, say)


def keys_delegate(arguments: argparse.Namespace, now_s: float, say: Say) -> None:
    """The draft of the image repository's targets, which says who releases."""
    current = None if arguments.hub is None else _hub(arguments.hub, say).image.metadata.role(Targets.type)
    exporter = None if arguments.exporter is None else load_public(arguments.exporter)
    approver = None if arguments.approver is None else load_public(arguments.approver)
    _write(next_targets(current, now_s, exporter=exporter, approver=approver), arguments.out, say)


def keys_sign(arguments: argparse.Namespace, now_s: float, say: Say) -> None:
    """Add a signature to a draft."""
    del now_s
    with signing(arguments.draft):
        draft = read_draft(arguments.draft)
        sign_draft(draft, load_signer(arguments.key, _passphrase(arguments)))
        write_draft(arguments.draft, draft)
    say(f"{arguments.draft} has {_signatures(draft)}")


def keys_setup(arguments: argparse.Namespace, now_s: float, say: Say) -> None:
    """Publish the first roots of a hub."""
    hub = Hub(arguments.hub)
    image_root, director_root = read_draft(arguments.image_root), read_draft(arguments.director_root)
    hub.set_up(image_root, read_draft(arguments.targets), director_root, now_s)
    say(f"hub ready in {hub.folder}; robots are delivered with {hub.folder / 'robot'}/*.root.json")


def keys_rotate_root(arguments: argparse.Namespace, now_s: float, say: Say) -> None:
    """The draft of a repository's next root."""
    current = _root(_hub(arguments.hub, say), arguments.repository)
    add: dict[str, list[SSlibKey]] = {}
    remove: dict[str, list[str]] = {}
    for role, path in arguments.add:
        add.setdefault(role, []).append(load_public(path))
    for role, path in arguments.remove:
        remove.setdefault(role, []).append(load_public(path).keyid)
    draft = next_root(current, now_s, add=add, remove=remove, thresholds=dict(arguments.threshold))
    _write(draft, arguments.out, say)


def keys_revoke(arguments: argparse.Namespace, now_s: float, say: Say) -> None:
    """Drafts that put a new key in the place of a lost one, in both repositories."""
    hub = _hub(arguments.hub, say)
    lost, replacement = load_public(arguments.key).keyid, load_public(arguments.replacement)
    targets, releases = hub.image.metadata.role(Targets.type), hub.image.releases()
    image = revoke(lost, replacement, root=hub.image.metadata.root(), targets=targets, releases=releases, now_s=now_s)
    director = revoke(lost, replacement, root=hub.director.root(), targets=None, releases=None, now_s=now_s)
    if not image and not director:
        raise SigningError(lost, "signs nothing here")
    for repository, drafts in ((IMAGE, image), (DIRECTOR, director)):
        for role, draft in drafts.items():
            _write(draft, arguments.out / f"{repository}.{role}.json", say)


def keys_install(arguments: argparse.Namespace, now_s: float, say: Say) -> None:
    """Publish signed drafts of one repository together."""
    hub = _hub(arguments.hub, say)
    drafts = [read_draft(path) for path in arguments.draft]
    if arguments.repository == DIRECTOR:
        if len(drafts) != 1:
            raise SigningError(DIRECTOR, "people sign its root, and nothing else")
        damaged = hub.director.publish_root(drafts[0], hub.online(), now_s).troubles
        if damaged:
            raise troubled("the root is in force, and not signed anew", itertools.starmap(Trouble, damaged.items()))
    else:
        for draft in drafts:
            if isinstance(draft.signed, Root):
                require_peoples_targets(draft.signed)
        hub.image.install({_role_of(draft): draft for draft in drafts}, hub.online(), now_s)
    named = ", ".join(f"{_role_of(draft)} {draft.signed.version}" for draft in drafts)
    say(f"in force in the {arguments.repository} repository: {named}")


def _hub(folder: Path, say: Say) -> Hub:
    hub = Hub(folder)
    if not hub.image.metadata.exists:
        raise SigningError(str(folder), "holds no hub: `edge-hub init` makes one for development")
    if hub.has_development_keys:
        say("development keys: for no robot that matters")
    return hub


def _root(hub: Hub, repository: str) -> Metadata[Root]:
    return hub.image.metadata.root() if repository == IMAGE else hub.director.root()


def _offline(hub: Hub) -> Iterable[tuple[str, Metadata[Any]]]:
    """What people signed, as far as it can be read."""
    listed: tuple[tuple[str, Callable[[], Metadata[Any] | None]], ...] = (
        ("the image root", hub.image.metadata.root),
        ("the director root", hub.director.root),
        ("the delegation to releases", lambda: hub.image.metadata.role(Targets.type)),
        ("the list of releases", hub.image.releases),
    )
    for name, read in listed:
        with contextlib.suppress(SigningError):  # what is damaged was named
            metadata = read()
            if metadata is not None:
                yield name, metadata


def _role_of(draft: Metadata[Any]) -> str:
    signed = draft.signed
    if isinstance(signed, Targets):
        return Targets.type if signed.delegations is not None else RELEASES
    return str(signed.type)


def _list_releases(releases: Targets, before: Iterable[str], say: Say) -> None:
    known = set(before)
    for path, target in releases.targets.items():
        terms = read_terms(target.custom, ReleaseTerms)
        counters = ", ".join(map(str, terms.release_counters))
        mark = "  " if not known else "= " if path in known else "+ "
        say(f"{mark}{printable(path)}\n    counters {counters}; for {', '.join(terms.hardware)}; {target.length} bytes")


def _signatures(draft: Metadata[Any]) -> str:
    count = len(draft.signatures)
    return f"{count} signature{'' if count == 1 else 's'}"


def _days(metadata: Metadata[Any], now_s: float) -> int:
    return int((metadata.signed.expires.timestamp() - now_s) // 86_400)


def _write(draft: Metadata[Any], path: Path, say: Say) -> None:
    if path.exists():
        raise SigningError(str(path), "is there already; a draft that others may have signed is not written over")
    write_draft(path, draft)
    say(f"draft, to be signed: {path}")


def _passphrase(arguments: argparse.Namespace) -> str | None:
    if arguments.passphrase_file is None:
        return None
    try:
        return str(arguments.passphrase_file.read_text().partition("\n")[0])
    except OSError as error:
        raise SigningError(str(arguments.passphrase_file), f"{error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SigningError(str(arguments.passphrase_file), "is no text") from error
