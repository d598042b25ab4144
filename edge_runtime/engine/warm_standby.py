"""The policy that acts and the one that waits beside it: loads what is ordered, and changes over between two chunks.

Guarantees: whatever is ordered and whatever a bundle holds, the policy that acts goes on until another one is loaded,
verified and warm; never more than two are in memory, counting the one that is being loaded. A bundle that cannot be
loaded is named and not tried again under the same order. Refuses to know why a bundle is ordered. Trusts the pointer
for which bundles may act, and no folder: what is loaded has to have the digest that was asked for.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from edge_runtime.bundles.installed import Installed
from edge_runtime.contracts.errors import BundleError, EdgeError, EngineError, Refusal, StorageError
from edge_runtime.contracts.topics import POLICY_ORDER, POLICY_STATUS
from edge_runtime.contracts.updates import MAX_WORDS_CHARS, PolicyOrder, PolicyStatus
from edge_runtime.engine.policy import Policy
from edge_runtime.ipc.bus import Refusals

_log = logging.getLogger(__name__)

Load = Callable[[Path], Policy]
"""Makes a warm policy from the bundle in a folder, or raises an `EdgeError`. Called on a thread of its own."""

_STATUS_INTERVAL_NS = round(1e9 / POLICY_STATUS.rate_hz)
_LOOK_S = 0.02
_NICE = 10


class _Loading:
    """One bundle on its way into memory, on a thread that nobody has to wait for.

    Args:
        in_background: run at lower priority than everything else.
    """

    def __init__(self, folder: Path, load: Load, *, in_background: bool) -> None:
        self._folder, self._load = folder, load
        self._policy: Policy | None = None
        self._error: EdgeError = EngineError("loading it was cut short")
        self._in_background = in_background
        # A daemon: a library can't be told to stop, and a process that is told to end does not wait for it.
        self._thread = threading.Thread(target=self._run, name="policy", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def wait(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def result(self) -> Policy:
        """The policy, once it is done.

        Raises:
            EdgeError: it could not be loaded.
        """
        if self._policy is None:
            raise self._error
        return self._policy

    def _run(self) -> None:
        if self._in_background:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        try:
            self._policy = self._load(self._folder)
        except EdgeError as error:
            self._error = error
        except Exception as error:  # a bundle that was never run here may have a library raise anything
            _log.exception("loading %s", self._folder)
            self._error = EngineError(f"{type(error).__name__}: {error}")


def boot(
    installed: Installed,
    load: Load,
    stop: Callable[[], bool],
    say: Callable[[PolicyStatus], None] = lambda _status: None,
) -> tuple[Policy, str] | None:
    """The best policy of this robot that can be loaded, and what was wrong with better ones; None if told to stop.

    Args:
        installed, load: as of `WarmStandby`.
        stop: whether to end, asked many times a second.
        say: called ten times a second with what is being loaded: an engine that takes long has not ended.

    Raises:
        EdgeError: none can, not even the one that came with the software.
    """

    def take(folder: Path) -> Policy | None:
        loading, digest = _Loading(folder, load, in_background=False), installed.digest_in(folder)
        due_ns = 0
        while not loading.done:
            if stop():
                return None
            now_ns = time.monotonic_ns()
            if now_ns >= due_ns:
                due_ns = now_ns + _STATUS_INTERVAL_NS
                say(PolicyStatus(now_ns, os.getpid(), 0, serving="", serving_since_ns=0, loading=digest))
            loading.wait(_LOOK_S)
        return loading.result()

    policy, choice = installed.boot_first(take)
    for problem in choice.passed_over:
        _log.error("passed over: %s", problem)
    return None if policy is None else (policy, "; ".join(choice.passed_over))


class WarmStandby:
    """What one engine has in memory. One thread calls it, which never waits here.

    Args:
        installed: the bundles of this robot.
        load: makes a policy of one.
        serving: acts from now on; `problem` says why it is not the one that the pointer names, empty where it is.
        now_ns: on the engine's clock.
        refusals: where orders are counted that came too late.
        in_background: load what is to wait at lower priority.
    """

    def __init__(
        self,
        installed: Installed,
        load: Load,
        serving: Policy,
        problem: str,
        now_ns: int,
        refusals: Refusals,
        *,
        in_background: bool = True,
    ) -> None:
        self._installed, self._load, self._refusals = installed, load, refusals
        self._in_background = in_background
        self._serving, self._serving_since_ns = serving, now_ns
        self._standby: Policy | None = None
        self._order: PolicyOrder | None = None
        self._loading: tuple[str, _Loading] | None = None
        self._failed: dict[str, str] = {installed.active(): problem} if problem else {}
        self._said: PolicyStatus | None = None
        self._due_ns = 0

    @property
    def serving(self) -> Policy:
        """The one that acts."""
        return self._serving

    @property
    def loading(self) -> bool:
        """Whether a thread is at work that can't be told to stop."""
        return self._loading is not None

    def take(self, order: PolicyOrder) -> None:
        """From now on this is what should be; an order that came before the last one is refused."""
        last_id = 0 if self._order is None else self._order.id
        if order.id <= last_id:
            if order.id < last_id:
                self._refusals.count(POLICY_ORDER.name, Refusal.OUT_OF_ORDER)
            return
        self._order = order
        self._failed = {}
        _log.info("order %d: serve %s, standby %s", order.id, order.serve[:12], order.standby[:12] or "none")

    def tend(self, now_ns: int) -> Policy | None:
        """Go on with what is ordered; the policy that acts from now on, if that is another one. Call between chunks."""
        if self._order is None:
            return None
        self._take_loaded()
        changed = self._change_over(self._order, now_ns)
        if self._loading is None:
            self._begin(self._order)
        return changed

    def status(self, now_ns: int) -> PolicyStatus | None:
        """What there is, ten times a second and at once when something has changed; None where nothing is due."""
        status = self._status(now_ns)
        said = self._said
        is_news = said is None or msgspec.structs.replace(said, stamp_ns=now_ns) != status
        if not is_news and time.monotonic_ns() < self._due_ns:
            return None
        self._said = status
        self._due_ns = time.monotonic_ns() + _STATUS_INTERVAL_NS
        return status

    def _take_loaded(self) -> None:
        if self._loading is None or not self._loading[1].done:
            return
        (digest, loading), self._loading = self._loading, None
        try:
            policy = loading.result()
            if policy.digest != digest:
                raise BundleError(f"its folder holds the bundle {policy.digest}")
        except EdgeError as error:
            self._fail(digest, str(error))
            return
        if digest in self._wanted():
            self._standby = policy
            _log.info("%s is warm", digest[:12])

    def _change_over(self, order: PolicyOrder, now_ns: int) -> Policy | None:
        warm = self._standby
        if warm is None or warm.digest != order.serve or order.serve in self._failed:
            return None
        if problem := self._problem_with(order.serve):
            self._fail(order.serve, problem)
            return None
        self._serving, self._standby = warm, self._serving
        self._serving_since_ns = now_ns
        _log.info("%s serves", warm.digest[:12])
        return warm

    def _begin(self, order: PolicyOrder) -> None:
        """Let go of what is not wanted, and begin to load what is missing."""
        if self._standby is not None and self._standby.digest not in self._wanted():
            self._standby = None
        held = {self._serving.digest, "" if self._standby is None else self._standby.digest}
        for digest in (order.serve, order.standby):
            if not digest or digest in held or digest in self._failed:
                continue
            if problem := self._problem_with(digest):
                self._fail(digest, problem)
                continue
            # First it goes, then the other one comes: there is memory for two.
            self._standby = None
            # One that is to act is waited for; one that is to wait may take its time.
            in_background = self._in_background and digest != order.serve
            loading = _Loading(self._installed.folder(digest), self._load, in_background=in_background)
            self._loading = (digest, loading)
            return

    def _wanted(self) -> tuple[str, ...]:
        return () if self._order is None else (self._order.serve, self._order.standby)

    def _problem_with(self, digest: str) -> str:
        """Why control would not take chunks of `digest`, or why there is nothing to load; empty if all is well."""
        order = self._order
        try:
            if order is not None and digest == order.serve:
                return "" if digest in self._installed.may_act() else "the pointer does not let it act"
            return "" if digest in self._installed.known() else "it is not on this robot"
        except StorageError as error:
            return "" if digest == self._installed.shipped_digest else str(error)

    def _fail(self, digest: str, problem: str) -> None:
        self._failed[digest] = problem
        _log.error("%s cannot be had: %s", digest[:12], problem)

    def _status(self, now_ns: int) -> PolicyStatus:
        failed = next((digest for digest in self._wanted() or self._failed if digest in self._failed), "")
        return PolicyStatus(
            stamp_ns=now_ns,
            pid=os.getpid(),
            order_id=0 if self._order is None else self._order.id,
            serving=self._serving.digest,
            serving_since_ns=self._serving_since_ns,
            standby="" if self._standby is None else self._standby.digest,
            loading="" if self._loading is None else self._loading[0],
            failed=failed,
            problem=self._failed.get(failed, "")[:MAX_WORDS_CHARS],
            proof=self._serving.proof.verdict,
            proof_detail=self._serving.proof.detail[:MAX_WORDS_CHARS],
        )
