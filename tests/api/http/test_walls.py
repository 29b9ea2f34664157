"""Every route with every role and with a neighbour's ids, made from the table of routes."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, get_args
from urllib.parse import quote

import pytest

from api.http.auth import ROLES
from api.http.routes import FEED_PATH, ROUTES, Route
from engine.model import Role, Scope
from engine.ports.activations import ActivationStore
from engine.ports.agent_store import AgentStore
from engine.ports.intake_store import IntakeStore
from engine.ports.read_store import ReadStore
from engine.ports.recordings import RecordingStore
from engine.ports.settings_store import SettingsStore
from tests.api.http.neighbours import NAMES, PUBLIC_NAMES, Belongings, send, settle
from tests.api.http.world import ADMIN_KEY, Client, World, opened_world

PORTS: Final = (
    SettingsStore,
    IntakeStore,
    ReadStore,
    AgentStore,
    RecordingStore,
    ActivationStore,
)
OF_ENGINE: Final = {
    "activations_to_expire",
    "clear_activations",
    "get_account",  # of the key that asks, or of whom an administrator names
    "list_accounts",  # an administrator's
    "find_key",  # by what only its holder knows
    "note_key_use",  # of the key that asks
    "note_presence",
    "reset_presence",
    "open_legs",
    "answer_days",
}
"""Questions and changes that name no account: an administrator's, and the engine's own."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """On the real store: it is what keeps accounts apart."""
    async with opened_world(tmp_path) as opened:
        yield opened


def _names_of(route: Route) -> list[str]:
    return re.findall(r"{(\w+)}", route.path)


def _client(world: World, role: Role) -> Client:
    if role == "administrator":
        return Client(world.app, ADMIN_KEY, acts_for="ours")
    return world.client(role)


def _may(role: Role, least: Role) -> bool:
    return ROLES.index(role) >= ROLES.index(least)


def test_every_route_that_is_served_is_in_the_table() -> None:
    """Whoever adds one elsewhere finds out here."""
    served = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in World.bare().app.url_map.iter_rules()
        for method in (rule.methods or {"GET"}) - {"HEAD", "OPTIONS"}
    }
    listed = [(route.method, route.path) for route in ROUTES]
    assert served == {*listed, ("GET", FEED_PATH)}
    assert len(listed) == len(set(listed))


def test_every_route_with_a_key_belongs_to_a_scope() -> None:
    """But for the question who asks."""
    keyed = [route for route in ROUTES if route.least is not None]
    assert {route.scope for route in keyed} - {None} <= {*get_args(Scope)}
    assert [route.path for route in keyed if route.scope is None] == ["/v1/me"]


def test_every_name_in_an_address_is_one_that_a_neighbour_has() -> None:
    assert {name for route in ROUTES for name in _names_of(route)} <= {*NAMES, *PUBLIC_NAMES}


def test_the_store_takes_the_account_of_every_question_that_an_outsider_causes() -> None:
    """As an argument, or in what is stored."""
    bare = {
        name
        for port in PORTS
        for name, method in inspect.getmembers(port, inspect.isfunction)
        if not name.startswith("_")
        and "account" not in (given := inspect.signature(method).parameters)
        # What is made says whose it is.
        and not any(
            name.startswith(verb) for verb in ("add_", "accept_", "begin_", "note_leg", "end_")
        )
        and given
    }
    assert bare == OF_ENGINE


@pytest.mark.parametrize("key", [None, "wrong", "cw_" + "x" * 43])
async def test_without_a_key_that_is_known_no_route_says_anything(
    world: World, key: str | None
) -> None:
    theirs = await settle(world, "theirs")
    client = Client(world.app, key)
    for route in ROUTES:
        if route.least is None:
            continue
        reply = await send(client, route, theirs.names)
        assert reply.problem == (401, "unauthenticated"), route
        assert reply.headers["WWW-Authenticate"].startswith('Bearer realm="callwheel"')
        assert _leaks(reply.body, theirs, route) == []


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_may_what_the_table_says_and_finds_nothing_of_a_neighbour(
    world: World, role: Role
) -> None:
    """With the neighbour's ids in each address, and, where a route filters, in each parameter."""
    ours, theirs = await settle(world, "ours"), await settle(world, "theirs")
    client = _client(world, role)
    for route in ROUTES:
        least = route.least
        if least is None:
            continue
        names = _names_of(route)
        is_filtered = [name for name in route.query if name in NAMES]
        if not _may(role, least):
            reply = await send(client, route, theirs.names)
            assert reply.problem == (403, "forbidden"), route
        elif least == "administrator":
            continue  # asks for accounts as such
        elif names:
            # Each of the ids alone is enough, whatever the others are.
            for name in names:
                mixed = {**ours.names, name: theirs.names[name]}
                reply = await send(client, route, mixed)
                assert reply.problem == (404, "not_found"), (route, name)
                assert _leaks(reply.body, theirs, route) == []
        query = [f"{name}={quote(theirs.names[name])}" for name in is_filtered]
        for some in ([], query, *([one] for one in query)):
            if not names and _may(role, least):
                reply = await send(client, route, {}, some)
                assert reply.status < 500, (route, reply.body)
                assert _leaks(reply.body, theirs, route, some) == []


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_finds_what_is_its_own_accounts(world: World, role: Role) -> None:
    """Or the test above would prove nothing."""
    ours = await settle(world, "ours")
    for route in ROUTES:
        if route.method == "GET" and route.least is not None and _may(role, route.least):
            reply = await send(_client(world, role), route, ours.names)
            assert reply.status == 200 or reply.problem in KEPT_ELSEWHERE, (route, reply.body)


KEPT_ELSEWHERE: Final = ((404, "trace_not_kept"), (404, "recording_not_kept"))
"""What this world has no archive of; it says so only to whose it is."""


def _leaks(body: bytes, of: Belongings, route: Route, query: list[str] | None = None) -> list[str]:
    """Signs of an account in an answer, but for those that the request brought itself."""
    brought = [of.names[name] for name in _names_of(route)]
    brought += [one.partition("=")[2] for one in query or ()]
    text = body.decode("utf-8", "replace")
    return [sign for sign in of.signs if sign in text and not any(sign in one for one in brought)]
