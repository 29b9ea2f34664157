"""What is there for the tests of the console to look at."""

from __future__ import annotations

from base64 import b64encode
from typing import Final

from msgspec import Struct
from playwright.sync_api import Browser

from tests.system.console.product import Product

ONE_KEY: Final = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(range(32))

DOORS: Final = {
    "email_senders": ["school@example.com"],
    "folder": {"path": "closure", "every_s": 1},
    "sftp": {
        "host": "127.0.0.1",
        "user": "callwheel",
        "password": "x",
        "host_key": f"ssh-ed25519 {b64encode(ONE_KEY).decode()}",
    },
}
"""A folder that is watched, and a server at an address that the configuration does not allow."""


class Set(Struct, frozen=True):
    """What all tests of a file use."""

    product: Product
    browser: Browser
    owner: str
    viewer: str
    quick: str
    """A flow that calls as fast as it may."""
    slow: str
    """A flow that makes a call in five seconds."""
    bare: str
    """A flow without a number."""
