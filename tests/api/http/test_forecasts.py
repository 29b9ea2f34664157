"""When a list will end, asked over HTTP."""

from __future__ import annotations

import pytest

from engine.dial.trunks.trunk import TrunkSettings
from engine.forecast.forecaster import Installation
from engine.ports.workers import WorkerFailed
from tests.api.http.world import World


async def test_a_list_without_a_trunk_has_no_end_in_sight(world: World) -> None:
    call_list = await world.make_list(await world.make_flow())
    reply = await world.client("viewer").post(f"/v1/lists/{call_list}/forecast")
    assert reply.status == 200
    told = (reply.json["ends_at"], reply.json["bottleneck"], reply.json["rates_from"])
    assert told == (None, "no_trunk", "usual")


async def test_what_is_stated_wrongly_is_refused(world: World) -> None:
    call_list = await world.make_list(await world.make_flow())
    reply = await world.client("viewer").post(f"/v1/lists/{call_list}/forecast", {"answer_rate": 2})
    assert reply.problem == (422, "invalid_body")


async def test_shares_of_more_than_all_calls_are_refused(world: World) -> None:
    call_list = await world.make_list(await world.make_flow())
    reply = await world.client("viewer").post(
        f"/v1/lists/{call_list}/forecast", {"answer_rate": 0.8, "busy_rate": 0.3}
    )
    assert reply.problem == (422, "invalid_body")
    assert [one["pointer"] for one in reply.json["errors"]] == ["/busy_rate"]


async def test_a_forecast_without_a_trunk_still_tells_that_rates_were_stated(world: World) -> None:
    call_list = await world.make_list(await world.make_flow())
    reply = await world.client("viewer").post(
        f"/v1/lists/{call_list}/forecast", {"answer_rate": 0.5}
    )
    assert (reply.json["bottleneck"], reply.json["rates_from"]) == ("no_trunk", "stated")


async def test_one_forecast_is_made_at_a_time_for_each_account(world: World) -> None:
    call_list = await world.make_list(await world.make_flow())
    path = f"/v1/lists/{call_list}/forecast"
    with world.engine.forecaster._taken("acc_1"):
        busy = await world.client("viewer").post(path)
    assert busy.problem == (429, "forecast_busy")
    assert (await world.client("viewer").post(path)).status == 200


async def test_forecasts_of_all_accounts_together_leave_workers_to_lists(world: World) -> None:
    call_list = await world.make_list(await world.make_flow())
    with world.engine.forecaster._taken("acc_2"):
        busy = await world.client("viewer").post(f"/v1/lists/{call_list}/forecast")
    assert busy.problem == (429, "forecast_busy")


async def test_a_forecast_that_is_not_made_in_time_is_told_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def take_too_long(*_args: object) -> bytes:
        raise WorkerFailed

    call_list = await world.make_list(await world.make_flow())
    path = f"/v1/lists/{call_list}/forecast"
    forecaster = world.engine.forecaster
    forecaster.installation = Installation(10, 10, (), (TrunkSettings("main", 10, 10),), (), None)
    monkeypatch.setattr(forecaster._workers, "run", take_too_long)
    reply = await world.client("viewer").post(path)
    assert reply.problem == (503, "busy")
    assert reply.json["detail"].startswith("The forecast was not made in time")


async def test_a_list_with_nothing_left_has_ended_whatever_its_flow_lacks(world: World) -> None:
    call_list = await world.make_list(await world.make_flow())
    await world.client("operator").post(f"/v1/lists/{call_list}/cancel")
    reply = await world.client("viewer").post(f"/v1/lists/{call_list}/forecast")
    told = (reply.json["contacts"], reply.json["bottleneck"], reply.json["ends_at"] is None)
    assert told == (0, None, False)


async def test_a_flow_that_calls_nobody_is_told_to_be_activated_first(world: World) -> None:
    flow = await world.make_flow()
    call_list = await world.make_list(flow)
    await world.client("operator").put(f"/v1/flows/{flow}/listener", {"active": False})
    reply = await world.client("viewer").post(f"/v1/lists/{call_list}/forecast")
    assert reply.json["assumes"].endswith("The listener is activated at once.")


async def test_an_account_that_is_stopped_is_told_to_be_started_first(world: World) -> None:
    call_list = await world.make_list(await world.make_flow())
    await world.administrator.post("/v1/accounts/ours/stop")
    reply = await world.client("viewer").post(f"/v1/lists/{call_list}/forecast")
    assert reply.json["assumes"].endswith("The account, which is stopped, is started at once.")
