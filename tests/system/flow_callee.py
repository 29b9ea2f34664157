"""A callee on sockets of its own, who follows a script: listens, speaks, presses keys and hangs up.

Its RTP and its keys (RFC 4733) are put together here, byte by byte, and not by the code that they are sent
to. A burst of a key is seven packets; a script says which of them arrive, and in which order.
"""

from __future__ import annotations

import re
import socket
import struct
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import numpy as np
import trio

from adapters.media.codecs.g711 import ULAW_SILENCE, encode_ulaw
from adapters.sip.wire.message import Request, SipParseError, parse
from sim.wire import Address, Dialog, echo, read_dialog, respond, tagged, user_of
from tests.system.flow_sound import FRAME, TONE_FRAMES_MIN, Heard, Samples, is_loud, tone_of

TICK_S: Final = 0.02
WAIT_S_MAX: Final = 60.0
"""The longest that a script waits for anything."""
PAUSE_S: Final = 0.8
"""A prompt is over when it was silent for so long: pauses between sentences are shorter."""
PACKETS_MAX: Final = 1_000
"""Taken from a socket at once."""
KEY_PACKETS: Final = 7
WHOLE: Final = (0, 1, 2, 3, 4, 5, 6)
DAMAGED: Final = (2, 1, 1, 4, 6)
"""The first packet is lost, the second comes after the third, and twice; of three end packets one is left."""
GAP_TICKS: Final = 4

_RTP: Final = struct.Struct("!BBHII")
_EVENT: Final = struct.Struct("!BBH")
_KEYS: Final = "0123456789*#ABCD"
_SILENCE: Final = bytes([ULAW_SILENCE]) * FRAME

SDP: Final = """\
v=0
o=callee 1 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio {port} RTP/AVP 0 {event}
a=rtpmap:0 PCMU/8000
a=rtpmap:{event} telephone-event/8000
a=fmtp:{event} 0-15
"""


class CallOver(Exception):
    """The caller has hung up before the script was through."""


