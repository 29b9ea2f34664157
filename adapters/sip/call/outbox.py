"""What a core's calls want to have sent and told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from adapters.media.types import Remote
from adapters.sip.wire.hop import Hop
from engine.ports.telephony import Ended, Ringing

if TYPE_CHECKING:
    from adapters.sip.call.uac import OutboundCall


class MediaAgreed(Struct, frozen=True):
    """The callee answered and its answer is acknowledged; or it moved its media later."""

    remote: Remote
    is_first: bool


CallEvent = Ringing | MediaAgreed | Ended


class Outbox:
    """What the calls of a core want, in order. The core empties it after each thing it does, so that
    nothing piles up in it."""

    __slots__ = ("datagrams", "events", "retransmissions")

    def __init__(self) -> None:
        self.datagrams: list[tuple[bytes, Hop]] = []
        self.events: list[tuple[OutboundCall, CallEvent]] = []
        self.retransmissions = 0
        """Datagrams that a timer sent again, since the start."""
