"""Runs flows on the whole product, many at once, and brings back everything that is known of each call.

What differs from run to run is taken out: ids become `ID`, moments and durations `TIME`, figures of the sound
`MEDIA`. All else of a call's record and of its events is compared.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import trio
from msgspec import Struct, field

from api.client import CallwheelClient
from bench.installation import make_config, open_installation
from tests.system.flow_callee import FlowCallee, Line, Script, open_callee

RUN_S_MAX: Final = 120.0
DOCS: Final = Path(__file__).parents[2] / "docs" / "flows"
DID: Final = "+14155550100"

Story = Sequence[tuple[str, Any] | tuple[str, str, str] | tuple[str, str, str, dict[str, Any]]]
"""What happens on a call, in order: (node, type, outcome) and what else is told of a step, (node, digits) for
an answer, (event type, data) for anything else."""


class Contact(Struct, frozen=True):
    """Somebody who is called, and what is to come of it."""

    number: str
    story: Story = ()
    variables: dict[str, str] = field(default_factory=dict)
    disposition: str = "answered"
    result: dict[str, str] = field(default_factory=dict)
    amd: str | None = None
    legs: tuple[dict[str, Any], ...] = ()
    rings: bool = False
    is_called: bool = True
    agent: str | None = None


class Case(Struct, frozen=True):
    """A flow and those whom it calls."""

    name: str
    flow: dict[str, Any]
    """As `POST /v1/flows` takes it."""
    contacts: tuple[Contact, ...]
    trunk: str = "main"
    did: str = DID


class Seen(Struct):
    """What is known of a contact when all is over."""

    attempts: list[dict[str, Any]]
    """As `GET /v1/attempts/{attempt}` gives them, normalised."""
    events: list[tuple[str, dict[str, Any]]]
    """Type and data of what the feed told of it, normalised, but for its second legs."""
    leg_events: list[tuple[str, dict[str, Any]]]
    """The same of its second legs, which is written down at once, and so may come before what was earlier."""
    lines: list[Line]
    """Its calls as the callee had them."""
    recordings: list[bytes]
    """WAV files, oldest first."""
    raw: list[dict[str, Any]]
    """The attempts as they came."""


def read_example(name: str) -> dict[str, Any]:
    """A flow of docs/flows."""
    body: dict[str, Any] = msgspec.json.decode((DOCS / f"{name}.json").read_bytes())
    return body


def make_flow(nodes: dict[str, Any], start: str = "a", **settings: Any) -> dict[str, Any]:
    """A flow of these nodes."""
    definition = {"start": start, "nodes": nodes}
    if "variables" in settings:
        definition["variables"] = settings.pop("variables")
    return {"name": "test", "kind": "multicast", "definition": definition, "settings": settings}


# What is expected of a contact, whole


def expected_events(contact: Contact, did: str = DID) -> list[tuple[str, dict[str, Any]]]:
    """Everything that the feed tells of a contact."""
    done = ("contact.completed", {"disposition": contact.disposition, "reference": None})
    if not contact.is_called:
        return [(done[0], {**done[1], "reason": "do_not_call"})]
    ended = {"status": "completed", "disposition": contact.disposition}
    said = {"digits": _digits_of(contact), "result": contact.result}
    last = {"number": contact.number, **{name: one for name, one in said.items() if one}}
    return [
        ("attempt.initiated", {"number": contact.number, "did": did}),
        *[("attempt.ringing", {})] * contact.rings,
        ("attempt.answered", {}),
        *[_event_of(part) for part in contact.story],
        ("attempt.ended", {**ended, "duration_s": "TIME", "sip_code": 200}),
        (done[0], {**done[1], **last}),
    ]


def _digits_of(contact: Contact) -> str:
    """All that was pressed on the call."""
    pressed = [part[1] for part in contact.story if len(part) == 2 and isinstance(part[1], str)]
    return "".join(pressed)


def expected_leg_events(contact: Contact, did: str = DID) -> list[tuple[str, dict[str, Any]]]:
    """Everything that the feed tells of the second legs of a contact's call."""
    told: list[tuple[str, dict[str, Any]]] = []
    for one in contact.legs:
        what = {"leg": "ID", "agent": None, "number": one["number"]}
        told.append(("leg.initiated", {**what, "did": did}))
        if one["answered_at"] is not None:
            told.append(("leg.answered", what))
        end = {"outcome": one["outcome"], "sip_code": one["sip_code"]}
        duration_s = None if one["answered_at"] is None else "TIME"
        told.append(("leg.ended", {**what, **end, "duration_s": duration_s}))
    return told


