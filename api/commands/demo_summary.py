"""What came of the demo: its figures, and what is wrong with them if anything is. Pure."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct
from rich.console import Group, RenderableType
from rich.table import Table

from api.answers import AttemptView, ContactView, ListView
from api.commands.demo_list import DemoList
from api.commands.terminal import make_row_table, printable
from sim.call_log import CallRecord

PACE_WINDOW_S: Final = 1.0
"""The window of a DID's calls a second."""


class DidSummary(Struct, frozen=True):
    """How one DID kept to its limit, as the carrier saw it."""

    number: str
    calls: int
    peak: int
    """Most calls in any sliding second."""
    limit: int


class Run(Struct, frozen=True):
    """Everything that is known about a run that has ended."""

    planned: DemoList
    view: ListView
    contacts: Sequence[ContactView]
    attempts: Sequence[AttemptView]
    calls: Sequence[CallRecord]
    """What the carrier saw."""
    cps: Mapping[str, float]
    """By DID."""
    told: int
    """`contact.completed` events of the feed."""


def count_peak(moments: Iterable[float], window_s: float) -> int:
    """The most moments in any window of this length, seconds; two that are a whole window apart do
    not share one."""
    ordered = sorted(moments)
    peak = first = 0
    for last, moment in enumerate(ordered):
        while moment - ordered[first] >= window_s:
            first += 1
        peak = max(peak, last - first + 1)
    return peak


def measure_dids(calls: Iterable[CallRecord], cps: Mapping[str, float]) -> list[DidSummary]:
    """The pace of each DID from the INVITEs that arrived."""
    moments: dict[str, list[float]] = defaultdict(list)
    for call in calls:
        moments[f"+{call.caller.lstrip('+')}"].append(call.invite_at)
    return [
        DidSummary(
            number,
            len(moments[number]),
            count_peak(moments[number], PACE_WINDOW_S),
            max(1, math.floor(limit)),
        )
        for number, limit in sorted(cps.items())
    ]


def find_faults(run: Run) -> list[str]:
    """What must hold and does not, a sentence each; none when all is well."""
    faults = []
    open_contacts = [contact for contact in run.contacts if contact.disposition is None]
    open_attempts = [attempt for attempt in run.attempts if attempt.disposition is None]
    # An attempt that was taken back before its INVITE left has nothing from the wire.
    dialed = [a for a in run.attempts if a.sip is not None or a.disposition is None]
    codes = sorted(error.code for error in run.view.report.errors)
    strangers = Counter(
        call.caller for call in run.calls if f"+{call.caller.lstrip('+')}" not in run.cps
    )
    expectations: list[tuple[str, object, object]] = [
        ("accepted contacts", run.planned.contacts, run.view.report.accepted),
        ("reasons of rejected rows", list(run.planned.codes), codes),
        ("contacts that the API lists", run.planned.contacts, len(run.contacts)),
        ("different contacts", run.planned.contacts, len({c.id for c in run.contacts})),
        ("contacts without a disposition", 0, len(open_contacts)),
        (
            "dispositions that the list counts",
            run.planned.contacts,
            sum(run.view.dispositions.values()),
        ),
        ("completions that the feed told of", run.planned.contacts, run.told),
        ("attempts without a disposition", 0, len(open_attempts)),
        ("calls that the carrier saw", len(dialed), len(run.calls)),
        ("callers that are no DID of the demo", 0, strangers.total()),
    ]
    for what, expected, actual in expectations:
        if expected != actual:
            faults.append(f"{what}: expected {expected}, found {actual}.")
    faults += [
        f"{did.number} made {did.peak} calls within a second; its limit is {did.limit}."
        for did in measure_dids(run.calls, run.cps)
        if did.peak > did.limit
    ]
    return faults


def make_summary(run: Run) -> RenderableType:
    """Tables for a person."""
    ends = Table(title="How it ended", title_justify="left")
    ends.add_column("disposition")
    for name in ("contacts", "attempts"):
        ends.add_column(name, justify="right")
    contacts = Counter(contact.disposition or "none" for contact in run.contacts)
    attempts = Counter(attempt.disposition or "none" for attempt in run.attempts)
    for name in sorted(contacts | attempts, key=lambda name: (-contacts[name], name)):
        ends.add_row(printable(name), str(contacts[name]), str(attempts[name]))
    ends.add_section()
    ends.add_row("together", str(contacts.total()), str(attempts.total()))

    paces = Table(title="Pace, as the carrier saw it", title_justify="left")
    paces.add_column("from")
    for name in ("calls", "most in a second", "limit"):
        paces.add_column(name, justify="right")
    for did in measure_dids(run.calls, run.cps):
        paces.add_row(did.number, str(did.calls), str(did.peak), str(did.limit))

    report = run.view.report
    return Group(
        ends,
        paces,
        make_row_table("Rows that were not taken, and why", report.errors, report.rejected),
    )
