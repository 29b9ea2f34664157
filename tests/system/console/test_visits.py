"""Who may look at the console, and what each is shown and offered, in a real Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from tests.system.console.browser import Visit
from tests.system.console.doing import CHECKS, button, heading, wait_for
from tests.system.console.site import Set

pytestmark = pytest.mark.peer


def test_a_key_that_is_not_known_is_told_so_and_a_good_one_opens_the_console(
    there: Set, visit: Callable[[], Visit]
) -> None:
    tab = visit()
    page = tab.page
    page.goto(tab.url)
    expect(page.get_by_label("Key")).to_be_focused()
    assert page.evaluate(CHECKS) == []
    tab.refusals_expected = [401]
    page.keyboard.type("cw_wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("The key is not known.")
    page.get_by_label("Key").fill(there.owner)
    page.keyboard.press("Enter")
    expect(heading(page, "Overview")).to_be_visible()
    button(page, "Sign out").click()
    expect(heading(page, "Sign in to Callwheel")).to_be_visible()
    page.reload()
    expect(heading(page, "Sign in to Callwheel")).to_be_visible()


def test_a_viewer_sees_everything_and_is_offered_nothing_that_changes(
    there: Set, visit: Callable[[], Visit]
) -> None:
    tab = visit()
    page = tab.page
    tab.sign_in(there.viewer)
    tab.go(f"flows/{there.quick}/configuration", "Appointment reminder")
    expect(page.get_by_text("+14155550100", exact=True)).to_be_visible()
    expect(page.get_by_role("switch", name="Listener")).to_be_disabled()
    for name in ("Attach", re.compile("Detach"), "Choose a file", "Pause", "Cancel"):
        assert button(page, name).count() == 0
    tab.go("numbers", "Caller numbers")
    expect(page.get_by_role("table", name="Caller numbers")).to_contain_text("+14155550100")
    assert button(page, re.compile("rest")).count() == 0
    tab.go("prompts", "Prompts")
    expect(page.get_by_role("table", name="Prompts")).to_contain_text("Appointment reminder.wav")
    assert page.get_by_label("Upload a prompt").count() == 0
    assert page.get_by_role("link", name="New flow").count() == 0
    tab.go("new-flow", "New flow")
    expect(page.get_by_text("An owner of the account makes flows.")).to_be_visible()
    assert button(page, "Make the flow").count() == 0


def test_an_administrator_goes_from_account_to_account(
    there: Set, visit: Callable[[], Visit]
) -> None:
    there.product.run(there.product.client.create_account, "hospital", "UTC", "it@hospital.example")
    tab = visit()
    page = tab.page
    tab.sign_in(there.product.admin_key)
    flows = page.get_by_role("list", name="Flows").first
    expect(flows).to_contain_text("Customer survey")
    page.get_by_label("Account").select_option("hospital")
    expect(page.get_by_text("There is no flow yet.")).to_be_visible()
    page.get_by_label("Account").select_option("default")
    expect(flows).to_contain_text("Customer survey")


def test_what_was_asked_of_one_account_is_neither_asked_of_the_next_nor_shown_there(
    there: Set, visit: Callable[[], Visit]
) -> None:
    """Two lists are asked for, one after the other, when an administrator turns to another account."""
    for name in ("clinic", "practice"):
        there.product.run(there.product.client.create_account, name, "UTC", f"it@{name}.example")
    tab = visit()
    page = tab.page
    tab.sign_in(there.product.admin_key)
    expect(page.locator("#live")).to_have_text("live")
    held: list[Route] = []
    page.route("**/v1/lists/lst_*", lambda one: one.fallback() if held else held.append(one))
    for flow in (there.quick, there.slow):
        there.product.post(f"/v1/flows/{flow}/calls", {"to": "+14155559180"})
    wait_for(page, lambda: bool(held))
    page.get_by_label("Account").select_option("clinic")
    expect(page.get_by_text("There is no flow yet.")).to_be_visible()
    with page.expect_response(lambda one: "/v1/lists/lst_" in one.url):
        held[0].continue_()
    page.get_by_label("Account").select_option("practice")
    page.get_by_label("Account").select_option("clinic")
    expect(page.get_by_text("There is no flow yet.")).to_be_visible()
    expect(page.get_by_text("Nobody to call yet")).to_be_visible()


def test_an_account_that_is_chosen_before_the_last_choice_is_there_is_the_one_that_is_shown(
    there: Set, visit: Callable[[], Visit]
) -> None:
    for name in ("bakery", "brewery"):
        there.product.run(there.product.client.create_account, name, "UTC", f"it@{name}.example")
    tab = visit()
    page = tab.page
    tab.sign_in(there.product.admin_key)
    held: list[Route] = []
    page.route("**/v1/me", lambda one: held.append(one))
    page.get_by_label("Account").select_option("bakery")
    wait_for(page, lambda: len(held) == 1)
    page.get_by_label("Account").select_option("brewery")
    wait_for(page, lambda: len(held) == 2)
    for one in held:
        with page.expect_response(lambda answer: answer.url.endswith("/v1/me")):
            one.continue_()
    expect(page.get_by_text("There is no flow yet.")).to_be_visible()
    tab.go("numbers", "Caller numbers")
    expect(page.get_by_label("Account").locator("option:checked")).to_have_text("brewery")
    assert (
        page.evaluate("sessionStorage.getItem('account')")
        == page.get_by_label("Account").input_value()
    )


def test_a_key_that_ends_ends_the_visit(there: Set, visit: Callable[[], Visit]) -> None:
    key = there.product.run(there.product.client.create_key, "default", "operator")
    tab = visit()
    tab.sign_in(key.key)
    expect(tab.page.locator("#live")).to_have_text("live")
    tab.refusals_expected = [401]
    there.product.run(there.product.client.revoke_key, key.id)
    # Not by a click: the feed may have ended the visit by then.
    tab.page.evaluate("location.hash = '#/prompts'")
    expect(heading(tab.page, "Sign in to Callwheel")).to_be_visible()
    expect(tab.page.get_by_role("alert")).to_have_text("The key is not good any more.")


def test_every_view_can_be_read_and_used_by_everybody(
    there: Set, visit: Callable[[], Visit]
) -> None:
    """Names, roles, contrast, and nothing wider than the screen."""
    tab = visit()
    tab.sign_in(there.owner)
    views = {
        "": "Overview",
        "numbers": "Caller numbers",
        "prompts": "Prompts",
        "new-flow": "New flow",
        f"flows/{there.quick}": "Appointment reminder",
        f"flows/{there.quick}/configuration": "Appointment reminder",
    }
    for place, title in views.items():
        tab.go(place, title)
        for look in tab.looks():
            if look.startswith("phone") and tab.page.locator("#side").is_hidden():
                button(tab.page, "Menu").click()
            assert (place, look, tab.page.evaluate(CHECKS)) == (place, look, [])
