"""Every route in words: what it does, takes and gives. `tests/api/http/openapi` holds it to the table of
routes."""

from __future__ import annotations

from typing import Final

from api.http.openapi.described import Described
from api.http.openapi.in_words.accounts import ACCOUNTS
from api.http.openapi.in_words.flows import FLOWS
from api.http.openapi.in_words.lists import LISTS
from api.http.openapi.in_words.service import SERVICE

DESCRIPTIONS: Final[dict[tuple[str, str], Described]] = {**ACCOUNTS, **FLOWS, **LISTS, **SERVICE}
