"""Accounts, keys and the audit log as the API shows them."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from api.http.views.encoding import show_time
from engine.model import (
    Account,
    ApiKey,
    CalleeCap,
    CallingWindow,
    CallingWindows,
    Cap,
    Role,
    Scope,
)
from engine.model.audit import AuditEntry
from engine.model.events import rfc3339
from engine.model.number_series import NumberSeries


class AccountView(Struct, frozen=True):
    """An account."""

    id: str
    name: str
    timezone: str
    email: str
    created_at: str
    calling_window: CallingWindow | CallingWindows | None
    number_series: NumberSeries | None
    channels: int | None
    cps: float | None
    caps: tuple[Cap, ...]
    calls_per_day: int | None
    country_calls_per_day: int | None
    country_caps: dict[str, int]
    approved_countries: tuple[str, ...]
    callee_caps: tuple[CalleeCap, ...]
    stopped_at: str | None
    """Since when an administrator lets it make no call."""
    paused_at: str | None
    """Since when no call of it begins."""


class KeyView(Struct, frozen=True, kw_only=True):
    """A key as the API shows it, but for itself."""

    id: str
    name: str
    account: str | None
    role: Role
    scopes: tuple[Scope, ...]
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None


class NewKeyView(KeyView, frozen=True, kw_only=True):
    """A key, in the one answer that shows it."""

    key: str


class CallerView(Struct, frozen=True):
    """Who asks, and for whom."""

    key: str
    """The key's id, or `administrator` for the installation's own."""
    role: Role
    scopes: tuple[Scope, ...]
    """The parts of the API that the key is for; none is all."""
    account: str
    """The id of the account that it acts for."""
    name: str
    """That account's."""
    timezone: str


class AuditView(Struct, frozen=True):
    """One change, and who made it."""

    at: str
    account: str | None
    key: str
    role: Role | Literal["sender"]
    source: str
    action: str
    targets: tuple[str, ...]
    detail: dict[str, Any]


def show_account(account: Account) -> AccountView:
    """An account as the API shows it."""
    return AccountView(
        id=account.id,
        name=account.name,
        timezone=account.timezone,
        email=account.email,
        created_at=rfc3339(account.created_at),
        calling_window=account.rules.calling_window,
        number_series=account.rules.number_series,
        channels=account.rules.channels,
        cps=account.rules.cps,
        caps=account.rules.caps,
        calls_per_day=account.rules.calls_per_day,
        country_calls_per_day=account.rules.country_calls_per_day,
        country_caps=account.rules.country_caps,
        approved_countries=account.rules.approved_countries,
        callee_caps=account.rules.callee_caps,
        stopped_at=show_time(account.stopped_at),
        paused_at=show_time(account.paused_at),
    )


def show_key(record: ApiKey) -> KeyView:
    """What is known of a key."""
    return KeyView(**_fields_of_key(record))


def show_new_key(record: ApiKey, key: str) -> NewKeyView:
    """A key, for the only time."""
    return NewKeyView(key=key, **_fields_of_key(record))


def _fields_of_key(record: ApiKey) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "account": record.account,
        "role": record.role,
        "scopes": record.scopes,
        "created_at": rfc3339(record.created_at),
        "expires_at": record.expires_at and rfc3339(record.expires_at),
        "revoked_at": record.revoked_at and rfc3339(record.revoked_at),
        "last_used_at": record.last_used_at and rfc3339(record.last_used_at),
    }


def show_audit(entry: AuditEntry) -> AuditView:
    """A change as the audit log shows it."""
    return AuditView(
        rfc3339(entry.at),
        entry.account,
        entry.key,
        entry.role,
        entry.source,
        entry.action,
        entry.targets,
        entry.detail,
    )
