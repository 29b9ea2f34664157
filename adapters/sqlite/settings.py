"""Accounts, DIDs and prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from adapters.sqlite.answers import FIND_ANSWER, earlier_answer, keep_answer
from adapters.sqlite.connected import Connected
from adapters.sqlite.cursors import cursor_of
from adapters.sqlite.paging import IN_ACCOUNT, id_after, of_account, of_all
from adapters.sqlite.refusals import account_exists, did_attached, did_exists
from adapters.sqlite.rules import is_remembered
from adapters.sqlite.setting_rows import (
    ACCOUNT_CHANGE,
    ACCOUNT_COLUMNS,
    DID_CHANGE,
    DID_COLUMNS,
    PROMPT_COLUMNS,
    account_change_row,
    did_change_row,
    to_account,
    to_answer,
    to_did,
    to_prompt,
)
from adapters.sqlite.unit import Unit
from engine.control import precondition
from engine.model import Account, Did, Prompt
from engine.model.events import Event
from engine.ports.stored import IdempotentAnswer, Page

# ruff: noqa: S608 (statements are put together from constants only; values are parameters)

_SELECT_ACCOUNT: Final = f"SELECT {ACCOUNT_COLUMNS} FROM accounts a"
_SELECT_DID: Final = f"SELECT {DID_COLUMNS} FROM dids d {IN_ACCOUNT} d.account"
_SELECT_PROMPT: Final = f"SELECT {PROMPT_COLUMNS} FROM prompts p {IN_ACCOUNT} p.account"

DIDS_AFTER: Final = f"{_SELECT_DID} WHERE d.number > ?"
FLOWS_OF_DID: Final = (
    "SELECT f.id FROM flows f WHERE f.account = ? AND NOT f.deleted "
    "AND EXISTS (SELECT 1 FROM json_each(f.dids) j WHERE j.value = ?) ORDER BY f.id"
)
DIDS_ASKED_AT_ONCE: Final = 500
"""Numbers of one question; more are asked for in turn."""


class SqliteSettings(Connected):
    """The methods of `engine.ports.settings_store.SettingsStore` but for keys, flows and do-not-call."""

    async def add_account(
        self, account: Account, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Make an account."""
        return await self._writer.submit(lambda unit: _add_account(unit, account, answer))

    async def get_account(self, id_or_name: str) -> Account | None:
        """One account by either; an id goes before a name that looks like it."""
        sql = (
            f"{_SELECT_ACCOUNT} WHERE a.id = ? UNION ALL {_SELECT_ACCOUNT} WHERE a.name = ? LIMIT 1"
        )
        return await self._readers.row(sql, (id_or_name, id_or_name), to_account)

    async def change_account(
        self, account: str, change: Callable[[Account], Account]
    ) -> Account | None:
        """Replace the account by `change(account)`, which runs in the writer's thread and may run twice."""
        guarded = precondition.guarding(Account, change)
        return await self._writer.submit(lambda unit: _change_account(unit, account, guarded))

    async def list_accounts(self, limit: int, cursor: str | None) -> Page[Account]:
        """In the order of their ids."""
        sql = f"{_SELECT_ACCOUNT} WHERE a.id > ? ORDER BY a.id LIMIT ?"
        return await self._readers.page(
            sql, (id_after(cursor),), limit, to_account, lambda one: cursor_of(one.id)
        )

    async def add_did(
        self, did: Did, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Make a DID. Raises LookupError for an unknown account."""
        return await self._writer.submit(lambda unit: _add_did(unit, did, answer))

    async def list_dids(self, account: str, limit: int, cursor: str | None) -> Page[Did]:
        """Those of the account, in the order of their numbers."""
        return await self._readers.page(
            *of_account(DIDS_AFTER, account, "d.number", cursor),
            limit,
            to_did,
            lambda one: cursor_of(one.number),
        )

    async def list_all_dids(self, limit: int, cursor: str | None) -> Page[Did]:
        """In the order of their numbers."""
        return await self._readers.page(
            *of_all(DIDS_AFTER, "d.number", cursor),
            limit,
            to_did,
            lambda one: cursor_of(one.number),
        )

    async def get_any_did(self, number: str) -> Did | None:
        """One DID, of whichever account."""
        return await self._readers.row(f"{_SELECT_DID} WHERE d.number = ?", (number,), to_did)

    async def find_dids(self, account: str, numbers: Sequence[str]) -> list[Did]:
        """Those of the numbers that the account has, in the order in which they were asked for."""
        wanted = list(dict.fromkeys(numbers))
        found: dict[str, Did] = {}
        for start in range(0, len(wanted), DIDS_ASKED_AT_ONCE):
            some = wanted[start : start + DIDS_ASKED_AT_ONCE]
            marks = ", ".join("?" * len(some))
            sql = f"{_SELECT_DID} WHERE d.number IN ({marks}) AND a.id = ?"
            dids = await self._readers.rows(sql, (*some, account), to_did)
            found.update({did.number: did for did in dids})
        return [found[number] for number in wanted if number in found]

    async def change_did(
        self,
        account: str | None,
        number: str,
        change: Callable[[Did], Did],
        tell: Callable[[Did], Event] | None = None,
    ) -> Did | None:
        """Replace the DID by `change(did)`, which runs in the writer's thread and may run twice."""
        guarded = precondition.guarding(Did, change)
        return await self._writer.submit(
            lambda unit: _change_did(unit, account, number, guarded, tell)
        )

    async def remove_did(self, account: str | None, number: str) -> bool:
        """Take a DID away."""
        check = precondition.checking(Did)
        return await self._writer.submit(lambda unit: _remove_did(unit, account, number, check))

    async def add_prompt(
        self, prompt: Prompt, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Register a prompt. Raises LookupError for an unknown account."""
        return await self._writer.submit(lambda unit: _add_prompt(unit, prompt, answer))

    async def get_prompt(self, account: str, prompt: str) -> Prompt | None:
        """One prompt of the account."""
        sql = f"{_SELECT_PROMPT} WHERE p.id = ? AND a.id = ?"
        return await self._readers.row(sql, (prompt, account), to_prompt)

    async def list_prompts(self, account: str, limit: int, cursor: str | None) -> Page[Prompt]:
        """In the order of their ids."""
        return await self._readers.page(
            *of_account(f"{_SELECT_PROMPT} WHERE p.id > ?", account, "p.id", cursor),
            limit,
            to_prompt,
            lambda one: cursor_of(one.id),
        )

    async def get_answer(self, account: str, key: str) -> IdempotentAnswer | None:
        """What was answered to this key within the last 24 hours."""
        answer = await self._readers.row(FIND_ANSWER, (account, key), to_answer)
        if answer is not None and is_remembered(answer, self._clock.now()):
            return answer
        return None


def _add_account(
    unit: Unit, account: Account, answer: IdempotentAnswer | None
) -> IdempotentAnswer | None:
    earlier = earlier_answer(unit, answer)
    if earlier is not None:
        return earlier
    if unit.row("SELECT 1 FROM accounts WHERE name = ?", (account.name,)) is not None:
        raise account_exists(account.name)
    unit.execute(
        "INSERT INTO accounts (id, name, created_at, timezone, email, rules, stopped_at, "
        "paused_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (account.id, account.name, account.created_at, *account_change_row(account)),
    )
    keep_answer(unit, answer)
    return None


def _change_account(
    unit: Unit, account: str, change: Callable[[Account], Account]
) -> Account | None:
    row = unit.row(f"{_SELECT_ACCOUNT} WHERE a.id = ?", (account,))
    if row is None:
        return None
    changed = change(to_account(row))
    unit.execute(
        f"UPDATE accounts SET {ACCOUNT_CHANGE} WHERE id = ?",
        (*account_change_row(changed), account),
    )
    return changed


def _add_did(unit: Unit, did: Did, answer: IdempotentAnswer | None) -> IdempotentAnswer | None:
    earlier = earlier_answer(unit, answer)
    if earlier is not None:
        return earlier
    account_n = unit.account_n(did.account)
    if unit.row("SELECT 1 FROM dids WHERE number = ?", (did.number,)) is not None:
        raise did_exists(did.number)
    unit.execute(
        "INSERT INTO dids (number, account, trunk, cps, channels, caps, rest_when, rest, counts_from) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (did.number, account_n, *did_change_row(did)),
    )
    keep_answer(unit, answer)
    return None


def _find_did(unit: Unit, account: str | None, number: str) -> Did | None:
    row = unit.row(f"{_SELECT_DID} WHERE d.number = ?", (number,))
    found = None if row is None else to_did(row)
    return found if found is not None and account in (None, found.account) else None


def _change_did(
    unit: Unit,
    account: str | None,
    number: str,
    change: Callable[[Did], Did],
    tell: Callable[[Did], Event] | None,
) -> Did | None:
    found = _find_did(unit, account, number)
    if found is None:
        return None
    changed = change(found)
    if changed != found:
        unit.execute(
            f"UPDATE dids SET {DID_CHANGE} WHERE number = ?", (*did_change_row(changed), number)
        )
        if tell is not None:
            unit.tell((tell(changed),))
    return changed


def _remove_did(unit: Unit, account: str | None, number: str, check: Callable[[Did], None]) -> bool:
    found = _find_did(unit, account, number)
    if found is None:
        return False
    check(found)
    flows = unit.rows(FLOWS_OF_DID, (unit.account_n(found.account), number))
    if flows:
        raise did_attached(number, [flow for (flow,) in flows])
    unit.execute("DELETE FROM dids WHERE number = ?", (number,))
    return True


def _add_prompt(
    unit: Unit, prompt: Prompt, answer: IdempotentAnswer | None
) -> IdempotentAnswer | None:
    earlier = earlier_answer(unit, answer)
    if earlier is not None:
        return earlier
    unit.execute(
        "INSERT INTO prompts (account, id, name, duration_s, created_at) VALUES (?, ?, ?, ?, ?)",
        (
            unit.account_n(prompt.account),
            prompt.id,
            prompt.name,
            prompt.duration_s,
            prompt.created_at,
        ),
    )
    keep_answer(unit, answer)
    return None
