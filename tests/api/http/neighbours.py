"""Two accounts that have one of everything, and what would be a leak of one to the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from api.http.routes import Route
from engine.model import Recording
from engine.model.activation import Activation, Decision, activation_told
from tests.api.http.world import EPOCH, Client, Reply, World

NUMBER: Final = {"ours": "+919876543210", "theirs": "+919876500042"}
LISTED: Final = {"ours": "+14155550188", "theirs": "+14155550199"}
BODIES: Final[dict[str, Any]] = {
    "/v1/activations/{activation}/refuse": {},
    "/v1/dids/{did}/rest": {},
    "/v1/flows/{flow}": {"name": "x", "definition": {}},
    "/v1/flows/{flow}/dids": {"numbers": []},
    "/v1/flows/{flow}/listener": {"active": False},
    "/v1/flows/{flow}/agents/{agent}": {"name": "Bob"},
    "/v1/flows/{flow}/calls": {"to": "+919876543210"},
}
"""What a route takes for a body, where an empty object would be refused before anything is looked for."""


class Belongings(Struct, frozen=True):
    """What an account has."""

    names: dict[str, str]
    """What stands for each name in braces of the table of routes."""
    signs: tuple[str, ...]
    """Texts that only its own answers may hold."""


NAMES: Final = (
    "account",
    "activation",
    "agent",
    "attempt",
    "contact",
    "delivery",
    "did",
    "flow",
    "key",
    "list",
    "number",
    "recording",
)
"""Of the names in braces, those that stand for something of an account. A route with a name that is not
here gets it here and in `settle`."""
PUBLIC_NAMES: Final = ("code", "file")
"""Those that stand for the same to everybody."""


async def settle(world: World, account: str) -> Belongings:
    """Give the account one of everything, and let whoever follows the feed come to its end: each route is to
    have an answer that ends."""
    world.hub.close()
    owner = world.client("owner", account)
    place = {"ours": 1, "theirs": 2}[account]
    hook = {"url": f"https://hook-of-{account}.example/", "secret": f"secret-of-{account}"}
    flow = await world.make_flow(
        account=account, kind="dialer", name=f"flow-of-{account}", settings={"webhook": hook}
    )
    agent = await owner.post(
        f"/v1/flows/{flow}/agents", {"number": f"+1415555017{place}", "name": f"Ada-of-{account}"}
    )
    contact = {"tel": [NUMBER[account]], "reference": f"reference-of-{account}"}
    made = await owner.post(
        f"/v1/flows/{flow}/multicast", {"name": f"june-of-{account}", "contacts": [contact]}
    )
    call_list = str(made.json["list"])
    page = await world.store.list_contacts(f"acc_{place}", call_list, 10, None)
    attempt = await world.begin_attempt(page.items[0])
    note = {"numbers": [LISTED[account]], "note": f"note-of-{account}"}
    assert (await owner.post("/v1/dnc", note)).status == 201
    recording = f"rec_of_{account}"
    await world.store.add_recording(Recording(recording, attempt.account, attempt.id, EPOCH))
    prompt = await owner.upload("/v1/prompts", f"prompt-of-{account}.wav", bytes(800))
    sent = await owner.get(f"/v1/flows/{flow}/webhook/deliveries")
    request = Activation(
        id=f"act_of_{account}",
        account=f"acc_{place}",
        mail="1",
        sender=f"ada@mail-of-{account}.example",
        subject=f"subject-of-{account}",
        message_id=None,
        flow=flow,
        numbers=(f"+1415555010{place}",),
        created_at=EPOCH,
        expires_at=EPOCH + 60,
    )
    await world.store.add_activation(Decision(request, None, activation_told(request, None), None))
    names = {
        "account": f"acc_{place}",
        "activation": request.id,
        "agent": str(agent.json["id"]),
        "attempt": attempt.id,
        "contact": attempt.contact,
        "delivery": str(sent.json["items"][0]["id"]),
        "did": f"+1415555010{place}",
        "flow": flow,
        "key": f"key_viewer_{place}",
        "list": call_list,
        "number": LISTED[account],
        "recording": recording,
    }
    assert tuple(names) == NAMES
    signs = (*names.values(), str(prompt.json["id"]), f"-of-{account}", NUMBER[account])
    return Belongings(names, (*signs, f"+1415555017{place}"))


async def send(
    client: Client,
    route: Route,
    names: Mapping[str, str],
    query: Sequence[str] = (),
) -> Reply:
    """A request of a route, with a body of its type; `query` are parameters as NAME=VALUE."""
    path = route.path.format_map({"code": "not_found", "file": "icon.svg", **names})
    if query:
        path += "?" + "&".join(query)
    if route.body is None:
        return await client.send(route.method, path)
    if route.body.is_form:
        return await client.upload(path, "x.csv", b"tel1\n+919876543210\n")
    return await client.send(route.method, path, BODIES.get(route.path, {"contacts": []}))
