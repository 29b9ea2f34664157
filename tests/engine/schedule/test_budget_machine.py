"""Any contact, whatever happens to it: within its budgets, its numbers in order, one disposition at the end.

The model knows nothing of how `engine.schedule.retry` goes about it. It writes down each call that was made,
and looks at the whole story after every step.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from msgspec import Struct

from adapters.sqlite.rows import contact_row, to_contact
from engine.dial.attempts.lifecycle import outcome_of
from engine.dial.blockers import find_wait
from engine.model import AttemptStatus, Contact, FlowSettings, RetryRule
from engine.model.disposition import Disposition, Outcome
from engine.ports.telephony import Ended
from engine.schedule.day_budget import budget_of
from engine.schedule.retry import STALLS_MAX, after_attempt, after_stall, complete, stalls_of
from tests.engine.made import EPOCH, contact, flow
from tests.sizes import size

NUMBERS = tuple(f"+9198123456{n:02}" for n in range(10))
ELSEWHERE = ("+919812999901", "+919812999902")
"""Where redirections lead."""
INDIA = ZoneInfo("Asia/Kolkata")
CODES = {486: "busy", 480: "no-answer", 603: "declined", 404: "invalid-number", 607: "blocked"}
CODES |= {403: "failed", 503: "congested"}
"""What refusals mean, as docs/lifecycle.md has it."""


class Called(Struct):
    """A call that was made."""

    number: str
    at: float
    costs: bool
    disposition: str | None


class ContactMachine(RuleBasedStateMachine):
    """One contact of one flow."""

    def __init__(self) -> None:
        super().__init__()
        self.contact: Contact | None = None
        self.now = EPOCH
        self.calls: list[Called] = []
        self.ends: list[Disposition] = []
        self.made_at = EPOCH
        self.status: AttemptStatus = "initiated"
        self.opted_out = False
        self.refused_detours = 0

    @initialize(
        numbers=st.integers(1, 10),
        attempts_max=st.integers(1, 12),
        per_day=st.none() | st.integers(1, 4),
        tries=st.integers(0, 3),
        wait_s=st.sampled_from([0.0, 60.0, 7_200.0, 100_000.0]),
        declined=st.sampled_from(["stop", "next"]),
        on_unknown=st.sampled_from(["stop", "retry"]),
    )
    def begin(
        self,
        numbers: int,
        attempts_max: int,
        per_day: int | None,
        tries: int,
        wait_s: float,
        declined: str,
        on_unknown: str,
    ) -> None:
        again = RetryRule(tries, wait_s)
        made = msgspec.convert(
            {
                "attempts_max": attempts_max,
                "attempts_max_per_day": per_day,
                "declined": declined,
                "on_unknown": on_unknown,
            },
            FlowSettings,
        )
        made = msgspec.structs.replace(made, retry={"busy": again, "failed": again})
        self.flow = flow(settings=made, timezone="Pacific/Auckland")
        self.contact = contact(tel=NUMBERS[:numbers])

    @property
    def one(self) -> Contact:
        assert self.contact is not None
        return self.contact

    def is_open(self) -> bool:
        return self.contact is not None and self.contact.state == "open"

    def is_dialing(self) -> bool:
        return self.contact is not None and self.contact.state == "dialing"

    def take(self, after: Contact, ended: str | None, *, costs: bool) -> None:
        """The call that goes on is over, and this is what follows."""
        before = self.one
        self.calls.append(Called(before.number, self.made_at, costs, ended))
        self.contact = after
        if after.state == "completed":
            assert after.disposition is not None
            self.ends.append(after.disposition)

    # What may happen while the contact waits.

    @precondition(is_open)
    @rule(wait_s=st.sampled_from([0.0, 1.0, 60.0, 7_200.0, 43_200.0, 86_400.0]))
    def time_passes(self, wait_s: float) -> None:
        self.now += wait_s

    @precondition(is_open)
    @rule()
    def its_blocker_ends(self) -> None:
        """What keeps it waiting ends when it says; then nothing but another such reason may be left."""
        block = find_wait(self.one, budget_of(self.flow), 0.0, self.now)
        if block is not None:
            self.now += block.until
            assert find_wait(self.one, budget_of(self.flow), 0.0, self.now) is None

    @precondition(is_open)
    @rule()
    def it_is_dialed(self) -> None:
        if find_wait(self.one, budget_of(self.flow), 0.0, self.now) is not None:
            return
        if self.opted_out:
            self.contact = complete(self.one, "skipped", self.now)
            self.ends.append("skipped")
            return
        self.made_at, self.status = self.now, "initiated"
        self.contact = msgspec.structs.replace(self.one, state="dialing")

    @precondition(is_open)
    @rule()
    def it_is_canceled(self) -> None:
        self.contact = complete(self.one, "canceled", self.now)
        self.ends.append("canceled")

    @precondition(is_open)
    @rule(per_day=st.integers(1, 4))
    def the_days_budget_is_changed(self, per_day: int) -> None:
        changed = msgspec.structs.replace(self.flow.settings, attempts_max_per_day=per_day)
        worst = Counter(self.day_of(one.at) for one in self.calls if one.costs)
        if not worst or max(worst.values()) <= per_day:  # else it was kept while it was another
            self.flow = msgspec.structs.replace(self.flow, settings=changed)

    @rule()
    def the_callee_opts_out(self) -> None:
        self.opted_out = True

    @precondition(lambda self: self.contact is not None)
    @rule()
    def the_process_is_killed(self) -> None:
        """What was written down is all there is; a call that went on is `unknown`."""
        stored = contact_row(self.one, 1, self.one.row)
        account, call_list, flw = self.one.account, self.one.list, self.one.flow
        # The columns in the order in which they are read: with the ids of what the contact belongs to.
        read = (stored[0], account, call_list, flw, *stored[2:])
        self.contact = to_contact(read)
        if self.contact.state == "dialing":
            self.now += 5.0
            outcome = Outcome("unknown")
            after = after_attempt(self.contact, self.flow, outcome, self.now, made_at=self.made_at)
            self.take(after, "unknown", costs=True)

    # What may become of a call.

    @precondition(is_dialing)
    @rule(rings_s=st.sampled_from([0.0, 3.0, 40.0]))
    def it_rings(self, rings_s: float) -> None:
        self.status = "ringing"
        self.now += rings_s

    @precondition(is_dialing)
    @rule(code=st.sampled_from(sorted(CODES)))
    def the_far_end_refuses(self, code: int) -> None:
        if CODES[code] == "congested":
            self.the_network_has_no_room()
            return
        outcome = outcome_of(Ended("rejected", code, "No"), "the call ended", self.status)
        after = after_attempt(self.one, self.flow, outcome, self.now, made_at=self.made_at)
        self.take(after, CODES[code], costs=True)

    @precondition(is_dialing)
    @rule()
    def the_network_has_no_room(self) -> None:
        outcome = outcome_of(Ended("rejected", 503, "Full"), "the call ended", "initiated")
        stalls = (stalls_of(self.one) or 0) + 1
        ended, after = after_stall(
            self.one, self.flow, outcome, self.now, 2.0, stalls, self.made_at
        )
        self.take(after, ended.disposition, costs=stalls >= STALLS_MAX)

    @precondition(is_dialing)
    @rule()
    def the_trunk_is_silent(self) -> None:
        outcome = outcome_of(Ended("unreachable"), "the call ended", "initiated")
        after = after_attempt(self.one, self.flow, outcome, self.now, 2.0, self.made_at)
        self.take(after, None, costs=False)

    @precondition(is_dialing)
    @rule(number=st.sampled_from([*ELSEWHERE]))
    def the_trunk_redirects(self, number: str) -> None:
        if self.one.detoured or number in self.one.dead:
            self.the_far_end_refuses(403)
            return
        outcome = Outcome("failed", redirected_to=number)
        after = after_attempt(self.one, self.flow, outcome, self.now, made_at=self.made_at)
        self.take(after, "failed", costs=False)

    @precondition(is_dialing)
    @rule()
    def nobody_answers_in_time(self) -> None:
        outcome = outcome_of(Ended("rejected", 487, ""), "time-out", "ringing")
        after = after_attempt(self.one, self.flow, outcome, self.now, made_at=self.made_at)
        self.take(after, "no-answer", costs=True)

    @precondition(is_dialing)
    @rule(talks_s=st.sampled_from([1.0, 3_600.0]))
    def the_callee_answers(self, talks_s: float) -> None:
        self.now += talks_s
        outcome = outcome_of(Ended("callee_hung_up"), "the call ended", "in-progress")
        after = after_attempt(self.one, self.flow, outcome, self.now, made_at=self.made_at)
        self.take(after, "answered", costs=True)

    # What always holds.

    def day_of(self, at: float) -> object:
        """The day on the wall of somebody in India, where all the numbers are."""
        return datetime.fromtimestamp(at, INDIA).date()

    @invariant()
    def no_budget_is_exceeded(self) -> None:
        paid = [one for one in self.calls if one.costs]
        if self.contact is None:
            return
        assert len(paid) == self.contact.spent
        assert len(paid) <= self.flow.settings.attempts_max
        per_day = self.flow.settings.attempts_max_per_day
        if per_day is not None:
            days = Counter(self.day_of(one.at) for one in paid)
            assert max(days.values(), default=0) <= per_day

    @invariant()
    def numbers_are_called_in_their_order(self) -> None:
        own = [NUMBERS.index(one.number) for one in self.calls if one.number in NUMBERS]
        assert own == sorted(own)
        assert sorted(set(own)) == list(range(len(set(own)))), "a number was left out"

    @invariant()
    def an_invalid_number_is_never_called_again(self) -> None:
        dead: set[str] = set()
        for one in self.calls:
            assert one.number not in dead
            if one.disposition == "invalid-number":
                dead.add(one.number)

    @invariant()
    def it_ends_once_and_for_good_reason(self) -> None:
        if self.contact is None:
            return
        assert len(self.ends) == (self.contact.state == "completed")
        last = self.calls[-1].disposition if self.calls else None
        if not self.ends:
            assert last != "answered"
            assert last != "declined" or self.flow.settings.declined == "next"
            assert last != "unknown" or self.flow.settings.on_unknown == "retry"
            assert self.contact.spent < self.flow.settings.attempts_max
        elif self.ends[0] not in ("canceled", "skipped"):
            assert self.ends[0] == last, "the last call's disposition is the contact's"

    def teardown(self) -> None:
        """Whatever the story so far: from here on it comes to its end."""
        if self.contact is None:
            return
        if self.is_dialing():
            self.nobody_answers_in_time()
        for _ in range(100):
            if not self.is_open():
                break
            self.its_blocker_ends()
            self.it_is_dialed()
            if self.is_dialing():
                self.the_far_end_refuses(486)
            self.no_budget_is_exceeded()
            self.numbers_are_called_in_their_order()
            self.it_ends_once_and_for_good_reason()
        assert len(self.ends) == 1


ContactMachine.TestCase.settings = settings(
    max_examples=size(150, 10_000),
    stateful_step_count=size(40, 80),
    deadline=None,
    derandomize=True,
)
test_any_contact_keeps_its_budgets_and_comes_to_one_end = ContactMachine.TestCase
