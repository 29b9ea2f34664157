"""What the engine needs of a telephone network: place one call, hear what becomes of it, speak."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

from msgspec import Struct

from engine.model import TrunkFailure
from engine.ports.amd import AmdParameters, AmdVerdict


class Presentation(Struct, frozen=True):
    """How the caller is shown to the callee, beside the number."""

    display_name: str = ""
    """Empty shows none."""
    withhold: bool = False
    """Whether the callee is not to see the number (RFC 3323 and 3325: `Privacy: id`)."""
    diverted_from: str | None = None
    """E.164: the number that the call claims to have been diverted from (RFC 5806)."""
    headers: tuple[tuple[str, str], ...] = ()
    """Further header fields of the INVITE, name and value, such as an `Identity` made elsewhere."""


class CallRequest(Struct, frozen=True):
    """Everything that a telephony adapter must know to place one call."""

    attempt: str
    """The attempt's id; it appears in traces, never on the wire."""
    number: str
    """The callee, E.164 with `+`."""
    caller: str
    """The DID that is shown to the callee, E.164 with `+`."""
    trunk: str
    """The name of the trunk that carries the call."""
    presentation: Presentation = Presentation()


class Ringing(Struct, frozen=True):
    """A provisional response above 100 arrived. It may be reported more than once."""


class Answered(Struct, frozen=True):
    """The callee answered, the answer is acknowledged, and its media can be used."""


How = Literal["rejected", "callee_hung_up", "we_hung_up", "unreachable", "no_media", "lost"]
"""How a call ended:

- `rejected`: a final response of 300 to 699 came before any answer (`sip_code` is set);
- `callee_hung_up`: a BYE of the callee's ended an answered call;
- `we_hung_up`: `hang_up` ended it, before or after the answer;
- `unreachable`: no response at all came from the trunk, or the transport failed (ICMP, broken socket);
- `no_media`: it was answered, but without media that can be used; the call was ended at once;
- `lost`: an answered call broke: the media plane died or the dialog's peer stopped answering.
"""


class Ended(Struct, frozen=True):
    """The call is over; nothing follows."""

    how: How
    sip_code: int | None = None
    """The final response's status code, where one came (200 for an answered call)."""
    sip_reason: str = ""
    """The reason phrase beside it, as received, decoded for reading."""
    q850: int | None = None
    """The Q.850 cause of a Reason header (RFC 3326), in the final response or the BYE."""
    retry_after_s: float | None = None
    """The Retry-After of a refusal, seconds."""
    has_other_way: bool = False
    """Whether the trunk has another server that takes calls, so that this end, `unreachable` or a 503,
    says nothing of the trunk as a whole."""
    failure: TrunkFailure | None = None
    """Why no response at all came; set with `unreachable` alone."""
    redirected_to: str | None = None
    """E.164: the number that a 3xx names, where the trunk may redirect us (RFC 3261 §8.1.3.4). It has
    not been called: that would be another call, with every question to be asked again."""


Progress = Ringing | Answered | Ended


class MediaStatistics(Struct, frozen=True):
    """How the call's sound travelled, both ways."""

    packets_sent: int = 0
    packets_received: int = 0
    loss: float = 0.0
    """Share of the callee's packets that never came, 0 to 1."""
    jitter_ms: float = 0.0
    """Interarrival jitter of RFC 3550 §6.4.1, milliseconds."""
    remote_loss: float | None = None
    """Share of our packets that the callee says it never got, 0 to 1; None where it says nothing (RTCP)."""
    remote_jitter_ms: float | None = None
    """Jitter of our packets as the callee reports it, milliseconds."""
    rtt_ms: float | None = None
    """Round trip to the callee by its reports (RFC 3550 §6.4.1), milliseconds."""
    mos: float | None = None
    """How well the callee was probably heard, 1 to 4.5 (ITU-T G.107); None before anything was heard."""
    flooded: int = 0
    """Packets of the callee's that were thrown away unread: they came faster than any sound is spoken. They
    are not among those received."""


RecordingEnding = Literal["silence", "max", "key", "call_ended", "stopped", "failed"]
"""What ended a recording: a silence, its greatest length, a key, the call's end, whoever asked for it, or a
disk that refused."""


