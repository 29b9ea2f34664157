"""Where the running engine is, and the key for it: the options of every command that talks to one."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from typing import Final
from urllib.parse import urlsplit

from adapters.http_client import HttpFailed
from api.answers import ApiError
from api.client import CallwheelClient
from api.commands import USAGE, CommandFailed

DEFAULT_URL: Final = "http://127.0.0.1:8080"
URL_VARIABLE: Final = "CALLWHEEL_URL"
KEY_VARIABLE: Final = "CALLWHEEL_KEY"


def add_connection_arguments(parser: ArgumentParser) -> None:
    """`--url` and `--key`."""
    parser.add_argument(
        "--url", help=f"the running engine's address ({URL_VARIABLE}; else {DEFAULT_URL})"
    )
    parser.add_argument("--key", help=f"the key to ask with ({KEY_VARIABLE})")
    parser.set_defaults(key_variables=(KEY_VARIABLE,))


def make_client(args: Namespace, *other_variables: str) -> CallwheelClient:
    """A client from the options, else from the environment. Raises `CommandFailed` without a key.

    Args:
        other_variables: where a key may be if neither `--key` nor CALLWHEEL_KEY gives one.
    """
    args.key_variables = (KEY_VARIABLE, *other_variables)
    key, _ = _find_key(args)
    if key is None:
        raise CommandFailed(f"a key is needed: give --key or set {KEY_VARIABLE}.", USAGE)
    if not key.isascii() or not key.isprintable() or " " in key:
        raise CommandFailed("the key holds characters that no key has.", USAGE)
    url, source = _find_url(args)
    if not _is_address(url):
        raise CommandFailed(f"{source} {url!r} is not an address as {DEFAULT_URL}.", USAGE)
    return CallwheelClient(url, key)


def explain(error: BaseException, args: Namespace) -> str | None:
    """Where a command was told to ask that got no answer, or whence the key was that is not known; None of
    anything else."""
    if not hasattr(args, "key_variables"):
        return None
    if isinstance(error, HttpFailed):
        url, source = _find_url(args)
        if source is None:
            return f"The engine was looked for at {url}; --url or {URL_VARIABLE} says where else it is."
        return f"The engine was looked for at {url}, as {source} says."
    if isinstance(error, ApiError) and error.code == "unauthenticated":
        return f"It was asked with the key of {_find_key(args)[1]}."
    return None


def _find_url(args: Namespace) -> tuple[str, str | None]:
    """The address, and what says so; None where nothing does."""
    if args.url:
        return args.url, "--url"
    url = os.environ.get(URL_VARIABLE)
    return (url, URL_VARIABLE) if url else (DEFAULT_URL, None)


def _find_key(args: Namespace) -> tuple[str | None, str]:
    """The key, and what gives it; None where nothing does."""
    if args.key:
        return args.key, "--key"
    for name in args.key_variables:
        if key := os.environ.get(name):
            return key, name
    return None, ""


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
