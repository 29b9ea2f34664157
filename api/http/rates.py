"""How many requests a key may send (draft-ietf-httpapi-ratelimit-headers-10), and how many wrong keys an
address."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from math import ceil, floor
from typing import Final

from api.http.problem import Problem

WINDOW_S: Final = 10
"""Over which requests are counted: so long a burst may be."""
KEYS_MAX: Final = 4_096
"""Keys that are counted at a time. Beyond that those are forgotten that have all of their quota left."""
ROUNDING: Final = 1e-6
"""Of a request: what adding up moments may cost."""
POLICY: Final = "key"
"""What the headers call the limit."""
WRONG_KEYS_PER_S: Final = 20
"""Keys and tickets that are not known, from one address. Nobody guesses one of 256 bits however many are
tried; this keeps the store free of who tries."""
ADDRESSES_MAX: Final = 4_096
"""Addresses whose wrong keys are counted at a time."""
NETWORK_BITS: Final = 64
"""Of an IPv6 address: who has one has all that share these (RFC 6177)."""


class Rates:
    """A quota of requests for each key that fills up again evenly.

    Kept of a key is the moment at which it will have all of its quota again (the theoretical arrival time of
    GCRA): one number, looked up once a request.
    """

    def __init__(self, requests_per_s: float) -> None:
        """0 for no limit."""
        self._quota = max(1, int(requests_per_s * WINDOW_S)) if requests_per_s else 0
        self._whole_at: dict[str, float] = {}
        self._policy = f'"{POLICY}";q={self._quota};w={WINDOW_S}'

    def count(self, key: str, now: float) -> dict[str, str]:
        """The headers that tell of the limit, after one more request. Raises the problem `rate_limited`.

        Args:
            now: seconds of a clock that never goes back.
        """
        if not self._quota:
            return {}
        each_s = WINDOW_S / self._quota
        whole_at = max(now, self._whole_at.get(key, now)) + each_s
        left = floor((now + WINDOW_S - whole_at) / each_s + ROUNDING)
        if left < 0:
            wait_s = ceil(whole_at - now - WINDOW_S)
            headers = {**self._tell(0, wait_s), "Retry-After": str(max(1, wait_s))}
            detail = f"A key may send {self._quota} requests in {WINDOW_S} s."
            raise Problem("rate_limited", detail, headers=headers)
        if key not in self._whole_at and len(self._whole_at) >= KEYS_MAX:
            self._forget(now)
        self._whole_at[key] = whole_at
        return self._tell(left, ceil(whole_at - now))

    def _tell(self, left: int, whole_in_s: int) -> dict[str, str]:
        return {
            "RateLimit-Policy": self._policy,
            "RateLimit": f'"{POLICY}";r={left};t={whole_in_s}',
        }

    def _forget(self, now: float) -> None:
        self._whole_at = {key: at for key, at in self._whole_at.items() if at > now}


class WrongKeys:
    """How many wrong keys each address sends: a quota as that of `Rates`, which only wrong ones use up."""

    def __init__(self) -> None:
        self._quota = WRONG_KEYS_PER_S * WINDOW_S
        self._whole_at: dict[str, float] = {}

    def check(self, address: str, now: float) -> None:
        """Raise the problem `rate_limited` where the address has sent too many.

        Args:
            now: seconds of a clock that never goes back.
        """
        wait_s = (
            self._whole_at.get(_network_of(address), now) + 1 / WRONG_KEYS_PER_S - now - WINDOW_S
        )
        if wait_s > ROUNDING:
            headers = {"Retry-After": str(max(1, ceil(wait_s)))}
            detail = f"More than {self._quota} keys in {WINDOW_S} s were not known."
            raise Problem("rate_limited", detail, headers=headers)

    def note(self, address: str, now: float) -> None:
        """Count one more."""
        network = _network_of(address)
        whole_at = max(now, self._whole_at.pop(network, now)) + 1 / WRONG_KEYS_PER_S
        if len(self._whole_at) >= ADDRESSES_MAX:
            self._forget(now)
        self._whole_at[network] = whole_at

    def _forget(self, now: float) -> None:
        """Those that have all of their quota, and so many of those that sent nothing for the longest time
        that this is not soon to be done again."""
        counted = [(network, at) for network, at in self._whole_at.items() if at > now]
        self._whole_at = dict(counted[-(ADDRESSES_MAX // 2) :])

    def __len__(self) -> int:
        return len(self._whole_at)


def _network_of(address: str) -> str:
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        return found.exploded[: NETWORK_BITS // 4 + NETWORK_BITS // 16 - 1]
    return str(found)