class Recorded(Struct, frozen=True):
    """A recording that is over and safe on disk."""

    recording: str
    """Its id."""
    duration_s: float
    ending: RecordingEnding


class CallEnded(Exception):
    """The call ended while something was being done on it."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended)
        self.ended = ended


class Call(Protocol):
    """One outbound call. It is prepared first, so that nothing has to be waited for between the
    last check and the INVITE."""

    @property
    def call_id(self) -> str:
        """The SIP Call-ID, or what stands for it."""

    def dial(self) -> None:
        """Send the INVITE, now, without waiting. A transport that fails shows as `Ended`."""

    async def next_progress(self) -> Progress:
        """Wait for the next thing that happens. After `Ended` it returns `Ended` again."""

    async def play(self, prompt: str) -> None:
        """Play a prompt by its id to its end. Raises `CallEnded` when the call ends first, and `KeyError` at
        once where there is no such prompt. Cancelling it stops the sound at once."""

    async def next_digit(self) -> str:
        """Wait for the next key that the callee presses: `0` to `9`, `*`, `#`, `A` to `D`. Keys are kept
        from the answer on until somebody asks, the last 64 of them. Raises `CallEnded` when none is left
        and the call is over."""

    def forget_digits(self) -> None:
        """Throw away the keys that were pressed and not asked for."""

    async def send_digits(self, digits: str) -> None:
        """Press these keys, one after the other, in the way that was negotiated (RFC 4733, or tones in the
        sound), 64 of them at the most. Raises `CallEnded`, and `ValueError` for too many and for what is no
        key."""

    async def detect_machine(self, parameters: AmdParameters | None = None) -> AmdVerdict:
        """Listen to the callee from now on until it is known who answered; at most about twice
        `total_analysis_time`. To be called at the answer. Raises `CallEnded` when the call ends first."""

    async def wait_for_beep(self) -> None:
        """Return when a beep that was heard from now on is over. It waits for ever where none comes.
        Raises `CallEnded`."""

    async def record(
        self, recording: str, *, max_s: float, silence_s: float | None = None, finish_on: str = ""
    ) -> Recorded:
        """Record the callee from now on, as a WAV file under this id, until `max_s` is over, nothing was
        said for `silence_s`, or a key of `finish_on` is pressed, which is not kept for `next_digit`. The
        call's end ends it as well, and does not raise; nor does cancelling it lose what was recorded."""

    async def bridge(self, other: Call) -> Call:
        """Let the two callees hear each other, until one of the calls ends: that one comes back, and the
        other goes on in silence. Keys are passed on, and still kept for `next_digit`. Cancelling it parts
        the two. Both must be answered calls of the same `Telephony`, and neither may be playing. Raises
        `TelephonyUnavailable` where they cannot be joined just now; both go on then."""

    async def wait_ended(self) -> Ended:
        """Wait until the call is over."""

    def hang_up(self) -> None:
        """End the call: nothing before `dial`, CANCEL before the answer, BYE after it. `Ended` follows
        within 64·T1 whatever the peer does. Repeating it does nothing."""

    def media_statistics(self) -> MediaStatistics:
        """What is known of the media so far; final once the call's block is left."""


class TrunkCondition(Struct, frozen=True):
    """Whether a trunk can be used at all, as far as its own probes and registration tell."""

    trunk: str
    is_usable: bool
    detail: str
    """One sentence for a person: what is wrong, or what has become well."""


class Telephony(Protocol):
    """Places calls. One implementation speaks SIP, another is the simulated world."""

    def watch_trunks(self, tell: Callable[[TrunkCondition], None]) -> None:
        """Tell the condition of each trunk that is not usable now, and every change from then on. A
        trunk that nothing was told of is usable. `tell` returns at once and never raises."""

    def prepare_call(self, request: CallRequest) -> AbstractAsyncContextManager[Call]:
        """Reserve what a call needs (a media port, a Call-ID). Leaving the block hangs up if that was
        not done, waits for no peer, and frees what was reserved.

        Raises `TelephonyUnavailable` when nothing can be reserved (no port left, no media plane).
        """


class TelephonyUnavailable(Exception):
    """A call cannot even be prepared just now, and nothing has left the machine; or two that are up cannot be
    joined."""
