"""What to do next at a place where lists are dropped."""

from __future__ import annotations

from typing import Literal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from engine.drop.plan import (
    FILES_MAX,
    LEFT_MAX,
    RETRY_S_MAX,
    Plan,
    Seen,
    is_unfinished,
    judge,
    make_plan,
    mark_of,
    name_beside,
    see,
    wait_s,
)
from engine.model.pickup import Pickup, steps_left
from engine.ports.drops import NAME_BYTES_MAX, FileEntry, Listing, ReadFile

PLACE = "folder:leads"
A, B = FileEntry("a.csv", 10, 1_000), FileEntry("b.csv", 20, 2_000)
NOW = 1_000.0
ENOUGH = NOW + 60


def make_pickup(entry: FileEntry, **changes: object) -> Pickup:
    pickup = Pickup(
        f"pck_{entry.name}",
        "acc_1",
        "flw_1",
        "folder",
        PLACE,
        mark_of(entry, b"\1" * 32),
        NOW,
        "Taken.",
        list="lst_1",
    )
    return msgspec.structs.replace(pickup, **changes)


def plan_of(
    files: tuple[FileEntry, ...],
    before: tuple[FileEntry, ...] = (),
    left: tuple[Pickup, ...] = (),
    taking: Literal["all", "known"] = "all",
    since: float = ENOUGH,
    complete: Literal["complete", "cut"] = "complete",
) -> Plan:
    listing = Listing(files, 0, complete == "complete")
    seen = {one.name: Seen(one, NOW) for one in before}
    return make_plan(listing, seen, left, PLACE, taking, since)


def test_a_file_is_read_when_it_is_found_again_as_it_was() -> None:
    assert plan_of((A,)).read == ()
    assert plan_of((A,)).growing == 1
    assert plan_of((A,), (A,)).read == (A,)
    grown = msgspec.structs.replace(A, size=11)
    touched = msgspec.structs.replace(A, modified_ns=1_001)
    assert plan_of((grown,), (A,)).read == plan_of((touched,), (A,)).read == ()


def test_two_visits_that_follow_each_other_at_once_prove_nothing() -> None:
    assert plan_of((A,), (A,), since=NOW - 1).read == ()
    assert plan_of((A,), (A,), since=NOW).read == (A,)


def test_since_when_a_file_is_as_it_is_is_remembered() -> None:
    first = see(Listing((A, B)), {}, NOW)
    changed = msgspec.structs.replace(B, size=21)
    assert see(Listing((A, changed)), first, NOW + 5) == {
        "a.csv": Seen(A, NOW),
        "b.csv": Seen(changed, NOW + 5),
    }
    assert see(Listing(()), first, NOW + 5) == {}
    # The clock was set back: nobody waits for the old time to come again.
    assert see(Listing((A,)), first, NOW - 3_600) == {"a.csv": Seen(A, NOW - 3_600)}


def test_the_oldest_is_read_first_and_only_so_many() -> None:
    files = tuple(FileEntry(f"{n}.csv", 1, 1_000 - n) for n in range(FILES_MAX + 5))
    plan = plan_of(files, files)
    assert [one.modified_ns for one in plan.read] == sorted(one.modified_ns for one in files)[:20]
    assert (plan.growing, plan.later) == (0, 5)


def test_what_cannot_be_removed_keeps_no_other_from_being_taken() -> None:
    stuck = tuple(FileEntry(f"{n}.csv", 1, n) for n in range(FILES_MAX))
    plan = plan_of((*stuck, B), (*stuck, B), tuple(make_pickup(one) for one in stuck))
    assert plan.read[0] == B
    assert len(plan.read) == FILES_MAX


def test_files_wait_for_the_listener_but_those_that_were_taken_are_seen_to() -> None:
    plan = plan_of((A, B), (A, B), (make_pickup(A),), taking="known")
    assert (plan.read, plan.later) == ((A,), 1)


def test_nothing_more_is_taken_while_too_much_is_left() -> None:
    left = tuple(make_pickup(FileEntry(f"{n}.csv", 1, n)) for n in range(LEFT_MAX))
    assert plan_of((A,), (A,), left).read == ()
    assert plan_of((A,), (A,), left[1:]).read == (A,)


