"""What a person reads in a browser: the console, and a page for each error code.

All of it is self-contained: no build, no other site, and a policy that lets nothing else in.
"""

from __future__ import annotations

import html
from functools import cache
from pathlib import Path
from typing import Final

from api.http.exchange import Answer, Exchange
from api.http.problem import KINDS, not_found

FOLDER: Final = Path(__file__).parents[1] / "console"
TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
FILES: Final = (
    "console.css",
    "page.css",
    "icon.svg",
    "activations.js",
    "agents.js",
    "answers.js",
    "api.js",
    "configuration.js",
    "console.js",
    "dom.js",
    "doors.js",
    "feed.js",
    "flow.js",
    "list.js",
    "look_up.js",
    "new_flow.js",
    "numbers.js",
    "overview.js",
    "parts.js",
    "prompts.js",
    "review.js",
    "source.js",
    "state.js",
    "upload.js",
    "words.js",
    "work.js",
)
"""What the page asks for, and nothing else, by name."""
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
}
HTML_TYPE: Final = "text/html; charset=utf-8"


async def get_console(exchange: Exchange) -> Answer:
    """GET /"""
    return Answer(200, _read_file("index.html"), HTML_TYPE, dict(PAGE_HEADERS))


async def get_console_file(exchange: Exchange) -> Answer:
    """GET /console/{file}"""
    name = exchange.path["file"]
    if name not in FILES:
        raise not_found("file", name)
    kind = TYPES[name.rpartition(".")[2]]
    return Answer(200, _read_file(name), kind, dict(PAGE_HEADERS))


async def get_error_page(exchange: Exchange) -> Answer:
    """GET /docs/errors/{code}: where a problem's `type` leads."""
    code = exchange.path["code"]
    kind = KINDS.get(code)
    if kind is None:
        raise not_found("error code", code)
    title = html.escape(kind.title)
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{code} · Callwheel</title>"
        '<link rel="icon" href="/console/icon.svg"><link rel="stylesheet" href="/console/console.css">'
        f'<main class="page"><h1>{title}</h1><p>Code <code>{code}</code>, HTTP status {kind.status}.</p>'
        "<p>The answer's <code>detail</code> says what is wrong in this case; its <code>errors</code>, "
        "where there are some, name each place in what was sent.</p></main></html>"
    )
    return Answer(200, page.encode(), HTML_TYPE, dict(PAGE_HEADERS))


@cache  # of the handful of files above
def _read_file(name: str) -> bytes:
    return (FOLDER / name).read_bytes()
