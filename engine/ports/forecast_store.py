"""The part of the store that forecasts are made from."""

from __future__ import annotations

from typing import Final, Protocol

from engine.forecast.behaviour import SeenCall
from engine.forecast.case import Cohort

SAMPLE_CONTACTS: Final = 20_000
"""Contacts of a list that are looked at, evenly chosen, where it has more: they stand for the others."""
GOING_ON_MAX: Final = 20_000
"""Calls that go on which are told beside those that have ended; of more the latest."""


class ForecastStore(Protocol):
    """What is known of the calls to come, and of those that were."""

    async def open_cohorts(self, account: str, call_list: str, now: float) -> list[Cohort]:
        """The open contacts of a list, those together that are alike: by when they are due, at `now` or in
        which later minute, by the zones of their next number, and by what they have had. In no order; none
        for a list that the account does not have. Their sum is exact; who is what may be a sample's."""

    async def seen_calls(self, account: str, flow: str, now: float, limit: int) -> list[SeenCall]:
        """The latest calls of a flow that have ended with a disposition, `limit` at most, and those that go
        on at `now` and began after the first of these: together in one bound, where many go on, nearly none
        that has ended would be told. No agent's. In no order."""