def _event_of(part: Any) -> tuple[str, dict[str, Any]]:
    if len(part) == 2 and isinstance(part[1], dict):
        return part[0], part[1]
    if len(part) == 2:
        return "attempt.digits", {"node": part[0], "digits": part[1]}
    node, kind, outcome, *more = part
    data = {"node": node, "type": kind, "outcome": outcome}
    return "attempt.step", data | (more[0] if more else {})


def expected_attempts(contact: Contact, trunk: str, did: str = DID) -> list[dict[str, Any]]:
    """The records of a contact's calls."""
    if not contact.is_called:
        return []
    steps = [
        {"node": part[0], "type": part[1], "at_s": "TIME", "outcome": part[2]}
        for part in contact.story
        if len(part) > 2
    ]
    return [
        {
            **dict.fromkeys(("id", "flow", "list", "contact"), "ID"),
            "number": contact.number,
            "did": did,
            "trunk": trunk,
            "status": "completed",
            "disposition": contact.disposition,
            **dict.fromkeys(("initiated_at", "answered_at", "ended_at", "duration_s"), "TIME"),
            "ringing_at": "TIME" if contact.rings else None,
            "sip": {"code": 200, "reason": "OK", "call_id": "ID", "failure": None},
            "q850": None,
            "amd": contact.amd,
            "digits": _digits_of(contact),
            "result": contact.result,
            "media": "MEDIA",
            "agent": contact.agent,
            "abandoned": None,
            "legs": list(contact.legs),
            "steps": steps,
        }
    ]


_IDS: Final = re.compile(r"(?:att|cnt|lst|flw|leg|rec|agt)_[0-9A-Za-z]+")
_TIMES: Final = {
    "initiated_at", "ringing_at", "answered_at", "ended_at",
    "duration_s", "at_s", "elapsed_ms", "waited_s", "until",
}  # fmt: skip


