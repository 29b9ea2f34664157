"""The client of `api.client` for programs that do not run on trio."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import trio

from api.client import CallwheelClient

P = ParamSpec("P")
T = TypeVar("T")


def _run(
    method: Callable[Concatenate[CallwheelClient, P], Awaitable[T]],
) -> Callable[Concatenate[SyncCallwheelClient, P], T]:
    @wraps(method)
    def run(self: SyncCallwheelClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        async def call() -> T:
            return await method(self._client, *args, **kwargs)

        return trio.run(call)

    return run


class SyncCallwheelClient:
    """Talks to one engine with one key; each method is the one of `CallwheelClient`, and returns when it is
    done.

    Not for use within trio. The feed is followed on trio alone; `GET /v1/events` has the same events for
    whoever reads HTTP line by line.

    Args:
        url: where the engine's HTTP front is, as http://127.0.0.1:8080.
        key: sent with each request.
    """

    def __init__(self, url: str, key: str, *, tls: ssl.SSLContext | None = None) -> None:
        self._client = CallwheelClient(url, key, tls=tls)

    is_ready = _run(CallwheelClient.is_ready)
    create_account = _run(CallwheelClient.create_account)
    stop_account = _run(CallwheelClient.stop_account)
    create_key = _run(CallwheelClient.create_key)
    list_keys = _run(CallwheelClient.list_keys)
    rotate_key = _run(CallwheelClient.rotate_key)
    revoke_key = _run(CallwheelClient.revoke_key)
    create_did = _run(CallwheelClient.create_did)
    create_flow = _run(CallwheelClient.create_flow)
    get_flow = _run(CallwheelClient.get_flow)
    attach_dids = _run(CallwheelClient.attach_dids)
    activate_listener = _run(CallwheelClient.activate_listener)
    list_agents = _run(CallwheelClient.list_agents)
    end_talk = _run(CallwheelClient.end_talk)
    list_activations = _run(CallwheelClient.list_activations)
    confirm_activation = _run(CallwheelClient.confirm_activation)
    refuse_activation = _run(CallwheelClient.refuse_activation)
    upload_list = _run(CallwheelClient.upload_list)
    create_prompt = _run(CallwheelClient.create_prompt)
    multicast = _run(CallwheelClient.multicast)
    call = _run(CallwheelClient.call)
    change_list = _run(CallwheelClient.change_list)
    get_list = _run(CallwheelClient.get_list)
    forecast_list = _run(CallwheelClient.forecast_list)
    get_forecast = _run(CallwheelClient.get_forecast)
    get_results = _run(CallwheelClient.get_results)
    list_contacts = _run(CallwheelClient.list_contacts)
    list_attempts = _run(CallwheelClient.list_attempts)
    get_ladder = _run(CallwheelClient.get_ladder)
    get_capture = _run(CallwheelClient.get_capture)
