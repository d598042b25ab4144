"""Numbers that a robot has to put into its report: made here, for that robot, a moment ago.

Pure. A nonce is the time of its making and a MAC over it and the robot's name, so that handing one out stores nothing:
nobody can fill the hub's disk, or spoil another robot's nonce, by asking. That each is good for one report is for
whoever stores reports to see to: a robot's accepted nonces only ever get younger.
"""

from __future__ import annotations

import hashlib
import hmac

NONCE_LIFE_S = 300
_TIME_BYTES = 8


def make_nonce(secret: bytes, robot_id: str, issued_ns: int) -> str:
    """The nonce for `robot_id` as of `issued_ns` (Unix time)."""
    issued = issued_ns.to_bytes(_TIME_BYTES, "big")
    return (issued + _mac(secret, robot_id, issued)).hex()


def issued_ns_of(secret: bytes, robot_id: str, nonce: str) -> int | None:
    """When a nonce was made; None if it was not made here, or for another robot."""
    try:
        data = bytes.fromhex(nonce)
    except ValueError:
        return None
    issued, mac = data[:_TIME_BYTES], data[_TIME_BYTES:]
    if not hmac.compare_digest(mac, _mac(secret, robot_id, issued)):
        return None
    return int.from_bytes(issued, "big")


def _mac(secret: bytes, robot_id: str, issued: bytes) -> bytes:
    return hmac.new(secret, b"edge report nonce\n" + issued + robot_id.encode(), hashlib.sha256).digest()
