"""The feed as a client reads it: one stream of events over as many websocket connections as it takes."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Mapping
from typing import Final, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec
import trio
import trio_websocket as websocket
from msgspec import Struct

from adapters.http_client import HttpFailed, reason_of
from api.answers import FeedEvent, SentEvent, error_of

FRAME_BYTES_MAX: Final = 16 * 1024 * 1024
"""The longest frame that is read."""
QUIET_S: Final = 30.0
"""A feed that says nothing for so long is asked whether it is still there."""
ANSWER_S: Final = 10.0
"""How long it may take to say so, and to accept a connection."""
AWAY_S_MAX: Final = 60.0
"""How long a feed that broke is sought again before it is given up."""
WAITS_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Waits between attempts to reach it again; the last one is repeated."""

E = TypeVar("E", bound=FeedEvent | SentEvent)


class _End(Struct):
    """Why a connection ended."""

    reason: str = "the connection broke"
    error: Exception | None = None
    """Set where another attempt would be of no use."""


@trio.as_safe_channel
async def follow_feed(
    url: str,
    key: str,
    tls: ssl.SSLContext,
    filters: Mapping[str, str],
    since: int | None,
    kind: type[E],
) -> AsyncGenerator[E, None]:
    """Events in order, each once, across connections that break.

    Raises `ApiError` when the engine refuses, and `HttpFailed` when it is gone for `AWAY_S_MAX` or says
    what cannot be understood.

    Args:
        url: where the engine's HTTP front is.
        filters: parameters of the feed, as `list`.
        since: events with a higher number; None for those from now on.
        kind: as what events are read.
    """
    decoder: msgspec.json.Decoder[list[E]] = msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]
    failures = 0
    away_since = trio.current_time()
    while True:
        end = _End()
        seen = {} if since is None else {"since": str(since)}
        stream = await _dial(url, tls, end)
        if stream is not None:
            # The stream is closed here, because trio-websocket 0.12 leaves it open where the other side
            # closes first.
            try:
                async with trio.open_nursery() as nursery:
                    target = f"/v1/feed?{urlencode({**filters, **seen})}"
                    connection = await _shake_hands(nursery, stream, url, target, key, end)
                    while (events := await _next_events(connection, decoder, end)) is not None:
                        failures = 0
                        for event in _leave_out_seen(events, since):
                            since = event.seq
                            yield event
                    nursery.cancel_scope.cancel()
            except* websocket.HandshakeError as errors:
                # Raised in the task that reads, and so by the nursery.
                _note_refusal(errors, end)
            finally:
                await trio.aclose_forcefully(stream)
        if end.error is not None:
            raise end.error
        if failures == 0:
            away_since = trio.current_time()
        elif trio.current_time() - away_since > AWAY_S_MAX:
            raise HttpFailed("unreachable", f"The feed of {url} is gone: {end.reason}.")
        await trio.sleep(WAITS_S[min(failures, len(WAITS_S) - 1)])
        failures += 1


def _leave_out_seen(events: list[E], since: int | None) -> list[E]:
    """Without what was sent again after a reconnection."""
    return [event for event in events if since is None or event.seq > since]


async def _dial(url: str, tls: ssl.SSLContext, end: _End) -> trio.abc.Stream | None:
    """A connection to the host of the address, secure where the address says so."""
    parts = urlsplit(url)
    is_secure = parts.scheme == "https"
    host = parts.hostname or ""
    try:
        with trio.fail_after(ANSWER_S):
            stream = await trio.open_tcp_stream(host, parts.port or (443 if is_secure else 80))
            if not is_secure:
                return stream
            secure = trio.SSLStream(stream, tls, server_hostname=host, https_compatible=True)
            try:
                await secure.do_handshake()
            except BaseException:
                await trio.aclose_forcefully(stream)
                raise
            return secure
    except OSError as error:
        end.reason = reason_of(error)
    except trio.BrokenResourceError as error:
        end.reason = str(error.__cause__ or "the connection broke")
    except trio.TooSlowError:
        end.reason = "it does not answer"
    return None


async def _shake_hands(
    nursery: trio.Nursery, stream: trio.abc.Stream, url: str, target: str, key: str, end: _End
) -> websocket.WebSocketConnection | None:
    """The websocket over this connection; None where there will be none."""
    try:
        with trio.fail_after(ANSWER_S):
            return await websocket.wrap_client_stream(
                nursery,
                stream,
                urlsplit(url).netloc,
                target,
                extra_headers=[(b"Authorization", f"Bearer {key}".encode())],
                max_message_size=FRAME_BYTES_MAX,
            )
    except trio.TooSlowError:
        end.reason = "it does not answer"
    return None


def _note_refusal(errors: BaseExceptionGroup[websocket.HandshakeError], end: _End) -> None:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    end.reason = "it does not speak websocket"
    if isinstance(error, websocket.ConnectionRejected):
        end.reason = f"it answers {error.status_code}"
        if error.status_code < 500:
            end.error = error_of(error.status_code, error.body or b"")


async def _next_events(
    connection: websocket.WebSocketConnection | None,
    decoder: msgspec.json.Decoder[list[E]],
    end: _End,
) -> list[E] | None:
    """The events of the next frame; None where none will follow."""
    if connection is None:
        return None
    frame = await _next_frame(connection)
    if frame is None:
        return None
    try:
        return decoder.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        end.error = HttpFailed("broken_answer", f"The feed cannot be understood: {error}.")
        return None


async def _next_frame(connection: websocket.WebSocketConnection) -> str | bytes | None:
    """The next frame; None where the connection is gone, or is quiet and does not answer a ping."""
    try:
        while True:
            with trio.move_on_after(QUIET_S):
                frame: str | bytes = await connection.get_message()
                return frame
            with trio.fail_after(ANSWER_S):
                await connection.ping()
    except (websocket.ConnectionClosed, trio.TooSlowError):
        return None
