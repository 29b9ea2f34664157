"""How views become JSON, and moments text."""

from __future__ import annotations

import msgspec

from engine.model.events import rfc3339

encode = msgspec.json.Encoder().encode


def show_time(at: float | None) -> str | None:
    return None if at is None else rfc3339(at)
