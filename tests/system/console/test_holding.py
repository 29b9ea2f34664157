"""What the console says of flows and lists that do not call, and how a flow is held and let go on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.peers import require
from tests.system.console.browser import PATIENCE_MS, Visit, open_browser
from tests.system.console.product import Product, make_flow, open_product

pytestmark = pytest.mark.peer

CHECKS: Final = (Path(__file__).parent / "checks.js").read_text(encoding="utf-8")

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with open_product(tmp_path_factory.mktemp("product")) as product:
        yield product


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser(require("chromium", "chromium")) as browser:
        yield browser


@pytest.fixture
def tab(product: Product, browser: Browser) -> Iterator[Visit]:
    """A tab of an operator, in which nothing may go wrong."""
    visit = Visit(browser, product.url)
    visit.sign_in(product.run(product.client.create_key, "default", "operator").key)
    yield visit
    visit.close()


def send(product: Product, flow: str, name: str, first: int, people: int) -> None:
    """A list of so many people, over the API."""
    contacts = [{"tel": [f"+1415555{number:04}"]} for number in range(first, first + people)]
    product.post(f"/v1/flows/{flow}/multicast", {"name": name, "contacts": contacts})


def find_card(tab: Visit, name: str) -> Locator:
    link = tab.page.get_by_role("link", name=name, exact=True)
    return tab.page.get_by_role("listitem").filter(has=link)


def test_a_flow_is_held_and_goes_on_and_its_lists_say_so_meanwhile(
    product: Product, tab: Visit
) -> None:
    page = tab.page
    flow = product.run(make_flow, product.client, "Flood warning", ["+14155550120"], 0.2)
    product.run(product.client.activate_listener, flow)
    send(product, flow, "Riverside", 4000, 50)
    tab.go(f"flows/{flow}", "Flood warning")
    page.get_by_role("button", name="Pause all calls").press("Enter")
    expect(page.get_by_role("button", name="Resume all calls")).to_be_focused()
    expect(page.locator(".page-head .pill")).to_have_text("paused")
    expect(find_card(tab, "Riverside").locator(".pill")).to_have_text("flow paused")
    assert page.evaluate(CHECKS) == []
    tab.go("", "Overview")
    card = find_card(tab, "Riverside")
    expect(card.locator(".pill")).to_have_text("flow paused")
    expect(card.get_by_text(re.compile("^[0-9]+ wait, as the flow is paused"))).to_be_visible()
    expect(page.get_by_role("link", name="Flood warning (paused)")).to_be_visible()
    expect(page.locator(".flow", has_text="Flood warning")).to_contain_text("paused")
    assert page.evaluate(CHECKS) == []
    tab.go(f"flows/{flow}", "Flood warning")
    page.get_by_role("button", name="Resume all calls").click()
    expect(page.locator(".page-head .pill")).to_have_text("")
    expect(find_card(tab, "Riverside").locator(".pill")).to_have_text("calling")
    page.get_by_role("switch").click()
    expect(find_card(tab, "Riverside").locator(".pill")).to_have_text("listener off")


def test_a_list_that_waits_for_its_window_is_not_said_to_call(product: Product, tab: Visit) -> None:
    today = datetime.fromisoformat(product.get("/v1/accounts")["items"][0]["created_at"])
    day = (today + timedelta(days=3)).strftime("%a").lower()
    settings = {"calling_window": {"start": "09:00", "end": "10:00", "days": [day]}}
    flow = product.run(make_flow, product.client, "Payments", ["+14155550121"], 5, settings)
    product.run(product.client.activate_listener, flow)
    send(product, flow, "June", 4100, 2)
    tab.go("", "Overview")
    card = find_card(tab, "June")
    expect(card.locator(".pill")).to_have_text("waiting")
    expect(card.get_by_text(re.compile("^2 wait for the calling window until "))).to_be_visible()


def test_a_viewer_is_not_offered_to_hold_a_flow(product: Product, browser: Browser) -> None:
    flow = product.run(make_flow, product.client, "Survey", ["+14155550122"], 5)
    visit = Visit(browser, product.url)
    visit.sign_in(product.run(product.client.create_key, "default", "viewer").key)
    visit.go(f"flows/{flow}", "Survey")
    expect(visit.page.get_by_role("switch")).to_be_disabled()
    expect(visit.page.get_by_role("button", name=re.compile("all calls"))).to_have_count(0)
    visit.close()


def test_a_list_whose_number_rests_says_why_it_does(product: Product, tab: Visit) -> None:
    number = "+14155550123"
    flow = product.run(make_flow, product.client, "Offers", [number], 5)
    product.run(product.client.activate_listener, flow)
    product.post(f"/v1/dids/{number}/rest", {"note": "asked by the carrier"})
    send(product, flow, "July", 4200, 3)
    tab.go("", "Overview")
    card = find_card(tab, "July")
    expect(card.locator(".pill")).to_have_text("waiting")
    expect(card).to_contain_text("3 wait, as the caller numbers have made as many calls")
    expect(card).to_contain_text("asked by the carrier")


def test_answers_are_counted_by_question_with_what_follows_each(
    product: Product, tab: Visit
) -> None:
    """The last word of each person counts, and no recording is an answer. Words that mean something to
    JavaScript are words like others."""
    flow = product.run(make_flow, product.client, "Surgery", ["+14155550125"], 5)
    ask = {"type": "gather", "prompt": {"say": "1 or 2?"}, "digits": 1, "variable": "answer"}
    ask |= {"branches": {"1": "confirmed", "2": "cannot_come"}, "otherwise": "cannot_come"}
    nodes = {"ask": ask, "confirmed": {"type": "hangup"}, "cannot_come": {"type": "hangup"}}
    shown = product.get(f"/v1/flows/{flow}")
    body = {name: shown[name] for name in ("name", "kind", "timezone", "settings")}
    product.post(
        f"/v1/flows/{flow}", {**body, "definition": {"start": "ask", "nodes": nodes}}, "PUT"
    )
    product.run(product.client.activate_listener, flow)
    send(product, flow, "Monday", 4400, 1)
    results = [("a", "2"), ("a", "1"), ("b", "1"), ("c", "2"), ("d", "")]
    calls = [{"contact": one, "result": {"answer": key, "words": "rec_1"}} for one, key in results]
    calls.append({"contact": "e", "result": {"answer": "toString", "constructor": "3"}})
    asked = re.compile("/v1/attempts[?]list=")
    tab.page.route(asked, lambda route: route.fulfill(json={"items": calls, "next": None}))
    tab.go("", "Overview")
    find_card(tab, "Monday").get_by_role("link").click()
    tab.page.get_by_role("button", name="Count the answers").press("Enter")
    rows = tab.page.get_by_role("table", name="Answers").get_by_role("row")
    expect(rows).to_have_text(
        [
            re.compile("Question"),
            "answer1, confirmed250 %",
            "answer2, cannot come125 %",
            "answertoString125 %",
            "constructor31100 %",
        ]
    )
    expect(tab.page.get_by_text("5 people called so far.")).to_be_visible()
    assert tab.page.evaluate(CHECKS) == []


def test_rows_that_were_not_taken_are_found_in_the_file(product: Product, tab: Visit) -> None:
    flow = product.run(make_flow, product.client, "Invoices", ["+14155550124"], 5)
    product.run(product.client.activate_listener, flow)
    file = b"tel1,name,branch\n+14155554300,Ada,North\n12,Bob,South\n"
    made = product.run(product.client.upload_list, flow, "august.csv", file)
    tab.go(f"lists/{made.id}", "august.csv")
    rejected = tab.page.get_by_role("table", name="Rejected rows").get_by_role("rowheader")
    expect(rejected).to_have_text(["header", "2"])
    expect(tab.page.get_by_text("Row 1 is the one below the header")).to_be_visible()
