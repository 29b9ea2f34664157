"""What the process does, in numbers for Prometheus: counted from the events, and looked at when asked.

Names and what to do about them are in `docs/operations.md`. No account, flow or number is a label: there may
be very many, and the page is open to whoever reaches the port.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final, Protocol

import msgspec
import trio
from msgspec import Struct
from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from engine.model.events import StoredEvent
from engine.running.statistics import EngineStatistics
from engine.schedule.lateness import BOUNDS_S

LAG_EVERY_S: Final = 0.1
"""How often it is looked how late the loop wakes a task."""
LAG_BUCKETS_S: Final = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
LATENESS_BUCKETS_MS: Final = (1, 2, 5, 10, 20, 50)
ENDED: Final = ("attempt.ended", "contact.completed")


class StoreStatistics(Protocol):
    """How the store is; `adapters.sqlite.writer.WriterStatistics` is one."""

    @property
    def operations(self) -> int:
        """Answered so far."""

    @property
    def commits(self) -> int:
        """So far."""

    @property
    def pending(self) -> int:
        """Operations that wait for their commit now."""

    @property
    def refused(self) -> int:
        """Operations that could not be written because of the machine, so far."""

    @property
    def fault(self) -> str | None:
        """Why nothing can be written just now; None where it can."""


class MediaStatistics(Protocol):
    """How the media plane is; `adapters.media.control.PlaneStatistics` is one."""

    @property
    def sending(self) -> int:
        """Streams that send now."""

    @property
    def packets_sent(self) -> int:
        """So far."""

    @property
    def packets_received(self) -> int:
        """So far."""

    @property
    def packets_flooded(self) -> int:
        """Thrown away unread so far."""

    @property
    def ticks_late(self) -> int:
        """So far."""

    @property
    def lateness_ms(self) -> list[int]:
        """Packets by how late they left."""


class Sources(Protocol):
    """Who is asked when the page is."""

    def engine(self) -> EngineStatistics:
        """What the engine does."""

    def store(self) -> StoreStatistics:
        """What the store does."""

    def media(self) -> MediaStatistics:
        """What the media plane does."""

    def feed_readers(self) -> int:
        """Who reads the feed now."""

    def hooks(self) -> int:
        """Webhooks that have something to be sent."""

    def doors_failing(self) -> int:
        """SFTP servers and watched folders whose last visit went wrong."""

    def workers_waiting(self) -> int:
        """Files that wait for a process that reads them."""

    def tasks(self) -> int:
        """Tasks of the engine's process that live."""


class _Data(Struct):
    disposition: str | None = None


class _Body(Struct):
    data: _Data


_read_body = msgspec.json.Decoder(_Body).decode


class _Tally:
    """A counter with one label, whose values are few. The counter of each is kept: to have it looked up by
    `labels` each time costs more than everything else that is done for an event."""

    def __init__(self, name: str, what: str, label: str, registry: CollectorRegistry) -> None:
        self._all = Counter(name, what, [label], registry=registry)
        self._by_value: dict[str, Counter] = {}

    def add(self, value: str) -> None:
        """One more."""
        counter = self._by_value.get(value)
        if counter is None:
            counter = self._by_value[value] = self._all.labels(value)
        counter.inc()


