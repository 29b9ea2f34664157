"""Numbers in every spelling, through every door: nothing outside the allow-list reaches the wire."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Final

import phonenumbers
import trio
from phonenumbers import PhoneNumberType
from trio.testing import MockClock

from engine.form import Invalid
from engine.intake.refused import Refused
from engine.model import Flow, FlowSettings
from engine.ports.stored import Conflict
from engine.ports.telephony import CallRequest
from sim.telephony import CallScript
from tests.engine.made import did, flow
from tests.engine.world import World, running
from tests.sizes import size

DESTINATIONS: Final = ("+91", "+1415", "+44", "+8816")
TEXTS: Final = size(2_000, 10_000)
HOME: Final = "+14155550100"
"""Whom calls go to whose number is not what is looked at."""

BASES: Final = (
    *3 * ("91 98{0}{0}",),
    *2 * ("1 415 555{0}",),
    "44 7400{1}{2}",
    "8816 {0}{0}",
    "84 90{0}{1}",
    "1 876 555{0}",
    "1 900 555{0}",
    "44 9098{1}{2}",
    "44 70{0}{0}",
    "8811 {0}{0}",
    "870 7{0}{0}",
    "979 1{0}{0}",
    "7 495{0}{1}",
    "53 5{0}{1}",
)
"""Country codes and national numbers: allowed, foreign, premium, personal, satellite."""
ODD: Final = (
    *("112", "911", "0", "*21*{}#", "0{}{}", "9{}", "", "+", "anonymous", "9.19876E+11", "-{}{}"),
    *("+91", "sip:+91{}", "'; DROP TABLE contacts;--", "{{{{number}}}}", "1e12", "\x00{}", "٠٠{}"),
)
"""What is no number: short codes, codes of features, national numbers, and worse."""
SPELLINGS: Final = (
    *4 * ("+{0}",),
    *("{0}", "00{0}", "+ {1}", "({1})", "+{2}", "\u202a+{0}\u202c", "  +{0}  ", "'+{0}"),
    *("tel:+{0}", "tel:{0};phone-context=+84", "+{0};phone-context=example.com", "+{0};ext=9"),
    *("sip:+{0}@10.0.0.1", "<sip:+{0}@evil.example>", "+{0}@evil.example", "+{0}?Route=<sip:x>"),
    *("+{0}\r\nVia: SIP/2.0/UDP x", "+{0}%0d%0aX:1", "+84{0}", "++{0}", "+{0},,84901234567"),
    *(
        "011{0}",
        "0{0}",
        "+{0}x12",
        "{3}",
        "+{3}",
        "+{0}\n+84901234567",
        '"+{0}"',
        "+{0}/+84901234567",
    ),
)


def make_texts(count: int, seed: int) -> list[str]:
    """Numbers as somebody may write them."""
    random = Random(seed)
    texts = []
    for _ in range(count):
        digits = [f"{random.randrange(1000):03}" for _ in range(3)]
        digits[0] = f"{random.randrange(10_000):04}"
        if random.random() < 0.1:
            texts.append(random.choice(ODD).format(*digits))
            continue
        spaced = random.choice(BASES).format(*digits)
        plain = spaced.replace(" ", "")
        wide = plain.translate({48 + n: 0xFF10 + n for n in range(10)})
        arabic = plain.translate({48 + n: 0x0660 + n for n in range(10)})
        dashed = "-".join(spaced.split())
        forms = (plain, spaced, dashed, random.choice((wide, arabic)))
        texts.append(random.choice(SPELLINGS).format(*forms))
    return texts


def may_be_called(number: str) -> bool:
    """What the allow-list means, told without the code that keeps it."""
    if not re.fullmatch(r"\+[1-9][0-9]{3,14}", number):
        return False
    if number.startswith("+8816"):
        return True
    if not number.startswith(("+91", "+1415", "+44")):
        return False
    costly = (
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.PERSONAL_NUMBER,
        PhoneNumberType.PAGER,
    )
    return phonenumbers.number_type(phonenumbers.parse(number)) not in costly


class Redirecting:
    """A far end that sends calls to some numbers elsewhere, answers the rest and hangs up."""

    def __init__(self) -> None:
        self.elsewhere: dict[str, str] = {}

    def __call__(self, request: CallRequest, _before: int) -> CallScript:
        text = self.elsewhere.get(request.number)
        if text is not None:
            return CallScript(final_after_s=0.2, code=302, redirected_to=text)
        return CallScript(final_after_s=0.2, talk_s=30)


class Pieces:
    """A body, all of it at once."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def receive(self) -> bytes:
        await trio.lowlevel.checkpoint()
        data, self._data = self._data, b""
        return data

    def receive_nowait(self) -> bytes:
        return b""


def as_csv(texts: Sequence[str]) -> bytes:
    """A list of one column. A file with a NUL in it is refused as a whole, so it has none."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["tel1"])
    writer.writerows([text.replace("\x00", "")] for text in texts)
    return out.getvalue().encode()


def as_zip(texts: Sequence[str]) -> bytes:
    """The same, packed."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("list.csv", as_csv(texts))
    return out.getvalue()


