"""Call lists, and what became of triggers, as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import UNSET, Struct, UnsetType

from api.http.views.encoding import show_time
from engine.control.blocked import BlockedList
from engine.forecast.behaviour import RatesFrom
from engine.forecast.outlook import Forecast
from engine.intake.preview import Preview
from engine.intake.receipt import Receipt
from engine.model import (
    BlockerCode,
    CallList,
    Flow,
    ListCounts,
    ListStatus,
    Priority,
    Report,
    RowError,
    Source,
)
from engine.model.disposition import Disposition
from engine.model.events import rfc3339


class CountsView(Struct, frozen=True):
    """Where the contacts of a list are."""

    contacts: int
    scheduled: int
    waiting: int
    dialing: int
    completed: int


class ChannelsView(Struct, frozen=True):
    """How many calls are up on an average."""

    at: str
    """From then on."""
    calls: float


class ForecastView(Struct, frozen=True):
    """When the calls of a list would end."""

    ends_at: str | None
    """In the middle of all runs; null where no end is in sight: no number to call from, or calling windows
    that never open."""
    calls_per_s: float
    """On an average, until then."""
    bottleneck: BlockerCode | None
    """What holds contacts back for the longest; null where nothing does."""
    assumes: str
    earliest_at: str | None
    """The earliest end of all runs, with a margin; the latest is the other end of the range."""
    latest_at: str | None
    contacts: int
    """That are still to be called."""
    attempts: int
    """Calls that are still to be made, on an average."""
    without_bottleneck_at: str | None
    """The end, were the bottleneck not there."""
    held_s: dict[BlockerCode, float]
    """For how many seconds what holds contacts back, the longest first."""
    channels: list[ChannelsView]
    """Calls at once over time: at most 48 points."""
    rates_from: RatesFrom
    """Whether what calls come to is as stated, as seen of the flow, or as usual."""
    calls_seen: int
    runs: int


class PreflightView(Struct, frozen=True):
    """What a list would come to."""

    numbers: int
    countries: dict[str, int]
    """Numbers by region (ISO 3166-1 alpha-2; `001` is no country)."""
    do_not_call: DoNotCallHitsView
    starts: StartsView
    duplicate_of: str | None
    """The list that the same file made within 24 hours."""
    forecast: ForecastView | None


class DoNotCallHitsView(Struct, frozen=True):
    """How many are on the do-not-call list now."""

    numbers: int
    contacts: int
    """Of which no number may be called."""


class StartsView(Struct, frozen=True):
    """When contacts would start."""

    now: int
    """Contacts that would be due at once."""
    earliest: str | None
    latest: str | None


class ListView(Struct, frozen=True):
    """A call list."""

    id: str
    """Empty for a list that was only tried (`dry_run`)."""
    flow: str
    name: str
    source: Source
    status: ListStatus
    counts: CountsView
    dispositions: dict[Disposition, int]
    report: Report
    created_at: str
    started_at: str | None
    finished_at: str | None
    priority: Priority | None = None
    """Of its contacts; null is the flow's."""
    blocked: dict[BlockerCode, int] | UnsetType = UNSET
    """What the contacts that are scheduled or waiting wait for; not shown where there are many lists."""
    blocked_until: dict[BlockerCode, str] | UnsetType = UNSET
    """When the first of those goes on whose moment is known, to the minute; shown where `blocked` is."""
    blocked_detail: dict[BlockerCode, str] | UnsetType = UNSET
    """What is particular about one of those, as that a trunk refuses calls and is given fewer for now; shown
    where `blocked` is."""
    dry_run: bool | UnsetType = UNSET
    preflight: PreflightView | UnsetType = UNSET
    """Of a list that was only tried."""


class MulticastView(Struct, frozen=True):
    """What became of a multicast trigger."""

    list: str
    accepted: int
    rejected: tuple[RowError, ...]
    """The first of them; rejected.csv has all."""


def show_list(
    call_list: CallList,
    counts: ListCounts,
    blocked: BlockedList | None = None,
    first_waits: Mapping[BlockerCode, float] | None = None,
) -> ListView:
    """A call list as the API shows it. `first_waits` goes with `blocked`: seconds since the epoch."""
    until: dict[BlockerCode, str] | UnsetType = UNSET
    if blocked is not None:
        firsts = (first_waits or {}).items()
        until = {code: rfc3339(at) for code, at in firsts if code in blocked.contacts}
    return ListView(
        id=call_list.id,
        flow=call_list.flow,
        name=call_list.name,
        source=call_list.source,
        status=call_list.status,
        counts=CountsView(
            contacts=counts.contacts,
            scheduled=counts.scheduled,
            waiting=counts.waiting,
            dialing=counts.dialing,
            completed=counts.completed,
        ),
        dispositions=counts.dispositions,
        report=call_list.report,
        created_at=rfc3339(call_list.created_at),
        started_at=show_time(call_list.started_at),
        finished_at=show_time(call_list.finished_at),
        priority=call_list.priority,
        blocked=UNSET if blocked is None else blocked.contacts,
        blocked_until=until,
        blocked_detail=UNSET if blocked is None else blocked.details,
    )


def show_multicast(receipt: Receipt) -> MulticastView:
    """What became of a multicast trigger."""
    report = receipt.call_list.report
    return MulticastView(receipt.call_list.id, report.accepted, report.errors)


def show_receipt(receipt: Receipt, now: float) -> ListView:
    """A list that was accepted this moment. Its contacts may move on while this is written: the answer
    tells what was accepted, and the list itself tells the rest."""
    accepted = receipt.call_list.report.accepted
    is_later = receipt.earliest_due_at is not None and receipt.earliest_due_at > now
    scheduled = accepted if is_later else 0
    counts = ListCounts(accepted, scheduled, accepted - scheduled, 0, 0, {})
    return show_list(receipt.call_list, counts)


def show_preview(flow: Flow, name: str, preview: Preview, now: float) -> ListView:
    """What a list would be that was only tried."""
    report = preview.report
    later = report.accepted - preview.starts_now
    return ListView(
        id="",
        flow=flow.id,
        name=name,
        source="upload",
        status="scheduled" if report.accepted else "rejected",
        counts=CountsView(report.accepted, later, preview.starts_now, 0, 0),
        dispositions={},
        report=report,
        created_at=rfc3339(now),
        started_at=None,
        finished_at=None,
        dry_run=True,
        preflight=PreflightView(
            numbers=preview.numbers,
            countries=preview.countries,
            do_not_call=DoNotCallHitsView(
                preview.do_not_call_numbers, preview.do_not_call_contacts
            ),
            starts=StartsView(
                preview.starts_now,
                show_time(preview.earliest_at),
                show_time(preview.latest_at),
            ),
            duplicate_of=preview.duplicate_of,
            forecast=None if preview.forecast is None else show_forecast(preview.forecast),
        ),
    )


def show_forecast(forecast: Forecast) -> ForecastView:
    """A forecast as the API shows it."""
    return ForecastView(
        ends_at=show_time(forecast.ends_at),
        calls_per_s=forecast.calls_per_s,
        bottleneck=forecast.bottleneck,
        assumes=forecast.assumes,
        earliest_at=show_time(forecast.earliest_at),
        latest_at=show_time(forecast.latest_at),
        contacts=forecast.contacts,
        attempts=forecast.attempts,
        without_bottleneck_at=show_time(forecast.without_bottleneck_at),
        held_s=forecast.held_s,
        channels=[ChannelsView(rfc3339(at), calls) for at, calls in forecast.channels],
        rates_from=forecast.rates_from,
        calls_seen=forecast.calls_seen,
        runs=forecast.runs,
    )
