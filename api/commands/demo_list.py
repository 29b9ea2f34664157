"""What the demo calls: a list made from a seed, a chime, a flow, numbers to call from. Pure."""

from __future__ import annotations

import csv
import io
import wave
from typing import Any, Final

import numpy as np
from msgspec import Struct

CONTACTS_MAX: Final = 50_000
"""A list of more would pass the 5 MB that a file may have."""
SECOND_NUMBER_SHARE: Final = 0.15
"""How many contacts have a number to fall back on."""
CHIME_RATE_HZ: Final = 16_000
CHIME_S: Final = 1.2
CHIME_NOTES_HZ: Final = (523.25, 587.33, 659.26, 783.99, 880.0)
"""C, D, E, G and A: any two of them sound well."""

HEADER: Final = ("tel1", "tel2", "$flow.name", "starttime", "reference")
NAMES: Final = ("Ada", "Björn", "Chidi", "Dolores", "Émile", "Farah", "O'Neil, Pat", "小林")
BAD_ROWS: Final = (
    (("", "", "Nobody", "", "no number"), "missing_tel"),
    (("9.19876E+11", "", "Sheet", "", "damaged"), "spreadsheet_damage"),
    (("+1415", "", "Short", "", "too short"), "invalid_number"),
    (("+44 20 7946 0018", "", "Abroad", "", "not allowed"), "number_not_allowed"),
    (("+1 415 555 2671", "", "Late", "2001-01-01T09:00:00Z", "long ago"), "starttime_past"),
)
"""Rows that no engine may take, each with the code that says why; one more repeats a number."""
DUPLICATE: Final = "duplicate_number"

DID_CPS: Final = (3, 4, 5, 6, 7, 3, 4, 5, 6, 7)
"""Calls a second of each number that the demo calls from; fifty in all."""

SETTINGS: Final[dict[str, Any]] = {"attempts_max": 3, "ring_timeout_s": 6}
"""Of the flow: a demo has no patience for long ringing."""


class DemoList(Struct, frozen=True):
    """A call list and what is to be expected of it."""

    content: bytes
    """The CSV, UTF-8."""
    contacts: int
    """Good rows."""
    codes: tuple[str, ...]
    """Codes of the bad rows, sorted."""


def make_list(contacts: int, seed: int) -> DemoList:
    """A list of so many people in San Francisco, with a few bad rows between them."""
    chance = np.random.default_rng(seed)
    count = contacts + round(contacts * SECOND_NUMBER_SHARE)
    numbers = _make_numbers(chance, count)
    second = chance.permutation(contacts)[: count - contacts]
    fallback = dict(zip((int(row) for row in second), numbers[contacts:], strict=True))
    rows = [
        (numbers[i], fallback.get(i, ""), NAMES[i % len(NAMES)], "", f"demo-{i + 1}")
        for i in range(contacts)
    ]
    bad = [*(cells for cells, _ in BAD_ROWS), (numbers[0], "", "Again", "", "twice")]
    for cells in bad:
        # Never first: the row that a number is repeated from comes before the one that repeats it.
        rows.insert(int(chance.integers(1, len(rows) + 1)), cells)
    text = io.StringIO()
    csv.writer(text).writerows([HEADER, *rows])
    codes = sorted([*(code for _, code in BAD_ROWS), DUPLICATE])
    return DemoList(text.getvalue().encode(), contacts, tuple(codes))


def _make_numbers(chance: np.random.Generator, count: int) -> list[str]:
    """Different numbers of San Francisco, E.164."""
    # The fourth digit from the end stays below 9: the simulated carrier takes 9xxx for commands.
    lines = chance.choice(800 * 9000, size=count, replace=False)
    return [f"+1415{200 + int(line) // 9000}{int(line) % 9000:04}" for line in lines]


def make_caller_numbers() -> list[tuple[str, int]]:
    """The numbers to call from, each with its calls a second."""
    return [(f"+1628555{100 + place:04}", cps) for place, cps in enumerate(DID_CPS)]


def make_chime(seed: int) -> bytes:
    """Two struck notes as a WAV file of 16 bits."""
    chance = np.random.default_rng(seed)
    first, second = chance.choice(CHIME_NOTES_HZ, size=2, replace=False)
    at = np.arange(round(CHIME_RATE_HZ * CHIME_S)) / CHIME_RATE_HZ
    sound = _strike(at, first) + _strike(at - CHIME_S / 3, second)
    samples = (sound / np.abs(sound).max() * 0.6 * 32_767).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(CHIME_RATE_HZ)
        out.writeframes(samples.tobytes())
    return file.getvalue()


def _strike(at: np.ndarray[Any, np.dtype[np.float64]], note_hz: float) -> Any:
    """A note that is struck at 0 and fades."""
    return np.where(at >= 0, np.sin(2 * np.pi * note_hz * at) * np.exp(-5 * np.maximum(at, 0)), 0)


def make_definition(prompt: str) -> dict[str, Any]:
    """What happens on each call: the chime, and goodbye."""
    return {
        "start": "chime",
        "variables": {"name": {"default": "there"}},
        "nodes": {
            "chime": {"type": "play", "play": prompt, "next": "bye"},
            "bye": {"type": "hangup"},
        },
    }


def make_config(data_dir: str, trunk: str) -> str:
    """A configuration on loopback, with free ports."""
    # JSON's strings are TOML's basic strings, as far as a path can tell.
    quoted = '"' + data_dir.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"""\
data_dir = {quoted}
drain_s = 2

[http]
bind = "127.0.0.1:0"

[sip]
bind = "127.0.0.1:0"

[limits]
destinations = ["+1"]

[[trunks]]
name = "main"
uri = "{trunk}"
"""
