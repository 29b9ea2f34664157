from __future__ import annotations

import pytest
import trio
from werkzeug.datastructures import Headers

from api.http.auth import (
    CALLER_S,
    ROLES,
    TICKET_S,
    TICKETS_MAX,
    Caller,
    Fleeting,
    Keyring,
    Tickets,
    hash_key,
    make_key,
    require_role,
)
from api.http.problem import Problem
from engine.model import Account, ApiKey
from tests.api.http.world import Clock

ACCOUNT = Account("acc_1", "ours", "UTC", "", 0.0)


def caller(role: str) -> Caller:
    return Caller("key_1", role, ACCOUNT, is_explicit=True)  # type: ignore[arg-type]


class Safe:
    """The part of a store that a keyring asks, which counts how often it is asked."""

    def __init__(self, *keys: ApiKey) -> None:
        self.keys = {key.sha256: key for key in keys}
        self.asked = 0
        self.noted: list[tuple[str, float]] = []

    async def find_key(self, sha256: bytes) -> ApiKey | None:
        self.asked += 1
        return self.keys.get(sha256)

    async def note_key_use(self, key: str, at: float) -> None:
        self.noted.append((key, at))

    async def get_account(self, id_or_name: str) -> Account | None:
        return ACCOUNT if id_or_name in ("acc_1", "ours") else None


def test_keys_are_random_and_of_one_form() -> None:
    keys = {make_key() for _ in range(100)}
    assert {(key[:3], len(key)) for key in keys} == {("cw_", 46)}
    assert len(keys) == 100


def test_a_higher_role_may_do_what_a_lower_one_may() -> None:
    for place, least in enumerate(ROLES):
        for role in ROLES[place:]:
            require_role(caller(role), least)
        for role in ROLES[:place]:
            with pytest.raises(Problem, match="forbidden"):
                require_role(caller(role), least)


async def test_a_caller_is_remembered_for_a_while_and_then_looked_up_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    safe = Safe(ApiKey("key_1", "acc_1", "viewer", hash_key("k"), 0.0))
    keyring = Keyring(safe, hash_key("admin"), Clock())  # type: ignore[arg-type]
    headers = Headers({"Authorization": "Bearer k"})
    for _ in range(3):
        assert await keyring.find_caller(headers, "198.51.100.1") == caller("viewer")
    assert safe.asked == 1
    safe.keys.clear()
    await trio.sleep(CALLER_S)
    with pytest.raises(Problem, match="unauthenticated"):
        await keyring.find_caller(headers, "198.51.100.1")


async def test_keys_that_are_not_known_are_not_remembered() -> None:
    safe = Safe()
    keyring = Keyring(safe, hash_key("admin"), Clock())  # type: ignore[arg-type]
    for attempt in range(1, 4):
        with pytest.raises(Problem, match="unauthenticated"):
            await keyring.find_caller(Headers({"Authorization": "Bearer x"}), "198.51.100.1")
        assert safe.asked == attempt


async def test_a_stored_key_of_an_administrator_acts_as_one() -> None:
    safe = Safe(ApiKey("key_1", None, "administrator", hash_key("k"), 0.0))
    keyring = Keyring(safe, hash_key("admin"), Clock())  # type: ignore[arg-type]
    found = await keyring.find_caller(
        Headers({"Authorization": "Bearer k", "Callwheel-Account": "ours"}), "198.51.100.1"
    )
    assert found == caller("administrator")


async def test_values_are_forgotten_in_time_and_beyond_their_bound(
    autojump_clock: trio.testing.MockClock,
) -> None:
    values: Fleeting[str, int] = Fleeting(keep_s=10, size_max=2)
    values.put("a", 1)
    await trio.sleep(5)
    values.put("b", 2)
    values.put("c", 3)
    assert [values.get(key) for key in "abc"] == [None, 2, 3]
    values.put("b", 4)
    await trio.sleep(9.9)
    assert ([values.get(key) for key in "abc"], len(values)) == ([None, 4, 3], 2)
    await trio.sleep(0.2)
    assert ([values.get(key) for key in "abc"], len(values)) == ([None, None, None], 0)


async def test_a_ticket_stands_for_its_caller_once(autojump_clock: trio.testing.MockClock) -> None:
    tickets = Tickets()
    ticket, late = tickets.issue(caller("viewer")), tickets.issue(caller("owner"))
    assert tickets.redeem(ticket) == caller("viewer")
    with pytest.raises(Problem, match="unauthenticated"):
        tickets.redeem(ticket)
    await trio.sleep(TICKET_S)
    with pytest.raises(Problem, match="unauthenticated"):
        tickets.redeem(late)


async def test_tickets_that_nobody_uses_are_bounded(autojump_clock: trio.testing.MockClock) -> None:
    tickets = Tickets()
    for _ in range(TICKETS_MAX):
        tickets.issue(caller("viewer"))
    with pytest.raises(Problem, match="busy"):
        tickets.issue(caller("viewer"))
    await trio.sleep(TICKET_S)
    tickets.issue(caller("viewer"))