def test_a_pickup_whose_file_is_not_there_is_gone_if_all_was_looked_at() -> None:
    pickup = make_pickup(A)
    assert plan_of((B,), (), (pickup,)).gone == (pickup,)
    assert plan_of((B,), (), (pickup,), complete="cut").gone == ()
    assert plan_of((A,), (), (pickup,)).gone == ()
    other = msgspec.structs.replace(A, size=99)
    assert plan_of((other,), (), (pickup,)).gone == (pickup,)


def test_pickups_of_another_place_are_told_apart() -> None:
    strayed = make_pickup(A, place="folder:other")
    plan = plan_of((), (), (strayed, make_pickup(B)))
    assert (plan.strayed, plan.left) == ((strayed,), (make_pickup(B),))
    assert plan.gone == (make_pickup(B),)


def test_unfinished_names_are_left_alone() -> None:
    assert all(is_unfinished(name) for name in ("a.csv.part", "a.FILEPART", "a.tmp", "a.csv~"))
    assert not any(is_unfinished(name) for name in ("a.csv", "part.csv", "a.tmp.csv"))
    part = FileEntry("a.csv.part", 1, 1)
    assert plan_of((part,), (part,)).read == ()


def test_what_was_read_is_judged() -> None:
    pickup = make_pickup(A)
    found = ReadFile(A, b"x" * 10, b"")
    assert judge(A, found, 100, None) == "new"
    assert judge(A, found, 100, pickup) == "known"
    assert judge(A, ReadFile(B, b"x" * 10, b""), 100, pickup) == "changed"
    assert judge(A, ReadFile(A, b"x" * 9, b""), 100, None) == "changed"
    assert judge(A, ReadFile(A, b"", b""), 9, None) == "too_large"
    assert judge(A, ReadFile(A, b"", b""), 9, pickup) == "known"


def test_each_step_is_left_until_it_is_done() -> None:
    assert steps_left(make_pickup(A)) == ("remove", "report", "tell")
    assert steps_left(make_pickup(A, removed_at=NOW, told_at=NOW)) == ("report",)
    assert make_pickup(A, removed_at=NOW, told_at=NOW, reported_at=NOW).is_done


@given(st.text("aü€😀.", min_size=1, max_size=255), st.sampled_from([".txt", ""]))
def test_a_name_beside_is_never_too_long_and_ends_as_it_must(name: str, suffix: str) -> None:
    beside = name_beside(make_pickup(FileEntry(name, 1, 1)), suffix)
    assert len(beside.encode()) <= NAME_BYTES_MAX
    assert beside.endswith(f".lst_1{suffix}")
    assert name.startswith(beside.removesuffix(f".lst_1{suffix}"))


@given(st.floats(1, 86_400), st.integers(0, 10_000), st.floats(0, 1), st.integers(0, 10_000))
def test_waits_grow_with_failures_up_to_a_bound(
    every_s: float, failures: int, chance: float, more: int
) -> None:
    wait = wait_s(every_s, failures, chance)
    assert every_s <= wait <= 1.1 * max(every_s, RETRY_S_MAX)
    assert wait_s(every_s, failures + more, chance) >= wait


FILES = st.builds(FileEntry, st.sampled_from(["a", "b", "c"]), st.integers(0, 2), st.integers(0, 2))
LISTINGS = st.lists(FILES, unique_by=lambda file: file.name).map(
    lambda files: Listing(tuple(files))
)


@given(st.lists(LISTINGS, min_size=1, max_size=8))
def test_nothing_is_read_that_the_visit_before_did_not_find_as_it_is(
    listings: list[Listing],
) -> None:
    seen: dict[str, Seen] = {}
    before: tuple[FileEntry, ...] = ()
    for at, listing in enumerate(listings):
        plan = make_plan(listing, seen, (), PLACE, "all", at - 1)
        assert set(plan.read) == set(before) & set(listing.files)
        seen, before = see(listing, seen, at), listing.files
