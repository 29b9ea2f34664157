"""How callees, and the networks between, take the calls from one DID; and when it rests for that.

Counted are calls that came as far as a verdict on the caller: answered, not answered, declined, blocked. A
number that does not exist, a full trunk or a fault says nothing of the DID. The count slides in steps: it
is over the last `HEALTH_WINDOW_S`, give or take one `HEALTH_STEP_S`, and costs the same for any number of
calls.
"""

from __future__ import annotations

from collections import deque
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from engine.model.disposition import Disposition

HEALTH_WINDOW_S: Final = 3600
HEALTH_STEP_S: Final = 60
ANSWERED: Final[frozenset[Disposition]] = frozenset({"answered", "machine"})
COUNTED: Final[frozenset[Disposition]] = ANSWERED | {"busy", "no-answer", "declined", "blocked"}
"""What of calls' ends says something of the DID."""

RestReason = Literal["blocked", "answer_rate", "operator"]
Share = Annotated[float, Meta(ge=0, le=1)]
SampleCalls = Annotated[int, Meta(ge=1, le=1_000_000)]
RestSeconds = Annotated[float, Meta(ge=60, le=31 * 86_400)]


class RestRules(Struct, frozen=True):
    """When a DID has gone bad."""

    blocked_max: float = 0.2
    """It rests when more than this share of its calls was blocked; 1 is never."""
    answered_min: float = 0.0
    """It rests when less than this share of its calls was answered; 0 is never. It is, unless said, as a
    list that nobody answers is seldom the number's fault."""
    calls_min: int = 50
    """Calls in the window before anything is said of them."""
    rest_s: float = 3600
    """For how long."""


class RestWhen(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one DID has of its own of these rules; None is the installation's."""

    blocked_max: Share | None = None
    answered_min: Share | None = None
    calls_min: SampleCalls | None = None
    rest_s: RestSeconds | None = None

    def over(self, rules: RestRules) -> RestRules:
        """The rules that hold for this DID."""
        own = {name: getattr(self, name) for name in self.__struct_fields__}
        return RestRules(
            **{n: getattr(rules, n) if value is None else value for n, value in own.items()}
        )


class DidRest(Struct, frozen=True):
    """That a DID is not called from for a while. Moments are seconds since the epoch."""

    since: float
    until: float | None
    """None is until somebody lets it call again."""
    reason: RestReason
    detail: str
    """One sentence for a person."""


class Tally(Struct, frozen=True):
    """Calls of a DID within the window."""

    calls: int = 0
    answered: int = 0
    blocked: int = 0

    @property
    def answer_rate(self) -> float | None:
        """Share of the calls that was answered, by a person or a machine; None of no calls."""
        return self.answered / self.calls if self.calls else None

    @property
    def blocked_share(self) -> float | None:
        """Share of the calls that was blocked (607, 608, and what else a trunk means by it)."""
        return self.blocked / self.calls if self.calls else None


class HealthStep(Struct, frozen=True, gc=False):
    """What the calls of a DID came to within one step of time."""

    did: str
    step: int
    """Seconds since the epoch over `HEALTH_STEP_S`, a whole number."""
    tally: Tally


def step_of(at: float) -> int:
    """In which step a moment lies, seconds since the epoch."""
    return int(at // HEALTH_STEP_S)


class DidHealth:
    """The sliding count of one DID."""

    def __init__(self) -> None:
        self._steps: deque[tuple[int, Tally]] = deque()
        """Of the window, and no more of them than it has."""
        self._total = Tally()
        """Of all of them."""

    def add(self, disposition: Disposition | None, at: float) -> None:
        """A call ended, at this moment."""
        if disposition in COUNTED:
            answered, blocked = disposition in ANSWERED, disposition == "blocked"
            self.add_step(step_of(at), Tally(1, int(answered), int(blocked)))

    def add_step(self, step: int, tally: Tally) -> None:
        """Calls ended within this step. Those of a step before the latest, as where a clock was set back,
        count with the latest."""
        if self._steps and self._steps[-1][0] >= step:
            step, before = self._steps.pop()
            self._total = _add(self._total, before, -1)
            tally = _add(before, tally)
        self._steps.append((step, tally))
        self._total = _add(self._total, tally)
        self._forget(step)

    def tally(self, now: float) -> Tally:
        """All within the window that ends now."""
        self._forget(step_of(now))
        return self._total

    def _forget(self, step: int) -> None:
        """What has left the window that ends with this step."""
        while self._steps and self._steps[0][0] <= step - HEALTH_WINDOW_S // HEALTH_STEP_S:
            _, gone = self._steps.popleft()
            self._total = _add(self._total, gone, -1)

    def clear(self) -> None:
        """Begin anew, as after a rest."""
        self._steps.clear()
        self._total = Tally()


def judge(tally: Tally, rules: RestRules) -> tuple[RestReason, str] | None:
    """Why a DID is to rest, in a word and in a sentence; None where it may go on."""
    if tally.calls < rules.calls_min:
        return None
    if tally.blocked > rules.blocked_max * tally.calls:
        return "blocked", f"{tally.blocked} of its last {tally.calls} calls were blocked."
    if tally.answered < rules.answered_min * tally.calls:
        return "answer_rate", f"{tally.answered} of its last {tally.calls} calls were answered."
    return None


def _add(one: Tally, other: Tally, times: int = 1) -> Tally:
    return Tally(
        one.calls + times * other.calls,
        one.answered + times * other.answered,
        one.blocked + times * other.blocked,
    )
