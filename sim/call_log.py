"""What the carrier saw, for judges: counters, and a line of JSON for each finished call.

A line is written when nothing that matters can follow any more: at the BYE, at the ACK of a refusal,
or when the carrier gives up waiting. What still comes after that, such as a BYE that was sent twice,
is a line of its own that `read_call_log` adds to its call.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct, field

from sim.callee import EndedBy
from sim.profile import Outcome

WRITE_BYTES_MAX: Final = 65_536
"""Lines are handed to the kernel at once up to this size, then in further pieces."""


class CallRecord(Struct, tag="call"):
    """One INVITE transaction and what came of it. Moments are seconds since the carrier's first packet."""

    number: str
    """The user part of the Request-URI."""
    caller: str
    """The user part of From."""
    call_id: str
    invite_at: float
    outcome: Outcome
    """What the callee was going to do; a caller who cancels may never have learned it."""
    code: int
    """The final status that was sent: 200, a refusal, 487 after a CANCEL; 0 for none."""
    answered_at: float | None = None
    """When the 200 was first sent."""
    ended_at: float | None = None
    """None where the carrier was stopped first."""
    by: EndedBy | None = None
    """Who ended it; None where nobody did."""
    acks: int = 0
    byes: int = 0
    """The caller's, each as often as it came."""
    bye_retransmissions: int = 0
    """Of these, those that had come before."""
    cancels: int = 0
    invite_retransmissions: int = 0
    resent: int = 0
    """How often the carrier repeated a final response or a BYE, hearing nothing."""
    rtp_received: int = 0
    """Packets, from the answer to the end."""
    rtp_gaps: int = 0
    """Packets that their sequence numbers say are missing."""


class LateRequest(Struct, tag="late"):
    """A request that came for a call whose line was written already."""

    call_id: str
    event: Literal["ack", "bye", "cancel", "invite"]
    is_repeated: bool = False
    """Whether it is a BYE that had come before."""


class CarrierStatistics(Struct, tag="statistics"):
    """Counters since the carrier's start. What `statistics()` returns is a copy that stands still."""

    packets: int = 0
    """Datagrams on the signalling port."""
    malformed: int = 0
    """Of these, those that could not be read, or were of no use; they were dropped."""
    strays: int = 0
    """Of these, well-formed ones for a call or transaction that is not known."""
    faults: int = 0
    """Of these, those that met a mistake of the carrier's own; each is in its log."""
    invites: int = 0
    """Calls: INVITE transactions outside of a dialog."""
    invite_retransmissions: int = 0
    invites_repeated: int = 0
    """New INVITE transactions with the Call-ID of an earlier one: a number dialled twice, or a
    second try of the same call."""
    acks: int = 0
    byes: int = 0
    cancels: int = 0
    others: int = 0
    """OPTIONS and every other method."""
    over_ceiling: int = 0
    """Calls refused with 503 because of `cps_max`, `channels_max` or the carrier's own bound."""
    outcomes: dict[Outcome, int] = field(default_factory=dict)
    """Calls by what the callee was going to do; those over a ceiling are `congested`."""
    codes: dict[int, int] = field(default_factory=dict)
    """Calls by the final status that was sent, each counted once."""
    resent: int = 0
    """Final responses and BYEs that went out again."""
    channels: int = 0
    """Calls at this moment."""
    channels_peak: int = 0
    """Most calls at once."""
    kept: int = 0
    """Calls held in memory, those that only wait for stragglers included."""
    send_failed: int = 0
    """Datagrams that the kernel did not take; retransmission makes up for them."""
    log_failed: int = 0
    """Lines that could not be written to the call log."""
    streams: int = 0
    rtp_sent: int = 0
    rtp_received: int = 0
    rtp_strays: int = 0
    """RTP from an address that belongs to no call."""


Line = CallRecord | LateRequest | CarrierStatistics

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Line)


class CallLog:
    """Appends lines to a file. Each `write` reaches the kernel before it returns, so that killing
    the process loses none of it."""

    def __init__(self, path: Path) -> None:
        """Raises OSError when the file cannot be opened for appending."""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def write(self, lines: Iterable[Line]) -> None:
        """Raises OSError when the file takes no more."""
        data = b"".join(_encoder.encode(line) + b"\n" for line in lines)
        while data:
            data = data[os.write(self._file, data[:WRITE_BYTES_MAX]) :]

    def close(self) -> None:
        os.close(self._file)


def read_call_log(path: Path) -> tuple[list[CallRecord], CarrierStatistics | None]:
    """The calls of a log in the order in which they finished, with what came late added to them, and
    the counters if the carrier was stopped in an orderly way (the last run's, if the file holds several).

    A line that a kill or a full disk cut off is left out. Raises OSError.
    """
    records: list[CallRecord] = []
    newest: dict[str, CallRecord] = {}
    statistics = None
    for text in path.read_bytes().split(b"\n"):
        try:
            line = _decoder.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if isinstance(line, CallRecord):
            records.append(line)
            newest[line.call_id] = line
        elif isinstance(line, CarrierStatistics):
            statistics = line
        elif line.call_id in newest:
            _add_late(newest[line.call_id], line)
    return records, statistics


def _add_late(record: CallRecord, late: LateRequest) -> None:
    if late.event == "ack":
        record.acks += 1
    elif late.event == "bye":
        record.byes += 1
        record.bye_retransmissions += late.is_repeated
    elif late.event == "cancel":
        record.cancels += 1
    else:
        record.invite_retransmissions += 1
