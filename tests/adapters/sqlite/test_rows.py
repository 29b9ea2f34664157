"""Rows as other releases have written them."""

from __future__ import annotations

import pytest
from msgspec import structs

from adapters.sqlite.rows import Row, detail_text, to_attempt
from engine.model import Attempt, Media

ROW: Row = (
    *("att_1", "acc_1", "flw_1", "lst_1", "cnt_1", "+14155550100", "+14155550101", "main"),
    *("completed", 1.0, "answered", None, 2.0, 9.0),
)


@pytest.mark.parametrize(
    ("detail", "media"),
    [
        (None, None),
        # At first these two were all.
        ('{"media":{"loss":0.25,"jitter_ms":2.5}}', Media(0.25, 2.5)),
    ],
)
def test_what_earlier_releases_kept_of_a_calls_media_still_reads(
    detail: str | None, media: Media | None
) -> None:
    assert to_attempt((*ROW, detail)) == structs.replace(Attempt(*ROW), media=media)


def test_everything_that_is_known_of_a_calls_media_is_kept() -> None:
    attempt = structs.replace(Attempt(*ROW), media=Media(0.25, 2.5, 3.9, 0.125, 1.5, 40.0))
    assert to_attempt((*ROW, detail_text(attempt))) == attempt
