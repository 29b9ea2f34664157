"""Texts come and go; those that are held stay, and the bound holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.speech.room import Kept, Room, RoomFull


def test_the_text_that_was_not_used_for_longest_goes_first() -> None:
    room = Room(300)
    for name in ("a", "b", "c"):
        room.add(Kept(name, 1.0, 100))
    again = room.hold("a")
    assert again is not None
    room.release(again)
    assert [kept.prompt_id for kept in room.make_way(150)] == ["b", "c"]
    assert (len(room), room.size_bytes) == (1, 100)


def test_a_text_that_is_held_never_goes() -> None:
    room = Room(300)
    room.add(Kept("held", 1.0, 200, holders=2))
    room.add(Kept("idle", 1.0, 100))
    with pytest.raises(RoomFull):
        room.make_way(150)
    assert (len(room), room.size_bytes) == (2, 300)
    assert [kept.prompt_id for kept in room.make_way(100)] == ["idle"]


def test_a_text_stays_until_its_last_holder_gave_it_back() -> None:
    room = Room(100)
    first = Kept("a", 1.0, 100, holders=1)
    room.add(first)
    assert room.hold("a") is first
    room.release(first)
    with pytest.raises(RoomFull):
        room.make_way(1)
    room.release(first)
    assert room.make_way(1) == (first,)
    assert room.hold("a") is None


STEPS = st.lists(
    st.tuples(st.sampled_from(["use", "release"]), st.integers(0, 9), st.integers(1, 60)),
    max_size=80,
)


@given(STEPS)
def test_whatever_happens_the_bound_holds_and_who_is_held_is_kept(
    steps: list[tuple[str, int, int]],
) -> None:
    """Against a plain list, the one that was not used for longest in front."""
    room = Room(100)
    order: list[Kept] = []
    for step, number, size_bytes in steps:
        kept = next((kept for kept in order if kept.prompt_id == str(number)), None)
        if step == "release":
            if kept is not None and kept.holders:
                room.release(kept)
                order.remove(kept)
                order.append(kept)
        elif kept is not None:
            assert room.hold(str(number)) is kept
        else:
            assert room.hold(str(number)) is None
            held_bytes = sum(kept.size_bytes for kept in order if kept.holders)
            if held_bytes + size_bytes > 100:
                with pytest.raises(RoomFull):
                    room.make_way(size_bytes)
                continue
            gone = room.make_way(size_bytes)
            idle = [kept for kept in order if not kept.holders]
            assert list(gone) == idle[: len(gone)]
            order = [kept for kept in order if kept not in gone]
            order.append(Kept(str(number), 1.0, size_bytes, holders=1))
            room.add(order[-1])
        assert (len(room), room.size_bytes) == (len(order), sum(k.size_bytes for k in order))
        assert room.size_bytes <= 100