def normalise(value: Any, name: str = "") -> Any:
    """Without what differs from run to run."""
    if name in _TIMES and value is not None:
        return "TIME"
    if name == "media" and value is not None:
        return "MEDIA"
    if name == "call_id":
        return "ID"
    if name == "cause" and value is not None:
        # Which of its rules is the first to tell a machine depends on when packets come.
        return "CAUSE"
    if isinstance(value, dict):
        return {key: normalise(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [normalise(one) for one in value]
    return _IDS.sub("ID", value) if isinstance(value, str) else value


# Running


class Product(Struct):
    """The product with its callees."""

    client: CallwheelClient
    callee: FlowCallee
    events: list[dict[str, Any]]
    """What the feed told until now, whole."""
    news: trio.Event = field(default_factory=trio.Event)
    """Set when it tells more; then there is another."""

    async def get(self, path: str) -> Any:
        """JSON."""
        return await self.client._send("GET", path, None, Any)

    async def make_flow(self, body: Mapping[str, Any], did: str = DID) -> str:
        """An active flow, posted as it is; its id."""
        made = await self.client._send("POST", "/v1/flows", body, dict[str, Any])
        await self.client.attach_dids(made["id"], [did])
        await self.client.activate_listener(made["id"])
        return str(made["id"])

    async def call_all(self, flow: str, contacts: Sequence[Contact]) -> list[Seen]:
        """Upload these contacts, in a further list those with a number that is in the one before, and wait
        until all are done."""
        lists: list[list[Contact]] = []
        for contact in contacts:
            if not lists or contact.number in [one.number for one in lists[-1]]:
                lists.append([])
            lists[-1].append(contact)
        ids = [await self.call(flow, one) for one in lists]
        return [seen for call_list in ids for seen in await self.see(call_list)]

    async def call(self, flow: str, contacts: Sequence[Contact]) -> str:
        """Upload a list; its id."""
        view = await self.client.upload_list(
            flow, "people.csv", write_csv(contacts), query={"again": "true"}
        )
        assert view.report.rejected == 0, view.report.errors
        return view.id

    async def see(self, call_list: str) -> list[Seen]:
        """Wait until a list is done; what is known of its contacts."""
        await self.wait_told(call_list, "list.completed")
        seen = []
        for contact in await self.client.list_contacts(call_list):
            found = (await self.get(f"/v1/contacts/{contact.id}"))["attempts"]
            raw = [await self.get(f"/v1/attempts/{one['id']}") for one in found]
            recordings = []
            for one in raw:
                page = await self.get(f"/v1/recordings?attempt={one['id']}")
                for item in page["items"]:
                    answer = await self.client._request("GET", item["url"])
                    recordings.append(answer.body)
            told = [
                (one["type"], normalise(one["data"]))
                for one in self.events
                if one["contact"] == contact.id
            ]
            seen.append(
                Seen(
                    attempts=normalise(raw),
                    events=[one for one in told if not one[0].startswith("leg.")],
                    leg_events=[one for one in told if one[0].startswith("leg.")],
                    lines=self.callee.lines[contact.tel[0]],
                    recordings=recordings,
                    raw=raw,
                )
            )
        return seen

    async def wait_told(self, call_list: str, kind: str) -> None:
        """Wait until the feed has told this of a list, or of one of its calls."""
        while not any(one["type"] == kind and one["list"] == call_list for one in self.events):
            await self.news.wait()


def write_csv(contacts: Sequence[Contact]) -> bytes:
    """A call list with a column for each variable."""
    names = sorted({name for contact in contacts for name in contact.variables})
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["tel1", *[f"$flow.{name}" for name in names]])
    for contact in contacts:
        writer.writerow([contact.number, *[contact.variables.get(name, "") for name in names]])
    return file.getvalue().encode()


@asynccontextmanager
async def open_product(
    folder: Path, scripts: Mapping[str, Script | int], trunks: Mapping[str, tuple[str, str]]
) -> AsyncIterator[Product]:
    """The product for as long as the block lasts.

    Args:
        scripts: of the callees behind the trunk `main`.
        trunks: others by name: (SIP URI, DID).
    """
    more = ['[webhooks]\nallow = ["127.0.0.1/32"]']
    more += [f'[[trunks]]\nname = "{name}"\nuri = "{uri}"' for name, (uri, _) in trunks.items()]
    async with open_callee(scripts) as callee, trio.open_nursery() as nursery:
        config = make_config(folder / "data", callee.uri, extra="\n".join(more))
        async with open_installation(folder, config) as engine:
            product = Product(engine.client, callee, [])
            dids = {"main": DID, **{name: did for name, (_, did) in trunks.items()}}
            for name, did in dids.items():
                await engine.client.create_did(did, "default", name, cps=50, channels=100)
            await nursery.start(_follow, product)
            yield product
            nursery.cancel_scope.cancel()


async def _follow(product: Product, *, task_status: trio.TaskStatus[None]) -> None:
    """Keep what the feed tells."""
    async with product.client.follow(since=0) as events:
        task_status.started()
        async for event in events:
            product.events.append(msgspec.structs.asdict(event))
            product.news.set()
            product.news = trio.Event()
