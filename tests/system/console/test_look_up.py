"""Somebody rings up and asks why they were called: what the console knows of one number."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import FilePayload, expect

from tests.peers import require
from tests.system.console.browser import PATIENCE_MS, Visit, open_browser
from tests.system.console.product import Product, open_product

pytestmark = pytest.mark.peer

CHECKS: Final = (Path(__file__).parent / "checks.js").read_text(encoding="utf-8")
FLOW: Final = {
    "name": "Complaints",
    "kind": "multicast",
    "timezone": "UTC",
    "definition": {
        "start": "words",
        "nodes": {
            "words": {"type": "record", "max_s": 0.5, "variable": "words", "next": "bye"},
            "bye": {"type": "hangup"},
        },
    },
}
NUMBER: Final = "+14155559180"
FILE: Final = FilePayload(
    name="objections.csv", mimeType="text/csv", buffer=b"number,note\n+14155550001,mail\n12,\n"
)

expect.set_options(timeout=PATIENCE_MS)


def wait_completed(product: Product) -> None:
    """Wait until the first contact got its disposition, as the feed tells."""
    address = f"{product.url}/v1/events?since=0&type=contact.completed"
    headers = {"Authorization": f"Bearer {product.admin_key}"}
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as feed:
        assert any(line.startswith(b"data:") for line in feed)


def test_a_number_is_looked_up_listed_as_not_to_be_called_and_struck_off(tmp_path: Path) -> None:
    with (
        open_product(tmp_path) as product,
        open_browser(require("chromium", "chromium")) as browser,
    ):
        flow = product.post("/v1/flows", FLOW)["id"]
        did = {"number": "+14155550170", "account": "default", "trunk": "main", "cps": 5}
        product.post("/v1/dids", {**did, "channels": 9})
        product.run(product.client.attach_dids, flow, ["+14155550170"])
        product.run(product.client.activate_listener, flow)
        tab = Visit(browser, product.url)
        page = tab.page
        tab.sign_in(product.run(product.client.create_key, "default", "owner").key)
        page.get_by_role("link", name="Look up").click()
        field = page.get_by_label("Telephone number")
        field.fill("+1 415 555 9180")
        field.press("Enter")
        expect(page.get_by_text("No contact was called at it.")).to_be_visible()
        expect(page.get_by_text("It is not on the do-not-call list.")).to_be_visible()
        product.post(f"/v1/flows/{flow}/calls", {"to": NUMBER})
        wait_completed(product)
        field.press("Enter")
        calls = page.get_by_role("table", name="Calls of the number")
        expect(calls).to_contain_text("Complaints")
        expect(calls).to_contain_text("answered, 1 s")
        with page.expect_download() as coming:
            calls.get_by_role("button", name="Save words").click()
        assert Path(coming.value.path()).read_bytes().startswith(b"RIFF")
        assert page.evaluate(CHECKS) == []
        page.get_by_role("button", name="Do not call it any more").click()
        expect(page.get_by_text("No flow calls this number.")).to_be_visible()
        assert [one["number"] for one in product.get("/v1/dnc")["items"]] == [NUMBER]
        for look in tab.looks():
            assert (look, page.evaluate(CHECKS)) == (look, [])
        page.get_by_role("button", name=f"Strike {NUMBER} off").click()
        page.get_by_role("button", name="Strike it off").click()
        expect(page.get_by_text("It is not on the do-not-call list.")).to_be_visible()
        # What is no number can be put right, also where the page is asked for with it.
        tab.refusals_expected.append(400)
        tab.go("look-up/34", "Look up a number")
        expect(field).to_have_value("34")
        expect(page.locator("#notice")).to_contain_text("number")
        page.get_by_label("Add a file").set_input_files(FILE)
        expect(
            page.get_by_text("2 rows, 1 of them new. 1 row could not be taken; row 2:")
        ).to_be_visible()
        tab.close()
