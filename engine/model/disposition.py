"""From what the wire said to what became of the call: SIP status and Q.850 cause → disposition.

The table is CONTRACT.md's; `docs/dispositions.md` is drawn from it. A Q.850 cause in a Reason header
(RFC 3326) goes before the SIP status, because carriers translate causes to statuses loosely and the cause
is what the far network said. Some say in words that they are full: those go before the status as well,
where it is not the callee's. What an operator says of a trunk (`OutcomeTable`) goes before all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct, field

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

CongestionKind = Literal["pace", "channels", "either"]
"""What a trunk has too little of: calls a second, calls at once, or it does not say which."""

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

CONGESTION_TEXTS: Final[dict[CongestionKind, tuple[str, ...]]] = {
    "pace": ("cps", "calls per second", "call rate", "rate limit", "rate exceeded", "throttl"),
    "channels": (
        "channel limit",
        "call limit",
        "session limit",
        "concurrent call",
        "simultaneous call",
        "maximum call",
        "max calls",
        "maximum number of calls",
        "maximum channels",
        "max channels",
        "maximum sessions",
        "too many calls",
        "no circuit",
        "no channel",
        "circuits busy",
        "circuits are busy",
        "channels busy",
        "capacity",
    ),
}
"""Words in a reason phrase, in lower case, by which trunks say that they are full."""

TEXT_CODES: Final[frozenset[int]] = frozenset({403, 480, 488, *range(500, 600)})
"""Statuses whose reason phrase is searched for those words: others say what the callee decided, or what is
wrong with the number or the call, whatever stands beside them."""

REFUSALS: Final[frozenset[Disposition]] = frozenset({*BY_SIP_CODE.values(), "failed"})
"""What a call that was refused can become, and so what an operator may say of a refusal."""

OUTCOMES_MAX: Final = 100
"""Entries of one trunk."""
TEXT_LENGTH_MAX: Final = 100
"""Characters of a text that a reason phrase is searched for."""

_BLANKS: Final = re.compile(r"\s+")
_NUMBER: Final = re.compile(r"[0-9]{1,3}")


class OutcomeTable(Struct, frozen=True):
    """What one trunk's refusals mean, where that is not what they mean elsewhere."""

    by_text: tuple[tuple[str, Disposition], ...] = ()
    """Words of a reason phrase, in lower case; the first that occurs counts."""
    by_q850: dict[int, Disposition] = field(default_factory=dict)
    by_sip: dict[int, Disposition] = field(default_factory=dict)

    def find(self, sip_code: int, q850: int | None, reason: str) -> Disposition | None:
        """What the operator says: by the words first, as nothing is more particular, then by the cause,
        then by the status."""
        said = _plain(reason) if self.by_text else ""
        for words, disposition in self.by_text:
            if words in said:
                return disposition
        if q850 is not None and q850 in self.by_q850:
            return self.by_q850[q850]
        return self.by_sip.get(sip_code)


AS_EVERYWHERE: Final = OutcomeTable()
"""The table of a trunk of which nothing is said."""


class OutcomeRule(Struct, frozen=True):
    """One entry of an `OutcomeTable`."""

    by: Literal["sip", "q850", "text"]
    what: int | str
    """A status, a cause, or words in lower case."""
    disposition: Disposition


