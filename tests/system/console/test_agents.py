"""Agents of a dialer flow as an operator looks after them in the console, from the first one on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import expect

from tests.peers import require
from tests.system.console.browser import PATIENCE_MS, Visit, open_browser
from tests.system.console.product import open_product

pytestmark = pytest.mark.peer

CHECKS: Final = (Path(__file__).parent / "checks.js").read_text(encoding="utf-8")
FLOW: Final = {
    "name": "Autumn sales",
    "kind": "dialer",
    "timezone": "UTC",
    "definition": {
        "start": "agent",
        "nodes": {
            "agent": {"type": "transfer", "to": "agent", "next": "bye"},
            "bye": {"type": "hangup"},
        },
    },
    "settings": {"attempts_max": 1, "dialing": "preview", "wrap_up_s": 300, "first": "customer"},
}

expect.set_options(timeout=PATIENCE_MS)


def test_an_operator_adds_an_agent_who_logs_in_talks_wraps_up_and_is_removed(
    tmp_path: Path,
) -> None:
    with (
        open_product(tmp_path) as product,
        open_browser(require("chromium", "chromium")) as browser,
    ):
        client = product.client
        flow = product.post("/v1/flows", FLOW)["id"]
        number = {
            "number": "+14155550160",
            "account": "default",
            "trunk": "main",
            "cps": 5,
            "channels": 9,
        }
        product.post("/v1/dids", number)
        product.run(client.attach_dids, flow, ["+14155550160"])
        product.run(client.activate_listener, flow)
        tab = Visit(browser, product.url)
        page = tab.page
        tab.sign_in(product.run(client.create_key, "default", "operator").key)
        tab.go(f"flows/{flow}/agents", "Autumn sales")
        expect(page.get_by_text("The flow has no agent yet.")).to_be_visible()
        page.get_by_label("Name").fill("Ada Lovelace")
        page.get_by_label("Telephone").fill("+14155559200")
        page.get_by_role("button", name="Add", exact=True).press("Enter")
        row = page.get_by_role("table", name="Agents").get_by_role("row").nth(1)
        expect(row).to_contain_text("Ada Lovelace+14155559200away")
        page.get_by_role("button", name="Log in: Ada Lovelace").press("Enter")
        expect(row.locator(".pill")).to_have_text("free")
        expect(page.get_by_role("button", name="Log out: Ada Lovelace")).to_be_focused()
        assert page.evaluate(CHECKS) == []
        agent = product.get(f"/v1/flows/{flow}/agents")["items"][0]["id"]
        sent = {"name": "June", "contacts": [{"tel": ["+14155559180"]}]}
        product.post(f"/v1/flows/{flow}/multicast", sent)
        shown = product.post(f"/v1/flows/{flow}/agents/{agent}/next", None)
        product.post(f"/v1/flows/{flow}/agents/{agent}/dial", {"contact": shown["contact"]["id"]})
        expect(row.locator(".pill")).to_have_text("has a customer")
        expect(row.locator(".pill")).to_have_text("writes up a call")
        page.get_by_role("button", name="Count the calls").click()
        done = page.get_by_role("table", name="What agents did").get_by_role("row").nth(1)
        expect(done).to_contain_text(re.compile("^Ada Lovelace10:0[0-9]0:0[0-9]"))
        expect(page.get_by_text("1 call in the last 24 hours.")).to_be_visible()
        assert page.evaluate(CHECKS) == []
        page.get_by_role("button", name="End wrap-up: Ada Lovelace").click()
        expect(row.locator(".pill")).to_have_text("free")
        page.get_by_role("button", name="Log out: Ada Lovelace").click()
        expect(row.locator(".pill")).to_have_text("away")
        page.get_by_role("button", name="Remove: Ada Lovelace").click()
        page.get_by_role("button", name="Remove the agent").click()
        expect(page.get_by_text("The flow has no agent yet.")).to_be_visible()
        tab.close()
