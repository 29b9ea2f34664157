"""The part of the store that keeps what is set up: accounts, keys, DIDs, flows, prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from engine.model import Account, ApiKey, Did, Flow, Prompt
from engine.model.audit import AuditEntry
from engine.model.do_not_call import DoNotCall, DoNotCallChange
from engine.model.events import Event
from engine.ports.stored import IdempotentAnswer, Page

KEYS_MAX = 1000
"""Keys of an account that are not revoked."""


class SettingsStore(Protocol):
    """Accounts, keys, DIDs, flows, prompts. Whatever creates takes the answer that an Idempotency-Key
    reserves: when that key is taken, nothing is created and the earlier answer comes back. Whatever changes
    or removes an account, a DID or a flow raises `Conflict("precondition_failed")` with nothing changed where
    the request's condition does not hold (`engine.control.precondition`)."""

    async def add_account(
        self, account: Account, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Raises `Conflict("account_exists")` when the name is taken."""

    async def get_account(self, id_or_name: str) -> Account | None:
        """One account by either."""

    async def change_account(
        self, account: str, change: Callable[[Account], Account]
    ) -> Account | None:
        """Replace what may change of an account (all but its id, name and age) as by `change_flow`."""

    async def list_accounts(self, limit: int, cursor: str | None) -> Page[Account]:
        """In the order of their ids."""

    async def add_key(
        self, key: ApiKey, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Keep a key's hash. Raises `Conflict("too_many_keys")` when the account has `KEYS_MAX`."""

    async def get_key(self, account: str, key: str) -> ApiKey | None:
        """One key of the account, by its id."""

    async def list_keys(self, account: str, limit: int, cursor: str | None) -> Page[ApiKey]:
        """Those of the account, good or not, in the order of their ids."""

    async def change_key(
        self,
        account: str,
        key: str,
        change: Callable[[ApiKey], ApiKey],
        fresh: ApiKey | None = None,
        answer: IdempotentAnswer | None = None,
    ) -> ApiKey | IdempotentAnswer | None:
        """Replace when a key ends (`expires_at`, `revoked_at`) as by `change_flow`, and keep `fresh`, the
        key of the same account that takes its place, as by `add_key`. An earlier answer comes back before
        the key is looked at."""

    async def note_key_use(self, key: str, at: float) -> None:
        """Keep when a key was used last; a key that is gone is left alone."""

    async def find_key(self, sha256: bytes) -> ApiKey | None:
        """The key with this hash."""

    async def add_did(
        self, did: Did, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Raises `Conflict("did_exists")` when the number is there already, in any account."""

    async def list_dids(self, account: str, limit: int, cursor: str | None) -> Page[Did]:
        """Those of the account, in the order of their numbers."""

    async def find_dids(self, account: str, numbers: Sequence[str]) -> list[Did]:
        """Those of the numbers that the account has."""

    async def change_did(
        self,
        account: str | None,
        number: str,
        change: Callable[[Did], Did],
        tell: Callable[[Did], Event] | None = None,
    ) -> Did | None:
        """Replace what may change of a DID (all but its number and account) as by `change_flow`, with the
        event that `tell` makes of what it has become, if it has changed. None where there is no such DID,
        of this account or, where that is None, of any."""

    async def remove_did(self, account: str | None, number: str) -> bool:
        """Whether there was such a DID, as of `change_did`. What was called from it stays. Raises
        `Conflict("did_attached")` while it is one of a flow's."""

    async def add_flow(
        self, flow: Flow, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Make the flow and, under its `calls_list`, the standing list of its single calls."""

    async def get_flow(self, account: str, flow: str) -> Flow | None:
        """One flow of the account."""

    async def list_flows(self, account: str, limit: int, cursor: str | None) -> Page[Flow]:
        """Those of the account, in the order of their ids."""

    async def change_flow(
        self, account: str, flow: str, change: Callable[[Flow], Flow]
    ) -> Flow | None:
        """Replace the flow by `change(flow)` and return that; None when there is no such flow. `change`
        is pure and quick, may run in another thread, and what it raises reaches the caller with nothing
        changed."""

    async def get_definition(self, account: str, flow: str, version: int) -> dict[str, Any] | None:
        """The graph that a flow, deleted or not, had in one of its versions; None where there was none.
        Of a flow that was changed often, a store may forget old ones that no open contact came with."""

    async def delete_flow(self, account: str, flow: str) -> bool:
        """Whether there was one. It is hidden from then on; its lists and records stay. Raises
        `Conflict("flow_in_use")` while it has contacts that are not completed."""

    async def add_prompt(
        self, prompt: Prompt, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Register a prompt whose sound is already kept."""

    async def get_prompt(self, account: str, prompt: str) -> Prompt | None:
        """One prompt of the account."""

    async def list_prompts(self, account: str, limit: int, cursor: str | None) -> Page[Prompt]:
        """In the order of their ids."""

    async def get_answer(self, account: str, key: str) -> IdempotentAnswer | None:
        """What was answered to this key within the last 24 hours."""

    async def add_do_not_call(
        self, account: str, numbers: Sequence[str], flow: str | None, at: float
    ) -> int:
        """List numbers for good, as `put_do_not_call`. In force for every attempt that begins after it
        returns."""

    async def put_do_not_call(self, account: str, entries: Sequence[DoNotCall]) -> int:
        """List numbers and ranges, each for a time or for good, and write down who did. How many were not
        listed so before: what is listed for as long or longer stays as it is. Raises
        `Conflict("too_many_prefixes")` with nothing changed."""

    async def put_do_not_call_once(
        self,
        account: str,
        entries: Sequence[DoNotCall],
        answer_for: Callable[[int], IdempotentAnswer],
    ) -> int | IdempotentAnswer:
        """As `put_do_not_call`, with the answer to keep, which `answer_for` makes of how many were new. Where
        an earlier answer stands for its key, nothing is listed, and that one comes back."""

    async def remove_do_not_call(
        self, account: str, number: str, at: float, by: str | None = None
    ) -> bool:
        """Whether it was listed, account-wide or for any flow. Who struck it off is written down."""

    async def list_do_not_call(
        self, account: str, limit: int, cursor: str | None, number: str | None = None
    ) -> Page[DoNotCall]:
        """In the order of the numbers; those that have expired, too. Of a `number` (E.164) its own entries
        and the ranges that it lies in."""

    async def list_do_not_call_changes(
        self, account: str, limit: int, cursor: str | None
    ) -> Page[DoNotCallChange]:
        """Who listed what and struck what off, in the order of doing."""


class AuditStore(Protocol):
    """Who changed what. Entries come in by themselves: see `engine.model.audit`."""

    async def list_audit(self, account: str, limit: int, cursor: str | None) -> Page[AuditEntry]:
        """Those of the account, in the order of the changes, as far back as `AUDIT_KEPT_S`."""


class InstallationStore(Protocol):
    """Questions over all accounts: for the engine, and for the installation's administrator. Nothing that
    any other key causes may ask them."""

    async def list_all_dids(self, limit: int, cursor: str | None) -> Page[Did]:
        """In the order of their numbers."""

    async def get_any_did(self, number: str) -> Did | None:
        """One DID, of whichever account."""

    async def get_any_key(self, key: str) -> ApiKey | None:
        """One key of an account, by its id."""

    async def list_all_keys(self, limit: int, cursor: str | None) -> Page[ApiKey]:
        """Those of accounts, in the order of their ids."""

    async def list_all_audit(self, limit: int, cursor: str | None) -> Page[AuditEntry]:
        """In the order of the changes, those of no account too."""

    async def clear_events(self, before: float, limit: int) -> int:
        """Forget events of any account that are older than a moment, the oldest first and at most `limit`
        at once; how many were. Those that follow keep their numbers. One that a webhook waits for is kept,
        with all that come after it. Clocks may have been set back: events are taken to be as old as those
        that come after them."""

    async def list_all_flows(self, limit: int, cursor: str | None) -> Page[Flow]:
        """In the order of their ids."""
