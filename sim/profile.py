"""What the simulated carrier's callees do: a profile, and the plan of one call drawn from it.

A plan depends on the seed, the number, and how often that number was called before, and on nothing
else: not on the order in which calls arrive, nor on what other numbers are called. So a run can be
repeated call by call, even where two runs dial in a different order.

A number whose last four digits are in `FORCED` does what the table says, whatever the profile says.
"""

from __future__ import annotations

import struct
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

Outcome = Literal[
    "human",
    "machine",
    "busy",
    "no-answer",
    "invalid",
    "declined",
    "blocked",
    "congested",
    "failed",
    "silent",
]
"""What a callee does, in the carrier's words: `silent` sends nothing at all."""

Answer = Literal["sdp", "empty"]
"""What a 200 carries: an SDP answer, or nothing (which a caller cannot use)."""

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Seconds = Annotated[float, Meta(ge=0.0, le=86_400.0)]

RING_S_MAX: Final = 180.0
"""How long a forced no-answer rings before the carrier gives up with 480: the three minutes that
RFC 3261 §16.6 gives a proxy's Timer C."""

PROFILE_BYTES_MAX: Final = 65_536
"""A profile file larger than this is refused."""


class ProfileError(Exception):
    """A profile that cannot be used; the text says which one, where and why."""


class Spread(Struct, frozen=True, forbid_unknown_fields=True):
    """A duration that varies between two bounds around a mean, in seconds.

    It follows `min + (max - min) * u**k` for a uniform u, with the k that gives this mean: the
    shorter side is the likelier one where the mean is nearer to `min`, as it is on the phone.
    """

    min: Seconds
    mean: Seconds
    max: Seconds

    def __post_init__(self) -> None:
        """Raises ValueError where the three are out of order."""
        if not self.min <= self.mean <= self.max:
            raise ValueError("a spread needs min <= mean <= max")

    def at(self, u: float) -> float:
        """The duration at the quantile `u`, 0 to 1; it rises with `u`."""
        if self.mean == self.min:
            return self.min
        width = self.max - self.min
        exponent = width / (self.mean - self.min) - 1.0
        # Rounding must not carry it over a bound.
        return min(self.max, self.min + width * float(u**exponent))


def always(duration_s: float) -> Spread:
    """A duration that does not vary."""
    return Spread(duration_s, duration_s, duration_s)


class Shares(Struct, frozen=True, forbid_unknown_fields=True):
    """How many of all calls end which way, 0 to 1; whatever is left over is answered by a human."""

    machine: Share = 0.0
    busy: Share = 0.0
    no_answer: Share = 0.0
    invalid: Share = 0.0
    declined: Share = 0.0
    congested: Share = 0.0

    def __post_init__(self) -> None:
        """Raises ValueError where they sum up to more than 1."""
        total = sum(share for _, share in self.in_order())
        if total > 1.0 + 1e-9:
            raise ValueError(f"the shares sum up to {total:g}, more than 1")

    @property
    def human(self) -> float:
        """The share that is left for humans."""
        return max(0.0, 1.0 - sum(share for _, share in self.in_order()))

    def in_order(self) -> tuple[tuple[Outcome, float], ...]:
        """Outcomes and shares in the order in which a draw is laid against them."""
        return (
            ("machine", self.machine),
            ("busy", self.busy),
            ("no-answer", self.no_answer),
            ("invalid", self.invalid),
            ("declined", self.declined),
            ("congested", self.congested),
        )


class Profile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a carrier and the people behind it behave."""

    shares: Shares = Shares()
    post_dial_s: Spread = always(0.0)
    """From the INVITE to the first ring, or to a refusal that comes without ringing."""
    ring_s: Spread = Spread(1.0, 6.0, 25.0)
    """From the first ring to the answer, or to the refusal of someone who declines."""
    no_answer_s: Spread = always(RING_S_MAX)
    """How long it rings where nobody answers, until the carrier gives up with 480."""
    talk_s: Spread = Spread(2.0, 20.0, 120.0)
    """From a human's answer to the human's own BYE, unless the caller hangs up first."""
    machine_talk_s: Spread = Spread(8.0, 30.0, 120.0)
    """From a machine's answer to its BYE."""
    human_greeting_s: Spread = Spread(0.3, 0.9, 2.0)
    """How long a human speaks before listening."""
    machine_greeting_s: Spread = Spread(2.5, 6.0, 15.0)
    """How long a machine speaks before its beep."""
    alert: Literal[180, 183] = 180
    """180 rings; 183 carries SDP, and a ringing tone as early media."""
    cps_max: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    """Calls accepted in any sliding second; one more is refused with 503. None is no ceiling."""
    channels_max: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    """Calls at once; one more is refused with 503. None is no ceiling of the profile's own."""
    retry_after_s: Annotated[int, Meta(ge=0, le=3600)] = 1
    """The Retry-After with which the carrier itself refuses, whole seconds (RFC 3261 §20.33)."""
    media: bool = True
    """Whether answered calls are sent RTP; what they send is counted either way."""
    streams_max: Annotated[int, Meta(ge=0, le=20_000)] = 2000
    """Calls that are sent RTP at once; further ones are answered and hear nothing."""
    forced_endings: bool = True
    """Whether the last four digits of a number can force an outcome."""