class Metrics:
    """Counts what the store tells of, and shows everything."""

    def __init__(self, sources: Sources) -> None:
        self._registry = registry = CollectorRegistry()
        self._events = _Tally(
            "callwheel_events", "Events that were written down.", "type", registry
        )
        self._attempts = _Tally(
            "callwheel_attempts", "Attempts that ended.", "disposition", registry
        )
        self._contacts = _Tally(
            "callwheel_contacts", "Contacts that were completed.", "disposition", registry
        )
        self._lag = Histogram(
            "callwheel_loop_lag_seconds",
            "How late the engine's loop wakes a task.",
            buckets=LAG_BUCKETS_S,
            registry=registry,
        )
        registry.register(_Glance(sources))
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    def note(self, events: Sequence[StoredEvent]) -> None:
        """Hear of what one commit brought. Never blocks and never raises."""
        for event in events:
            self._events.add(event.type)
            if event.type in ENDED:
                disposition = _read_body(event.body).data.disposition or "none"
                tally = self._attempts if event.type == "attempt.ended" else self._contacts
                tally.add(disposition)

    async def watch_loop(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Look how late the loop is, until cancelled."""
        task_status.started()
        while True:
            due = trio.current_time() + LAG_EVERY_S
            await trio.sleep_until(due)
            self._lag.observe(trio.current_time() - due)

    def show(self) -> bytes:
        """The page, in Prometheus's text format."""
        return generate_latest(self._registry)


class _Glance:
    """What is not counted here but looked at when the page is asked for."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """Called by the registry."""
        yield from self._engine()
        yield from self._store()
        yield from self._media()
        yield GaugeMetricFamily(
            "callwheel_feed_readers", "Who reads the feed.", self._sources.feed_readers()
        )
        yield GaugeMetricFamily(
            "callwheel_webhooks_waiting",
            "Webhooks for which something waits to be sent.",
            self._sources.hooks(),
        )
        yield GaugeMetricFamily(
            "callwheel_doors_failing",
            "SFTP servers and watched folders whose last visit went wrong.",
            self._sources.doors_failing(),
        )
        yield GaugeMetricFamily(
            "callwheel_workers_waiting",
            "Files and prompts that wait for a process that reads them.",
            self._sources.workers_waiting(),
        )
        yield GaugeMetricFamily(
            "callwheel_tasks", "Tasks of the engine's loop.", self._sources.tasks()
        )
        # Unlike the memory of the process it knows no steps and no room that was freed: what is left behind
        # by every call shows from the first.
        yield GaugeMetricFamily(
            "callwheel_memory_blocks",
            "Pieces of memory that Python's objects hold.",
            sys.getallocatedblocks(),
        )

    def _engine(self) -> Iterator[Metric]:
        now = self._sources.engine()
        yield GaugeMetricFamily("callwheel_calls", "Attempts that go on.", now.calls)
        yield GaugeMetricFamily("callwheel_dids", "Numbers that are called from.", now.dids)
        for name, text, value in (
            ("dids_full", "Numbers that carry as many calls as they may.", now.dids_full),
            ("channels_in_use", "Calls that count against the engine's limit.", now.in_use),
            ("channels", "The engine's own limit of calls at once; 0 is none.", now.channels),
            ("contacts_ready", "Contacts that are due and wait for a limit.", now.ready),
            ("contacts_in_hand", "Contacts that are in memory.", now.in_hand),
        ):
            yield GaugeMetricFamily(f"callwheel_{name}", text, value)
        yield _contact_lateness(now.late, now.late_s)
        in_use = GaugeMetricFamily(
            "callwheel_trunk_channels_in_use", "Calls that a trunk carries.", labels=["trunk"]
        )
        most = GaugeMetricFamily(
            "callwheel_trunk_channels", "Calls that a trunk takes now.", labels=["trunk"]
        )
        up = GaugeMetricFamily("callwheel_trunk_up", "Whether a trunk is in use.", labels=["trunk"])
        for trunk in now.trunks:
            in_use.add_metric([trunk.name], trunk.in_use)
            most.add_metric([trunk.name], trunk.channels)
            up.add_metric([trunk.name], trunk.is_up)
        yield from (in_use, most, up)

    def _store(self) -> Iterator[Metric]:
        now = self._sources.store()
        yield CounterMetricFamily(
            "callwheel_store_operations", "Changes that the store made.", now.operations
        )
        yield CounterMetricFamily("callwheel_store_commits", "Transactions.", now.commits)
        yield GaugeMetricFamily(
            "callwheel_store_pending", "Changes that wait for their transaction.", now.pending
        )
        yield CounterMetricFamily(
            "callwheel_store_refused",
            "Changes that the disk, or a lock of another process, did not let through.",
            now.refused,
        )
        yield GaugeMetricFamily(
            "callwheel_store_failing", "Whether nothing can be written.", now.fault is not None
        )

    def _media(self) -> Iterator[Metric]:
        now = self._sources.media()
        yield GaugeMetricFamily("callwheel_media_streams", "Streams that send.", now.sending)
        for name, text, value in (
            ("packets_sent", "RTP packets that left.", now.packets_sent),
            ("packets_received", "RTP packets of callees.", now.packets_received),
            ("packets_flooded", "Packets thrown away unread: a flood.", now.packets_flooded),
            ("ticks_late", "Ticks of the media plane that began late.", now.ticks_late),
        ):
            yield CounterMetricFamily(f"callwheel_media_{name}", text, value)
        yield _lateness(now.lateness_ms)


def _contact_lateness(late: Sequence[int], late_s: float) -> Metric:
    """The scheduler's histogram of how late contacts are brought forward."""
    upto = list(accumulate(late or [0] * (len(BOUNDS_S) + 1)))
    bounds = [*map(str, BOUNDS_S), "+Inf"]
    return HistogramMetricFamily(
        "callwheel_contact_lateness_seconds",
        "Between a contact's moment and its being brought forward, whatever limit it then waits for.",
        buckets=[(bound, float(count)) for bound, count in zip(bounds, upto, strict=True)],
        sum_value=late_s,
    )


def _lateness(lateness_ms: Sequence[int]) -> Metric:
    """The plane's histogram of how late packets leave, in seconds."""
    buckets = [(str(most / 1000), float(sum(lateness_ms[:most]))) for most in LATENESS_BUCKETS_MS]
    # A packet of the place n was between n and n + 1 ms late.
    total = sum((ms + 0.5) / 1000 * packets for ms, packets in enumerate(lateness_ms))
    return HistogramMetricFamily(
        "callwheel_media_lateness_seconds",
        "Between a packet's time and its departure.",
        buckets=[*buckets, ("+Inf", float(sum(lateness_ms)))],
        sum_value=total,
    )
