"""The description as it is served: made once, when it is first asked for."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version
from typing import Final

import msgspec
from msgspec import Struct

from api.http.openapi.descriptions import DESCRIPTIONS
from api.http.openapi.document import make_document
from api.http.openapi.page import make_page
from api.http.routes import ROUTES

DISTRIBUTION: Final = "callwheel"
ADDRESSES_MAX: Final = 4
"""Addresses under which one process is described."""


class Publication(Struct, frozen=True):
    """The description for programs, and for people."""

    document: bytes
    """JSON."""
    page: bytes
    """HTML."""


@lru_cache(maxsize=ADDRESSES_MAX)
def publish(url: str) -> Publication:
    """The description of the API at this address."""
    document = make_document(ROUTES, DESCRIPTIONS, url, version(DISTRIBUTION))
    return Publication(msgspec.json.encode(document), make_page(document).encode())
