"""Each line of the log about a contact, an attempt or a leg names all that it belongs to."""

from __future__ import annotations

import re
from pathlib import Path

import engine.dial
from engine.dial.attempts import log_names
from engine.model import Attempt
from tests.engine.made import contact

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
        for place in sorted(PLACES.glob("*.py"))
        for call in re.findall(r"log\.\w+\([^()]*(?:\([^()]*\)[^()]*)*\)", place.read_text())
        if re.search(r"\b(?:contact|attempt|leg)=", call)
    ]
    assert alone == []
