"""Whose recordings are, for every store."""

from __future__ import annotations

import pytest

from engine.model import Recording
from engine.ports.stored import Conflict
from tests.contract.store_samples import ACME, NOW, OTHER, Kit, all_pages


async def test_recordings_are_found_by_their_account_and_listed_by_attempt(kit: Kit) -> None:
    ours = [Recording(f"rec_{n}", ACME, f"att_{n % 2}", NOW + n) for n in range(5)]
    theirs = Recording("rec_9", OTHER, "att_1", NOW)
    for one in (*reversed(ours), theirs):
        await kit.store.add_recording(one)
    assert await kit.store.get_recording(ACME, "rec_3") == ours[3]
    assert await kit.store.get_recording(ACME, "rec_9") is None
    assert await kit.store.get_recording(OTHER, "rec_3") is None
    for limit in (1, 2, 100):
        everything = await all_pages(
            lambda *page: kit.store.list_recordings(ACME, None, *page), limit
        )
        assert everything == ours
        of_one = await all_pages(
            lambda *page: kit.store.list_recordings(ACME, "att_1", *page), limit
        )
        assert of_one == [ours[1], ours[3]]


async def test_a_recording_of_nobody_and_a_cursor_of_nobody_are_refused(kit: Kit) -> None:
    with pytest.raises(LookupError):
        await kit.store.add_recording(Recording("rec_1", "acc_none", "att_1", NOW))
    with pytest.raises(Conflict) as caught:
        await kit.store.list_recordings(ACME, None, 10, "nonsense")
    assert caught.value.code == "invalid_cursor"
