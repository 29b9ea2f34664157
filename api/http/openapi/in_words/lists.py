"""Lists, contacts, attempts and recordings, in words."""

from __future__ import annotations

from typing import Final

from api.http.openapi.described import CSV_TYPE, Described, page_of
from api.http.resources.traces import TEXT_TYPE
from api.http.views.calls import AttemptView, ContactView, RecordingView
from api.http.views.lists import ForecastView, ListView
from engine.control.rescheduling import ListChangeForm, StartForm
from engine.forecast.behaviour import Stated

LIST: Final = "/v1/lists/{list}"
STARTS: Final = {"starttime": "2026-12-24T09:00:00+05:30"}
LISTS: Final[dict[tuple[str, str], Described]] = {
    ("GET", "/v1/lists"): Described("List call lists, the newest first", page_of(ListView)),
    ("GET", LIST): Described("Show a list and how far it is", ListView),
    ("PATCH", LIST): Described(
        "Give a list another start time, or another priority",
        ListView,
        takes=ListChangeForm,
        example={**STARTS, "priority": "high"},
        codes=("invalid_starttime", "starttime_past", "list_finished"),
    ),
    ("GET", f"{LIST}/contacts"): Described(
        "List the contacts of a list with what each waits for", page_of(ContactView)
    ),
    ("GET", f"{LIST}/results.csv"): Described(
        "Get what became of each contact", media_type=CSV_TYPE
    ),
    ("GET", f"{LIST}/rejected.csv"): Described(
        "Get the rows that were not taken, with why", media_type=CSV_TYPE
    ),
    ("POST", f"{LIST}/forecast"): Described(
        "Tell when a list will end, and what keeps it from ending sooner",
        ForecastView,
        takes=Stated,
        example={"answer_rate": 0.4, "talk_s": 30},
        codes=("forecast_busy", "busy"),
    ),
    ("POST", f"{LIST}/pause"): Described(
        "Let no more call of a list begin", ListView, codes=("list_finished",)
    ),
    ("POST", f"{LIST}/resume"): Described(
        "Go on with a paused list", ListView, codes=("list_finished",)
    ),
    ("POST", f"{LIST}/cancel"): Described(
        "Call nobody of a list any more", ListView, codes=("list_finished", "list_standing")
    ),
    ("GET", "/v1/contacts/{contact}"): Described(
        "Show a contact, its attempts, and what it waits for", ContactView
    ),
    ("PATCH", "/v1/contacts/{contact}"): Described(
        "Give a contact another start time",
        ContactView,
        takes=StartForm,
        example=STARTS,
        codes=("invalid_starttime", "starttime_past", "contact_finished", "contact_dialing"),
    ),
    ("POST", "/v1/contacts/{contact}/cancel"): Described(
        "Do not call a contact any more",
        ContactView,
        codes=("contact_finished", "contact_dialing"),
    ),
    ("GET", "/v1/attempts"): Described("List call detail records", page_of(AttemptView)),
    ("GET", "/v1/attempts.csv"): Described("Get call detail records", media_type=CSV_TYPE),
    ("GET", "/v1/attempts/{attempt}"): Described("Show a call detail record", AttemptView),
    ("GET", "/v1/attempts/{attempt}/trace"): Described(
        "Get what a call said on the wire",
        media_type=TEXT_TYPE,
        codes=("trace_not_kept",),
        detail="`format` is `text`, or `pcap` for Wireshark.",
    ),
    ("GET", "/v1/recordings"): Described("List recordings", page_of(RecordingView)),
    ("GET", "/v1/recordings/{recording}"): Described(
        "Get a recording's sound", media_type="audio/wav", codes=("recording_not_kept",)
    ),
}
