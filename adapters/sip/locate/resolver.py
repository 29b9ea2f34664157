"""Asks the real DNS for what `records` wants to know: the trio shell around it.

Addresses come from the system (`getaddrinfo`), so that the hosts file and whatever else a machine knows
its neighbours by is honoured, or from the nameservers that were named. NAPTR and SRV records always
come from nameservers: no system interface knows them.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final

import structlog
import trio
from msgspec import Struct, structs

from adapters.sip.locate.records import (
    Answers,
    Failed,
    Found,
    Located,
    Question,
    Steps,
    host_name,
    is_numeric,
    locate_servers,
    one_line,
)
from adapters.sip.locate.target import (
    Family,
    TrunkTarget,
    default_port,
    transport_without_records,
)
from engine.ports.clock import Randomness

QUESTION_TIMEOUT_S: Final = 5.0
"""How long one question may stay unanswered. There are at most three rounds of questions."""
SYSTEM_TTL_S: Final = 60.0
"""How long an address from the system is good: `getaddrinfo` does not say."""
HOSTS_FILE: Final = "/etc/hosts"
HOSTS_BYTES_MAX: Final = 8 * 1024 * 1024
"""So much of the hosts file is read; lists that block advertisements take some megabytes."""

_NO_SUCH_NAME: Final = frozenset(
    getattr(socket, name)
    for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY")
    if hasattr(socket, name)
)
_FAMILIES: Final = {"A": socket.AF_INET, "AAAA": socket.AF_INET6}

_log = structlog.get_logger("callwheel.sip")


class LookupSettings(Struct, frozen=True):
    """How names are looked up."""

    nameservers: tuple[tuple[str, int], ...] = ()
    """IP addresses and ports of nameservers, which are then asked for everything; none asks as the
    system does."""
    question_timeout_s: float = QUESTION_TIMEOUT_S
    hosts_file: str = HOSTS_FILE
    """Its names are looked up nowhere else. Read only where no nameservers are given."""


AS_THE_SYSTEM: Final = LookupSettings()


async def locate(
    target: TrunkTarget,
    families: tuple[Family, ...],
    randomness: Randomness,
    settings: LookupSettings = AS_THE_SYSTEM,
) -> Located:
    """Where a trunk can be reached (RFC 3263 §4). `families` are those that our sockets can send to,
    the preferred first.

    Raises `NotFound` where there is no server, `LookupFailed` where nobody could tell; nothing else,
    whatever a nameserver answers.
    """
    if await _is_neighbour(target.host, settings):
        # The machine itself says where that is: nobody else is asked, and there is nothing to wait
        # for where no nameserver can be reached.
        transport = transport_without_records(target)
        port = default_port(transport) if target.port is None else target.port
        target = structs.replace(target, port=port, transport=transport)
    return await _drive(locate_servers(target, families, randomness), settings)


async def _drive(steps: Steps[Located], settings: LookupSettings) -> Located:
    try:
        questions = next(steps)
        while True:
            questions = steps.send(await _ask_all(questions, settings))
    except StopIteration as end:
        located: Located = end.value
        return located


async def _ask_all(questions: tuple[Question, ...], settings: LookupSettings) -> Answers:
    answers: dict[Question, Found | Failed] = {}

    async def ask(question: Question) -> None:
        answers[question] = await _ask(question, settings)

    async with trio.open_nursery() as nursery:
        for question in questions:
            nursery.start_soon(ask, question)
    return answers


async def _ask(question: Question, settings: LookupSettings) -> Found | Failed:
    timeout_s = settings.question_timeout_s
    with trio.move_on_after(timeout_s):
        try:
            if question.kind in _FAMILIES and _is_asked_of_system(question.name, settings):
                return await _ask_system(question)
            # Imported by who first needs it: a trunk that is reached by its address asks nobody.
            from adapters.sip.locate.nameservers import ask_nameservers

            return await ask_nameservers(question, settings.nameservers, timeout_s)
        except OSError as error:
            return Failed(one_line(error))
        except Exception as error:
            # What a library makes of hostile bytes is no reason for a trunk's task to die.
            _log.exception("a look-up failed by a fault", name=question.name, kind=question.kind)
            return Failed(one_line(error))
    return Failed(f"no answer within {timeout_s:g} s")


async def _ask_system(question: Question) -> Found | Failed:
    try:
        found = await trio.socket.getaddrinfo(
            question.name, None, family=_FAMILIES[question.kind], type=socket.SOCK_DGRAM
        )
    except socket.gaierror as error:
        if error.errno in _NO_SUCH_NAME:
            return Found()
        return Failed(error.strerror or str(error))
    return Found(tuple(str(entry[4][0]) for entry in found), SYSTEM_TTL_S)


def _is_localhost(name: str) -> bool:
    """RFC 6761 §6.3: these names are this machine's, and no nameserver is asked for them."""
    return name == "localhost" or name.endswith(".localhost")


def _is_asked_of_system(name: str, settings: LookupSettings) -> bool:
    return not settings.nameservers or _is_localhost(name)


async def _is_neighbour(host: str, settings: LookupSettings) -> bool:
    """Whether the machine itself has an address for the name."""
    if is_numeric(host):
        return False
    name = host_name(host)
    if _is_localhost(name):
        return True
    if settings.nameservers:
        return False
    return await trio.to_thread.run_sync(
        _stands_in_hosts, name.encode(), settings.hosts_file, abandon_on_cancel=True
    )


def _stands_in_hosts(name: bytes, hosts_file: str) -> bool:
    try:
        with Path(hosts_file).open("rb") as file:
            text = file.read(HOSTS_BYTES_MAX)
    except OSError:
        return False
    return any(
        name in line.partition(b"#")[0].lower().split()[1:]
        for line in text.splitlines()
        if name in line.lower()
    )
