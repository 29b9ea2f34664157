"""A client of Callwheel's API, on trio: what the commands need, typed.

Answers are read with tolerance, so that an engine which says more than this client knows is understood.
"""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Literal, TypeVar
from urllib.parse import quote, urlencode

import msgspec
import trio
from msgspec import Struct

from adapters.http_client import HttpAnswer, HttpClient, HttpFailed, make_multipart
from api.answers import (
    ActivationView,
    AgentView,
    AttemptView,
    CallView,
    ContactView,
    FeedEvent,
    FlowView,
    Forecast,
    KeyView,
    ListView,
    MulticastView,
    PromptView,
    SentEvent,
    error_of,
)
from api.feed_client import follow_feed
from engine.model import Cap, Role

PAGE_ROWS: Final = 1000
RESULTS_BYTES_MAX: Final = 1024**3
"""The longest results that are read: more than a million contacts."""
T = TypeVar("T")


class _Page(Struct, frozen=True):
    items: list[msgspec.Raw]
    next: str | None = None


class CallwheelClient:
    """Talks to one engine with one key.

    Every method raises `ApiError` when the engine refuses and `HttpFailed` when no answer came.

    Args:
        url: where the engine's HTTP front is, as http://127.0.0.1:8080.
        key: sent with each request.
    """

    def __init__(self, url: str, key: str, *, tls: ssl.SSLContext | None = None) -> None:
        self._url = url.rstrip("/")
        self._key = key
        self._tls = tls or ssl.create_default_context()
        self._http = HttpClient(tls=self._tls, answer_bytes_max=RESULTS_BYTES_MAX)

    async def is_ready(self) -> bool:
        """Whether the engine is able to dial."""
        try:
            answer = await self._http.request("GET", f"{self._url}/readyz")
        except HttpFailed:
            return False
        return answer.status == 200

    async def create_account(self, name: str, timezone: str, email: str) -> str:
        """Make an account (administrator); its id."""
        body = {"name": name, "timezone": timezone, "email": email}
        return str((await self._send("POST", "/v1/accounts", body, dict[str, Any]))["id"])

    async def stop_account(self, account: str) -> None:
        """Make no call of an account any more, and end those that go on (administrator); `account` is a name
        or an id."""
        await self._tell("POST", f"/v1/accounts/{quote(account, safe='')}/stop", None)

    async def create_key(
        self,
        account: str,
        role: Role,
        *,
        name: str = "",
        scopes: Sequence[str] = (),
        expires_in_s: float | None = None,
    ) -> KeyView:
        """Make a key of an account (administrator, or its owner). The answer is the only place that shows
        it."""
        more = {"name": name, "scopes": list(scopes), "expires_in_s": expires_in_s}
        body: dict[str, Any] = {"account": account, "role": role}
        body |= {field: value for field, value in more.items() if value not in ("", [], None)}
        return await self._send("POST", "/v1/keys", body, KeyView)

    async def list_keys(self) -> list[KeyView]:
        """The account's keys, good or not; of all accounts for an administrator."""
        return await self._get_pages("/v1/keys", {}, KeyView)

    async def rotate_key(self, key: str, overlap_s: float) -> KeyView:
        """A key in the place of another, which stays good for `overlap_s`; `key` is its id."""
        path = f"/v1/keys/{quote(key, safe='')}/rotate"
        return await self._send("POST", path, {"overlap_s": overlap_s}, KeyView)

    async def revoke_key(self, key: str) -> None:
        """End a key at once; `key` is its id."""
        await self._request("DELETE", f"/v1/keys/{quote(key, safe='')}")

    async def create_did(
        self,
        number: str,
        account: str,
        trunk: str,
        *,
        cps: float,
        channels: int,
        caps: Sequence[Cap] = (),
    ) -> None:
        """Make a DID (administrator). `account` is a name or an id."""
        body = {
            "number": number,
            "account": account,
            "trunk": trunk,
            "cps": cps,
            "channels": channels,
            "caps": list(caps),
        }
        await self._send("POST", "/v1/dids", body, dict[str, Any])

    async def create_flow(
        self,
        name: str,
        timezone: str,
        definition: Mapping[str, Any],
        settings: Mapping[str, Any] | None = None,
    ) -> FlowView:
        """Make a multicast flow."""
        body = {
            "name": name,
            "kind": "multicast",
            "timezone": timezone,
            "definition": definition,
            "settings": settings or {},
        }
        return await self._send("POST", "/v1/flows", body, FlowView)

    async def get_flow(self, flow: str) -> FlowView:
        """One flow."""
        return await self._send("GET", f"/v1/flows/{quote(flow, safe='')}", None, FlowView)

    async def attach_dids(self, flow: str, numbers: Sequence[str]) -> None:
        """Say which DIDs the flow calls from; those that it had before are replaced."""
        path = f"/v1/flows/{quote(flow, safe='')}/dids"
        await self._tell("PUT", path, {"numbers": list(numbers)})

    async def activate_listener(self, flow: str) -> None:
        """Let the flow take triggers, and dial."""
        path = f"/v1/flows/{quote(flow, safe='')}/listener"
        await self._tell("PUT", path, {"active": True})

    async def list_agents(self, flow: str) -> list[AgentView]:
        """All agents of a dialer flow, with what they do at this moment."""
        return await self._get_pages(f"/v1/flows/{quote(flow, safe='')}/agents", {}, AgentView)

    async def end_talk(self, flow: str, agent: str, contact: str) -> None:
        """End an agent's talk with this contact. Sent again, it ends no other: that is the error
        `agent_not_talking` or `another_contact`."""
        path = f"/v1/flows/{quote(flow, safe='')}/agents/{quote(agent, safe='')}/hangup"
        await self._tell("POST", path, {"contact": contact})

    async def list_activations(self, status: str | None = None) -> list[ActivationView]:
        """All requests by mail to activate listeners, or those of one status; the newest first."""
        query = {} if status is None else {"status": status}
        return await self._get_pages("/v1/activations", query, ActivationView)

    async def confirm_activation(self, activation: str) -> ActivationView:
        """Confirm a request: its flow takes lists and calls from now on."""
        path = f"/v1/activations/{quote(activation, safe='')}/confirm"
        return await self._send("POST", path, None, ActivationView)

    async def refuse_activation(self, activation: str, reason: str) -> ActivationView:
        """Refuse a request; its sender is told the reason."""
        path = f"/v1/activations/{quote(activation, safe='')}/refuse"
        return await self._send("POST", path, {"reason": reason}, ActivationView)

    async def upload_list(
        self, flow: str, file: str, content: bytes, *, query: Mapping[str, str] | None = None
    ) -> ListView:
        """Upload a call list. `file` is its name; `query` may hold `dry_run`, `strict`,
        `again`, `priority` and `sheet`."""
        path = f"/v1/flows/{quote(flow, safe='')}/lists"
        if query:
            path += "?" + urlencode(query)
        return await self._send_file(path, file, content, ListView)

    async def create_prompt(self, file: str, content: bytes) -> PromptView:
        """Upload a recording."""
        return await self._send_file("/v1/prompts", file, content, PromptView)

    async def multicast(
        self, flow: str, name: str, contacts: Sequence[Mapping[str, Any]]
    ) -> MulticastView:
        """Trigger a flow for many contacts, each as CONTRACT.md's JSON."""
        path = f"/v1/flows/{quote(flow, safe='')}/multicast"
        body = {"name": name, "contacts": list(contacts)}
        return await self._send("POST", path, body, MulticastView)

    async def call(self, /, flow: str, to: str, **more: Any) -> CallView:
        """Trigger one call. `more` is what else its JSON may have, as `starttime`."""
        path = f"/v1/flows/{quote(flow, safe='')}/calls"
        return await self._send("POST", path, {"to": to, **more}, CallView)

    async def change_list(
        self, call_list: str, change: Literal["pause", "resume", "cancel"]
    ) -> ListView:
        """Pause, resume or cancel a list. None of its calls begins after the answer to the first or the
        last."""
        path = f"/v1/lists/{quote(call_list, safe='')}/{change}"
        return await self._send("POST", path, None, ListView)

    async def get_list(self, call_list: str) -> ListView:
        """One list."""
        return await self._send("GET", f"/v1/lists/{quote(call_list, safe='')}", None, ListView)

    async def forecast_list(self, /, call_list: str, **stated: float) -> Forecast:
        """When a list ends. `stated` is what is expected of its calls, as `answer_rate`, where that is not to
        be taken from the flow's calls."""
        path = f"/v1/lists/{quote(call_list, safe='')}/forecast"
        return await self._send("POST", path, stated, Forecast)

    async def get_forecast(self, /, call_list: str, **stated: float) -> bytes:
        """As `forecast_list`: the JSON, as it came."""
        path = f"/v1/lists/{quote(call_list, safe='')}/forecast"
        return (await self._tell("POST", path, stated)).body

    async def get_results(self, call_list: str) -> bytes:
        """results.csv of a list, as it came."""
        answer = await self._request("GET", f"/v1/lists/{quote(call_list, safe='')}/results.csv")
        return answer.body

    async def list_contacts(self, call_list: str) -> list[ContactView]:
        """All contacts of a list, in the order of their rows."""
        path = f"/v1/lists/{quote(call_list, safe='')}/contacts"
        return await self._get_pages(path, {}, ContactView)

    async def list_attempts(self, call_list: str) -> list[AttemptView]:
        """All call detail records of a list, oldest first."""
        return await self._get_pages("/v1/attempts", {"list": call_list}, AttemptView)

    async def get_ladder(self, attempt: str, *, query: Mapping[str, str] | None = None) -> str:
        """What an attempt said on the wire, as a ladder in text; `query` may hold `full`."""
        path = f"/v1/attempts/{quote(attempt, safe='')}/trace"
        answer = await self._request(
            "GET", f"{path}?{urlencode({'format': 'text', **(query or {})})}"
        )
        return answer.body.decode("utf-8", "replace")

    async def get_capture(self, attempt: str) -> bytes:
        """The same as a capture file for Wireshark."""
        path = f"/v1/attempts/{quote(attempt, safe='')}/trace?format=pcap"
        return (await self._request("GET", path)).body

    def follow(
        self, call_list: str | None = None, since: int | None = None
    ) -> AbstractAsyncContextManager[trio.abc.ReceiveChannel[FeedEvent]]:
        """The feed, as `async with client.follow(…) as events: async for event in events:`.

        A connection that breaks is made again from where it broke, so that no event is missed or comes
        twice; see `follow_feed`.

        Args:
            call_list: only this list's events.
            since: events with a higher number; None for those from now on.
        """
        filters = {} if call_list is None else {"list": call_list}
        return follow_feed(self._url, self._key, self._tls, filters, since, FeedEvent)

    def follow_sent(
        self, flow: str | None = None, since: int | None = None
    ) -> AbstractAsyncContextManager[trio.abc.ReceiveChannel[SentEvent]]:
        """As `follow`, of all flows or one, with everything that a webhook is told."""
        filters = {} if flow is None else {"flow": flow}
        return follow_feed(self._url, self._key, self._tls, filters, since, SentEvent)

    async def _get_pages(self, path: str, query: Mapping[str, str], kind: type[T]) -> list[T]:
        items: list[T] = []
        cursor: str | None = None
        while True:
            page_query = {**query, "limit": str(PAGE_ROWS)} | ({"cursor": cursor} if cursor else {})
            page = await self._send("GET", f"{path}?{urlencode(page_query)}", None, _Page)
            items += [msgspec.json.decode(item, type=kind) for item in page.items]
            if page.next is None:
                return items
            assert page.next != cursor, "an engine that gives the same page for ever"
            cursor = page.next

    async def _send(self, method: str, path: str, body: Any, kind: type[T]) -> T:
        """JSON there and back."""
        return _decode(await self._tell(method, path, body), kind)

    async def _tell(self, method: str, path: str, body: Any) -> HttpAnswer:
        """JSON there."""
        headers = {} if body is None else {"Content-Type": "application/json"}
        content = None if body is None else msgspec.json.encode(body)
        return await self._request(method, path, headers, content)

    async def _send_file(self, path: str, file: str, content: bytes, kind: type[T]) -> T:
        content_type, body = make_multipart("file", file, content, boundary=secrets.token_hex(24))
        return _decode(
            await self._request("POST", path, {"Content-Type": content_type}, body), kind
        )

    async def _request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> HttpAnswer:
        answer = await self._http.request(
            method,
            self._url + path,
            headers={"Authorization": f"Bearer {self._key}", **(headers or {})},
            body=body,
        )
        if not 200 <= answer.status < 300:
            raise error_of(answer.status, answer.body)
        return answer


def _decode(answer: HttpAnswer, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        detail = f"The answer cannot be understood; is this a Callwheel engine? {error}."
        raise HttpFailed("broken_answer", detail) from error
