"""A flow's rules, as those read them who answer for its calls, and as an owner changes them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.system.console.browser import Visit
from tests.system.console.doing import CHECKS, button, heading
from tests.system.console.product import make_flow
from tests.system.console.site import Set

pytestmark = pytest.mark.peer

SETTINGS = {
    "calling_window": {
        "start": "09:00",
        "end": "18:00",
        "days": ["mon", "tue"],
        "holidays": ["2030-01-01"],
    },
    "retry": {"busy": {"tries": 2, "wait_s": 300}, "no-answer": {"tries": 1, "wait_s": 7200}},
    "ring_timeout_s": 25,
    "callee_caps": [{"calls": 2, "per_s": 86400}],
    "channels": 40,
}


def test_rules_are_told_in_words_and_changed_unless_somebody_was_quicker(
    there: Set, visit: Callable[[], Visit]
) -> None:
    flow = there.product.run(
        make_flow, there.product.client, "Payments", ["+14155550190"], 5, SETTINGS
    )
    reader, owner = visit(), visit()
    reader.sign_in(there.viewer)
    reader.go(f"flows/{flow}/configuration", "Payments")
    rules = reader.page.get_by_role("region", name="Rules")
    for said in (
        "09:00–18:00, mon tue, on the callee's clock, but for 1 holiday",
        "1 at the most",
        "busy: 2 times, after 5 min; no answer: once, after 2 h",
        "25 s",
        "40 calls at once",
        "2 in 24 h",
        "The account's own hours and limits hold beside these.",
    ):
        expect(rules).to_contain_text(said)
    expect(rules).not_to_contain_text("1 holidays")
    expect(rules.get_by_text("Change it")).to_have_count(0)

    page = owner.page
    owner.refusals_expected = [412, 422]
    owner.sign_in(there.owner)
    owner.go(f"flows/{flow}/configuration", "Payments")
    page.get_by_text("Change it, as JSON").click()
    source, alert = page.get_by_label("The flow, as JSON"), page.locator("details > .wrong")
    expect(source).to_have_value(re.compile("attempts_max"))
    shown = json.loads(source.input_value())
    shown["settings"]["attempts_max"] = 0
    source.fill(json.dumps(shown))
    button(page, "Save").click()
    expect(alert).to_contain_text("/settings/attempts_max")
    for look in owner.looks():
        assert (look, page.evaluate(CHECKS)) == (look, [])

    there.product.post(f"/v1/flows/{flow}", {**shown, "settings": {"attempts_max": 2}}, "PUT")
    shown["settings"]["attempts_max"] = 4
    source.fill(json.dumps(shown))
    button(page, "Save").click()
    expect(alert).to_contain_text("changed")
    button(page, "Read it again").click()
    expect(source).to_have_value(re.compile('"attempts_max": 2,'))
    source.fill(json.dumps({**shown, "name": "Payments of June"}))
    button(page, "Save").click()
    expect(heading(page, "Payments of June")).to_be_visible()
    expect(page.get_by_role("region", name="Rules")).to_contain_text("4 at the most")
    kept = there.product.get(f"/v1/flows/{flow}")
    assert (kept["name"], kept["settings"]["attempts_max"]) == ("Payments of June", 4)
