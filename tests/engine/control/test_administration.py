from __future__ import annotations

from random import Random
from typing import Any

import pytest

from engine.control.administration import Administration
from engine.form import Invalid
from engine.ids import IdSource
from engine.model import Account, Did, Flow, PresentationSettings
from engine.ports.stored import Conflict, IdempotentAnswer
from sim.memory_store import MemoryStore
from tests.engine.flow.scripted import ScriptedSpeech

NOW = 1_767_225_600.0
DEFINITION = {"start": "bye", "nodes": {"bye": {"type": "hangup"}}}
OURS = Account("acc_1", "ours", "Asia/Kolkata", "", NOW)
THEIRS = Account("acc_2", "theirs", "UTC", "", NOW)


class Clock:
    def now(self) -> float:
        return NOW


class Office:
    """An administration over a store in memory, with two accounts and a DID each."""

    def __init__(self) -> None:
        self.store = MemoryStore(lambda _events: None, Clock())
        self.changed: list[tuple[str, str]] = []
        self.speech = ScriptedSpeech(voices=("anna",))
        self.administration = Administration(
            store=self.store,
            clock=Clock(),
            ids=IdSource(Clock(), Random(1)),
            on_account_changed=lambda account: self.changed.append((account, account)),
            on_flow_changed=lambda account, flow: self.changed.append((account, flow)),
            on_did_changed=lambda account, did: self.changed.append((account, did)),
            speech=self.speech,
        )

    async def furnish(self) -> None:
        for place, account in enumerate((OURS, THEIRS), start=1):
            await self.store.add_account(account)
            await self.store.add_did(Did(f"+1415555010{place}", account.id, "main"))

    async def make_flow(self, **changes: Any) -> Flow:
        raw = {"name": "x", "definition": DEFINITION, **changes}
        made = await self.administration.create_flow(OURS, raw)
        assert isinstance(made, Flow)
        return made


@pytest.fixture
async def office() -> Office:
    opened = Office()
    await opened.furnish()
    return opened


async def codes_of(doing: Any) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        await doing
    return [(mistake.pointer, mistake.code) for mistake in caught.value.errors]


async def test_the_default_account_is_made_once(office: Office) -> None:
    first = await office.administration.ensure_default_account()
    assert (first.name, first.timezone, first.created_at) == ("default", "UTC", NOW)
    assert await office.administration.ensure_default_account() == first


async def test_a_did_belongs_to_an_account_and_a_trunk(office: Office) -> None:
    raw = {"number": "0014155550199", "account": "ours", "trunk": "spare", "cps": 20}
    made = await office.administration.create_did(raw)
    assert made == Did("+14155550199", "acc_1", "spare", 20.0)
    assert await office.store.find_dids("acc_1", ["+14155550199"]) == [made]
    assert office.changed == [("acc_1", "+14155550199")]


@pytest.mark.parametrize("cps", [0.001, 0.5, 1, 1.0, 20, 500.0])
async def test_a_pace_is_whole_or_below_one(office: Office, cps: float) -> None:
    raw = {"number": "+14155550199", "account": "ours", "trunk": "main", "cps": cps}
    made = await office.administration.create_did(raw)
    assert isinstance(made, Did)
    assert made.cps == cps


@pytest.mark.parametrize("cps", [1.5, 2.000001, 0, -1, True, "5", 1e9])
async def test_any_other_pace_is_refused(office: Office, cps: Any) -> None:
    raw = {"number": "+14155550199", "account": "ours", "trunk": "main", "cps": cps}
    [(pointer, _)] = await codes_of(office.administration.create_did(raw))
    assert pointer == "/cps"


@pytest.mark.parametrize(
    "name",
    [
        "right/UTC",
        "localtime",
        "",
        "Europe",
        "../../etc/passwd",
        "/etc/passwd",
        "a\0b",
        "x" * 5000,
        "Mars/Olympus",
        "\ud800",
    ],
)
async def test_a_time_zone_must_be_known(office: Office, name: str) -> None:
    found = await codes_of(office.make_flow(timezone=name))
    assert found == [("/timezone", "unknown_timezone")]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({f"v{place}": {"default": "x" * 40} for place in range(100)}, []),
        ({f"v{place}": {} for place in range(101)}, ["too_many_variables"]),
        ({"a": {"default": "x" * 2_096}, "b": {"default": "y" * 2_000}}, []),
        ({"a": {"default": "x" * 2_097}, "b": {"default": "y" * 2_000}}, ["value_too_long"]),
    ],
)
async def test_the_variables_that_every_contact_carries_are_bounded(
    office: Office, variables: dict[str, Any], expected: list[str]
) -> None:
    making = office.make_flow(definition={**DEFINITION, "variables": variables})
    if expected:
        places = [("/definition/variables", code) for code in expected]
        assert await codes_of(making) == places
    else:
        assert (await making).definition["variables"] == variables


@pytest.mark.parametrize("name", ["a\n", "\n", "", " a", "a\tb", "acc_1", "ü", "x" * 101])
async def test_the_name_of_an_account_is_fit_for_a_header(office: Office, name: str) -> None:
    raw = {"name": name, "timezone": "UTC", "email": "a@b"}
    assert await codes_of(office.administration.create_account(raw)) == [("/name", "invalid_value")]


async def test_a_flow_takes_its_time_zone_from_its_account(office: Office) -> None:
    flow = await office.make_flow()
    assert (flow.timezone, flow.kind, flow.version, flow.listener_active) == (
        "Asia/Kolkata",
        "multicast",
        1,
        False,
    )
    assert await office.store.get_flow("acc_1", flow.id) == flow
    assert (await office.store.get_list("acc_1", flow.calls_list)) is not None


