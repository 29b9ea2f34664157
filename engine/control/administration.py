"""What an installation is set up with: accounts, keys, DIDs, flows, prompts; and the rules for them.

Every method that makes something takes `remember`: where the request carries an Idempotency-Key, it
turns what is about to be stored into the answer that the store keeps beside it. When that key is taken,
nothing is made and the earlier answer comes back instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import msgspec
import structlog
import trio

from engine.control.keys import Keys
from engine.form import Invalid, Mistake, find_mistakes, read_form, require
from engine.forms.account import (
    AccountChangeForm,
    AccountForm,
    find_account_mistakes,
    make_account_change,
    rules_of,
)
from engine.forms.did import DidForm, find_did_mistakes
from engine.forms.flow import FlowReader
from engine.forms.flow_secrets import keep_secrets
from engine.forms.number import ANY_DESTINATION
from engine.ids import IdSource
from engine.intake.numbers import NumberProblem, read_number
from engine.model import (
    Account,
    Did,
    Flow,
    Prompt,
    audit,
)
from engine.model.caller_series import find_series_problem
from engine.model.events import Event
from engine.ports.clock import WallClock
from engine.ports.prompts import PromptKeeper
from engine.ports.speech import Speech
from engine.ports.store import Store
from engine.ports.stored import Conflict, IdempotentAnswer

T = TypeVar("T")

log = structlog.get_logger(__name__)
Remember = Callable[[T], IdempotentAnswer]

DEFAULT_ACCOUNT: Final = "default"
"""The name of the account that every installation has."""
DIDS_MAX: Final = 10_000
"""Of one flow."""
NUMBERS_MAX: Final = 10_000
"""Of one change of the do-not-call list."""
PROMPT_NAME_MAX: Final = 200
"""Characters."""


class Administration:
    """Makes and changes what calls are made with."""

    def __init__(
        self,
        *,
        store: Store,
        clock: WallClock,
        ids: IdSource,
        on_account_changed: Callable[[str], None],
        on_flow_changed: Callable[[str, str], None],
        on_did_changed: Callable[[str, str], None],
        speech: Speech | None = None,
    ) -> None:
        """`on_flow_changed` is called with (account, flow) after the change is stored, `on_did_changed`
        with (account, number), and `on_account_changed` with the account."""
        self._store = store
        self._clock = clock
        self._ids = ids
        self._on_account_changed = on_account_changed
        self._on_flow_changed = on_flow_changed
        self._on_did_changed = on_did_changed
        self.keys = Keys(store, clock, ids)
        """Where keys are made and ended."""
        self._flow_reader = FlowReader(store, clock, speech)

    async def ensure_default_account(self) -> Account:
        """The account `default`, made if it is not there yet."""
        while True:
            account = await self._store.get_account(DEFAULT_ACCOUNT)
            if account is not None:
                return account
            id_, now = self._ids.new("acc"), self._clock.now()
            await self._store.add_account(Account(id_, DEFAULT_ACCOUNT, "UTC", "", now))

    async def tell_configuration(self, waiting: Sequence[str]) -> None:
        """Tell the account `default`, which is the operator's, that another configuration was taken.

        Args:
            waiting: keys that were changed, and hold only after a restart.
        """
        account = await self.ensure_default_account()
        data = {"waiting_for_a_restart": [*waiting]}
        now = self._clock.now()
        event = Event("configuration.taken", now, account.id, "", "", data=data)
        await self._store.defer_contacts([], [event])

    async def create_account(
        self, raw: Any, remember: Remember[Account] | None = None
    ) -> Account | IdempotentAnswer:
        """An account as `raw`, an `AccountForm`, asks for. Raises `Invalid`, and
        `Conflict("account_exists")`."""
        now = self._clock.now()
        mistakes = list(find_mistakes(raw, AccountForm))
        require(mistakes + list(find_account_mistakes(raw, "UTC", now)))
        form = read_form(raw, AccountForm)
        id_ = self._ids.new("acc")
        account = Account(id_, form.name, form.timezone, form.email, now, rules_of(form))
        answer = remember(account) if remember else None
        audit.note(account.id, account.id)
        earlier = await self._store.add_account(account, answer)
        if earlier is None:
            self._on_account_changed(account.id)
        return earlier or account

    async def change_account(self, id_or_name: str, raw: Any) -> Account | None:
        """The account with what `raw`, an `AccountChangeForm`, names; None when there is no such account.
        Contacts that wait follow the new rules. Raises `Invalid`."""
        account = await self._store.get_account(id_or_name)
        if account is None:
            return None
        mistakes = list(find_mistakes(raw, AccountChangeForm))
        require(mistakes + list(find_account_mistakes(raw, account.timezone, self._clock.now())))
        change = make_account_change(read_form(raw, AccountChangeForm), frozenset(raw))
        # A client that hangs up must not keep what was changed from being heard of.
        with trio.CancelScope(shield=True):
            audit.note(account.id, account.id)
            changed = await self._store.change_account(account.id, audit.noting(change))
        if changed is not None:
            self._on_account_changed(changed.id)
        return changed

    async def create_did(
        self, raw: Any, remember: Remember[Did] | None = None
    ) -> Did | IdempotentAnswer:
        """A DID as `raw`, a `DidForm`, asks for. Its trunk may be one that is not configured: its contacts
        then wait behind the blocker `no_trunk`. Raises `Invalid` (also `unknown_account`), and
        `Conflict("did_exists")`."""
        require(find_did_mistakes(raw, DidForm))
        form = read_form(raw, DidForm)
        account = await self._find_account(form.account)
        number = read_number(form.number, ANY_DESTINATION)
        assert isinstance(number, str)  # it was among the mistakes otherwise
        did = Did(
            number, account.id, form.trunk, form.cps, form.channels, form.caps, form.rest_when
        )
        audit.note(did.number, did.account)
        earlier = await self._store.add_did(did, remember(did) if remember else None)
        if earlier is None:
            self._on_did_changed(account.id, did.number)
        return earlier or did

    async def create_flow(
        self, account: Account, raw: Any, remember: Remember[Flow] | None = None
    ) -> Flow | IdempotentAnswer:
        """A flow as `raw`, a `FlowForm`, asks for, with its standing list. Raises `Invalid`."""
        form = await self._flow_reader.read(account, raw)
        settings = keep_secrets(form.settings, None)
        flow = Flow(
            id=self._ids.new("flw"),
            account=account.id,
            name=form.name,
            kind=form.kind,
            timezone=form.timezone or account.timezone,
            definition=form.definition,
            settings=settings,
            version=1,
            listener_active=False,
            dids=(),
            calls_list=self._ids.new("lst"),
            created_at=self._clock.now(),
        )
        audit.note(flow.id)
        earlier = await self._store.add_flow(flow, remember(flow) if remember else None)
        if earlier is None:
            self._on_flow_changed(account.id, flow.id)
        return earlier or flow

    async def change_flow(self, account: Account, flow: str, raw: Any) -> Flow | None:
        """The flow with everything as `raw`, a `FlowForm`, says; None when there is no such flow. What
        `raw` leaves out becomes its default, but for the kind, which stays. Contacts that wait follow the
        new definition and settings. Raises `Invalid`, and `Conflict("kind_fixed")`."""
        found = await self._store.get_flow(account.id, flow)
        if found is None:
            return None
        whole = {"kind": found.kind, **raw} if isinstance(raw, dict) else raw
        form = await self._flow_reader.read(account, whole)
        kind = raw.get("kind")
        timezone = form.timezone or account.timezone

        def change(old: Flow) -> Flow:
            if kind not in (None, old.kind):
                raise Conflict("kind_fixed", f"The flow is of the kind {old.kind!r} for good.")
            settings = keep_secrets(form.settings, old.settings)
            before = (old.definition, old.settings, old.timezone)
            is_new = before != (form.definition, settings, timezone)
            return msgspec.structs.replace(
                old,
                name=form.name,
                timezone=timezone,
                definition=form.definition,
                settings=settings,
                version=old.version + is_new,
            )

        return await self._change(account, flow, change)

    async def delete_flow(self, account: Account, flow: str) -> bool:
        """Whether there was one; its lists and records stay. Raises `Conflict("flow_in_use")` while it
        has contacts that are not completed."""
        deleted = await self._store.delete_flow(account.id, flow)
        if deleted:
            self._on_flow_changed(account.id, flow)
        return deleted

    async def attach_dids(self, account: Account, flow: str, numbers: Sequence[str]) -> Flow | None:
        """The flow with just these DIDs, in this order; None when there is no such flow. Raises `Invalid`
        (`unknown_did` for those that the account does not have), and `Conflict`: `no_dids` for taking the
        last from an active flow, `wrong_number_series` for those that could never be called from."""
        each = _read_each_number(numbers, DIDS_MAX)
        wanted = tuple(dict.fromkeys(each))
        found = {did.number for did in await self._store.find_dids(account.id, wanted)}
        errors = tuple(
            Mistake(f"/numbers/{place}", "unknown_did", f"The account has no DID {number}.")
            for place, number in enumerate(each)
            if number not in found
        )
        if errors:
            raise Invalid("unknown_did", errors[0].detail, errors)

        def change(old: Flow) -> Flow:
            if old.listener_active and not wanted:
                raise _no_dids()
            problem = find_series_problem(account, old.settings, wanted)
            if problem:
                raise Conflict("wrong_number_series", problem)
            return msgspec.structs.replace(old, dids=wanted)

        return await self._change(account, flow, change)

    async def set_listener(self, account: Account, flow: str, state: bool) -> Flow | None:
        """The flow, active or not; None when there is no such flow. Raises `Conflict("no_dids")` when it
        would be active and has no DID."""

        def change(old: Flow) -> Flow:
            if state and not old.dids:
                raise _no_dids()
            return msgspec.structs.replace(old, listener_active=state)

        return await self._change(account, flow, change)

    async def add_prompt(
        self,
        account: Account,
        name: str,
        data: bytes,
        keeper: PromptKeeper,
        remember: Remember[Prompt] | None = None,
    ) -> Prompt | IdempotentAnswer:
        """Keep a recording for the account's flows. Raises `PromptRefused`.

        Args:
            name: what its owner calls it, as the name of its file.
            data: the whole sound file.
            keeper: where the sound goes.
        """
        id_ = self._ids.new("prm")
        duration_s = await keeper.add(id_, data)
        prompt = Prompt(id_, account.id, name[:PROMPT_NAME_MAX], duration_s, self._clock.now())
        answer = remember(prompt) if remember else None
        audit.note(prompt.id)
        return await self._store.add_prompt(prompt, answer) or prompt

    async def _change(
        self, account: Account, flow: str, change: Callable[[Flow], Flow]
    ) -> Flow | None:
        # A client that hangs up must not keep what was changed from being heard of.
        with trio.CancelScope(shield=True):
            changed = await self._store.change_flow(account.id, flow, audit.noting(change))
        if changed is not None:
            self._on_flow_changed(account.id, flow)
        return changed

    async def _find_account(self, id_or_name: str) -> Account:
        account = await self._store.get_account(id_or_name)
        if account is None:
            detail = f"There is no account {id_or_name!r}."
            place = Mistake("/account", "unknown_account", detail)
            raise Invalid("unknown_account", detail, (place,))
        return account


def _no_dids() -> Conflict:
    return Conflict("no_dids", "Attach a DID to the flow before you activate its listener.")


def _read_each_number(numbers: Sequence[str], most: int) -> list[str]:
    if len(numbers) > most:
        raise Invalid("invalid_body", f"At most {most} numbers are taken at once.")
    found: list[str] = []
    mistakes: list[Mistake] = []
    for place, text in enumerate(numbers):
        number = read_number(text, ANY_DESTINATION)
        if isinstance(number, NumberProblem):
            mistakes.append(Mistake(f"/numbers/{place}", number.code, number.detail))
        else:
            found.append(number)
    require(mistakes)
    return found
