"""Accounts, DIDs, flows, prompts, and who must not be called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import trio

from adapters.sqlite import cursors, refusals, rules
from engine.control import precondition
from engine.model import Account, Did, Flow, Prompt
from engine.model.do_not_call import DoNotCall, DoNotCallChange, entries_of, names_of, removed
from engine.model.events import Event
from engine.ports.stored import IdempotentAnswer, Page
from sim.memory_store.paging import page_by_text, page_of
from sim.memory_store.tables import Tables


class MemorySettings:
    """The methods of `engine.ports.settings_store.SettingsStore` but for keys."""

    _tables: Tables

    async def add_account(
        self, account: Account, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Make an account."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        earlier = tables.earlier_answer(answer)
        if earlier is not None:
            return earlier
        if any(one.name == account.name for one in tables.accounts.values()):
            raise refusals.account_exists(account.name)
        tables.accounts[account.id] = account
        tables.keep_answer(answer)
        return None

    async def get_account(self, id_or_name: str) -> Account | None:
        """One account by either; an id goes before a name that looks like it."""
        await trio.lowlevel.checkpoint()
        accounts = self._tables.accounts
        if id_or_name in accounts:
            return accounts[id_or_name]
        return next((one for one in accounts.values() if one.name == id_or_name), None)

    async def change_account(
        self, account: str, change: Callable[[Account], Account]
    ) -> Account | None:
        """Replace the account by `change(account)`."""
        await trio.lowlevel.checkpoint()
        found = self._tables.accounts.get(account)
        if found is None:
            return None
        precondition.checking(Account)(found)
        changed = self._tables.accounts[account] = change(found)
        return changed

    async def list_accounts(self, limit: int, cursor: str | None) -> Page[Account]:
        """In the order of their ids."""
        await trio.lowlevel.checkpoint()
        return page_by_text(self._tables.accounts.values(), lambda one: one.id, limit, cursor)

    async def add_did(
        self, did: Did, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Make a DID. Raises LookupError for an unknown account."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        earlier = tables.earlier_answer(answer)
        if earlier is not None:
            return earlier
        tables.the_account(did.account)
        if did.number in tables.dids:
            raise refusals.did_exists(did.number)
        tables.dids[did.number] = did
        tables.keep_answer(answer)
        return None

    async def list_dids(self, account: str, limit: int, cursor: str | None) -> Page[Did]:
        """Those of the account, in the order of their numbers."""
        await trio.lowlevel.checkpoint()
        dids = [one for one in self._tables.dids.values() if one.account == account]
        return page_by_text(dids, lambda one: one.number, limit, cursor)

    async def list_all_dids(self, limit: int, cursor: str | None) -> Page[Did]:
        """In the order of their numbers."""
        await trio.lowlevel.checkpoint()
        return page_by_text(self._tables.dids.values(), lambda one: one.number, limit, cursor)

    async def get_any_did(self, number: str) -> Did | None:
        """One DID, of whichever account."""
        await trio.lowlevel.checkpoint()
        return self._tables.dids.get(number)

    async def find_dids(self, account: str, numbers: Sequence[str]) -> list[Did]:
        """Those of the numbers that the account has, in the order in which they were asked for."""
        await trio.lowlevel.checkpoint()
        found = [self._tables.dids.get(number) for number in dict.fromkeys(numbers)]
        return [did for did in found if did is not None and did.account == account]

    async def change_did(
        self,
        account: str | None,
        number: str,
        change: Callable[[Did], Did],
        tell: Callable[[Did], Event] | None = None,
    ) -> Did | None:
        """Replace the DID by `change(did)`."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        found = tables.dids.get(number)
        if found is None or account not in (None, found.account):
            return None
        precondition.checking(Did)(found)
        changed = tables.dids[number] = change(found)
        if changed != found and tell is not None:
            tables.tell((tell(changed),))
            tables.commit()
        return changed

    async def remove_did(self, account: str | None, number: str) -> bool:
        """Take a DID away."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        found = tables.dids.get(number)
        if found is None or account not in (None, found.account):
            return False
        precondition.checking(Did)(found)
        kept = [one for one in tables.flows.values() if one.id not in tables.deleted_flows]
        flows = sorted(
            one.id for one in kept if one.account == found.account and number in one.dids
        )
        if flows:
            raise refusals.did_attached(number, flows)
        del tables.dids[number]
        return True

    async def add_flow(
        self, flow: Flow, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Make a flow and its standing list. Raises LookupError for an unknown account."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        earlier = tables.earlier_answer(answer)
        if earlier is not None:
            return earlier
        tables.the_account(flow.account)
        tables.flows[flow.id] = flow
        tables.keep_definition(flow)
        tables.add_list(rules.standing_list(flow))
        tables.keep_answer(answer)
        return None

    async def get_flow(self, account: str, flow: str) -> Flow | None:
        """One flow of the account."""
        await trio.lowlevel.checkpoint()
        return self._find_flow(account, flow)

    async def list_flows(self, account: str, limit: int, cursor: str | None) -> Page[Flow]:
        """Those of the account, in the order of their ids."""
        await trio.lowlevel.checkpoint()
        flows = [one for one in self._present_flows() if one.account == account]
        return page_by_text(flows, lambda one: one.id, limit, cursor)

    async def list_all_flows(self, limit: int, cursor: str | None) -> Page[Flow]:
        """In the order of their ids."""
        await trio.lowlevel.checkpoint()
        return page_by_text(self._present_flows(), lambda one: one.id, limit, cursor)

    async def change_flow(
        self, account: str, flow: str, change: Callable[[Flow], Flow]
    ) -> Flow | None:
        """Replace the flow by `change(flow)`."""
        await trio.lowlevel.checkpoint()
        found = self._find_flow(account, flow)
        if found is None:
            return None
        precondition.checking(Flow)(found)
        changed = change(found)
        self._tables.flows[flow] = changed
        self._tables.keep_definition(changed)
        return changed

    async def get_definition(self, account: str, flow: str, version: int) -> dict[str, Any] | None:
        """The graph that a flow had in one of its versions."""
        await trio.lowlevel.checkpoint()
        found = self._tables.flows.get(flow)
        if found is None or found.account != account:
            return None
        return self._tables.definition_of(flow, version)

    async def delete_flow(self, account: str, flow: str) -> bool:
        """Hide a flow."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        found = self._find_flow(account, flow)
        if found is None:
            return False
        precondition.checking(Flow)(found)
        states = (entry.state for entry in tables.lists.values() if entry.state.flow == flow)
        if any(state.completed < state.contacts for state in states):
            raise refusals.flow_in_use()
        tables.deleted_flows.add(flow)
        return True

    async def add_prompt(
        self, prompt: Prompt, answer: IdempotentAnswer | None = None
    ) -> IdempotentAnswer | None:
        """Register a prompt. Raises LookupError for an unknown account."""
        await trio.lowlevel.checkpoint()
        tables = self._tables
        earlier = tables.earlier_answer(answer)
        if earlier is not None:
            return earlier
        tables.the_account(prompt.account)
        tables.prompts[prompt.id] = prompt
        tables.keep_answer(answer)
        return None

    async def get_prompt(self, account: str, prompt: str) -> Prompt | None:
        """One prompt of the account."""
        await trio.lowlevel.checkpoint()
        found = self._tables.prompts.get(prompt)
        return found if found is not None and found.account == account else None

    async def list_prompts(self, account: str, limit: int, cursor: str | None) -> Page[Prompt]:
        """In the order of their ids."""
        await trio.lowlevel.checkpoint()
        prompts = [one for one in self._tables.prompts.values() if one.account == account]
        return page_by_text(prompts, lambda one: one.id, limit, cursor)

    async def get_answer(self, account: str, key: str) -> IdempotentAnswer | None:
        """What was answered to this key within the last 24 hours."""
        await trio.lowlevel.checkpoint()
        answer = self._tables.answers.get((account, key))
        if answer is not None and rules.is_remembered(answer, self._tables.clock.now()):
            return answer
        return None

    async def add_do_not_call(
        self, account: str, numbers: Sequence[str], flow: str | None, at: float
    ) -> int:
        """List numbers for good. Raises LookupError for an unknown account."""
        return await self.put_do_not_call(account, entries_of(numbers, flow, at))

    async def put_do_not_call(self, account: str, entries: Sequence[DoNotCall]) -> int:
        """List numbers and ranges. Raises LookupError for an unknown account."""
        await trio.lowlevel.checkpoint()
        return self._tables.put_do_not_call(account, entries)

    async def put_do_not_call_once(
        self,
        account: str,
        entries: Sequence[DoNotCall],
        answer_for: Callable[[int], IdempotentAnswer],
    ) -> int | IdempotentAnswer:
        """List numbers and ranges, unless that was answered before. Raises LookupError for an unknown
        account."""
        await trio.lowlevel.checkpoint()
        earlier = self._tables.earlier_answer(answer_for(0))
        if earlier is not None:
            return earlier
        new = self._tables.put_do_not_call(account, entries)
        self._tables.keep_answer(answer_for(new))
        return new

    async def remove_do_not_call(
        self, account: str, number: str, at: float, by: str | None = None
    ) -> bool:
        """Strike a number off, for the account and each of its flows."""
        await trio.lowlevel.checkpoint()
        listed = self._tables.do_not_call.get(account, {})
        struck = sorted(key for key in listed if key[0] == number)
        changes = [removed(listed.pop(key), at, by) for key in struck]
        self._tables.ranges.get(account, set()).difference_update(struck)
        self._tables.do_not_call_changes.setdefault(account, []).extend(changes)
        return bool(struck)

    async def list_do_not_call(
        self, account: str, limit: int, cursor: str | None, number: str | None = None
    ) -> Page[DoNotCall]:
        """In the order of the numbers, and for one number that of the flows, the whole account first."""
        await trio.lowlevel.checkpoint()
        after = None
        if cursor is not None:
            last, of_flow = cursors.read_cursor(cursor, cursors.DO_NOT_CALL_CURSOR)
            after = (last, of_flow or "")
        listed = self._tables.do_not_call.get(account, {})
        names = None if number is None else names_of(number)
        return page_of(
            [listed[key] for key in sorted(listed) if names is None or key[0] in names],
            after,
            limit,
            lambda one: (one.number, one.flow or ""),
            lambda one: cursors.cursor_of(one.number, one.flow),
        )

    async def list_do_not_call_changes(
        self, account: str, limit: int, cursor: str | None
    ) -> Page[DoNotCallChange]:
        """In the order in which they were made."""
        await trio.lowlevel.checkpoint()
        after = None
        if cursor is not None:
            (after,) = cursors.read_cursor(cursor, cursors.PLACE_CURSOR)
        changes = list(enumerate(self._tables.do_not_call_changes.get(account, []), start=1))
        page = page_of(
            changes, after, limit, lambda one: one[0], lambda one: cursors.cursor_of(one[0])
        )
        return Page(tuple([change for _, change in page.items]), page.next)

    def _present_flows(self) -> list[Flow]:
        tables = self._tables
        return [one for one in tables.flows.values() if one.id not in tables.deleted_flows]

    def _find_flow(self, account: str, flow: str) -> Flow | None:
        found = self._tables.flows.get(flow)
        if found is None or found.account != account or flow in self._tables.deleted_flows:
            return None
        return found