class Line:
    """One answered call, as its callee has it."""

    def __init__(self, number: str, offer: bytes, session: int) -> None:
        text = offer.decode()
        [host], [port] = re.findall(r"c=IN IP4 (\S+)", text), re.findall(r"m=audio (\d+) ", text)
        [event] = re.findall(r"a=rtpmap:(\d+) telephone-event/8000", text)
        self.number = number
        self.heard = Heard()
        self.is_through = False
        """Whether the script came to its end."""
        self._event = int(event)
        self._remote = (host, int(port))
        self._ssrc = session
        self._sequence = 7_000
        self._tick = 0
        self._speech: list[bytes] = []
        self._burst: list[bytes | None] = []
        self._quiet_frames = 0
        """Frames without sound that came one after another: a sender that is late is no silence."""
        self._loud_frames = 0
        self._tones: list[int | None] = []
        """What each of the last frames was."""
        self.first_loud_at: float | None = None
        """When anything was heard for the first time, trio's clock."""
        self.spoke_until: float | None = None
        """When the last word was said."""
        self._ticks = trio.lowlevel.ParkingLot()
        self.over = trio.Event()
        self.wants_to_leave = trio.Event()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def open(self) -> bytes:
        """Take a port for sound; our SDP."""
        self._socket.bind(("127.0.0.1", 0))
        port = self._socket.getsockname()[1]
        return SDP.format(port=port, event=self._event).replace("\n", "\r\n").encode()

    # What a script does

    async def hear_sound(self) -> None:
        """Wait until something more is heard."""
        before = self._loud_frames
        await self._until(lambda: self._loud_frames > before)

    async def hear_silence(self, for_s: float = PAUSE_S) -> None:
        """Wait until something was heard, and then nothing for so long."""
        await self.hear_sound()
        await self._until(lambda: self._quiet_frames * TICK_S >= for_s)

    async def hear_tone(self, hz: int) -> None:
        """Wait until this tone is heard, long enough that it is told by whoever looks at it later."""
        await self._until(lambda: self._tones[-TONE_FRAMES_MIN:] == [hz] * TONE_FRAMES_MIN)

    async def press(self, keys: str, arrives: Sequence[int] = WHOLE) -> None:
        """Press these keys, 100 ms each, and return when the last one goes down: the call may be over before
        it comes up. `arrives` says which packets of each burst are sent, in which order; the others are lost
        on the way."""
        for key in keys:
            await self._until(lambda: not self._burst)
            self._burst = self._make_burst(_KEYS.index(key), arrives)

    async def speak(self, samples: Samples) -> None:
        """Say this to its end."""
        padded = np.pad(samples, (0, -len(samples) % FRAME))
        octets = encode_ulaw(padded).tobytes()
        self._speech = [octets[at : at + FRAME] for at in range(0, len(octets), FRAME)]
        await self._until(lambda: not self._speech)
        self.spoke_until = trio.current_time()

    async def stay(self, for_s: float) -> None:
        """Do nothing for so long."""
        until = self._tick + round(for_s / TICK_S)
        await self._until(lambda: self._tick >= until)

    def hang_up(self) -> None:
        """Send a BYE, as soon as a key that goes down has come up."""
        self.wants_to_leave.set()

    async def come_up(self) -> None:
        """Wait until no key is down."""
        while self._burst and not self.over.is_set():
            await self._ticks.park()

    # How it is run

    async def run(self, script: Script) -> None:
        """Until the call is over."""
        with self._socket:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._follow, script)
                await self.over.wait()
                nursery.cancel_scope.cancel()
            self._listen()

    def pass_tick(self) -> None:
        """Hear what has come, and say the next 20 ms."""
        if self.over.is_set():
            return
        self._listen()
        for packet in self._next_packets():
            with suppress(OSError):  # nobody listens any more: the BYE is on its way
                self._socket.sendto(packet, self._remote)
        self._tick += 1
        self._ticks.unpark_all()

    async def _follow(self, script: Script) -> None:
        await script(self)
        self.is_through = True

    async def _until(self, condition: Callable[[], bool]) -> None:
        with trio.fail_after(WAIT_S_MAX):
            while not condition():
                await self._ticks.park()

    def _listen(self) -> None:
        for _ in range(PACKETS_MAX):
            try:
                packet = self._socket.recv(2048)
            except BlockingIOError:
                return
            except OSError:
                continue  # what we sent before came to a port that was closed already
            if len(packet) >= _RTP.size and packet[1] & 0x7F == 0:
                _, _, _, timestamp, _ = _RTP.unpack_from(packet)
                self._hear(timestamp, packet[_RTP.size :])

    def _hear(self, timestamp: int, payload: bytes) -> None:
        self.heard.take(timestamp, payload)
        self._tones = [*self._tones[1 - TONE_FRAMES_MIN :], tone_of(self.heard.latest)]
        if is_loud(self.heard.latest):
            self._quiet_frames, self._loud_frames = 0, self._loud_frames + 1
            self.first_loud_at = self.first_loud_at or trio.current_time()
        else:
            self._quiet_frames += 1

    def _next_packets(self) -> list[bytes]:
        if self._burst:
            packet = self._burst.pop(0)
            if packet is not None:
                return [packet] if packet else []
        payload = self._speech.pop(0) if self._speech else _SILENCE
        packet = self._head(0, 0, self._sequence, self._tick * FRAME) + payload
        self._sequence += 1
        return [packet]

    def _make_burst(self, code: int, arrives: Sequence[int]) -> list[bytes | None]:
        """One event: five packets while its duration grows, the last of them with the end bit three times
        (RFC 4733 §2.5.1). An empty packet is a tick in which none is sent, None one of the pause behind."""
        packets = []
        for place in range(KEY_PACKETS):
            ticks = min(place + 1, 5)
            end = 0x80 if ticks == 5 else 0
            head = self._head(
                self._event, int(place == 0), self._sequence + place, self._tick * FRAME
            )
            packets.append(head + _EVENT.pack(code, end | 10, ticks * FRAME))
        self._sequence += KEY_PACKETS
        sent = [packets[place] for place in arrives]
        return [*sent, *[b""] * (KEY_PACKETS - len(sent)), *[None] * GAP_TICKS]

    def _head(self, kind: int, marker: int, sequence: int, timestamp: int) -> bytes:
        return _RTP.pack(
            0x80, marker << 7 | kind, sequence & 0xFFFF, timestamp & 0xFFFF_FFFF, self._ssrc
        )


