"""The flows and the people of `test_flows` on the simulated network, under virtual time: what
comes of them is the same, event by event."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pytest
import trio
from trio.testing import MockClock

from api.http.agent_views import show_leg
from api.http.views.calls import show_attempt
from engine.dial.attempts.conversation import FlowParts
from engine.dial.trunks.trunk import TrunkSettings
from engine.model import Flow, FlowSettings
from engine.model.amd import AmdVerdict
from engine.ports.read_store import AttemptFilter
from engine.ports.requests import Question, RequestFailed
from engine.ports.telephony import CallRequest
from sim.telephony import CallScript, Moment, press
from tests.engine.flow.scripted import ScriptedSpeech
from tests.engine.made import did, flow
from tests.engine.world import World, people, running
from tests.system import flow_elsewhere, flow_examples, flow_nodes
from tests.system.flow_world import (
    Case,
    expected_attempts,
    expected_events,
    expected_leg_events,
    normalise,
)

CASES: Final = (*flow_examples.CASES, *flow_nodes.CASES, *flow_elsewhere.CASES)
PROMPT_S: Final = 5.0
DURATIONS_S: Final = {
    "beep": 0.4,
    "tone-400": flow_nodes.TONE_S,
    "tone-600": flow_nodes.TONE_S,
    "tone-800": flow_nodes.TONE_S,
    "tone-1200": flow_nodes.LONG_S,
}
MACHINE: Final = AmdVerdict("machine", "maximum_number_of_words", 2_000)
STAYS: Final = CallScript(None, 0.0)
BUSY: Final = CallScript(None, 0.0, code=486)


def key(keys: str, prompt: int, after_s: float = PROMPT_S + 1.0) -> tuple[Any, ...]:
    """Keys that are pressed so long after a prompt has begun."""
    return press(keys, Moment(after_s, "prompt_begins", prompt))


SCRIPTS: Final = {
    "+14155550101": CallScript(None, 0.0, keys=key("1", 2)),
    "+14155550102": CallScript(
        None,
        0.0,
        keys=(*key("1", 2), *key("2", 3), *press("#", Moment(2.0, "prompt_ends", 5)), *key("1", 6)),
    ),
    "+14155550103": CallScript(None, 0.0, keys=(*key("1", 1), *key("2", 3))),
    "+14155550104": CallScript(None, 0.0, keys=(*key("1", 1), *key("9", 3))),
    "+14155550105": CallScript(None, 0.0, keys=(*key("1", 1), *key("2", 3))),
    "+14155550106": CallScript(None, 0.0, keys=(*key("1", 2), *key("5", 3))),
    "+14155550108": CallScript(None, 0.0, keys=key("1", 1)),
    "+14155550109": CallScript(None, 0.0, verdict=MACHINE, beeps_s=(1.0, 6.0)),
    flow_examples.AGENT: CallScript(None, 0.0, hangs_up=Moment(3.0, "prompt_ends", 1)),
    flow_examples.BUSY_AGENT: BUSY,
    "+14155550203": CallScript(None, 0.0, keys=(*key("7", 2, 1.0), *key("1", 3, 0.3))),
    "+14155550204": CallScript(None, 0.0, keys=key("47*1#", 1, 1.0)),
    "+14155550205": CallScript(None, 0.0, keys=(*key("1", 1, 0.3), *key("2", 1, 1.0))),
    "+14155550207": CallScript(None, 0.0, speaks_s=((0.5, 2.0),)),
    "+14155550209": CallScript(
        None, 0.0, speaks_s=((0.5, 9.0),), hangs_up=Moment(1.6, "prompt_ends", 1)
    ),
    "+14155550211": CallScript(None, 0.0, hangs_up=Moment(0.5, "prompt_begins", 1)),
    "+14155550214": CallScript(None, 0.0, hangs_up=Moment(5.0)),
    flow_nodes.BUSY: BUSY,
    "+14155550216": CallScript(
        None, 0.0, keys=key("9", 1, 1.0), hangs_up=Moment(1.0, "prompt_begins", 1)
    ),
    flow_elsewhere.PRESSING: CallScript(0.0, 0.1, keys=press("12#", Moment(1.0))),
    flow_elsewhere.MACHINE: CallScript(0.0, 0.1, verdict=MACHINE, beeps_s=(4.0,)),
    flow_elsewhere.BUSY: BUSY,
    flow_elsewhere.SIPP: CallScript(None, 0.0, keys=key("47#", 1, 2.0)),
}
"""What callees do; those who are not named stay on the line and do nothing."""
FAILURES: Final = {
    "/slow": "timeout",
    "/down": "bad_status",
    "/broken": "not_json",
    "/large": "answer_too_large",
    "/away": "bad_status",
    "/": "address_not_allowed",
}


class Office:
    """The company's own system."""

    async def ask(self, question: Question) -> Any:
        await trio.lowlevel.checkpoint()
        path = "/" + question.url.split("/", 3)[3]
        if path in FAILURES:
            raise RequestFailed(FAILURES[path], "It is so.")
        return {"day": "2030-12-31"}


def make(case: Case) -> Flow:
    """The flow as an engine keeps it."""
    settings = msgspec.convert(case.flow["settings"], FlowSettings)
    return flow(definition=case.flow["definition"], settings=settings, dids=(case.did,))


async def see(world: World, case: Case) -> None:
    """Compare everything that is known of each contact."""
    told = [
        msgspec.json.decode(one.body) for one in await world.store.events_after("acc_1", 0, 10_000)
    ]
    page = await world.store.list_attempts("acc_1", AttemptFilter(), 1_000, None)
    for place, contact in enumerate(case.contacts):
        mine = [one for one in told if one["contact"] == f"cnt_{place:06}"]
        events = [(one["type"], normalise(one["data"])) for one in mine]
        records = []
        for attempt in page.items:
            if attempt.contact == f"cnt_{place:06}":
                legs = await world.store.legs_of("acc_1", attempt.id)
                view = msgspec.structs.replace(
                    show_attempt(attempt),
                    legs=tuple(show_leg(one) for one in legs),
                    steps=attempt.steps,
                )
                records.append(normalise(msgspec.json.decode(msgspec.json.encode(view))))
        assert [one for one in events if not one[0].startswith("leg.")] == expected_events(
            contact, case.did
        )
        assert [one for one in events if one[0].startswith("leg.")] == expected_leg_events(
            contact, case.did
        )
        assert records == [
            {**record, "sip": {**record["sip"], "reason": ""}}
            for record in expected_attempts(contact, case.trunk, case.did)
        ]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_what_comes_of_each_call_is_the_same_as_on_the_wire(
    case: Case, autojump_clock: MockClock
) -> None:
    def choose(request: CallRequest, _before: int) -> CallScript:
        return SCRIPTS.get(request.number, STAYS)

    contacts = [
        msgspec.structs.replace(person, tel=(contact.number,), variables=contact.variables)
        for person, contact in zip(people(len(case.contacts)), case.contacts, strict=True)
    ]
    async with running(
        choose,
        flows=[make(case)],
        dids=[did(number=case.did, trunk=case.trunk)],
        trunks=(TrunkSettings(case.trunk, 100, 100),),
        destinations=("+1",),
        parts=FlowParts(speech=ScriptedSpeech(), requests=Office()),
    ) as world:
        world.telephony._durations_s = DURATIONS_S
        await world.add_list(contacts)
        await world.wait_done()
        await see(world, case)
