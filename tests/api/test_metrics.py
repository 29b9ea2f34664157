"""What Prometheus is shown."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import trio
from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families
from trio.testing import MockClock

from adapters.media.control import LATENESS_MS_MAX, PlaneStatistics
from adapters.sqlite.writer import WriterStatistics
from api.metrics import Metrics
from engine.model.events import Event, StoredEvent, number_event
from engine.running.statistics import EngineStatistics, TrunkStatistics
from engine.schedule.lateness import BOUNDS_S


class Sources(Struct):
    """Answers that a test sets."""

    lateness_ms: list[int]

    def engine(self) -> EngineStatistics:
        trunks = (
            TrunkStatistics("main", 7, 30, True),
            TrunkStatistics('odd "name"\n', 0, 5, False),
        )
        late = (0, 90, 0, 5, *[0] * (len(BOUNDS_S) - 4), 1)
        return EngineStatistics(7, 3, trunks, 7, 50, 1, 11, 500, late, 31.5)

    def store(self) -> WriterStatistics:
        return WriterStatistics(100, 40, 0, 2, 9, "the disk is full")

    def media(self) -> PlaneStatistics:
        return PlaneStatistics(sending=7, packets_sent=350, lateness_ms=self.lateness_ms)

    def feed_readers(self) -> int:
        return 4

    def hooks(self) -> int:
        return 1

    def doors_failing(self) -> int:
        return 2

    def workers_waiting(self) -> int:
        return 6

    def tasks(self) -> int:
        return 80


def read(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample by its name and the values of its labels."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(metrics.show().decode())
        for sample in family.samples
    }


def events(*some: Event) -> Sequence[StoredEvent]:
    return [number_event(one, seq) for seq, one in enumerate(some, start=1)]


def make(lateness_ms: Sequence[int] = ()) -> Metrics:
    padded = [*lateness_ms, *[0] * (LATENESS_MS_MAX + 1 - len(lateness_ms))]
    return Metrics(Sources(padded))


def test_what_is_looked_at_is_shown_as_it_is_now() -> None:
    shown = read(make())
    expected = {
        ("callwheel_calls", ()): 7,
        ("callwheel_dids", ()): 3,
        ("callwheel_trunk_channels_in_use", ("main",)): 7,
        ("callwheel_trunk_channels", ("main",)): 30,
        ("callwheel_trunk_up", ("main",)): 1,
        ("callwheel_trunk_up", ('odd "name"\n',)): 0,
        ("callwheel_store_operations_total", ()): 100,
        ("callwheel_store_commits_total", ()): 40,
        ("callwheel_store_pending", ()): 2,
        ("callwheel_media_streams", ()): 7,
        ("callwheel_media_packets_sent_total", ()): 350,
        ("callwheel_feed_readers", ()): 4,
        ("callwheel_webhooks_waiting", ()): 1,
        ("callwheel_doors_failing", ()): 2,
        ("callwheel_workers_waiting", ()): 6,
        ("callwheel_tasks", ()): 80,
        ("callwheel_channels_in_use", ()): 7,
        ("callwheel_channels", ()): 50,
        ("callwheel_dids_full", ()): 1,
        ("callwheel_contacts_ready", ()): 11,
        ("callwheel_contacts_in_hand", ()): 500,
        ("callwheel_contact_lateness_seconds_bucket", ("0.001",)): 0,
        ("callwheel_contact_lateness_seconds_bucket", ("0.005",)): 90,
        ("callwheel_contact_lateness_seconds_bucket", ("10.0",)): 95,
        ("callwheel_contact_lateness_seconds_bucket", ("+Inf",)): 96,
        ("callwheel_contact_lateness_seconds_sum", ()): 31.5,
        ("callwheel_store_refused_total", ()): 9,
        ("callwheel_store_failing", ()): 1,
    }
    assert {name: shown[name] for name in expected} == expected
    assert shown["process_resident_memory_bytes", ()] > 0
    assert shown["callwheel_memory_blocks", ()] > 0


def test_events_are_counted_and_so_is_how_attempts_and_contacts_ended() -> None:
    metrics = make()
    metrics.note(
        events(
            Event("attempt.initiated", 1, "acc_1", "flw_1", "lst_1"),
            Event("attempt.ended", 2, "acc_1", "flw_1", "lst_1", data={"disposition": "busy"}),
            Event("attempt.ended", 3, "acc_1", "flw_1", "lst_1", data={"disposition": None}),
            Event("contact.completed", 3, "acc_1", "flw_1", "lst_1", data={"disposition": "busy"}),
        )
    )
    shown = read(metrics)
    expected = {
        ("callwheel_events_total", ("attempt.initiated",)): 1,
        ("callwheel_events_total", ("attempt.ended",)): 2,
        ("callwheel_events_total", ("contact.completed",)): 1,
        ("callwheel_attempts_total", ("busy",)): 1,
        ("callwheel_attempts_total", ("none",)): 1,
        ("callwheel_contacts_total", ("busy",)): 1,
    }
    assert {name: shown[name] for name in expected} == expected


def test_how_late_packets_leave_is_a_histogram_in_seconds() -> None:
    shown = read(make([90, 5, 0, 0, 3, 0, 2]))
    name = "callwheel_media_lateness_seconds"
    buckets = {
        labels[0]: value for (one, labels), value in shown.items() if one == f"{name}_bucket"
    }
    assert buckets == {
        "0.001": 90,
        "0.002": 95,
        "0.005": 98,
        "0.01": 100,
        "0.02": 100,
        "0.05": 100,
        "+Inf": 100,
    }
    assert shown[f"{name}_count", ()] == 100
    seconds = (90 * 0.5 + 5 * 1.5 + 3 * 4.5 + 2 * 6.5) / 1000
    assert round(shown[f"{name}_sum", ()], 9) == round(seconds, 9)


async def test_the_loop_is_looked_at_ten_times_a_second(autojump_clock: MockClock) -> None:
    metrics = make()
    async with trio.open_nursery() as nursery:
        await nursery.start(metrics.watch_loop)
        await trio.sleep(1.05)
        nursery.cancel_scope.cancel()
    assert read(metrics)["callwheel_loop_lag_seconds_count", ()] == 10


def test_events_of_a_later_release_do_not_break_the_count() -> None:
    metrics = make()
    body = msgspec.json.encode({"data": {"disposition": "answered", "more": [1]}, "extra": None})
    metrics.note([StoredEvent("acc_1", 1, "flw_1", "lst_1", "attempt.ended", body)])
    assert read(metrics)["callwheel_attempts_total", ("answered",)] == 1