Script = Callable[[Line], Awaitable[None]]


class _Call:
    """The signalling of one call."""

    def __init__(self, invite: Request, dialog: Dialog, answer: bytes) -> None:
        self.dialog = dialog
        self.branch = invite.branch
        self.answer = answer
        self.line: Line | None = None


class FlowCallee:
    """Who answers at one SIP address, UDP."""

    def __init__(self, scripts: Mapping[str, Script | int]) -> None:
        """`scripts` by number; a number instead of a script is the status with which it refuses."""
        self._scripts = scripts
        self._socket = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)
        self._calls: dict[bytes, _Call] = {}
        self.lines: dict[str, list[Line]] = defaultdict(list)
        """Answered calls by number, in order."""

    @property
    def uri(self) -> str:
        """Where it takes calls."""
        host, port = self._socket.getsockname()
        return f"sip:{host}:{port}"

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Take calls until cancelled."""
        await self._socket.bind(("127.0.0.1", 0))
        task_status.started()
        with self._socket:
            await self._serve()

    async def _serve(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_time)
            while True:
                data, source = await self._socket.recvfrom(65_535)
                try:
                    message = parse(data)
                except SipParseError:
                    continue  # a keep-alive
                if isinstance(message, Request):
                    await self._take(message, source, nursery)

    async def _keep_time(self) -> None:
        """Every 20 ms, on all calls. One loop does it for all of them, or this would be slower than what it
        calls."""
        due_at = trio.current_time()
        while True:
            for call in tuple(self._calls.values()):
                if call.line is not None:
                    call.line.pass_tick()
            due_at += TICK_S
            await trio.sleep_until(due_at)

    async def _take(self, request: Request, source: Address, nursery: trio.Nursery) -> None:
        call = self._calls.get(request.call_id)
        match request.method:
            case b"INVITE" if call is None:
                await self._answer(request, source, nursery)
            case b"INVITE" if call is not None:
                await self._socket.sendto(call.answer, source)
            case b"ACK":
                pass
            case b"BYE" if call is not None and call.line is not None:
                call.line.over.set()
                await self._socket.sendto(respond(200, echo(request, source)), source)
            case b"OPTIONS" | b"CANCEL":
                await self._socket.sendto(respond(200, echo(request, source)), source)
            case _:
                await self._socket.sendto(respond(481, echo(request, source)), source)

    async def _answer(self, invite: Request, source: Address, nursery: trio.Nursery) -> None:
        number = user_of(invite.uri)
        script = self._scripts.get(number, 404)
        tag = b"callee-%d" % len(self._calls)
        host, port = self._socket.getsockname()
        contact = f"Contact: <sip:{host}:{port}>".encode()
        if isinstance(script, int):
            refusal = respond(script, tagged(echo(invite, source), tag))
            self._calls[invite.call_id] = _Call(
                invite, read_dialog(invite, source, tag, contact), refusal
            )
            await self._socket.sendto(refusal, source)
            return
        line = Line(number, invite.body, len(self._calls) + 1)
        dialog = read_dialog(invite, source, tag, contact)
        dialog.sdp = line.open()
        call = _Call(invite, dialog, dialog.accept("sdp"))
        call.line = line
        self._calls[invite.call_id] = call
        self.lines[number].append(line)
        await self._socket.sendto(call.answer, source)
        nursery.start_soon(line.run, script)
        nursery.start_soon(self._leave_when_wanted, call, line, source)

    async def _leave_when_wanted(self, call: _Call, line: Line, source: Address) -> None:
        await line.wants_to_leave.wait()
        await line.come_up()
        if not line.over.is_set():
            await self._socket.sendto(call.dialog.build_bye(), source)
            line.over.set()


@asynccontextmanager
async def open_callee(scripts: Mapping[str, Script | int]) -> AsyncIterator[FlowCallee]:
    """A callee for as long as the block lasts."""
    callee = FlowCallee(scripts)
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda *, task_status: callee.run(task_status=task_status))
        yield callee
        nursery.cancel_scope.cancel()
