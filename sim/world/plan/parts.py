"""What a plan is made of, and the world that all plans lie in."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from engine.dial.trunks.trunk import TrunkSettings
from engine.model import Account, Cap, Did, Flow
from engine.model.agent import Agent
from sim.profile import Profile

ZONES: Final[dict[str, str]] = {
    "+1415266": "America/Los_Angeles",
    "+1212555": "America/New_York",
    "+55113123": "America/Sao_Paulo",
    "+44207120": "Europe/London",
    "+49301234": "Europe/Berlin",
    "+2022345": "Africa/Cairo",
    "+91987650": "Asia/Kolkata",
    "+8131234": "Asia/Tokyo",
    "+6129123": "Australia/Sydney",
    "+649312": "Pacific/Auckland",
}
"""The beginnings of the world's numbers, and the one zone in which each of these is. Four more digits
follow."""

COUNTRIES: Final[dict[str, str]] = {
    "+1": "US",
    "+55": "BR",
    "+44": "GB",
    "+49": "DE",
    "+20": "EG",
    "+91": "IN",
    "+81": "JP",
    "+61": "AU",
    "+64": "NZ",
}
"""The country of each of these numbers, by their beginnings."""

YEAR_AT: Final = 1_798_761_600.0
"""1 January 2027, 00:00 UTC: the year in which the world's days lie."""
CLOCKS_SET: Final = (
    1_805_007_600.0,  # 14 March: New York
    1_805_018_400.0,  # Los Angeles
    1_806_195_600.0,  # 28 March: London, Berlin
    1_806_760_800.0,  # 3 April: Auckland
    1_806_768_000.0,  # Sydney
    1_809_036_000.0,  # 29 April: Cairo
    1_821_880_800.0,  # 25 September: Auckland
    1_822_492_800.0,  # 2 October: Sydney
    1_824_757_200.0,  # 28 October: Cairo
    1_824_944_400.0,  # 31 October: London, Berlin
    1_825_567_200.0,  # 7 November: New York
    1_825_578_000.0,  # Los Angeles
)
"""All moments of that year at which a clock of these zones is set."""

Deed = Literal[
    "list",
    "call",
    "pause",
    "resume",
    "cancel",
    "cancel_contact",
    "do_not_call",
    "letter",
    "stop_account",
    "start_account",
    "pause_flow",
    "resume_flow",
    "pause_account",
    "resume_account",
    "cancel_flow",
    "cancel_account",
    "reschedule_list",
    "reschedule_contact",
    "prioritise_list",
    "agent_comes",
    "agent_goes",
    "agent_parts",
    "rest_did",
    "resume_did",
    "listener_off",
    "listener_on",
    "restart",
    "crash",
    "set_clock",
]


class Action(Struct, frozen=True):
    """Something that somebody does, or that happens to the machine."""

    at: float
    """Seconds of the world."""
    deed: Deed
    target: str = ""
    """The flow, list (by its place among those that were taken), account, agent or number; of a letter, its
    account and its key, with a slash between."""
    amount: float = 0.0
    """Seconds by which the clock is set, for which a number is listed or a DID rests, or to a start time."""
    body: bytes = b""
    """Of a trigger; the priority that a list is given; the flow that must not call a number, where it is not
    all of them."""


class Outage(Struct, frozen=True):
    """A while in which nothing gets through to a trunk, or back."""

    trunk: str
    begin: float
    end: float
    noticed: bool
    """Whether the adapter's probes tell the engine."""


class DiskTrouble(Struct, frozen=True):
    """A while in which the disk is full, or slow."""

    begin: float
    end: float
    full: bool
    delay_s: float
    """The longest that a commit takes meanwhile."""


class Plan(Struct, frozen=True):
    """One run, before it happens."""

    seed: int
    epoch: float
    """What the wall clock shows at the beginning."""
    horizon_s: float
    channels: int
    cps: float
    caps: tuple[Cap, ...]
    """Of the installation, as the two above."""
    trunks: tuple[TrunkSettings, ...]
    dids: tuple[Did, ...]
    accounts: tuple[Account, ...]
    flows: tuple[Flow, ...]
    agents: tuple[Agent, ...]
    actions: tuple[Action, ...]
    outages: tuple[Outage, ...]
    disk: tuple[DiskTrouble, ...]
    profile: Profile
    loss: float
    """Share of calls whose INVITE, or every answer to it, is lost."""
    dies_at_step: tuple[int, ...]
    """After so many steps (a commit asked for, made, or a call dialled) each process dies, one after the
    other; the last of all lives on."""
    look_s: float
    """How often the judge looks at what waits."""
    step_s: float = 0.0
    """In which steps time goes on; 0 is from one moment to the next."""
    forgets_after_s: float | None = None
    """How long after its completion a contact is settled, and forgotten by judge and store; None keeps all
    to the end, with the tape. For days of very many contacts, to whom nothing ever goes back: no process
    starts anew that would ask for them."""
