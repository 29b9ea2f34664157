"""From what the wire said to what became of the call: SIP status and Q.850 cause → disposition.

The table is CONTRACT.md's. A Q.850 cause in a Reason header (RFC 3326) goes before the SIP status,
because carriers translate causes to statuses loosely and the cause is what the far network said.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

Disposition = Literal[
    "answered",
    "machine",
    "busy",
    "no-answer",
    "declined",
    "invalid-number",
    "blocked",
    "congested",
    "failed",
    "canceled",
    "expired",
    "skipped",
    "unknown",
]

BY_SIP_CODE: Final[dict[int, Disposition]] = {
    486: "busy",
    600: "busy",
    408: "no-answer",
    480: "no-answer",
    603: "declined",
    404: "invalid-number",
    410: "invalid-number",
    484: "invalid-number",
    604: "invalid-number",
    607: "blocked",
    608: "blocked",
    429: "congested",
    503: "congested",
}
"""Final responses with a meaning of their own; every other 3xx to 6xx is `failed`."""

BY_Q850_CAUSE: Final[dict[int, Disposition]] = {
    17: "busy",
    18: "no-answer",
    19: "no-answer",
    21: "declined",
    1: "invalid-number",
    22: "invalid-number",
    28: "invalid-number",
    34: "congested",
    42: "congested",
}
"""ITU-T Q.850 causes with a meaning of their own; any other leaves the word to the SIP status."""

BUDGET_KEPT: Final[frozenset[Disposition]] = frozenset({"congested"})
"""Dispositions that the network caused and that cost the contact no attempt."""


def of_rejection(sip_code: int, q850: int | None) -> Disposition:
    """The disposition of a call that a final response of 300 to 699 refused."""
    if q850 is not None and q850 in BY_Q850_CAUSE:
        return BY_Q850_CAUSE[q850]
    return BY_SIP_CODE.get(sip_code, "failed")


class Outcome(Struct, frozen=True):
    """How an attempt ended, as far as the rules of retrying care."""

    disposition: Disposition | None
    """None when no answer at all came from the trunk."""
    retry_after_s: float | None = None
    """What a 503 or 429 asked for."""

    @property
    def spends_budget(self) -> bool:
        """Whether the attempt counts against the contact's `attempts_max`."""
        return self.disposition is not None and self.disposition not in BUDGET_KEPT
