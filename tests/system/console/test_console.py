"""The console in a real Chromium, over a running engine that calls the simulated carrier."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any, Final, get_args

import pytest
from msgspec import Struct
from playwright.sync_api import Browser, FilePayload, Page, Route, WebSocketRoute, expect

from api.commands.demo_list import make_chime
from engine.model import BlockerCode, ListStatus
from tests.peers import require
from tests.system.console.browser import PATIENCE_MS, Visit, open_browser
from tests.system.console.product import Product, make_flow, open_product

pytestmark = pytest.mark.peer

CHECKS: Final = (Path(__file__).parent / "checks.js").read_text(encoding="utf-8")
WORDS: Final = """
(codes) => import("/console/words.js").then(({ waiting }) => Object.fromEntries(codes.map((code) =>
  [code, [waiting(code, 1), waiting(code, 812, "2099-03-01T09:30:00Z")]])))
"""
PICTURE_BYTES_MAX: Final = 150_000
ONE_KEY: Final = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(range(32))
PICTURES: Final = "CALLWHEEL_SCREENSHOTS"
"""Names the folder that pictures are written to; without it they are made and thrown away."""

DOORS: Final = {
    "email_senders": ["school@example.com"],
    "folder": {"path": "closure", "every_s": 1},
    "sftp": {
        "host": "127.0.0.1",
        "user": "callwheel",
        "password": "x",
        "host_key": f"ssh-ed25519 {b64encode(ONE_KEY).decode()}",
    },
}
"""A folder that is watched, and a server at an address that the configuration does not allow."""

expect.set_options(timeout=PATIENCE_MS)


class Set(Struct, frozen=True):
    """What all tests of this module use."""

    product: Product
    browser: Browser
    owner: str
    viewer: str
    quick: str
    """A flow that calls as fast as it may."""
    slow: str
    """A flow that makes a call in five seconds."""
    bare: str
    """A flow without a number."""


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Set]:
    program = require("chromium", "chromium")
    with (
        open_product(tmp_path_factory.mktemp("product")) as product,
        open_browser(program) as browser,
    ):
        run, client = product.run, product.client
        keys = [run(client.create_key, "default", role) for role in ("owner", "viewer")]
        quick = run(make_flow, client, "Appointment reminder", ["+14155550100"], 30)
        slow = run(make_flow, client, "Customer survey", ["+14155550110"], 0.2)
        bare = run(make_flow, client, "School closure", [], 1, DOORS)
        for flow in (quick, slow):
            run(client.activate_listener, flow)
        yield Set(product, browser, keys[0].key, keys[1].key, quick, slow, bare)


@pytest.fixture
def visit(there: Set) -> Iterator[Callable[[], Visit]]:
    """Opens tabs in which nothing may go wrong."""
    visits: list[Visit] = []

    def open_visit() -> Visit:
        visits.append(Visit(there.browser, there.product.url))
        return visits[-1]

    yield open_visit
    for one in visits:
        one.close()


def make_list(people: int, first: int, *more: str) -> str:
    """A call list of so many numbers, and further rows."""
    numbers = range(first, first + people)
    return "\n".join(["tel1,name", *(f"+1415555{number:04},Ada" for number in numbers), *more])


def heading(page: Page, name: str | re.Pattern[str]) -> Any:
    return page.get_by_role("heading", name=name)


def button(page: Page, name: str | re.Pattern[str]) -> Any:
    return page.get_by_role("button", name=name, exact=True)


def save(page: Page, press: str) -> str:
    """What a button downloads."""
    with page.expect_download() as coming:
        button(page, press).click()
    return Path(coming.value.path()).read_text(encoding="utf-8-sig")


def run_example(page: Page, curl: str, title: str, key: str) -> dict[str, Any]:
    """What the engine answers to an example that was copied from the page, and run as it is."""
    button(page, f"Copy: {title}").click()
    example = page.evaluate("navigator.clipboard.readText()")
    done = subprocess.run(
        ["bash", "-c", example.replace("curl", f"{curl} --silent", 1)],
        env={"CALLWHEEL_KEY": key},
        capture_output=True,
        check=True,
        timeout=30,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def wait_for(page: Page, has_happened: Callable[[], bool]) -> None:
    """Let the page go on until something has happened that it does not show."""
    until = monotonic() + PATIENCE_MS / 1000
    while not has_happened():
        assert monotonic() < until
        page.wait_for_timeout(50)


def look_around(tab: Visit) -> None:
    """Check what is shown on each screen."""
    for look in tab.looks():
        assert (look, tab.page.evaluate(CHECKS)) == (look, [])


def take_pictures(tab: Visit, device: str, folder: Path) -> None:
    """What is shown on a device, light and dark; small enough for the README."""
    for look in tab.looks([device]):
        file = Path(os.environ.get(PICTURES, folder)) / f"{look}.png"
        tab.page.screenshot(path=file)
        assert 5_000 < file.stat().st_size < PICTURE_BYTES_MAX


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
    there.product.run(there.product.client.create_account, "clinic", "UTC", "it@clinic.example")
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
    page.get_by_label("Account").select_option("hospital")
    page.get_by_label("Account").select_option("clinic")
    expect(page.get_by_text("There is no flow yet.")).to_be_visible()
    expect(page.get_by_text("Nobody to call yet")).to_be_visible()


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
