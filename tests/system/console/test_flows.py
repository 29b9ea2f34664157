"""Flows that are made and configured in the console, in a real Chromium."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import FilePayload, Route, expect

from tests.peers import require
from tests.system.console.browser import Visit
from tests.system.console.doing import CHECKS, button, heading, look_around, run_example
from tests.system.console.site import Set

pytestmark = pytest.mark.peer


def test_a_flow_is_configured_from_its_numbers_to_its_other_ways_in(
    there: Set, visit: Callable[[], Visit]
) -> None:
    curl = require("curl", "curl")
    tab = visit()
    page = tab.page
    tab.sign_in(there.owner)
    tab.go(f"flows/{there.bare}", "School closure")
    expect(page.get_by_text("The listener is off")).to_be_visible()
    page.get_by_role("tab", name="Call lists").press("ArrowRight")
    expect(page.get_by_role("tab", name="Configuration")).to_be_focused()
    there.product.post(
        "/v1/dids", {"number": "+14155550120", "account": "default", "trunk": "main"}
    )
    page.get_by_label("Attach a number").fill("+14155550120")
    button(page, "Attach").click()
    expect(button(page, "Detach +14155550120")).to_be_visible()
    listener = page.get_by_role("switch", name="Listener")
    expect(listener).not_to_be_checked()
    listener.press("Space")
    expect(listener).to_be_checked()
    assert page.evaluate(CHECKS) == []

    assert run_example(page, curl, "Make one call", there.owner)["contact"].startswith("cnt_")

    expect(page.get_by_role("region", name="E-mail address of the flow")).to_contain_text(
        re.compile("^flw_.*@lists.example.com$")
    )
    expect(page.get_by_text("Lists are taken from school@example.com.")).to_be_visible()
    expect(page.get_by_text("address not allowed", exact=True)).to_be_visible()
    (there.product.watched / "closure" / "incoming" / "parents.csv").write_text(
        "tel1\n+14155556000\n", encoding="utf-8"
    )
    picked_up = page.get_by_role("table", name="Files that were picked up")
    expect(picked_up).to_contain_text("parents.csv")
    assert page.evaluate(CHECKS) == []
    picked_up.get_by_role("link").click()
    expect(heading(page, "parents.csv")).to_be_visible()
    tab.go(f"flows/{there.bare}/configuration", "School closure")

    listener.press("Space")
    expect(listener).not_to_be_checked()
    button(page, "Detach +14155550120").click()
    expect(
        page.get_by_text("None. The listener can be switched on when there is one.")
    ).to_be_visible()


def test_a_flow_is_made_in_the_console_and_its_examples_are_taken_as_they_stand(
    there: Set, visit: Callable[[], Visit]
) -> None:
    """Also by a flow whose variables have types, and no defaults."""
    curl = require("curl", "curl")
    there.product.post(
        "/v1/dids", {"number": "+14155550130", "account": "default", "trunk": "main"}
    )
    tab = visit()
    page = tab.page
    tab.sign_in(there.owner)
    page.get_by_role("link", name="New flow").click()
    expect(heading(page, "New flow")).to_be_focused()
    look_around(tab)
    source = page.get_by_label("The flow, as JSON")
    alert = page.locator(".wrong")
    first = json.loads(source.input_value())
    source.fill("{")
    button(page, "Make the flow").click()
    expect(alert).to_contain_text("This is not JSON: ")
    tab.refusals_expected = [422]
    source.fill(json.dumps({**first, "timezone": "Mars"}))
    button(page, "Make the flow").click()
    expect(alert).to_contain_text("/timezone 'Mars' is not an IANA time zone")
    assert page.evaluate(CHECKS) == []

    needed: dict[str, dict[str, str]] = {f"need{place}": {"type": "date"} for place in range(4)}
    variables = {"name": {"default": ""}, "when": {"type": "datetime"}, **needed}
    typed = {**first, "definition": {**first["definition"], "variables": variables}}
    page.get_by_label("Choose a file").set_input_files(
        FilePayload(
            name="typed.json", mimeType="application/json", buffer=json.dumps(typed).encode()
        )
    )
    expect(source).to_have_value(json.dumps(typed))
    expect(alert).to_be_empty()
    button(page, "Make the flow").press("Enter")
    expect(heading(page, "Confirmation")).to_be_visible()
    expect(page.get_by_role("tab", name="Configuration")).to_have_attribute("aria-selected", "true")
    page.get_by_label("Attach a number").fill("+14155550130")
    button(page, "Attach").click()
    page.get_by_role("switch", name="Listener").click()
    expect(page.get_by_role("switch", name="Listener")).to_be_checked()
    called = run_example(page, curl, "Make one call", there.owner)
    assert called.get("contact", str(called)).startswith("cnt_")
    sent = run_example(page, curl, "Send many people at once", there.owner)
    assert sent.get("accepted") == 1, sent


def test_whoever_has_gone_elsewhere_is_not_fetched_to_the_flow_that_was_made(
    there: Set, visit: Callable[[], Visit]
) -> None:
    tab = visit()
    page = tab.page
    tab.sign_in(there.owner)
    tab.go("new-flow", "New flow")
    held: list[Route] = []
    page.route(
        "**/v1/flows",
        lambda one: held.append(one) if one.request.method == "POST" else one.fallback(),
    )
    with page.expect_request(lambda one: one.method == "POST"):
        button(page, "Make the flow").click()
    tab.go("numbers", "Caller numbers")
    with page.expect_response(lambda one: one.request.method == "POST"):
        held[0].continue_()
    expect(
        page.locator("#navigation").get_by_role("link", name="Confirmation").last
    ).to_be_visible()
    assert page.url.endswith("#/numbers")
    expect(heading(page, "Caller numbers")).to_be_visible()
