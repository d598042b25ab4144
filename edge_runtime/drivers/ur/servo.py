"""The hand on a UR arm: a process of its own that passes targets to `servoj`, and brakes where they cease.

``python -m edge_runtime.drivers.ur.servo HOST RATE_HZ LOOKAHEAD_S GAIN STOP_RAD_S2 WATCHDOG_S SOCKET_FD``, started by
`drivers/ur/hand.py` alone. A process, because the calls of ur_rtde wait: for the upload of a program, for the end of a
stop, and after a lost connection for a new one, after which ur_rtde **sends its last command once more**, however old.
Whoever started this one ends it long before.

Guarantees: a target is passed on once, and only while it is fresh; where targets cease the arm is braked along its way,
at a rate of its own, and then let stand; the controller's watchdog stops the arm where this process does not live.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.drivers.sdk.braking import Braking
from edge_runtime.drivers.ur.messages import ORDER_BYTES, Answer, Order, Verb

_LET_GO_AFTER_S = 0.3


class Servo:
    """What follows and brakes.

    Args:
        control: an RTDEControlInterface.
        period_s: of a cycle.
        lookahead_s, gain, stop_rad_s2: as in the driver's settings.
    """

    def __init__(self, control: Any, period_s: float, lookahead_s: float, gain: float, stop_rad_s2: float) -> None:
        self._control = control
        self._period_s, self._lookahead_s, self._gain, self._stop_rad_s2 = period_s, lookahead_s, gain, stop_rad_s2
        self._last: Order | None = None
        self._braking: Braking | None = None

    def follow(self, order: Order) -> bool:
        """Pass a target on; False where no program runs on the controller."""
        self._last, self._braking = order, None
        return self._servo(order.q)

    def hold(self) -> bool:
        """One cycle of braking, or of standing."""
        now_s = time.monotonic()
        if self._last is not None:
            self._braking = Braking(self._last.q, self._last.dq, (self._stop_rad_s2,) * 6, now_s)
            self._last = None
        if self._braking is None:
            return bool(self._control.kickWatchdog())
        if self._braking.rests_s(now_s) > self._lookahead_s + _LET_GO_AFTER_S:
            # Only now: this call waits for its end, and feeds no watchdog meanwhile.
            self._braking = None
            return bool(self._control.servoStop(self._stop_rad_s2))
        return self._servo(self._braking.q(now_s))

    @property
    def stands(self) -> bool:
        """Whether it neither follows nor brakes."""
        return self._last is None and self._braking is None

    def _servo(self, q: NDArray[np.float64]) -> bool:
        arguments = (q.tolist(), 0.0, 0.0, self._period_s, self._lookahead_s, self._gain)
        return bool(self._control.servoJ(*arguments))


def serve(servo: Servo, link: socket.socket, period_s: float, silence_s: float) -> str:
    """Be the hand until there is nobody to be it for; why it ended, empty for an end that was asked for.

    Args:
        servo: what follows and brakes.
        link: where orders come from.
        period_s: of a cycle.
        silence_s: it brakes where no order has come for so long, and follows none that is older.
    """
    ends = False
    silent_since_s = time.monotonic()
    while True:
        order = None if ends else _newest(link, period_s)
        now_s = time.monotonic()
        if order is not None:
            silent_since_s = now_s
            ends = order.verb is Verb.END
        if ends:
            if servo.stands:
                return ""
            time.sleep(period_s)
        if order is not None and order.verb is Verb.FOLLOW and now_s - order.stamp_ns / 1e9 <= silence_s:
            went_on = servo.follow(order)
        elif order is None and not ends and now_s - silent_since_s <= silence_s:
            continue
        else:
            went_on = servo.hold()
        if not went_on:
            return "the program on the controller has ended"
        if order is not None and not ends:
            _answer(link, Answer.SERVED)


def _newest(link: socket.socket, wait_s: float) -> Order | None:
    """The last order that is there; one to end where whoever gives them is gone."""
    newest = None
    while select.select([link], [], [], wait_s)[0]:
        data = link.recv(ORDER_BYTES)
        if not data:
            return Order.end()
        newest, wait_s = Order.of(data), 0.0
    return newest


def _answer(link: socket.socket, answer: Answer, words: str = "") -> None:
    # Nobody to hear it, or nobody who listens at the moment: the arm is not kept waiting for that.
    with contextlib.suppress(OSError):
        link.send(bytes([answer]) + words.encode()[:500], socket.MSG_DONTWAIT)


def _control(host: str, rate_hz: float) -> Any:
    import rtde_control

    kind = rtde_control.RTDEControlInterface
    return kind(host, rate_hz, kind.FLAG_UPLOAD_SCRIPT)


def main() -> None:
    """Upload the control program, say so, and serve."""
    rate_hz, lookahead_s, gain, stop_rad_s2, watchdog_s = map(float, sys.argv[2:7])
    with socket.socket(fileno=int(sys.argv[7])) as link:
        try:
            control = _control(sys.argv[1], rate_hz)
            if not control.setWatchdog(1.0 / watchdog_s):
                raise RuntimeError("the controller set no watchdog")
        except Exception as error:  # whatever the library raises is said, and tried again
            _answer(link, Answer.FAILED, str(error))
            sys.exit(1)
        _answer(link, Answer.READY)
        why = serve(Servo(control, 1.0 / rate_hz, lookahead_s, gain, stop_rad_s2), link, 1.0 / rate_hz, watchdog_s)
        if why:
            _answer(link, Answer.FAILED, why)
            sys.exit(1)
        control.stopScript()


if __name__ == "__main__":
    main()