class InvalidOutcome(ValueError):
    """An entry that cannot be understood. `code` is stable; `detail` is a sentence for a person."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


def parse_outcome(what: str, disposition: str) -> OutcomeRule:
    """An entry as an operator writes it: `sip:487`, `q850:3` or `text:channel limit`, and what it means.

    Raises `InvalidOutcome` with `unknown_outcome`, `invalid_sip_code`, `invalid_q850_cause`,
    `invalid_text` or `invalid_disposition`.
    """
    if disposition not in REFUSALS:
        allowed = ", ".join(sorted(REFUSALS))
        raise InvalidOutcome(
            "invalid_disposition", f"A refused call becomes {allowed}; not {disposition!r}."
        )
    meant = disposition
    by, _, value = what.partition(":")
    match by.strip():
        case "sip":
            return OutcomeRule("sip", _read_number(value, 300, 699, "invalid_sip_code"), meant)
        case "q850":
            return OutcomeRule("q850", _read_number(value, 0, 127, "invalid_q850_cause"), meant)
        case "text":
            return OutcomeRule("text", _read_words(value), meant)
    raise InvalidOutcome(
        "unknown_outcome", f"A refusal is written sip:487, q850:3 or text:words; not {what!r}."
    )


def make_outcome_table(rules: Iterable[OutcomeRule]) -> OutcomeTable:
    """The table of these entries. Raises `InvalidOutcome` (`duplicate_outcome`, `too_many_outcomes`)."""
    tables: dict[str, dict[int | str, Disposition]] = {"sip": {}, "q850": {}, "text": {}}
    for rule in rules:
        if rule.what in tables[rule.by]:
            raise InvalidOutcome("duplicate_outcome", f"{rule.by}:{rule.what} is there twice.")
        tables[rule.by][rule.what] = rule.disposition
    if sum(map(len, tables.values())) > OUTCOMES_MAX:
        raise InvalidOutcome("too_many_outcomes", f"At most {OUTCOMES_MAX} entries are taken.")
    return OutcomeTable(
        by_text=tuple((str(what), meant) for what, meant in tables["text"].items()),
        by_q850={int(what): meant for what, meant in tables["q850"].items()},
        by_sip={int(what): meant for what, meant in tables["sip"].items()},
    )


def read_outcome_table(entries: Iterable[tuple[str, str]]) -> OutcomeTable:
    """The table of entries as an operator writes them. Raises `InvalidOutcome`."""
    return make_outcome_table(parse_outcome(what, meant) for what, meant in entries)


def of_rejection(
    sip_code: int, q850: int | None, reason: str = "", table: OutcomeTable = AS_EVERYWHERE
) -> Disposition:
    """The disposition of a call that a final response of 300 to 699 refused."""
    said = table.find(sip_code, q850, reason)
    if said is not None:
        return said
    if q850 is not None and q850 in BY_Q850_CAUSE:
        return BY_Q850_CAUSE[q850]
    if sip_code in TEXT_CODES and _find_congestion(reason) is not None:
        return "congested"
    return BY_SIP_CODE.get(sip_code, "failed")


def of_congestion(sip_code: int, q850: int | None, reason: str) -> CongestionKind:
    """What a trunk has too little of that refused a call as congested. Its own words say it best. A cause
    34 (no circuit) may also come from a network far beyond the trunk, and a 503 says nothing of why."""
    kind = _find_congestion(reason)
    if kind is not None:
        return kind
    return "pace" if q850 == 42 or (sip_code == 429 and q850 != 34) else "either"


def _find_congestion(reason: str) -> CongestionKind | None:
    said = _plain(reason)
    for kind, texts in CONGESTION_TEXTS.items():
        if any(text in said for text in texts):
            return kind
    return None


def _plain(reason: str) -> str:
    return _BLANKS.sub(" ", reason).strip().lower()


def _read_number(text: str, least: int, most: int, code: str) -> int:
    digits = text.strip()
    if not _NUMBER.fullmatch(digits) or not least <= int(digits) <= most:
        raise InvalidOutcome(code, f"This is a number of {least} to {most}, not {text!r}.")
    return int(digits)


def _read_words(text: str) -> str:
    words = _plain(text)
    if not words or len(words) > TEXT_LENGTH_MAX or not words.isprintable():
        raise InvalidOutcome(
            "invalid_text", f"A text has 1 to {TEXT_LENGTH_MAX} printable characters; not {text!r}."
        )
    return words


class Outcome(Struct, frozen=True):
    """How an attempt ended, as far as the rules of retrying care."""

    disposition: Disposition | None
    """None when no answer at all came from the trunk."""
    congestion: CongestionKind | None = None
    """What the trunk has too little of; set with `congested` alone."""
    retry_after_s: float | None = None
    """What a 503 or 429 asked for."""
    redirected_to: str | None = None
    """The number that a 3xx names: it is called next, and that call is the one that counts."""

    @property
    def spends_budget(self) -> bool:
        """Whether the attempt counts against the contact's `attempts_max`."""
        if self.disposition is None or self.redirected_to is not None:
            return False
        return self.disposition not in BUDGET_KEPT