class Forced(Struct, frozen=True):
    """What a number with certain last digits does."""

    outcome: Outcome
    code: int
    """The final SIP status; 0 where none is ever sent."""
    alert: Literal[0, 180, 183] = 0
    """The provisional response sent at once; 0 for none but the 100."""
    ring_s: float = 0.0
    """From the INVITE to the final response."""
    answer: Answer = "sdp"
    keys: str = ""
    """Pressed after the greeting."""


FORCED: Final[dict[str, Forced]] = {
    "9100": Forced("no-answer", 480, 0, RING_S_MAX),
    "9180": Forced("human", 200, 180, 2.0),
    "9183": Forced("human", 200, 183, 2.0),
    "9200": Forced("human", 200, 180),
    "9201": Forced("human", 200, 180, keys="12#"),
    "9202": Forced("machine", 200, 180),
    "9204": Forced("human", 200, 180, answer="empty"),
    "9403": Forced("failed", 403),
    "9404": Forced("invalid", 404),
    "9408": Forced("silent", 0),
    "9410": Forced("invalid", 410),
    "9429": Forced("congested", 429),
    "9480": Forced("no-answer", 480, 180, RING_S_MAX),
    "9484": Forced("invalid", 484),
    "9486": Forced("busy", 486),
    "9488": Forced("failed", 488),
    "9500": Forced("failed", 500),
    "9503": Forced("congested", 503),
    "9600": Forced("busy", 600),
    "9603": Forced("declined", 603),
    "9604": Forced("invalid", 604),
    "9607": Forced("blocked", 607),
    "9608": Forced("blocked", 608),
}
"""By the last four digits: a 9, and the SIP status that the ending stands for."""


class Plan(Struct, frozen=True, gc=False):
    """What one call will do, if its caller lets it. Durations in seconds."""

    outcome: Outcome
    code: int
    """The final SIP status: 200, or a refusal; 0 where nothing is ever sent."""
    alert: Literal[0, 180, 183] = 0
    """The provisional response after the 100; 0 for none."""
    alert_after_s: float = 0.0
    """From the INVITE to that response."""
    final_after_s: float = 0.0
    """From the INVITE to the final response."""
    talk_s: float = 0.0
    """From the answer to the callee's own BYE."""
    greeting_s: float = 0.0
    """How long the callee speaks after its answer."""
    answer: Answer = "sdp"
    keys: str = ""
    """What the callee presses after the greeting."""
    asks_for_pause: bool = False
    """Whether a refusal carries a Retry-After: the carrier's own do, and those of a far end that happens to
    be full do not."""


CODES: Final[dict[Outcome, int]] = {
    "human": 200,
    "machine": 200,
    "busy": 486,
    "no-answer": 480,
    "invalid": 404,
    "declined": 603,
    "congested": 503,
}
"""The final status of each outcome that a profile has a share for."""


_FIVE_DRAWS: Final = struct.Struct(">5Q")
"""Five uniform integers of 64 bits, from one digest of 40 bytes."""


def plan_call(profile: Profile, seed: int, number: str, calls_before: int) -> Plan:
    """What the call to `number` does, after `calls_before` earlier ones to the same number."""
    # `ignore`: a number may come off the wire with anything in it.
    key = f"{seed}/{number}/{calls_before}".encode(errors="ignore")
    which, post_dial, ring, talk, greeting = (
        draw / 2**64 for draw in _FIVE_DRAWS.unpack(blake2b(key, digest_size=40).digest())
    )
    forced = FORCED.get(number[-4:]) if profile.forced_endings else None
    if forced is not None:
        return _with_talk(profile, _forced_plan(forced), talk, greeting)
    outcome = _outcome(profile.shares, which)
    code = CODES[outcome]
    alert_after_s = profile.post_dial_s.at(post_dial)
    if outcome in ("busy", "invalid", "congested"):
        return Plan(outcome, code, final_after_s=alert_after_s)
    rings = profile.no_answer_s if outcome == "no-answer" else profile.ring_s
    final_after_s = alert_after_s + rings.at(ring)
    plan = Plan(outcome, code, profile.alert, alert_after_s, final_after_s)
    return _with_talk(profile, plan, talk, greeting)


