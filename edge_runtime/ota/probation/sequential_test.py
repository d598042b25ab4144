"""Whether something goes wrong more often than it used to: an exact test that may be looked at after every attempt.

Guarantees: if each attempt goes wrong as often as it did before, or less often, the chance that `is_worse` says so at
any time, however long and often one looks, is at most `alpha`, whatever that rate is and however little is known of it.
One more attempt that goes wrong never turns a yes into a no, and one more that goes well never a no into a yes.

Fisher's exact test holds the counts against each other, so that a short record of the past is a weak witness and no
more. It is asked at a few fixed numbers of attempts, 6, 9, 14, 21 and so on, each with its share of `alpha`, and the
shares add up to it: three quarters go to the first twelve, which reach to some 550 attempts, the rest to those after.
In between nothing is lost: a yes is given as soon as the next look will say yes even if all goes well until then, and a
look that was missed is made up for by what its count must have been at least.

Trusts the attempts to be alike and independent. Tasks that got harder meanwhile look like a bundle that got worse.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

_FIRST_LOOK = 6
_GROWTH = 1.5
_EQUAL_LOOKS = 12


def is_worse(bad: int, of: int, bad_before: int, of_before: int, *, alpha: float) -> bool:
    """Whether `bad` of `of` attempts are more than `bad_before` of `of_before` were, by more than chance."""
    # Those that are still missing at a look go well; those that came after it were the bad ones.
    return any(tail(bad - max(of - at, 0), at, bad_before, of_before) <= alpha * share for at, share in looks(of))


def looks(of: int) -> Iterator[tuple[int, float]]:
    """The looks up to the first at `of` attempts or more: at how many, and its share of `alpha`."""
    at, number = _FIRST_LOOK, 1
    while True:
        later = number - _EQUAL_LOOKS
        yield at, 0.75 / _EQUAL_LOOKS if later <= 0 else 0.25 / (later * (later + 1))
        if at >= of:
            return
        at, number = math.ceil(at * _GROWTH), number + 1


def tail(bad: int, of: int, bad_before: int, of_before: int) -> float:
    """The chance of `bad` or more bad ones among `of`, given how many there were among all, if all are alike."""
    total, total_bad = of + of_before, bad + bad_before
    most = min(of, total_bad)
    if bad <= max(0, of - (total - total_bad)):
        return 1.0
    # From the likeliest count outwards: far below it single counts are too unlikely for a float, not their sum.
    likeliest = (of + 1) * (total_bad + 1) // (total + 2)
    start = min(max(bad, likeliest), most)
    first = math.exp(_log_choose(of, start) + _log_choose(of_before, total_bad - start) - _log_choose(total, total_bad))
    chance = term = first
    for k in range(start, most):
        term *= (of - k) / (k + 1) * (total_bad - k) / (of_before - total_bad + k + 1)
        chance += term
        if term < 1e-17 * chance:
            break
    term = first
    for k in range(start, bad, -1):
        term *= k / (of - k + 1) * (of_before - total_bad + k) / (total_bad - k + 1)
        chance += term
        if term < 1e-17 * chance:
            break
    return min(chance, 1.0)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
