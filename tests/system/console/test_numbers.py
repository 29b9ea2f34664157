"""Caller numbers and prompts in the console, in a real Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import FilePayload, expect

from api.commands.demo_list import make_chime
from tests.system.console.browser import Visit
from tests.system.console.doing import button, look_around
from tests.system.console.site import Set

pytestmark = pytest.mark.peer


def test_a_number_is_let_rest_and_a_prompt_is_uploaded(
    there: Set, visit: Callable[[], Visit]
) -> None:
    tab = visit()
    page = tab.page
    tab.sign_in(there.owner)
    tab.go("numbers", "Caller numbers")
    button(page, "Let +14155550110 rest").press("Enter")
    row = page.get_by_role("row", name=re.compile("14155550110"))
    expect(row).to_contain_text("resting")
    expect(row).to_contain_text("somebody let it rest")
    button(page, "Let +14155550110 call again").click()
    expect(row).not_to_contain_text("resting")
    tab.go("prompts", "Prompts")
    page.get_by_label("Upload a prompt").set_input_files(
        FilePayload(name="greeting.wav", mimeType="audio/wav", buffer=make_chime(7))
    )
    prompt = page.get_by_role("row", name=re.compile("greeting.wav"))
    expect(prompt).to_contain_text("0:01")
    prompt.get_by_role("button", name="Copy the id of greeting.wav").click()
    assert page.evaluate("navigator.clipboard.readText()").startswith("prm_")


def test_an_administrator_adds_a_number_and_an_owner_is_not_offered_that(
    there: Set, visit: Callable[[], Visit]
) -> None:
    tab = visit()
    page = tab.page
    tab.sign_in(there.product.admin_key)
    tab.go("numbers", "Caller numbers")
    look_around(tab)
    page.get_by_label("Trunk or route").fill("main")
    page.get_by_label("Calls a second").fill("2")
    page.get_by_label("Number", exact=True).fill("12")
    tab.refusals_expected = [422]
    button(page, "Add").click()
    expect(page.locator("#notice")).to_contain_text("country code")
    page.get_by_label("Number", exact=True).fill("+14155550140")
    button(page, "Add").click()
    row = page.get_by_role("row", name=re.compile("14155550140"))
    expect(row).to_contain_text("0 of 30")
    expect(row).to_contain_text("0 of 2")
    owner = visit()
    owner.sign_in(there.owner)
    owner.go("numbers", "Caller numbers")
    expect(owner.page.get_by_role("row", name=re.compile("14155550140"))).to_be_visible()
    assert button(owner.page, "Add").count() == 0
