"""Call lists in the console, from a file to its results, in a real Chromium."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, get_args

import pytest
from playwright.sync_api import FilePayload, WebSocketRoute, expect

from engine.model import BlockerCode, ListStatus
from tests.system.console.browser import Visit
from tests.system.console.doing import (
    CHECKS,
    button,
    heading,
    look_around,
    make_list,
    save,
    take_pictures,
    wait_for,
)
from tests.system.console.site import Set

pytestmark = pytest.mark.peer

WORDS: Final = """
(codes) => import("/console/words.js").then(({ waiting }) => Object.fromEntries(codes.map((code) =>
  [code, [waiting(code, 1), waiting(code, 812, "2099-03-01T09:30:00Z")]])))
"""


def test_everything_that_a_list_may_wait_for_has_its_words(
    there: Set, visit: Callable[[], Visit]
) -> None:
    tab = visit()
    tab.page.goto(tab.url)
    told = tab.page.evaluate(WORDS, [*get_args(BlockerCode)])
    assert {code: words for code, words in told.items() if f"({code})" in "".join(words)} == {}
    assert told["calling_window"] == [
        "1 waits for the calling window",
        "812 wait for the calling window until 1 Mar 2099, 10:30",
    ]
    statuses = tab.page.evaluate("import('/console/words.js').then((words) => words.STATUS)")
    assert {*statuses} == {*get_args(ListStatus)}


def test_a_dropped_list_is_reviewed_called_and_its_results_are_downloaded(
    there: Set, visit: Callable[[], Visit]
) -> None:
    there.product.post("/v1/dnc", {"numbers": ["+14155551003"]})
    text = make_list(40, 1000, "9.19E+11,Sheet", "+44 20 7946 0018,Abroad", "+14155551000,Again")
    tab = visit()
    page = tab.page
    tab.sign_in(there.owner)
    page.get_by_role("link", name="Appointment reminder").first.click()
    expect(heading(page, "Appointment reminder")).to_be_focused()
    tab.drop(".upload", "appointments-june.csv", text)
    expect(heading(page, "40 people would be called")).to_be_focused()
    review = page.get_by_role("group", name="Review of appointments-june.csv")
    for told in (
        "3rows are not taken",
        "1on the do-not-call list: 1 person will be skipped",
        "United States 40",
        "All of them at once.",
        ", between ",
        "What holds it back most: ",
    ):
        expect(review).to_contain_text(told)
    rejected = review.get_by_role("table", name="Rows that are not taken")
    expect(rejected.get_by_role("row")).to_have_count(4)
    expect(rejected).to_contain_text("spreadsheet damage")
    assert page.evaluate(CHECKS) == []

    button(page, "Call 40 people").click()
    expect(heading(page, "appointments-june.csv")).to_be_visible()
    expect(page.get_by_text("completed", exact=True)).to_be_visible()
    expect(page.locator(".score")).to_have_text("40 of 40 done")
    results = list(csv.DictReader(save(page, "Results").splitlines()))
    assert {row["tel1"] for row in results} == {f"+1415555{number}" for number in range(1000, 1040)}
    assert {row["status"] for row in results} == {"completed"}
    assert [row["tel1"] for row in results if row["disposition"] == "skipped"] == ["+14155551003"]
    reasons = [row["code"] for row in csv.DictReader(save(page, "Rejected rows").splitlines())]
    assert reasons == ["spreadsheet_damage", "number_not_allowed", "duplicate_number"]
    called = there.product.run(there.product.client.list_attempts, page.url.rpartition("/")[2])
    assert len(called) == 39
    assert button(page, "Cancel").count() == 0

    page.get_by_role("link", name="Appointment reminder").first.click()
    again = FilePayload(name="again.csv", mimeType="text/csv", buffer=text.encode())
    page.get_by_label("Choose a file").set_input_files(again)
    asked = page.get_by_role("alert").filter(has_text="The same file came in already.")
    expect(asked).to_contain_text("It made the list appointments-june.csv")
    assert button(page, "Call 40 people").count() == 0
    button(page, "Leave it").click()
    expect(page.get_by_label("Choose a file")).to_be_focused()
    page.get_by_label("Choose a file").set_input_files(again)
    button(page, "Call 40 people again").click()
    expect(heading(page, "again.csv")).to_be_visible()


def test_a_list_is_watched_paused_resumed_and_canceled_by_keyboard(
    there: Set, visit: Callable[[], Visit], tmp_path: Path
) -> None:
    """Also the pictures of the README: a review, and a list that is being called."""
    tab, other = visit(), visit()
    page = tab.page
    tab.sign_in(there.owner)
    other.sign_in(there.owner)
    tab.go(f"flows/{there.quick}", "Appointment reminder")
    # It goes on for half a minute: a busy machine takes its time over what is done meanwhile.
    text = make_list(900, 2000, "9.19E+11,Sheet", "+44 20 7946 0018,Abroad")
    tab.drop(".upload", "customers-june.csv", text)
    expect(heading(page, "900 people would be called")).to_be_visible()
    look_around(tab)
    take_pictures(tab, "phone", tmp_path)
    button(page, "Call 900 people").press("Enter")
    expect(heading(page, "customers-june.csv")).to_be_focused()
    expect(page.get_by_role("table", name="Calls going on now")).to_be_visible()
    expect(page.get_by_text(re.compile("^[1-9][0-9]{2} of 900 done$"))).to_be_visible()
    take_pictures(tab, "console", tmp_path)
    button(page, "Pause").press("Enter")
    expect(button(page, "Resume")).to_be_focused()
    expect(page.get_by_text(re.compile("^[0-9]+ wait, as the list is paused$"))).to_be_visible()
    button(page, "When does it end?").press("Enter")
    expect(page.get_by_text(re.compile("^About .*, between .* and "))).to_be_visible()
    look_around(tab)
    other.go(page.url.partition("#/")[2], "customers-june.csv")
    expect(other.page.locator(".page-head .pill")).to_have_text("paused")
    button(page, "Cancel").press("Enter")
    dialog = page.get_by_role("dialog", name="Cancel customers-june.csv?")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    button(page, "Resume").press("Enter")
    expect(button(page, "Pause")).to_be_focused()
    expect(other.page.locator(".page-head .pill")).to_have_text("calling")
    button(page, "Cancel").press("Enter")
    button(page, "Cancel the list").press("Enter")
    for one in (page, other.page):
        expect(one.locator(".page-head .pill")).to_have_text("canceled")
        expect(one.get_by_text("900 of 900 done")).to_be_visible()


def test_what_waits_is_told_in_words_and_goes_on_when_the_feed_breaks_off(
    there: Set, visit: Callable[[], Visit]
) -> None:
    """The feed comes back by itself, and asks for what it has missed."""
    tab = visit()
    page = tab.page
    feeds: list[WebSocketRoute] = []

    def pass_on(feed: WebSocketRoute) -> None:
        feeds.append(feed)
        feed.connect_to_server()

    page.route_web_socket(re.compile("/v1/feed"), pass_on)
    tab.sign_in(there.owner)
    tab.go(f"flows/{there.slow}", "Customer survey")
    later = "+14155553100,Late,2099-03-01T09:30:00Z"
    text = make_list(3, 3000).replace("name", "name,starttime") + "\n" + later
    tab.drop(".upload", "survey.csv", text)
    expect(
        page.get_by_text("3 people at once, 1 person later, the last at 1 Mar 2099, 10:30.")
    ).to_be_visible()
    button(page, "Call 4 people").click()
    expect(
        page.get_by_text("1 waits for its start time, the first until 1 Mar 2099, 10:30")
    ).to_be_visible()
    expect(page.get_by_text(re.compile("their calls a second"))).to_be_visible()
    expect(page.locator("#live")).to_have_text("live")
    before = len(feeds)
    feeds[-1].close()
    wait_for(page, lambda: len(feeds) > before)
    assert "since=" in feeds[-1].url
    # How many are done by the time that this is looked at depends on the machine.
    expect(page.get_by_text(re.compile("^[1-3] of 4 done$"))).to_be_visible()
    expect(page.locator("#live")).to_have_text("live")
    assert page.evaluate(CHECKS) == []
    button(page, "Show who is on it").click()
    people = page.get_by_role("table", name="People on the list")
    expect(people).to_contain_text("Its start time has not come. Until 1 Mar 2099, 10:30.")
    button(page, "Cancel").click()
    button(page, "Cancel the list").click()
    expect(page.locator(".page-head .pill")).to_have_text("canceled")


def test_a_large_file_shows_how_far_it_is_and_can_be_stopped(
    there: Set, visit: Callable[[], Visit]
) -> None:
    tab = visit()
    page = tab.page
    tab.sign_in(there.owner)
    tab.go(f"flows/{there.quick}", "Appointment reminder")
    tab.slow_down(100_000)
    tab.drop(".upload", "large.csv", make_list(1, 9000) + "\n" + "x" * 2_000_000)
    expect(page.get_by_text(re.compile("^Sending large.csv: [1-9][0-9]? %$"))).to_be_visible()
    expect(page.get_by_role("progressbar", name="Upload")).to_be_visible()
    button(page, "Stop").click()
    expect(page.get_by_text("Drop a call list here")).to_be_visible()
    tab.drop(".upload", "larger.csv", "x" * 6_000_000)
    expect(
        page.get_by_role("alert").filter(has_text="larger.csv is larger than 5 MB")
    ).to_be_visible()
