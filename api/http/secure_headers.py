"""Headers that every answer has, from wherever in the front it comes."""

from __future__ import annotations

from typing import Final

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer, unless it says otherwise."""
STRICT_TRANSPORT: Final = "max-age=31536000"
"""Where outsiders reach us over TLS, for a year nothing else (RFC 6797)."""


def secure_headers(*, is_secure: bool) -> dict[str, str]:
    """The headers of every answer, for whoever came over TLS or without."""
    return (
        {**HEADERS, "Strict-Transport-Security": STRICT_TRANSPORT} if is_secure else dict(HEADERS)
    )
