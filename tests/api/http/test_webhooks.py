"""The webhook of a flow over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from engine.model.webhook import HIDDEN, Outcome, Try
from tests.api.http.world import FLOW, World

HOOK = {
    "url": "https://example.com/hook",
    "secret": "whsec_c2VjcmV0",
    "events": ["contact.completed"],
}


async def make_list(world: World, flow: str, account: str = "ours") -> str:
    """A list whose only contact was canceled, which is told to the hook; the id of the delivery."""
    operator = world.client("operator", account)
    body = {"name": "one", "contacts": [{"tel": ["+14155550199"]}]}
    made = await operator.post(f"/v1/flows/{flow}/multicast", body)
    contacts = (await operator.get(f"/v1/lists/{made.json['list']}/contacts")).json["items"]
    assert (await operator.post(f"/v1/contacts/{contacts[0]['id']}/cancel")).status == 200
    items = (await operator.get(f"/v1/flows/{flow}/webhook/deliveries")).json["items"]
    return str(items[0]["id"])


async def test_a_secret_is_never_shown_and_stays_where_it_comes_back_hidden(world: World) -> None:
    flow = await world.make_flow(settings={"webhook": HOOK})
    owner, path = world.client("owner"), f"/v1/flows/{flow}"
    shown = (await owner.get(path)).json
    assert shown["settings"]["webhook"] == {**HOOK, "secret": HIDDEN}
    body = {name: shown[name] for name in ("name", "definition", "settings")}
    body["settings"]["webhook"]["url"] = "https://example.com/other"
    assert (await owner.put(path, body)).status == 200
    stored = await world.store.get_flow("acc_1", flow)
    assert stored is not None
    assert stored.settings.webhook is not None
    assert stored.settings.webhook.secrets == ("whsec_c2VjcmV0",)
    assert stored.settings.webhook.url == "https://example.com/other"
    body["settings"]["webhook"]["secret"] = ["new-secret", HIDDEN]
    refused = await owner.put(path, body)
    assert refused.problem == (422, "invalid_body")
    assert refused.json["errors"][0]["pointer"] == "/settings/webhook/secret/1"
    body["settings"]["webhook"]["secret"] = [HIDDEN, "new-secret"]
    assert (await owner.put(path, body)).status == 200
    stored = await world.store.get_flow("acc_1", flow)
    assert stored is not None
    assert stored.settings.webhook is not None
    assert stored.settings.webhook.secrets == ("whsec_c2VjcmV0", "new-secret")


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"url": "ftp://example.com/"}, "/settings/webhook/url"),
        ({"url": "https://user:word@example.com/"}, "/settings/webhook/url"),
        ({"url": "example.com"}, "/settings/webhook/url"),
        ({"secret": "whsec_%%%"}, "/settings/webhook/secret"),
        ({"secret": "whsec_"}, "/settings/webhook/secret"),
        ({"secret": ["fine", "whsec_%"]}, "/settings/webhook/secret/1"),
        ({"secret": "with blanks"}, "/settings/webhook/secret"),
        ({"secret": "schlüssel"}, "/settings/webhook/secret"),
        ({"secret": []}, "/settings/webhook/secret"),
        ({"secret": HIDDEN}, "/settings/webhook/secret"),
        ({"events": ["contact.done"]}, "/settings/webhook/events/0"),
        ({"event": []}, "/settings/webhook/event"),
    ],
)
async def test_a_hook_that_cannot_work_is_refused_with_its_place(
    world: World, changes: dict[str, Any], pointer: str
) -> None:
    body = {**FLOW, "settings": {"webhook": {**HOOK, **changes}}}
    refused = await world.client("owner").post("/v1/flows", body)
    assert refused.problem == (422, "invalid_body")
    assert [error["pointer"] for error in refused.json["errors"]] == [pointer]


async def test_the_log_of_deliveries_can_be_read_and_one_sent_again(world: World) -> None:
    flow = await world.make_flow(settings={"webhook": HOOK})
    delivery = await make_list(world, flow)
    operator, path = world.client("operator"), f"/v1/flows/{flow}/webhook"
    state = (await operator.get(path)).json
    assert (state["url"], state["is_enabled"], state["pending"]) == (HOOK["url"], True, 1)
    one = (await operator.get(f"{path}/deliveries/{delivery}")).json
    assert (one["state"], one["type"], one["tries"], one["last"]) == (
        "pending",
        "contact.completed",
        0,
        None,
    )
    [due] = await world.store.due_deliveries(flow, world.engine.clock.now(), 10)
    last = Try(
        world.engine.clock.now(), "bad_status", "It answered with the status 500.", 500, 0.25
    )
    await world.store.note_tries([Outcome(due.delivery, "given_up", last, tries=11)], last.at)
    one = (await operator.get(f"{path}/deliveries/{delivery}")).json
    assert (one["state"], one["tries"], one["last"]["status"]) == ("given_up", 11, 500)
    for state_asked, ids in (("given_up", [delivery]), ("pending", []), ("delivered", [])):
        page = await operator.get(f"{path}/deliveries?state={state_asked}")
        assert [item["id"] for item in page.json["items"]] == ids
    assert (await operator.get(f"{path}/deliveries?state=lost")).problem == (
        400,
        "invalid_parameter",
    )
    replayed = await operator.post(f"{path}/deliveries/{delivery}/replay")
    assert (replayed.status, replayed.json["state"], replayed.json["tries"]) == (202, "pending", 0)


async def test_deliveries_of_others_and_of_nobody_are_not_found(world: World) -> None:
    flow = await world.make_flow(account="theirs", settings={"webhook": HOOK})
    delivery = await make_list(world, flow, "theirs")
    ours = await world.make_flow(settings={"webhook": HOOK})
    mine = await make_list(world, ours)
    for path in (
        f"/v1/flows/{flow}/webhook/deliveries/{delivery}",
        f"/v1/flows/{ours}/webhook/deliveries/{delivery}",
        f"/v1/flows/{ours}/webhook/deliveries/{mine}9",
        f"/v1/flows/{ours}/webhook/deliveries/evt_",
        f"/v1/flows/{ours}/webhook/deliveries/{mine.rpartition('_')[0]}_{'9' * 40}",
    ):
        assert (await world.client("owner").get(path)).problem == (404, "not_found")
        assert (await world.client("owner").post(f"{path}/replay")).problem == (404, "not_found")


async def test_a_hook_whose_receiver_is_gone_is_enabled_by_hand(world: World) -> None:
    flow = await world.make_flow(settings={"webhook": HOOK})
    owner, path = world.client("owner"), f"/v1/flows/{flow}/webhook"
    assert await world.store.disable_hook("acc_1", flow, HOOK["url"], 1.0, "Gone.")  # type: ignore[arg-type]
    state = (await owner.get(path)).json
    assert (state["is_enabled"], state["disabled_at"]) == (False, "1970-01-01T00:00:01.000Z")
    enabled = await owner.post(f"{path}/enable")
    assert (enabled.json["is_enabled"], enabled.json["disabled_at"]) == (True, None)
    assert (await world.client("operator").post(f"{path}/enable")).problem == (403, "forbidden")