SHORT: Final = FlowSettings(attempts_max=1, ring_timeout_s=5)
PLAIN: Final = {"start": "bye", "nodes": {"bye": {"type": "wait", "duration_s": 1, "next": "end"}}}
PLAIN["nodes"] |= {"end": {"type": "hangup"}}  # type: ignore[operator]
TRANSFER: Final = {
    "start": "away",
    "variables": {"target": {"default": "nobody"}},
    "nodes": {
        "away": {"type": "transfer", "to": "{{target}}", "ring_timeout_s": 5, "next": "end"},
        "end": {"type": "hangup"},
    },
}
FLOWS: Final = (
    flow(definition=PLAIN, settings=SHORT),
    flow(id="flw_2", calls_list="lst_c2", definition=TRANSFER, settings=SHORT),
    flow(id="flw_3", calls_list="lst_c3", definition=PLAIN, settings=SHORT, kind="dialer"),
)
"""Of lists and calls, of transfers, of agents."""


async def send_calls(world: World, one: Flow, bodies: Sequence[Mapping[str, object]]) -> int:
    """Ask for single calls; how many were refused."""
    refused = 0
    for body in bodies:
        try:
            await world.engine.intake.submit_call(one, data=json.dumps(body).encode())
        except Refused:
            refused += 1
    return refused


async def through_lists(world: World, texts: Iterator[str]) -> None:
    """JSON, NDJSON, CSV and ZIP."""
    intake, one = world.engine.intake, FLOWS[0]
    some = [next(texts) for _ in range(TEXTS // 4)]
    body = json.dumps({"contacts": [{"tel": [text]} for text in some]}).encode()
    await intake.submit_contacts(one, data=body)
    some = [next(texts) for _ in range(TEXTS // 4)]
    lines = "\n".join(json.dumps({"tel": [text]}) for text in some)
    await intake.open_stream(one, Pieces(lines.encode())).take_whole()
    some = [next(texts) for _ in range(TEXTS * 3 // 20)]
    await intake.submit_file(one, name="list.csv", data=as_csv(some), source="upload")
    some = [next(texts) for _ in range(TEXTS // 10)]
    await intake.submit_file(one, name="list.zip", data=as_zip(some), source="email")


async def through_agents(world: World, texts: Iterator[str]) -> None:
    """The numbers of agents, and single calls that name who is to talk."""
    for place in range(TEXTS // 50):
        raw = {"number": next(texts), "name": f"Agent {place}"}
        try:
            agent = await world.engine.staffing.create_agent(FLOWS[2], raw)
        except Invalid:
            continue
        try:
            form = {"presence": "available"}
            await world.engine.staffing.change_agent(FLOWS[2], agent.id, form)  # type: ignore[union-attr]
        except Conflict:
            continue
    bodies = [{"to": f"+1415555{2000 + n}", "agent": next(texts)} for n in range(TEXTS // 20)]
    await send_calls(world, FLOWS[2], bodies)


async def test_no_number_outside_the_allow_list_reaches_the_wire_by_any_door(
    autojump_clock: MockClock,
) -> None:
    everything = make_texts(TEXTS, 6)
    texts = iter(everything)
    far_end = Redirecting()
    dids = [did(cps=500, channels=10_000)]
    async with running(
        far_end, flows=FLOWS, dids=dids, destinations=DESTINATIONS, channels=100_000
    ) as world:
        await through_lists(world, texts)
        refused = await send_calls(
            world, FLOWS[0], [{"to": next(texts)} for _ in range(TEXTS * 2 // 25)]
        )
        await send_calls(
            world,
            FLOWS[1],
            [
                {"to": f"+1415555{3000 + n}", "variables": {"target": next(texts)}}
                for n in range(TEXTS // 20)
            ],
        )
        for n in range(TEXTS // 20):
            far_end.elsewhere[f"+1415555{4000 + n}"] = next(texts)
        await send_calls(world, FLOWS[0], [{"to": number} for number in far_end.elsewhere])
        await through_agents(world, texts)
        await trio.sleep(600)
        dialed = [one.request.number for one in world.telephony.dialed]
        redirected = [one for one in world.store._tables.attempts.values() if one.redirected_from]
        legs = [*world.store._tables.legs.values()]
    assert next(texts, None) is None, "every text went through a door"
    assert TEXTS // 100 < refused < TEXTS * 2 // 25
    assert [number for number in dialed if not may_be_called(number)] == []
    kinds = {
        prefix
        for prefix in ("+91", "+1415", "+44", "+8816")
        for n in dialed
        if n.startswith(prefix)
    }
    assert kinds == set(DESTINATIONS), "and what is allowed is called"
    assert len(dialed) > TEXTS // 5
    assert len(redirected) > TEXTS // 200, "and followed where it may be"
    assert len([one for one in legs if one.attempt]) > TEXTS // 200, "and transferred to"
    assert [one for one in legs if one.agent], "and agents are called"


async def test_no_destinations_at_all_let_no_number_be_called(autojump_clock: MockClock) -> None:
    texts = make_texts(300, 7)
    async with running(Redirecting(), flows=FLOWS, destinations=()) as world:
        refused = await send_calls(world, FLOWS[0], [{"to": text} for text in texts])
        await trio.sleep(60)
        assert (refused, world.telephony.dialed) == (300, [])