def _outcome(shares: Shares, u: float) -> Outcome:
    """The outcome whose stretch of [0, 1) holds `u`."""
    reached = 0.0
    for outcome, share in shares.in_order():
        reached += share
        if u < reached:
            return outcome
    return "human"


def _forced_plan(forced: Forced) -> Plan:
    """The plan of a forced ending, without its talk."""
    return Plan(
        forced.outcome,
        forced.code,
        forced.alert,
        final_after_s=forced.ring_s,
        answer=forced.answer,
        keys=forced.keys,
        asks_for_pause=forced.outcome == "congested",
    )


def _with_talk(profile: Profile, plan: Plan, talk: float, greeting: float) -> Plan:
    """The plan with its talk and greeting drawn, where it is one of an answered call."""
    if plan.outcome == "human":
        talks, greetings = profile.talk_s, profile.human_greeting_s
    elif plan.outcome == "machine":
        talks, greetings = profile.machine_talk_s, profile.machine_greeting_s
    else:
        return plan
    return msgspec.structs.replace(plan, talk_s=talks.at(talk), greeting_s=greetings.at(greeting))


BUILT_IN: Final[dict[str, Profile]] = {
    "default": Profile(
        shares=Shares(
            machine=0.20, busy=0.08, no_answer=0.22, invalid=0.03, declined=0.04, congested=0.01
        ),
        post_dial_s=Spread(0.1, 0.6, 3.0),
    ),
    "demo": Profile(
        shares=Shares(
            machine=0.15, busy=0.08, no_answer=0.12, invalid=0.03, declined=0.04, congested=0.02
        ),
        ring_s=Spread(0.2, 1.0, 4.0),
        no_answer_s=Spread(3.0, 5.0, 8.0),
        talk_s=Spread(1.0, 3.0, 8.0),
        machine_talk_s=Spread(3.0, 5.0, 10.0),
        machine_greeting_s=Spread(1.5, 2.5, 4.0),
    ),
    "quiet": Profile(ring_s=always(0.0), talk_s=always(2.0), media=False),
    "friendly": Profile(ring_s=always(0.0), talk_s=always(10.0)),
    "evening": Profile(
        shares=Shares(machine=0.35, busy=0.05, no_answer=0.35, declined=0.05),
        post_dial_s=Spread(0.2, 1.0, 4.0),
        ring_s=Spread(2.0, 12.0, 35.0),
        alert=183,
    ),
    "hostile": Profile(
        shares=Shares(
            machine=0.10, busy=0.20, no_answer=0.20, invalid=0.15, declined=0.15, congested=0.15
        ),
        ring_s=Spread(0.0, 3.0, 30.0),
        talk_s=Spread(0.0, 1.0, 10.0),
        cps_max=20,
        channels_max=100,
        retry_after_s=2,
    ),
}
"""The profiles that come by name; docs/simulator.md says what each is for."""


def parse_profile(text: bytes, name: str) -> Profile:
    """A profile from TOML. Raises `ProfileError` that names `name` and the place of the mistake."""
    try:
        return msgspec.toml.decode(text, type=Profile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProfileError(f"profile {name}: {error}") from error


def load_profile(name_or_path: str) -> Profile:
    """A built-in profile by its name, or one from a TOML file.

    Raises `ProfileError` where there is neither, or where the file holds a mistake.
    """
    if name_or_path in BUILT_IN:
        return BUILT_IN[name_or_path]
    try:
        with Path(name_or_path).open("rb") as file:
            text = file.read(PROFILE_BYTES_MAX + 1)
    except OSError as error:
        names = ", ".join(sorted(BUILT_IN))
        raise ProfileError(
            f"profile {name_or_path}: neither a built-in name ({names}) nor a file that can be"
            f" read ({error.strerror})"
        ) from error
    if len(text) > PROFILE_BYTES_MAX:
        raise ProfileError(f"profile {name_or_path}: larger than {PROFILE_BYTES_MAX} bytes")
    return parse_profile(text, name_or_path)
