"""A dialer flow's agents in the console: who is there, what they do, and why others are away."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from tests.system.console.browser import Visit
from tests.system.console.doing import look_around
from tests.system.console.site import Set

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def callbacks(there: Set) -> str:
    """A flow whose agents are there without being rung, with two of them; its id."""
    product = there.product
    flow = product.post(
        "/v1/flows",
        {
            "name": "Callbacks",
            "kind": "dialer",
            "timezone": "Europe/Berlin",
            "definition": {"start": "bye", "nodes": {"bye": {"type": "hangup"}}},
            "settings": {"dialing": "preview"},
        },
    )["id"]
    did = {"number": "+14155550150", "account": "default", "trunk": "main", "cps": 1, "channels": 1}
    product.post("/v1/dids", did)
    product.run(product.client.attach_dids, flow, ["+14155550150"])
    product.run(product.client.activate_listener, flow)
    for name, number in (("Ada Lovelace", "+16285550001"), ("Grace Hopper", "+16285550002")):
        product.post(f"/v1/flows/{flow}/agents", {"name": name, "number": number})
    return str(flow)


def test_agents_are_shown_as_they_come_and_go(
    there: Set, visit: Callable[[], Visit], callbacks: str
) -> None:
    product, agents = there.product, f"/v1/flows/{callbacks}/agents"
    first = product.get(agents)["items"][0]["id"]
    tab = visit()
    page = tab.page
    tab.sign_in(there.viewer)
    tab.go(f"flows/{callbacks}", "Callbacks")
    page.get_by_role("tab", name="Agents").click()
    rows = page.get_by_role("table", name="Agents").get_by_role("row")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("Ada Lovelace+16285550001away")
    product.post(f"{agents}/{first}", {"presence": "available"}, "PATCH")
    expect(rows.nth(1)).to_contain_text("Ada Lovelace+16285550001free")
    expect(page.get_by_text("1 free, 0 calls on the way to them.")).to_be_visible()
    product.post(f"{agents}/{first}", {"presence": "away"}, "PATCH")
    expect(rows.nth(1)).to_contain_text("Ada Lovelace+16285550001away")
    page.goto(f"{product.url}/#/flows/{there.quick}/agents")
    expect(page.get_by_role("tab", name="Call lists")).to_have_attribute("aria-selected", "true")
    assert page.get_by_role("tab", name="Agents").count() == 0


def test_calls_on_the_way_to_agents_are_counted_anew_as_calls_go_on(
    there: Set, visit: Callable[[], Visit], callbacks: str
) -> None:
    """Nothing is told of agents while the calls ring."""
    floor = there.product.get(f"/v1/flows/{callbacks}/floor")
    in_air = [0]

    def tell(route: Route) -> None:
        route.fulfill(json={**floor, "in_air": in_air[0]})

    tab = visit()
    page = tab.page
    page.route("**/floor", tell)
    tab.sign_in(there.viewer)
    tab.go(f"flows/{callbacks}/agents", "Callbacks")
    expect(page.get_by_text("0 calls on the way to them.")).to_be_visible()
    in_air[0] = 3
    there.product.post(f"/v1/flows/{there.quick}/calls", {"to": "+14155559180"})
    expect(page.get_by_text("3 calls on the way to them.")).to_be_visible()


def test_a_key_that_is_for_other_parts_than_agents_is_told_so(
    there: Set, visit: Callable[[], Visit], callbacks: str
) -> None:
    parts = ["activations", "attempts", "dids", "feed", "flows", "lists"]
    key = there.product.post("/v1/keys", {"role": "viewer", "account": "default", "scopes": parts})
    tab = visit()
    tab.sign_in(key["key"])
    tab.refusals_expected = [403]
    tab.go(f"flows/{callbacks}/agents", "Callbacks")
    expect(tab.page.get_by_text("This takes the scope agents")).to_be_visible()
    expect(tab.page.get_by_role("table", name="Agents")).to_be_hidden()


def test_the_talk_that_is_ended_is_the_one_that_was_shown(
    there: Set, visit: Callable[[], Visit], callbacks: str
) -> None:
    """By the time the button is pressed the agent may have the next customer."""
    some = there.product.get(f"/v1/flows/{callbacks}/agents")["items"][0]
    busy = {**some, "presence": "busy", "presence_reason": "call", "contact": "cnt_shown"}
    asked: list[str | None] = []
    refusal = {"status": 409, "code": "another_contact", "detail": "It is another contact by now."}

    def refuse(route: Route) -> None:
        asked.append(route.request.post_data)
        route.fulfill(status=409, content_type="application/problem+json", json=refusal)

    tab = visit()
    page = tab.page
    page.route("**/agents?*", lambda route: route.fulfill(json={"items": [busy], "next": None}))
    page.route("**/hangup", refuse)
    tab.sign_in(there.owner)
    tab.refusals_expected = [409]
    tab.go(f"flows/{callbacks}/agents", "Callbacks")
    page.get_by_role("button", name=f"End talk: {some['name']}").click()
    expect(page.get_by_text("It is another contact by now.")).to_be_visible()
    assert asked == ['{"contact":"cnt_shown"}']


def test_an_agent_who_was_lost_is_shown_with_the_reason(
    there: Set, visit: Callable[[], Visit], callbacks: str
) -> None:
    some = there.product.get(f"/v1/flows/{callbacks}/agents")["items"][0]
    states = [
        ("available", "asked", "free"),
        ("busy", "call", "has a customer"),
        ("wrap_up", "call", "writes up a call"),
        ("away", "asked", "away"),
        ("away", "hung_up", "away hung up"),
        ("away", "busy", "away the telephone was busy"),
        ("away", "no_answer", "away the telephone was not answered"),
        ("away", "restart", "away the engine was started anew"),
        ("away", None, "away"),
    ]
    shown = [
        {**some, "name": f"Agent {place}", "presence": presence, "presence_reason": reason}
        for place, (presence, reason, _) in enumerate(states)
    ]
    tab = visit()
    page = tab.page
    page.route("**/agents?*", lambda route: route.fulfill(json={"items": shown, "next": None}))
    tab.sign_in(there.viewer)
    tab.go(f"flows/{callbacks}/agents", "Callbacks")
    menu = page.locator("#navigation").get_by_role("link", name="Callbacks")
    expect(menu).to_have_attribute("aria-current", "page")
    cells = page.get_by_role("table", name="Agents").locator("td:nth-of-type(2)")
    expect(cells).to_have_text([words for _, _, words in states])
    look_around(tab)
