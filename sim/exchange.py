"""The carrier without its sockets: datagrams and moments go in, datagrams and log lines come out.

How it works. Each call is a `Line`: a `Callee` that says what to do, and a `Dialog` that says it in
SIP. Lines are found by Call-ID. The moments that callees wait for lie in one heap, with one entry
for each line as a rule; an entry that turns out to be early is put back for the later moment.

Nothing here reads a clock, opens a socket or draws chance. What cannot be read is counted and
dropped: `SipParseError` does not leave this module.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Final, Literal

from msgspec.structs import replace

from adapters.media.sdp import SdpError, build_offer
from adapters.media.types import Remote
from adapters.sip.wire.message import Request, Response, SipParseError, parse
from sim.call_log import CarrierStatistics, LateRequest
from sim.call_log import Line as LogLine
from sim.callee import Action, Callee
from sim.ceilings import Ceilings
from sim.line import Line
from sim.profile import Plan, Profile, plan_call
from sim.rtp import Streams
from sim.wire import (
    ALLOW,
    NUMBER_CHARS_MAX,
    Address,
    SdpAnswers,
    echo,
    host_port,
    read_dialog,
    refuse,
    respond,
    tagged,
    user_of,
)

NUMBERS_MAX: Final = 1_000_000
"""Numbers whose calls are counted; the one seen first is forgotten first, and counts from 0 again."""
LINES_MAX: Final = 200_000
"""Calls in memory, those that wait for stragglers included; one more gets a 503 that is not kept."""

FromCaller = Literal["invite", "ack", "cancel", "bye", "hush", "response"]
_LATE: Final[dict[FromCaller, Literal["ack", "bye", "cancel", "invite"]]] = {
    "ack": "ack",
    "bye": "bye",
    "cancel": "cancel",
    "invite": "invite",
}
"""What is worth a line of its own when it comes for a call that was reported."""

_REPLIES: Final[dict[Action, int]] = {"accept": 200, "disown": 481}
"""What is sent at once, to the request at hand."""


class Exchange:
    """Takes calls and answers them as a profile says."""

    def __init__(
        self, profile: Profile, seed: int, signalling: Address, media: Address, streams: Streams
    ) -> None:
        """`signalling` and `media` are where callers reach this carrier's SIP and RTP."""
        self._profile = profile
        self._seed = seed
        self._contact = b"Contact: <sip:%b>" % host_port(signalling)
        self._media = media
        self._streams = streams
        self._answers = SdpAnswers(*media)
        self._ceilings = Ceilings(profile.cps_max, profile.channels_max or LINES_MAX)
        self._lines: dict[bytes, Line] = {}
        self._numbers: dict[str, int] = {}
        self._moments: list[tuple[float, int, Line]] = []
        self._serial = count(1)
        self._origin: float | None = None
        self._counts = CarrierStatistics()
        self.outbox: list[tuple[bytes, Address]] = []
        """What is to be sent, in order; the holder empties it."""
        self.finished: list[LogLine] = []
        """What is to be logged, in order; the holder empties it."""
        self._requests: dict[bytes, Callable[[Request, int, Address, float], None]] = {
            b"INVITE": self._on_invite,
            b"ACK": self._on_ack,
            b"CANCEL": self._on_cancel,
            b"BYE": self._on_bye,
        }
        self._deeds: dict[Action, Callable[[Line], None]] = {
            "trying": self._send_trying,
            "alert": self._send_alert,
            "answer": self._send_answer,
            "refuse": self._send_refusal,
            "terminate": self._send_terminated,
            "hang_up": self._send_bye,
            "repeat": self._repeat,
            "end": self._end,
            "report": self._report,
        }

    @property
    def wake_at(self) -> float:
        """When `advance` wants to be called next; infinite when nothing is waited for."""
        return self._moments[0][0] if self._moments else inf

    def statistics(self) -> CarrierStatistics:
        """A copy of the counters."""
        streams = self._streams
        return replace(
            self._counts,
            outcomes=dict(self._counts.outcomes),
            codes=dict(self._counts.codes),
            channels=self._ceilings.channels,
            channels_peak=self._ceilings.channels_peak,
            kept=len(self._lines),
            send_failed=streams.send_failed,
            streams=len(streams.sending),
            rtp_sent=streams.sent + sum(stream.sent for stream in streams.sending.values()),
            rtp_received=streams.received,
            rtp_strays=streams.strays,
        )

    def receive(self, data: bytes, source: Address, now: float) -> None:
        """Take in a datagram at `now`."""
        if self._origin is None:
            self._origin = now
        self._counts.packets += 1
        try:
            if b"\0" in data:
                # RFC 3261 allows it inside quotes, where no caller has a use for it.
                raise SipParseError("NUL")
            message = parse(data)
            cseq = message.cseq
            if isinstance(message, Request):
                take = self._requests.get(message.method, self._on_other)
                take(message, cseq.number, source, now)
            else:
                self._on_response(message, cseq.method, now)
        except SipParseError:
            # Line ends alone keep an address translation open (RFC 5626 §3.5.1).
            if data.strip(b"\r\n"):
                self._counts.malformed += 1

    def advance(self, now: float) -> None:
        """Do whatever is due at `now`."""
        moments = self._moments
        while moments and moments[0][0] <= now:
            at, _, line = heappop(moments)
            if at != line.scheduled_at:
                continue
            line.scheduled_at = inf
            self._pass_time(line, now)

    def close(self, statistics: CarrierStatistics) -> None:
        """Report what is not finished, and these counters; nothing is sent."""
        for line in self._lines.values():
            if line.dialog is not None:
                self._report(line)
        self.finished.append(statistics)

    # What comes in

    def _on_invite(self, request: Request, cseq: int, source: Address, now: float) -> None:
        branch = request.branch
        line = self._lines.get(request.call_id)
        if request.to_tag is not None:
            # A call's media stays as it was agreed on.
            known = line is not None and request.to_tag == line.tag and line.dialog is not None
            self._reply(request, source, 488 if known else 481)
            return
        if line is not None:
            if branch == line.branch:
                self._counts.invite_retransmissions += 1
                self._happen(line, "invite", now)
                return
            self._counts.invites_repeated += 1
            if line.callee.state == "silent":
                return
            if line.callee.ended_at is None:
                self._reply(request, source, 482)
                return
            self._forget(line)
        self._counts.invites += 1
        if len(self._lines) >= LINES_MAX:
            self._counts.over_ceiling += 1
            retry_after = b"Retry-After: %d" % self._profile.retry_after_s
            self._reply(request, source, 503, retry_after)
            return
        self._begin(request, branch, cseq, source, now)

    def _begin(
        self, request: Request, branch: bytes | None, cseq: int, source: Address, now: float
    ) -> None:
        """A new call."""
        number = user_of(request.uri)
        serial = next(self._serial)
        tag = b"callee-%d" % serial
        dialog = read_dialog(request, source, tag, self._contact)
        accepted = self._ceilings.accept(now)
        plan = self._plan(number) if accepted else Plan("congested", 503, asks_for_pause=True)
        self._counts.over_ceiling += not accepted
        remote = None
        if plan.code == 200 or plan.alert == 183:
            try:
                dialog.sdp, remote = self._negotiate(request.body, serial)
            except SdpError:
                plan = Plan("failed", 488)
        outcomes = self._counts.outcomes
        outcomes[plan.outcome] = outcomes.get(plan.outcome, 0) + 1
        line = Line(
            request.call_id, branch, cseq, tag, number, Callee(plan, now), dialog, source,
            holds_channel=accepted, remote=remote,
        )  # fmt: skip
        self._lines[request.call_id] = line
        self._happen(line, "invite" if plan.code else "hush", now)

    def _plan(self, number: str) -> Plan:
        """What a call to the number does, which depends on how many it had."""
        if not number or len(number) > NUMBER_CHARS_MAX:
            return Plan("invalid", 484)
        calls_before = self._numbers.get(number, 0)
        self._numbers[number] = calls_before + 1
        if len(self._numbers) > NUMBERS_MAX:
            del self._numbers[next(iter(self._numbers))]
        return plan_call(self._profile, self._seed, number, calls_before)

    def _negotiate(self, offer: bytes, session_id: int) -> tuple[bytes, Remote | None]:
        """Our SDP, and where the caller wants its RTP. A caller who offers nothing gets an offer
        (RFC 3261 §13.2.1), and no sound. Raises `SdpError`."""
        if not offer:
            return build_offer(*self._media, session_id), None
        return self._answers.answer(offer, session_id)

    def _on_ack(self, request: Request, cseq: int, source: Address, now: float) -> None:
        self._counts.acks += 1
        line = self._lines.get(request.call_id)
        if line is None or cseq != line.cseq:
            self._counts.strays += 1
            return
        self._happen(line, "ack", now)

    def _on_cancel(self, request: Request, cseq: int, source: Address, now: float) -> None:
        self._counts.cancels += 1
        line = self._lines.get(request.call_id)
        if line is None or request.branch != line.branch:
            self._counts.strays += 1
            self._reply(request, source, 481)
            return
        self._happen(line, "cancel", now, (request, source))

    def _on_bye(self, request: Request, cseq: int, source: Address, now: float) -> None:
        self._counts.byes += 1
        line = self._lines.get(request.call_id)
        if line is None or request.to_tag != line.tag:
            self._counts.strays += 1
            self._reply(request, source, 481)
            return
        is_repeated = line.bye_branch is not None and request.branch == line.bye_branch
        line.bye_branch = request.branch
        line.bye_retransmissions += is_repeated
        self._happen(line, "bye", now, (request, source), is_repeated=is_repeated)

    def _on_other(self, request: Request, cseq: int, source: Address, now: float) -> None:
        self._counts.others += 1
        if request.method == b"OPTIONS":
            self._reply(request, source, 200, ALLOW, b"Accept: application/sdp")
        elif request.method == b"INFO":
            line = self._lines.get(request.call_id)
            known = line is not None and request.to_tag == line.tag and line.dialog is not None
            self._reply(request, source, 200 if known else 481)
        else:
            self._reply(request, source, 405, ALLOW)

    def _on_response(self, response: Response, method: bytes, now: float) -> None:
        line = self._lines.get(response.call_id)
        if line is None or method != b"BYE":
            self._counts.strays += 1
        elif response.status >= 200:
            self._happen(line, "response", now)

    # What follows from it

    def _happen(
        self,
        line: Line,
        event: FromCaller,
        now: float,
        at_hand: tuple[Request, Address] | None = None,
        *,
        is_repeated: bool = False,
    ) -> None:
        """Feed what came to the callee, and do what it wants, a response to the CANCEL or BYE at
        hand included. `is_repeated` says of a BYE that it had come before."""
        if line.dialog is None and event in _LATE:
            self.finished.append(LateRequest(line.call_id_text, _LATE[event], is_repeated))
        for action in line.callee.step(event, now):
            if action in _REPLIES:
                assert at_hand is not None
                self._reply(*at_hand, _REPLIES[action], tag=line.tag)
            else:
                self._deeds[action](line)
        self._pass_time(line, now)

    def _pass_time(self, line: Line, now: float) -> None:
        """Do what is due on a line, and see to it that what is not due yet is not missed."""
        callee = line.callee
        while (event := callee.due(now)) is not None:
            self._counts.resent += event == "resend"
            for action in callee.step(event, now):
                self._deeds[action](line)
        if callee.state == "gone":
            self._forget(line)
        elif (wake_at := callee.wake_at) < line.scheduled_at:
            line.scheduled_at = wake_at
            heappush(self._moments, (wake_at, next(self._serial), line))

    def _forget(self, line: Line) -> None:
        if line.dialog is not None:
            self._report(line)
        line.scheduled_at = inf
        if self._lines.get(line.call_id) is line:
            del self._lines[line.call_id]

    def _reply(
        self, request: Request, source: Address, status: int, *more: bytes, tag: bytes = b"carrier"
    ) -> None:
        """Answer a request, with nothing kept: it gets the same answer again when it comes again."""
        lines = echo(request, source)
        if request.to_tag is None:
            lines = tagged(lines, tag)
        self.outbox.append((respond(status, lines, *more), source))

    # What a callee can want

    def _send_kept(self, line: Line, data: bytes) -> None:
        line.last = data
        self.outbox.append((data, line.source))

    def _repeat(self, line: Line) -> None:
        self.outbox.append((line.last, line.source))

    def _send_trying(self, line: Line) -> None:
        # A 100 has no tag of ours: RFC 3261 §8.2.6.2 leaves it to us, proxies send none.
        self._send_kept(line, respond(100, line.kept.lines))

    def _send_alert(self, line: Line) -> None:
        self._send_kept(line, line.kept.progress(line.callee.plan.alert))
        if line.callee.plan.alert == 183 and line.remote is not None:
            line.stream = self._streams.open(line.remote)
            self._streams.ring(line.stream)

    def _send_answer(self, line: Line) -> None:
        plan = line.callee.plan
        self._count_code(200)
        self._send_kept(line, line.kept.accept(plan.answer))
        if line.remote is None or plan.answer == "empty":
            return
        if line.stream is None:
            line.stream = self._streams.open(line.remote)
        if plan.outcome == "machine":
            self._streams.announce(line.stream, plan.greeting_s)
        else:
            self._streams.greet(line.stream, plan.greeting_s, plan.keys)

    def _send_refusal(self, line: Line) -> None:
        code = line.callee.code
        self._count_code(code)
        pause_s = self._profile.retry_after_s if line.callee.plan.asks_for_pause else None
        self._send_kept(line, refuse(code, line.kept.lines, pause_s))

    def _send_terminated(self, line: Line) -> None:
        self._count_code(487)
        self._send_kept(line, respond(487, line.kept.lines))

    def _send_bye(self, line: Line) -> None:
        self._send_kept(line, line.kept.build_bye())

    def _end(self, line: Line) -> None:
        if line.holds_channel:
            self._ceilings.release()
            line.holds_channel = False
        if line.stream is not None:
            self._streams.close(line.stream)

    def _count_code(self, code: int) -> None:
        self._counts.codes[code] = self._counts.codes.get(code, 0) + 1

    def _report(self, line: Line) -> None:
        self.finished.append(line.record(self._origin or 0.0))
        line.let_go()
