"""The HTTP front, and what it needs before it listens: its address, its certificate and the first key."""

from __future__ import annotations

import secrets
import socket
from functools import partial
from pathlib import Path

from adapters.sip.transport.tls import BadTlsFile, server_context
from api.compose.parts import Parts
from api.compose.started import CannotStart
from api.config import Config
from api.data_folder import (
    ADMIN_KEY_HASH,
    PRIVATE_FILE,
)
from api.http.app import Application, make_app
from api.http.auth import KEY_PREFIX, hash_key
from api.http.exchange import HttpSettings
from api.http.feed import FeedHub
from api.http.forwarded import Proxies
from api.http.tls import Certificate


def make_application(
    config: Config, parts: Parts, hub: FeedHub, url: str, admin_sha256: bytes
) -> Application:
    """What answers over HTTP, as outsiders reach it at `url`."""
    settings = HttpSettings(
        url,
        admin_sha256,
        requests_per_s=config.http.requests_per_s,
        proxies=Proxies(config.http.trusted_proxies, config.http.forwarded_by),
        find_address=parts.mails.find_address,
        mailbox=parts.mails.fetcher,
    )
    return make_app(
        parts.engine,
        settings,
        hub,
        parts.prompts,
        parts.traces,
        parts.recordings,
        parts.courier.wake,
        parts.metrics.show,
        parts.doors,
        parts.watch.problems,
        parts.mails.activations,
    )


def read_certificate(config: Config) -> Certificate | None:
    """The HTTP server's own; None where it speaks without TLS. Raises `CannotStart`."""
    cert, key = config.http.tls_cert, config.http.tls_key
    if cert is None or key is None:
        return None
    try:
        return Certificate(partial(server_context, cert, key), (cert, key))
    except BadTlsFile as bad:
        raise CannotStart(bad.detail) from bad


def find_admin_key(config: Config) -> tuple[str | None, bytes]:
    """(the administrator key if it was made now, its SHA-256). The key itself is kept nowhere: whoever
    lost it removes the file, and the next start makes another."""
    if config.admin_key is not None:
        return None, hash_key(config.admin_key)
    file = Path(config.data_dir) / ADMIN_KEY_HASH
    try:
        return None, bytes.fromhex(file.read_text(encoding="ascii"))
    except FileNotFoundError:
        made = KEY_PREFIX + secrets.token_urlsafe(32)
        sha256 = hash_key(made)
        file.touch(mode=PRIVATE_FILE)
        file.write_text(sha256.hex(), encoding="ascii")
        return made, sha256
    except ValueError:
        raise CannotStart(
            f"{file} does not hold the hash of a key; remove it, and the next start makes a new key."
        ) from None


def choose_http_address(config: Config) -> tuple[str, int]:
    """Where the front listens. Its own address stands in what it answers, so a free port is chosen here,
    before it listens."""
    bind = config.http.bind
    if bind.port:
        return bind.host, bind.port
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((bind.host, 0))
        return bind.host, int(probe.getsockname()[1])


def in_url(host: str) -> str:
    """An IP address as it stands in a URL."""
    return f"[{host}]" if ":" in host else host
