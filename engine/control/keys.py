"""Keys: whom they are for, how long they are good, and how one takes another's place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from engine.form import Invalid, Mistake
from engine.ids import IdSource
from engine.model import Account, ApiKey, Scope, audit
from engine.ports.clock import WallClock
from engine.ports.store import Store
from engine.ports.stored import Conflict, IdempotentAnswer

Remember = Callable[[ApiKey], IdempotentAnswer]

NAME_MAX: Final = 100
"""Characters."""
SCOPES_MAX: Final = 32
LIFE_S_MAX: Final = 10 * 365 * 86_400
OVERLAP_S: Final = 24 * 3600.0
"""How long a key that was replaced stays good, unless asked otherwise."""
OVERLAP_S_MAX: Final = 90 * 86_400


class KeyForm(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom a key is for."""

    role: Literal["owner", "operator", "viewer"]
    account: str | None = None
    """Name or id; None where the key that asks says it."""
    name: Annotated[str, Meta(max_length=NAME_MAX, pattern=r"^[^\x00-\x1f\x7f]*\Z")] = ""
    scopes: Annotated[tuple[Scope, ...], Meta(max_length=SCOPES_MAX)] = ()
    expires_in_s: Annotated[float, Meta(ge=1, le=LIFE_S_MAX)] | None = None
    """None is for good."""


class RotationForm(Struct, frozen=True, forbid_unknown_fields=True):
    """How a key is replaced."""

    overlap_s: Annotated[float, Meta(ge=0, le=OVERLAP_S_MAX)] = OVERLAP_S
    """How long the old one stays good."""


class Keys:
    """Makes keys and ends them. It never sees a key, only its hash."""

    def __init__(self, store: Store, clock: WallClock, ids: IdSource) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids

    async def create(
        self,
        acts_for: Account | None,
        form: KeyForm,
        sha256: bytes,
        remember: Remember | None = None,
    ) -> ApiKey | IdempotentAnswer:
        """Keep the hash of a key for whom the form names. Raises `Invalid`, and
        `Conflict("too_many_keys")`.

        Args:
            acts_for: the account of whoever asks, who makes keys for no other; None for an administrator
                who named none.
            remember: as of `engine.control.administration`.
        """
        account = acts_for
        if form.account is not None:
            account = await self._store.get_account(form.account)
            if account is None or (acts_for is not None and account.id != acts_for.id):
                raise _unknown_account(f"There is no account {form.account!r}.")
        if account is None:
            raise _unknown_account("Say which account the key is for.")
        now = self._clock.now()
        key = ApiKey(
            self._ids.new("key"),
            account.id,
            form.role,
            sha256,
            now,
            form.name,
            form.scopes,
            None if form.expires_in_s is None else now + form.expires_in_s,
            life_s=form.expires_in_s,
        )
        audit.note(key.id, account.id)
        return await self._store.add_key(key, remember(key) if remember else None) or key

    async def rotate(
        self,
        key: ApiKey,
        form: RotationForm,
        sha256: bytes,
        not_after: float | None = None,
        remember: Remember | None = None,
    ) -> ApiKey | IdempotentAnswer:
        """A key like this one, which itself ends after the overlap that the form says; or before, if it
        would have anyway. Both in one transaction. The new one has as long to live as the old one was made
        for, and no longer than to `not_after`, which is when the key ends that asks: nobody lives
        for ever by replacing themselves. Raises `Conflict` (`key_ended`, `too_many_keys`)."""
        now = self._clock.now()
        ends = [] if key.life_s is None else [now + key.life_s]
        ends += [] if not_after is None else [not_after]
        fresh = msgspec.structs.replace(
            key,
            id=self._ids.new("key"),
            sha256=sha256,
            created_at=now,
            expires_at=min(ends, default=None),
            last_used_at=None,
        )
        ends_at = now + form.overlap_s

        def end(old: ApiKey) -> ApiKey:
            if not old.is_good(now):
                raise Conflict("key_ended", "The key is not good any more; make a new one.")
            until = ends_at if old.expires_at is None else min(old.expires_at, ends_at)
            return msgspec.structs.replace(old, expires_at=until)

        assert key.account is not None  # keys of the installation are not found here
        audit.note(fresh.id, key.account)
        answer = remember(fresh) if remember else None
        changed = await self._store.change_key(key.account, key.id, end, fresh, answer)
        assert changed is not None  # keys are never forgotten
        return changed if isinstance(changed, IdempotentAnswer) else fresh

    async def revoke(self, key: ApiKey) -> None:
        """No request with this key is answered after this returns. Repeating it changes nothing."""
        now = self._clock.now()

        def end(old: ApiKey) -> ApiKey:
            return msgspec.structs.replace(
                old, revoked_at=now if old.revoked_at is None else old.revoked_at
            )

        assert key.account is not None  # as above
        audit.note(key.id, key.account)
        await self._store.change_key(key.account, key.id, end)


def _unknown_account(detail: str) -> Invalid:
    return Invalid("unknown_account", detail, (Mistake("/account", "unknown_account", detail),))
