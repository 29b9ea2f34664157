"""Each line of the log about a contact, an attempt or a leg names all that it belongs to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from structlog.contextvars import get_contextvars
from trio.testing import MockClock

import engine.dial
from engine.dial.attempts import log_names
from engine.model import Attempt
from engine.ports.telephony import CallRequest
from sim.telephony import CallScript
from tests.engine.dial.legs.test_transfer import transfer, transferring
from tests.engine.dial.office import is_agent, office
from tests.engine.made import contact
from tests.engine.world import people

ATTEMPT = Attempt(
    "att_1", "acc_1", "flw_1", "lst_1", "cnt_1", "+14155550101", "+1", "main", "ringing", 1.0
)
PLACES = Path(engine.dial.__path__[0])


def test_an_attempt_is_named_with_its_contact_flow_and_account() -> None:
    assert log_names.of_attempt(ATTEMPT) == {
        "account": "acc_1",
        "flow": "flw_1",
        "contact": "cnt_1",
        "attempt": "att_1",
    }
    one = contact(id="cnt_1")
    assert log_names.of_contact(one) == {
        "account": one.account,
        "flow": one.flow,
        "contact": "cnt_1",
    }


def test_no_line_of_the_dialler_names_a_contact_an_attempt_or_a_leg_alone() -> None:
    """Half of the names find half of what happened."""
    alone = [
        (place.name, call)
        for place in sorted(PLACES.rglob("*.py"))
        for call in re.findall(r"log\.\w+\([^()]*(?:\([^()]*\)[^()]*)*\)", place.read_text())
        if re.search(r"\b(?:contact|attempt|leg)=", call)
    ]
    assert alone == []
    assert {"attempt.py", "leg.py"} <= {place.name for place in PLACES.rglob("*.py")}


async def test_what_adapters_log_about_a_call_carries_its_names_and_nothing_else_does(
    autojump_clock: MockClock,
) -> None:
    """They know of an attempt, or a leg, and of nothing that it belongs to."""
    seen: list[tuple[CallRequest, dict[str, Any]]] = []

    def choose(request: CallRequest, _before: int) -> CallScript:
        seen.append((request, get_contextvars()))
        is_first = not is_agent(request)
        return CallScript(talk_s=20.0) if is_first else CallScript(final_after_s=1.0)

    async with office(choose, transferring()) as one:
        await transfer(one)
        flow, [customer] = one.flow.id, people(1)
        [(first, of_attempt), (second, of_leg)] = seen
        names = {"account": "acc_1", "flow": flow, "contact": customer.id, "attempt": first.attempt}
        assert of_attempt == names
        assert of_leg == {**names, "leg": second.attempt}
    assert get_contextvars() == {}
