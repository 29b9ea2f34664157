"""Flows on the whole product: over HTTP, from a CSV, on real sockets, to callees who press real keys.

All calls are made at once by one installation, and each test looks at what came of its own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from msgspec import Struct

from adapters.media.codecs.g711 import SAMPLE_RATE_HZ
from bench.free_ports import free_port
from bench.installation import open_sipp
from tests.peers import require
from tests.system import flow_elsewhere, flow_examples, flow_nodes
from tests.system.carrier import open_carrier
from tests.system.flow_callee import Script
from tests.system.flow_server import Asked, open_server
from tests.system.flow_sound import (
    Samples,
    correlate,
    make_speech,
    make_tone,
    make_wave,
    read_texts,
    read_tones,
    read_wave,
)
from tests.system.flow_world import (
    RUN_S_MAX,
    Case,
    Contact,
    Product,
    Seen,
    expected_attempts,
    expected_events,
    expected_leg_events,
    make_flow,
    open_product,
)

pytestmark = [pytest.mark.peer, pytest.mark.punctual]

BEEP_LATE_S = 0.25
"""A beep counts as over a little before the sound of it has passed through every buffer."""
ALIKE = 0.9

CASES_AT_ONCE = 14
"""More would only wait for each other on a small machine."""
BEFORE = ("+14155550401", "+14155550402")
AFTER = "+14155550403"
KEYS_SCENARIO = Path(__file__).parent / "sipp" / "presses_keys.xml"
CASES: Sequence[Case] = (*flow_examples.CASES, *flow_nodes.CASES, *flow_elsewhere.CASES)
SCRIPTS: dict[str, Script | int] = {
    **flow_examples.SCRIPTS,
    **flow_nodes.SCRIPTS,
    **dict.fromkeys((*BEFORE, AFTER), flow_examples.listen),
}


class Run(Struct):
    """All that was seen."""

    seen: dict[str, list[Seen]]
    """By the case's name, a contact each."""
    product: Product
    asked: Asked
    sipp_code: int | None
    """What sipp ended with; None where it may not press keys, which takes root."""

    def of(self, number: str) -> Seen:
        """What is known of the first contact with this number."""
        for case in CASES:
            for contact, seen in zip(case.contacts, self.seen.get(case.name, ()), strict=False):
                if contact.number == number:
                    return seen
        raise KeyError(number)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All calls at once."""
    require("espeak-ng", "espeak-ng")
    require("sipp", "sip-tester")
    return trio.run(make_calls, tmp_path_factory.mktemp("flows"))


async def make_calls(folder: Path) -> Run:
    """Make all calls; they take as long as the longest of them."""
    for text in (flow_examples.COMPLAINT, flow_examples.HELLO, flow_examples.GREETING):
        make_speech(text)  # before anybody waits for it
    seen: dict[str, list[Seen]] = {}
    port = free_port()
    sipp_may_press = os.geteuid() == 0
    sipp_code = None
    with trio.fail_after(RUN_S_MAX):
        async with (
            open_server() as asked,
            open_carrier(folder, write_profile(folder)) as carrier,
            open_sipp(folder, port, ("-sf", str(KEYS_SCENARIO), "-m", "1")) as sipp,
            open_product(folder, SCRIPTS, trunks_of(carrier, port)) as product,
        ):
            names = {flow_nodes.ELSEWHERE: asked.url.replace("127.0.0.1", "127.0.0.2")}
            names["https://example.com"] = asked.url
            for hz in (*flow_nodes.TONES_HZ, flow_nodes.LONG_HZ):
                lasts_s = flow_nodes.LONG_S if hz == flow_nodes.LONG_HZ else flow_nodes.TONE_S
                sound = make_wave(make_tone(hz, lasts_s))
                prompt = await product.client.create_prompt(f"{hz}.wav", sound)
                names[f'"tone-{hz}"'] = f'"{prompt.id}"'

            at_once = trio.CapacityLimiter(CASES_AT_ONCE)

            async def go_through(case: Case) -> None:
                flow = await product.make_flow(put_in(names, case.flow), case.did)
                async with at_once:
                    seen[case.name] = await product.call_all(flow, case.contacts)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(edit_while_it_runs, product, names)
                for case in CASES:
                    if case.trunk != "sipp" or sipp_may_press:
                        nursery.start_soon(go_through, case)
            if sipp_may_press:
                sipp_code = await sipp.wait()
    return Run(seen, product, asked, sipp_code)


async def edit_while_it_runs(product: Product, names: Mapping[str, str]) -> None:
    """A flow that calls one person at a time is changed while it calls the first of two; a third comes in a
    list of its own after that."""
    flow = await product.make_flow(put_in(names, play_only(400)))
    first = await product.call(flow, [Contact(BEFORE[0]), Contact(BEFORE[1])])
    await product.wait_told(first, "attempt.answered")
    await product.client._send("PUT", f"/v1/flows/{flow}", put_in(names, play_only(800)), Any)
    second = await product.call(flow, [Contact(AFTER)])
    await product.wait_told(first, "list.completed")
    await product.wait_told(second, "list.completed")


def play_only(hz: int) -> dict[str, Any]:
    """A flow that plays one tone, to one callee at a time."""
    return make_flow({"a": {"type": "play", "play": f"tone-{hz}"}}, channels=1)


def write_profile(folder: Path) -> str:
    """A profile of the simulated carrier by which everybody answers at once; its path."""
    file = folder / "profile.toml"
    file.write_text(flow_elsewhere.PROFILE, encoding="utf-8")
    return str(file)


def trunks_of(carrier: str, port: int) -> dict[str, tuple[str, str]]:
    """The trunks beside `main`, and their DIDs."""
    return {
        "sim": (carrier, flow_elsewhere.SIM_DID),
        "sipp": (f"sip:127.0.0.1:{port}", flow_elsewhere.SIPP_DID),
    }


def put_in(names: Mapping[str, str], flow: dict[str, Any]) -> dict[str, Any]:
    """A flow with what its names stand for: prompts and addresses of this run."""
    text = msgspec.json.encode(flow).decode()
    for name, meant in names.items():
        text = text.replace(name, meant)
    put: dict[str, Any] = msgspec.json.decode(text)
    return put


@pytest.mark.parametrize(
    ("case", "place"),
    [(case, place) for case in CASES for place in range(len(case.contacts))],
    ids=[f"{case.name}-{contact.number[-3:]}" for case in CASES for contact in case.contacts],
)
def test_the_record_and_the_events_of_each_call_are_what_its_flow_says(
    run: Run, case: Case, place: int
) -> None:
    if case.name not in run.seen:
        pytest.skip("sipp presses keys as root only")
    contact, seen = case.contacts[place], run.seen[case.name][place]
    # The first call to a country is told of beside, whichever call that is.
    of_call = [one for one in seen.events if one[0] != "account.new_country"]
    assert of_call == expected_events(contact, case.did)
    assert seen.leg_events == expected_leg_events(contact, case.did)
    assert seen.attempts == expected_attempts(contact, case.trunk, case.did)
    if contact.is_called and case.trunk == "main":
        assert [line.is_through for line in seen.lines] == [True]


@pytest.mark.parametrize("number", flow_examples.TEXTS)
def test_a_callee_hears_every_text_of_the_flow_with_its_values_and_nothing_else(
    run: Run, number: str
) -> None:
    texts = flow_examples.TEXTS[number]
    others = {"+14155550103": ["?"]}  # the agent's voice
    heard = read_texts(run.of(number).lines[0].heard.samples, texts)
    spoken = [text for text in heard if text != "?"]
    if number == "+14155550103":
        spoken = list(dict.fromkeys(spoken))  # on hold it is heard again and again
    assert spoken[: len(texts) - 1] == list(texts[:-1])
    assert spoken[-1].removesuffix("…" if number == "+14155550103" else "") == texts[-1]
    assert [text for text in heard if text == "?"] == others.get(number, [])


def test_an_agent_hears_the_whisper_and_then_the_customer_and_the_customer_the_agent(
    run: Run,
) -> None:
    [agent] = run.product.callee.lines[flow_examples.AGENT]
    [customer] = run.of("+14155550103").lines
    whisper = flow_examples.WHISPER
    assert read_texts(agent.heard.samples, [whisper]) == [whisper, "?"]
    assert read_tones(agent.heard.samples)[-1] == flow_examples.HIGH_HZ
    assert read_tones(customer.heard.samples)[-1] == flow_examples.LOW_HZ
    assert agent.is_through


def test_a_message_begins_when_the_beep_of_the_machine_is_over(run: Run) -> None:
    [machine] = run.of("+14155550109").lines
    assert machine.spoke_until is not None
    assert machine.first_loud_at is not None
    assert machine.first_loud_at > machine.spoke_until - BEEP_LATE_S


@pytest.mark.parametrize(
    ("number", "tones"),
    [
        ("+14155550201", [400, 600]),
        ("+14155550203", [400, 400, 400, 600]),
        ("+14155550204", [1_200]),
        ("+14155550205", [400]),
        ("+14155550206", [800]),
        ("+14155550207", [1_000]),
        ("+14155550211", [1_200]),
        ("+14155550212", []),
        ("+14155550215", [800]),
    ],
)
def test_a_callee_hears_the_recordings_of_the_flow_in_their_order(
    run: Run, number: str, tones: list[int]
) -> None:
    [line] = run.of(number).lines
    assert read_tones(line.heard.samples) == tones


def test_keys_stop_a_prompt_at_once(run: Run) -> None:
    [line] = run.of("+14155550204").lines
    assert len(line.heard.samples) < SAMPLE_RATE_HZ * flow_nodes.LONG_S / 2


def test_a_transferred_callee_hears_the_hold_sound_and_then_the_other(run: Run) -> None:
    [callee] = run.of("+14155550214").lines
    [friend] = run.product.callee.lines[flow_nodes.FRIEND]
    assert {*read_tones(callee.heard.samples)} == {400, flow_nodes.VOICE_HZ}
    assert read_tones(callee.heard.samples)[-1] == flow_nodes.VOICE_HZ
    assert read_tones(friend.heard.samples)[0] == 600


@pytest.mark.parametrize(
    ("number", "said", "most_s"),
    [
        ("+14155550102", make_speech(flow_examples.COMPLAINT), 8.0),
        ("+14155550207", make_tone(flow_nodes.VOICE_HZ, 1.5), 4.0),
        ("+14155550209", make_tone(flow_nodes.VOICE_HZ, 1.5), 4.0),
    ],
)
def test_a_recording_is_what_the_callee_said(
    run: Run, number: str, said: Samples, most_s: float
) -> None:
    [recording] = run.of(number).recordings
    samples = read_wave(recording)
    assert correlate(samples, said) > ALIKE
    assert len(said) <= len(samples) <= most_s * SAMPLE_RATE_HZ


def test_a_recording_that_is_full_is_as_long_as_the_flow_says(run: Run) -> None:
    [recording] = run.of("+14155550208").recordings
    assert len(read_wave(recording)) == pytest.approx(SAMPLE_RATE_HZ, abs=SAMPLE_RATE_HZ * 0.05)


def test_the_users_system_is_asked_what_the_flow_says_and_nothing_twice(run: Run) -> None:
    asked = [(method, path) for method, path, _ in run.asked.questions]
    assert sorted(asked) == sorted(
        [("GET", "/orders/bring")]
        + [("POST", "/orders/bring")] * 4
        + [("POST", path) for path in ("/slow", "/down", "/broken", "/large", "/away")]
    )
    sent = [body for _, _, body in run.asked.questions if body is not None]
    assert sorted(sent, key=str) == sorted(
        [{"number": "+14155550108", "bring": True}, {"to": "+14155550210", "n": 3}], key=str
    )


def test_sipp_presses_keys_and_sees_nothing_that_it_does_not_expect(run: Run) -> None:
    if run.sipp_code is None:
        pytest.skip("sipp presses keys as root only")
    assert run.sipp_code == 0


def test_a_list_that_runs_keeps_the_graph_that_it_came_with_and_a_later_one_has_the_new(
    run: Run,
) -> None:
    heard = {
        number: [read_tones(line.heard.samples) for line in run.product.callee.lines[number]]
        for number in (*BEFORE, AFTER)
    }
    assert heard == {BEFORE[0]: [[400]], BEFORE[1]: [[400]], AFTER: [[800]]}
