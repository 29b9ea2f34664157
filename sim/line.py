"""One call as the exchange holds it: the callee, its dialog, its media, and its line in the log."""

from __future__ import annotations

from math import inf

from msgspec import Struct

from adapters.media.types import Remote
from sim.call_log import CallRecord
from sim.callee import Callee
from sim.rtp import Stream
from sim.wire import Address, Dialog, user_of


class Line(Struct, gc=False):
    """One call."""

    call_id: bytes
    branch: bytes | None
    """Of the INVITE."""
    cseq: int
    """Of the INVITE."""
    tag: bytes
    """Ours, in To."""
    number: str
    callee: Callee
    dialog: Dialog | None
    """None once the call is reported: nothing is sent from it any more."""
    source: Address
    holds_channel: bool
    remote: Remote | None = None
    """Where the caller wants its RTP."""
    stream: Stream | None = None
    bye_branch: bytes | None = None
    """Of the caller's latest BYE."""
    bye_retransmissions: int = 0
    last: bytes = b""
    """What was sent last of what is repeated."""
    scheduled_at: float = inf
    """The line's entry in the heap that counts."""

    @property
    def kept(self) -> Dialog:
        """The dialog of a call that is not reported yet."""
        assert self.dialog is not None, "nothing is sent for a call that was reported"
        return self.dialog

    @property
    def call_id_text(self) -> str:
        """For the log."""
        return self.call_id.decode("utf-8", "replace")

    def record(self, origin: float) -> CallRecord:
        """The call's line in the log, its moments counted from `origin`. Not after `let_go`."""
        callee, stream = self.callee, self.stream
        return CallRecord(
            number=self.number,
            caller=user_of(self.kept.from_line),
            call_id=self.call_id_text,
            invite_at=round(callee.invited_at - origin, 6),
            outcome=callee.plan.outcome,
            code=callee.code,
            answered_at=_since(origin, callee.answered_at),
            ended_at=_since(origin, callee.ended_at),
            by=callee.ended_by,
            acks=callee.acks,
            byes=callee.byes,
            bye_retransmissions=self.bye_retransmissions,
            cancels=callee.cancels,
            invite_retransmissions=callee.invite_retransmissions,
            resent=callee.resent,
            rtp_received=0 if stream is None else stream.received,
            rtp_gaps=0 if stream is None else stream.gaps,
        )

    def let_go(self) -> None:
        """Free what only the call's own messages need: thousands of calls wait for stragglers."""
        self.dialog = self.stream = self.remote = None
        self.last = b""


def _since(origin: float, moment: float | None) -> float | None:
    """A moment of the log, to the microsecond."""
    return None if moment is None else round(moment - origin, 6)
