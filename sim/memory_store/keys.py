"""Keys, by their hashes."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import trio

from adapters.sqlite import refusals
from engine.model import ApiKey
from engine.ports.settings_store import KEYS_MAX
from engine.ports.stored import IdempotentAnswer, Page
from sim.memory_store.paging import page_by_text
from sim.memory_store.tables import Tables


class MemoryKeys:
    """The methods for keys of `engine.ports.settings_store.SettingsStore` and `InstallationStore`."""

    _tables: Tables

    async def add_key(
        self, key: ApiKey, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Keep a key's hash. Raises LookupError for an unknown account."""
        await trio.lowlevel.checkpoint()
        earlier = self._tables.earlier_answer(answer)
        if earlier is not None:
            return earlier
        self._check_room(key)
        self._tables.keys[key.sha256] = key
        self._tables.keep_answer(answer)
        return None

    async def find_key(self, sha256: bytes) -> ApiKey | None:
        """The key with this hash."""
        await trio.lowlevel.checkpoint()
        return self._tables.keys.get(sha256)

    async def get_key(self, account: str, key: str) -> ApiKey | None:
        """One key of the account."""
        await trio.lowlevel.checkpoint()
        return self._find_key(account, key)

    async def get_any_key(self, key: str) -> ApiKey | None:
        """One key of an account."""
        await trio.lowlevel.checkpoint()
        return next((one for one in self._of_accounts() if one.id == key), None)

    async def list_keys(self, account: str, limit: int, cursor: str | None) -> Page[ApiKey]:
        """Those of the account, in the order of their ids."""
        await trio.lowlevel.checkpoint()
        found = [one for one in self._of_accounts() if one.account == account]
        return page_by_text(found, lambda one: one.id, limit, cursor)

    async def list_all_keys(self, limit: int, cursor: str | None) -> Page[ApiKey]:
        """Those of accounts, in the order of their ids."""
        await trio.lowlevel.checkpoint()
        return page_by_text(self._of_accounts(), lambda one: one.id, limit, cursor)

    async def change_key(
        self,
        account: str,
        key: str,
        change: Callable[[ApiKey], ApiKey],
        fresh: ApiKey | None = None,
        answer: IdempotentAnswer | None = None,
    ) -> ApiKey | IdempotentAnswer | None:
        """Change when a key ends."""
        await trio.lowlevel.checkpoint()
        earlier = self._tables.earlier_answer(answer)
        if earlier is not None:
            return earlier
        found = self._find_key(account, key)
        if found is None:
            return None
        changed = change(found)
        if fresh is not None:
            self._check_room(fresh, ended=changed)
            self._tables.keys[fresh.sha256] = fresh
        self._tables.keys[changed.sha256] = changed
        self._tables.keep_answer(answer)
        return changed

    async def note_key_use(self, key: str, at: float) -> None:
        """Keep when a key was used last."""
        await trio.lowlevel.checkpoint()
        for one in self._tables.keys.values():
            if one.id == key:
                self._tables.keys[one.sha256] = msgspec.structs.replace(one, last_used_at=at)
                return

    def _check_room(self, key: ApiKey, ended: ApiKey | None = None) -> None:
        if key.account is None:
            return
        self._tables.the_account(key.account)
        ended_id = ended.id if ended is not None and ended.revoked_at is not None else None
        kept = [
            one
            for one in self._of_accounts()
            if one.account == key.account and one.revoked_at is None and one.id != ended_id
        ]
        if len(kept) >= KEYS_MAX:
            raise refusals.too_many_keys()

    def _of_accounts(self) -> list[ApiKey]:
        return [one for one in self._tables.keys.values() if one.account is not None]

    def _find_key(self, account: str, key: str) -> ApiKey | None:
        return next(
            (one for one in self._of_accounts() if (one.account, one.id) == (account, key)), None
        )
