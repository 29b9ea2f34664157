"""Keys, by their hashes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from adapters.sqlite.answers import earlier_answer, keep_answer
from adapters.sqlite.connected import Connected
from adapters.sqlite.cursors import cursor_of
from adapters.sqlite.paging import IN_ACCOUNT, of_account, of_all
from adapters.sqlite.refusals import too_many_keys
from adapters.sqlite.rows import text
from adapters.sqlite.setting_rows import KEY_COLUMNS, to_key
from adapters.sqlite.unit import Unit
from engine.model import ApiKey
from engine.ports.settings_store import KEYS_MAX
from engine.ports.stored import IdempotentAnswer, Page

# ruff: noqa: S608 (statements are put together from constants only; values are parameters)

_SELECT_KEY: Final = f"SELECT {KEY_COLUMNS} FROM keys k {IN_ACCOUNT} k.account"
FIND_KEY: Final = (
    f"SELECT {KEY_COLUMNS} FROM keys k LEFT JOIN accounts a ON a.n = k.account WHERE k.sha256 = ?"
)
GET_KEY: Final = f"{_SELECT_KEY} WHERE k.id = ? AND a.id = ?"
GET_ANY_KEY: Final = f"{_SELECT_KEY} WHERE k.id = ?"
KEYS_AFTER: Final = f"{_SELECT_KEY} WHERE k.id > ?"
COUNT_KEYS: Final = "SELECT count(*) FROM keys WHERE account = ? AND revoked_at IS NULL"


class SqliteKeys(Connected):
    """The methods for keys of `engine.ports.settings_store.SettingsStore` and `InstallationStore`."""

    async def add_key(
        self, key: ApiKey, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Keep a key's hash. Raises LookupError for an unknown account."""
        return await self._writer.submit(lambda unit: _add_key(unit, key, answer))

    async def find_key(self, sha256: bytes) -> ApiKey | None:
        """The key with this hash."""
        return await self._readers.row(FIND_KEY, (sha256,), to_key)

    async def get_key(self, account: str, key: str) -> ApiKey | None:
        """One key of the account."""
        return await self._readers.row(GET_KEY, (key, account), to_key)

    async def get_any_key(self, key: str) -> ApiKey | None:
        """One key of an account."""
        return await self._readers.row(GET_ANY_KEY, (key,), to_key)

    async def list_keys(self, account: str, limit: int, cursor: str | None) -> Page[ApiKey]:
        """Those of the account, in the order of their ids."""
        return await self._readers.page(
            *of_account(KEYS_AFTER, account, "k.id", cursor),
            limit,
            to_key,
            lambda one: cursor_of(one.id),
        )

    async def list_all_keys(self, limit: int, cursor: str | None) -> Page[ApiKey]:
        """Those of accounts, in the order of their ids."""
        return await self._readers.page(
            *of_all(KEYS_AFTER, "k.id", cursor), limit, to_key, lambda one: cursor_of(one.id)
        )

    async def change_key(
        self,
        account: str,
        key: str,
        change: Callable[[ApiKey], ApiKey],
        fresh: ApiKey | None = None,
        answer: IdempotentAnswer | None = None,
    ) -> ApiKey | IdempotentAnswer | None:
        """Change when a key ends; `change` runs in the writer's thread and may run twice."""
        return await self._writer.submit(
            lambda unit: _change_key(unit, account, key, change, fresh, answer)
        )

    async def note_key_use(self, key: str, at: float) -> None:
        """Keep when a key was used last."""
        sql = "UPDATE keys SET last_used_at = ? WHERE id = ?"
        await self._writer.submit_step(lambda unit: unit.execute(sql, (at, key)) and None)


def _add_key(
    unit: Unit, key: ApiKey, answer: IdempotentAnswer | None = None
) -> IdempotentAnswer | None:
    earlier = earlier_answer(unit, answer)
    if earlier is not None:
        return earlier
    account_n = None
    if key.account is not None:
        account_n = unit.account_n(key.account)
        row = unit.row(COUNT_KEYS, (account_n,))
        assert row is not None  # it counts
        if row[0] >= KEYS_MAX:
            raise too_many_keys()
    unit.execute(
        "INSERT INTO keys (id, account, role, sha256, created_at, name, scopes, expires_at, life_s) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            key.id,
            account_n,
            key.role,
            key.sha256,
            key.created_at,
            key.name,
            text(key.scopes),
            key.expires_at,
            key.life_s,
        ),
    )
    keep_answer(unit, answer)
    return None


def _change_key(
    unit: Unit,
    account: str,
    key: str,
    change: Callable[[ApiKey], ApiKey],
    fresh: ApiKey | None,
    answer: IdempotentAnswer | None,
) -> ApiKey | IdempotentAnswer | None:
    earlier = earlier_answer(unit, answer)
    if earlier is not None:
        return earlier
    row = unit.row(GET_KEY, (key, account))
    if row is None:
        return None
    changed = change(to_key(row))
    unit.execute(
        "UPDATE keys SET expires_at = ?, revoked_at = ? WHERE id = ?",
        (changed.expires_at, changed.revoked_at, key),
    )
    if fresh is not None:
        _add_key(unit, fresh)
    keep_answer(unit, answer)
    return changed