async def test_mistakes_of_a_definition_are_found_beside_those_of_its_flow(office: Office) -> None:
    definition = {"start": "a", "nodes": {"a": {"type": "wait", "duration_s": 1, "next": "b"}}}
    found = await codes_of(office.make_flow(name=7, definition=definition))
    assert found == [("/name", "invalid_value"), ("/definition/nodes/a/next", "unknown_node")]


async def test_a_flow_shows_what_it_may_and_every_mistake_in_it_is_named(office: Office) -> None:
    shown = {"display_name": "Acme", "headers": {"X-Ref": "{{ref}}"}}
    flow = await office.make_flow(settings={"presentation": shown})
    assert flow.settings.presentation == PresentationSettings(
        display_name="Acme", headers={"X-Ref": "{{ref}}"}
    )
    wrong = {
        "headers": {"Via": "x", "X-A": "a\r\nb", "X-B": 7},
        "withhold": "yes",
        "color": "red",
        "diverted_from": "12",
    }
    found = await codes_of(office.make_flow(settings={"presentation": wrong}))
    assert sorted(found) == [
        ("/settings/presentation/color", "unknown_field"),
        ("/settings/presentation/diverted_from", "invalid_number"),
        ("/settings/presentation/headers/Via", "reserved_header"),
        ("/settings/presentation/headers/X-A", "invalid_header_value"),
        ("/settings/presentation/headers/X-B", "invalid_value"),
        ("/settings/presentation/withhold", "invalid_value"),
    ]
    many = {"headers": {f"X-{n}": "1" for n in range(17)}}
    assert await codes_of(office.make_flow(settings={"presentation": many})) == [
        ("/settings/presentation/headers", "too_many_headers")
    ]


async def test_a_dialer_flow_is_kept_as_what_it_is(office: Office) -> None:
    assert (await office.make_flow(kind="dialer")).kind == "dialer"


async def test_what_a_change_leaves_out_becomes_its_default(office: Office) -> None:
    flow = await office.make_flow(settings={"attempts_max": 9}, timezone="UTC", kind="dialer")
    raw = {"name": "y", "definition": DEFINITION}
    changed = await office.administration.change_flow(OURS, flow.id, raw)
    assert changed is not None
    assert (changed.settings.attempts_max, changed.timezone, changed.kind, changed.version) == (
        3,
        "Asia/Kolkata",
        "dialer",
        2,
    )


async def test_flows_of_other_accounts_cannot_be_changed(office: Office) -> None:
    flow = await office.make_flow()
    raw = {"name": "y", "definition": DEFINITION}
    administration = office.administration
    assert await administration.change_flow(THEIRS, flow.id, raw) is None
    assert await administration.attach_dids(THEIRS, flow.id, ["+14155550102"]) is None
    assert await administration.set_listener(THEIRS, flow.id, True) is None
    assert await administration.delete_flow(THEIRS, flow.id) is False
    assert await office.store.get_flow("acc_1", flow.id) == flow
    assert office.changed == [("acc_1", flow.id)]


async def test_a_listener_and_its_dids_hold_each_other(office: Office) -> None:
    flow = await office.make_flow()
    administration = office.administration
    with pytest.raises(Conflict, match="no_dids"):
        await administration.set_listener(OURS, flow.id, True)
    await administration.attach_dids(OURS, flow.id, ["+14155550101"])
    active = await administration.set_listener(OURS, flow.id, True)
    assert active is not None
    assert active.listener_active
    with pytest.raises(Conflict, match="no_dids"):
        await administration.attach_dids(OURS, flow.id, [])


async def test_a_number_that_is_none_and_one_that_is_not_ours_are_told_apart(
    office: Office,
) -> None:
    flow = await office.make_flow()

    def attach(numbers: list[str]) -> Any:
        return office.administration.attach_dids(OURS, flow.id, numbers)

    assert await codes_of(attach(["x", "+14155550101"])) == [("/numbers/0", "invalid_number")]
    found = await codes_of(attach(["+14155550101", "+14155550101", "+14155550102"]))
    assert found == [("/numbers/2", "unknown_did")]


async def test_an_answer_that_is_kept_comes_back_in_place_of_a_second_thing(office: Office) -> None:
    def remember(flow: Flow) -> IdempotentAnswer:
        return IdempotentAnswer("acc_1", "k", b"f", 201, flow.id.encode(), NOW)

    raw = {"name": "x", "definition": DEFINITION}
    first = await office.administration.create_flow(OURS, raw, remember)
    assert isinstance(first, Flow)
    second = await office.administration.create_flow(OURS, raw, remember)
    assert second == IdempotentAnswer("acc_1", "k", b"f", 201, first.id.encode(), NOW)
    assert office.changed == [("acc_1", first.id)]
    assert len((await office.store.list_flows("acc_1", 10, None)).items) == 1


async def test_a_voice_that_there_is_not_is_a_mistake_of_its_flow(office: Office) -> None:
    ask = {"type": "gather", "prompt": {"say": "Yes?", "voice": "bert"}, "next": "b"}
    nodes = {"a": ask, "b": {"type": "say", "text": "Bye.", "voice": "anna"}}
    raw = {"name": "x", "definition": {"start": "a", "nodes": nodes}}
    assert await codes_of(office.administration.create_flow(OURS, raw)) == [
        ("/definition/nodes/a/prompt/voice", "unknown_voice")
    ]
