"""The life of one outbound call as a table. `uac.OutboundCall` carries the actions out.

    prepared → calling → proceeding → answered → hanging_up → ended
                  │          └─ hang_up → canceling ─┘ (or a late 200: hanging_up)
                  └─ hang_up → holding_cancel: RFC 3261 §9.1 forbids a CANCEL before a provisional

A refusal that arrives while our CANCEL is under way ends the call as it was noted when that was sent,
as `we_hung_up` nearly always, whatever its status: many carriers answer a cancelled INVITE with 480 or
603, and nobody declined anything.

A provisional response that cannot be acknowledged (RFC 3262) cancels the INVITE: its callee would give
the call up by itself half a minute later, and 200 may not come before. Once a call is answered, what
becomes of a PRACK means nothing any more.
"""

from __future__ import annotations

from typing import Literal

CallState = Literal[
    "prepared",
    "calling",
    "proceeding",
    "holding_cancel",
    "canceling",
    "answered",
    "hanging_up",
    "ended",
]
Happening = Literal[
    "dial",
    "hang_up",
    "provisional",
    "answer",
    "unusable_answer",
    "challenge",
    "refusal",
    "unreachable",
    "peer_bye",
    "bye_done",
    "stream_lost",
    "ack_missing",
    "prack_failed",
    "session_expired",
    "dialog_gone",
    "deadline",
]
"""`answer` is a 2xx with media that can be used, `challenge` a 401, 407 or 422 that the same INVITE can
meet with other words, `bye_done` any end of our BYE's transaction, `prack_failed` the end of the only
early dialog, `session_expired` that the callee let its session run out or our refresh got no answer,
`dialog_gone` that it does not know the dialog any more, `deadline` 64·T1 after the call was to end."""
Action = Literal[
    "send_invite",
    "send_cancel",
    "acknowledge",
    "send_bye",
    "start_deadline",
    "forget_invite",
    "report_progress",
    "report_answer",
    "note_no_media",
    "note_lost",
    "note_expired",
    "end_canceled",
    "end_rejected",
    "end_unreachable",
    "end_by_callee",
    "end_as_noted",
]

CallTable = dict[tuple[CallState, Happening], tuple[CallState, tuple[Action, ...]]]

_HANG_UP: tuple[CallState, tuple[Action, ...]] = ("hanging_up", ("start_deadline", "send_bye"))
_LATE_ANSWER: tuple[CallState, tuple[Action, ...]] = ("hanging_up", ("acknowledge", "send_bye"))
_NO_MEDIA: tuple[CallState, tuple[Action, ...]] = (
    "hanging_up",
    ("acknowledge", "note_no_media", "start_deadline", "send_bye"),
)
_LOST: tuple[CallState, tuple[Action, ...]] = (
    "hanging_up",
    ("note_lost", "start_deadline", "send_bye"),
)

_EXPIRED: tuple[CallState, tuple[Action, ...]] = (
    "hanging_up",
    ("note_expired", "start_deadline", "send_bye"),
)

CALL_TABLE: CallTable = {
    ("prepared", "dial"): ("calling", ("send_invite",)),
    ("prepared", "hang_up"): ("ended", ("end_canceled",)),
    ("calling", "provisional"): ("proceeding", ("report_progress",)),
    ("calling", "answer"): ("answered", ("acknowledge", "report_answer")),
    ("calling", "unusable_answer"): _NO_MEDIA,
    ("calling", "challenge"): ("calling", ("send_invite",)),
    ("calling", "refusal"): ("ended", ("end_rejected",)),
    ("calling", "unreachable"): ("ended", ("end_unreachable",)),
    ("calling", "hang_up"): ("holding_cancel", ("start_deadline",)),
    ("proceeding", "provisional"): ("proceeding", ("report_progress",)),
    ("proceeding", "answer"): ("answered", ("acknowledge", "report_answer")),
    ("proceeding", "unusable_answer"): _NO_MEDIA,
    ("proceeding", "challenge"): ("calling", ("send_invite",)),
    ("proceeding", "refusal"): ("ended", ("end_rejected",)),
    ("proceeding", "hang_up"): ("canceling", ("start_deadline", "send_cancel")),
    ("proceeding", "prack_failed"): ("canceling", ("note_lost", "start_deadline", "send_cancel")),
    # The callee answered and hung up, and its 200 was lost on the way. It may still come, and the
    # INVITE waits for it without a timer of its own: hence the deadline behind the end.
    ("proceeding", "peer_bye"): ("ended", ("end_by_callee", "start_deadline")),
    # No deadline here: Timer B began before the hang-up, and is over first.
    ("holding_cancel", "provisional"): ("canceling", ("send_cancel",)),
    ("holding_cancel", "answer"): _LATE_ANSWER,
    ("holding_cancel", "unusable_answer"): _LATE_ANSWER,
    ("holding_cancel", "challenge"): ("ended", ("end_canceled",)),
    ("holding_cancel", "refusal"): ("ended", ("end_rejected",)),
    ("holding_cancel", "unreachable"): ("ended", ("end_unreachable",)),
    ("canceling", "answer"): _LATE_ANSWER,
    ("canceling", "unusable_answer"): _LATE_ANSWER,
    ("canceling", "challenge"): ("ended", ("end_canceled",)),
    ("canceling", "refusal"): ("ended", ("end_canceled",)),
    ("canceling", "peer_bye"): ("ended", ("end_canceled", "start_deadline")),
    ("canceling", "deadline"): ("ended", ("forget_invite", "end_canceled")),
    ("answered", "hang_up"): _HANG_UP,
    ("answered", "peer_bye"): ("ended", ("end_by_callee",)),
    ("answered", "stream_lost"): _LOST,
    ("answered", "ack_missing"): _LOST,
    ("answered", "session_expired"): _EXPIRED,
    ("answered", "dialog_gone"): _LOST,
    ("hanging_up", "bye_done"): ("ended", ("end_as_noted",)),
    ("hanging_up", "peer_bye"): ("ended", ("end_as_noted",)),
    ("hanging_up", "deadline"): ("ended", ("end_as_noted",)),
    ("ended", "deadline"): ("ended", ("forget_invite",)),
}
"""A pair that is not here means nothing, and is dropped."""
