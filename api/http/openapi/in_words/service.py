"""Who is not to be called, prompts, the feed, and the service itself, in words."""

from __future__ import annotations

from typing import Any, Final

from api.http.openapi.bodies import (
    AddedView,
    StatusView,
    TicketView,
)
from api.http.openapi.described import CSV_TYPE, Described, page_of
from api.http.resources.dnc import DoNotCallForm, ImportView
from api.http.resources.events import EVENT_STREAM_TYPE
from api.http.resources.traces import TEXT_TYPE
from api.http.views.do_not_call import DoNotCallChangeView, DoNotCallView
from api.http.views.flows import PromptView

HTML_TYPE: Final = "text/html"
SERVICE: Final[dict[tuple[str, str], Described]] = {
    ("POST", "/v1/dnc"): Described(
        "Put numbers on the do-not-call list",
        AddedView,
        201,
        DoNotCallForm,
        {"numbers": ["+919876543210", "+1900*"], "note": "asked on 3 May"},
        codes=("unknown_flow", "too_many_prefixes", "invalid_number", "invalid_expiry"),
    ),
    ("GET", "/v1/dnc"): Described("List who is not to be called", page_of(DoNotCallView)),
    ("GET", "/v1/dnc.csv"): Described("Get the do-not-call list", media_type=CSV_TYPE),
    ("GET", "/v1/dnc/audit"): Described(
        "List who changed the do-not-call list, and how", page_of(DoNotCallChangeView)
    ),
    ("POST", "/v1/dnc/import"): Described(
        "Put the numbers of a file on the do-not-call list",
        ImportView,
        201,
        codes=(
            "unknown_flow",
            "not_csv",
            "file_too_large",
            "invalid_encoding",
            "too_many_prefixes",
        ),
    ),
    ("DELETE", "/v1/dnc/{number}"): Described(
        "Strike a number off the do-not-call list", None, 204, codes=("invalid_number",)
    ),
    ("POST", "/v1/prompts"): Described(
        "Upload a recording to be played",
        PromptView,
        201,
        codes=("empty", "not_audio", "too_big", "too_long"),
        detail="WAV, MP3, FLAC or OGG of any rate.",
    ),
    ("GET", "/v1/prompts"): Described("List recordings to be played", page_of(PromptView)),
    ("POST", "/v1/feed/tickets"): Described(
        "Get a ticket with which a browser opens the feed", TicketView, 201
    ),
    ("GET", "/v1/events"): Described(
        "Follow the events of the account as Server-Sent Events",
        media_type=EVENT_STREAM_TYPE,
        detail=(
            "The same as the websocket `/v1/feed`, for those who cannot do websockets: an event's `id` is its"
            " number, and its `data` an `Event`. It goes on until the client leaves, with a comment after"
            " 15 s of silence; `Last-Event-ID` goes before `since`."
        ),
    ),
    ("GET", "/healthz"): Described("Whether the process lives", StatusView),
    ("GET", "/readyz"): Described("Whether calls can be made", StatusView, codes=("not_ready",)),
    ("GET", "/metrics"): Described(
        "What the process does, for Prometheus", media_type=TEXT_TYPE, codes=("not_found",)
    ),
    ("GET", "/openapi.json"): Described("This description", dict[str, Any]),
    ("GET", "/docs"): Described("This description, to be read", media_type=HTML_TYPE),
    ("GET", "/"): Described("The console", media_type=HTML_TYPE),
    ("GET", "/console/{file}"): Described("A part of the console", media_type="text/plain"),
    ("GET", "/docs/errors/{code}"): Described("What an error means", media_type=HTML_TYPE),
}
