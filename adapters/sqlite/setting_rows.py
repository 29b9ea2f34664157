"""Rows of what people set up: accounts, keys, DIDs, flows, prompts, and answers that they got. As `rows`."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from adapters.sqlite.rows import Row, read_strings, text
from engine.model import Account, AccountRules, ApiKey, Cap, Did, Flow, FlowSettings, Prompt
from engine.model.did_health import DidRest, RestWhen
from engine.ports.stored import IdempotentAnswer

_read_caps = msgspec.json.Decoder(tuple[Cap, ...]).decode
_read_rest_when = msgspec.json.Decoder(RestWhen).decode
_read_rest = msgspec.json.Decoder(DidRest).decode
_read_object = msgspec.json.Decoder(dict[str, Any]).decode
_read_settings = msgspec.json.Decoder(FlowSettings).decode
_read_rules = msgspec.json.Decoder(AccountRules).decode


ACCOUNT_COLUMNS: Final = (
    "a.id, a.name, a.timezone, a.email, a.created_at, a.rules, a.stopped_at, a.paused_at"
)
ACCOUNT_CHANGE: Final = "timezone = ?, email = ?, rules = ?, stopped_at = ?, paused_at = ?"


def account_change_row(one: Account) -> Row:
    """Values for `ACCOUNT_CHANGE`: what may change of an account."""
    return (one.timezone, one.email, text(one.rules), one.stopped_at, one.paused_at)


def to_account(row: Row) -> Account:
    """An account."""
    values: Row = (*row[:5], _read_rules(row[5]), *row[6:8])
    return Account(*values)


KEY_COLUMNS: Final = (
    "k.id, a.id, k.role, k.sha256, k.created_at, "
    "k.name, k.scopes, k.expires_at, k.revoked_at, k.last_used_at, k.life_s"
)


def to_key(row: Row) -> ApiKey:
    """A key."""
    id_, account, role, sha256, created_at, name, scopes, *ends = row
    return ApiKey(
        id_, account, role, sha256, created_at, name, tuple(msgspec.json.decode(scopes)), *ends
    )


DID_COLUMNS: Final = (
    "d.number, a.id, d.trunk, d.cps, d.channels, d.caps, d.rest_when, d.rest, d.counts_from"
)
DID_CHANGE: Final = (
    "trunk = ?, cps = ?, channels = ?, caps = ?, rest_when = ?, rest = ?, counts_from = ?"
)


def did_change_row(one: Did) -> Row:
    """Values for `DID_CHANGE`: what may change of a DID."""
    rest = None if one.rest is None else text(one.rest)
    limits: Row = (one.trunk, one.cps, one.channels, text(one.caps))
    return (*limits, text(one.rest_when), rest, one.counts_from)


def to_did(row: Row) -> Did:
    """A DID."""
    rest = None if row[7] is None else _read_rest(row[7])
    values: Row = (*row[:5], _read_caps(row[5]), _read_rest_when(row[6]), rest, row[8])
    return Did(*values)


FLOW_COLUMNS: Final = (
    "f.id, a.id, f.name, f.kind, f.timezone, f.definition, f.settings, f.version, "
    "f.listener_active, f.dids, f.calls_list, f.created_at, f.paused_at"
)
FLOW_CHANGE: Final = (
    "name = ?, kind = ?, timezone = ?, definition = ?, settings = ?, version = ?, "
    "listener_active = ?, dids = ?, paused_at = ?"
)


def flow_change_row(flow: Flow) -> Row:
    """Values for `FLOW_CHANGE`: what may change of a flow."""
    return (
        flow.name,
        flow.kind,
        flow.timezone,
        text(flow.definition),
        text(flow.settings),
        flow.version,
        flow.listener_active,
        text(flow.dids),
        flow.paused_at,
    )


def to_flow(row: Row) -> Flow:
    """A flow."""
    return Flow(
        id=row[0],
        account=row[1],
        name=row[2],
        kind=row[3],
        timezone=row[4],
        definition=_read_object(row[5]),
        settings=_read_settings(row[6]),
        version=row[7],
        listener_active=bool(row[8]),
        dids=read_strings(row[9]),
        calls_list=row[10],
        created_at=row[11],
        paused_at=row[12],
    )


def to_definition(row: Row) -> dict[str, Any]:
    """A graph as its user wrote it."""
    return _read_object(row[0])


PROMPT_COLUMNS: Final = "p.id, a.id, p.name, p.duration_s, p.created_at"


def to_prompt(row: Row) -> Prompt:
    """A prompt."""
    return Prompt(*row)


ANSWER_COLUMNS: Final = "account, key, fingerprint, status, body, created_at"


def answer_row(answer: IdempotentAnswer) -> Row:
    """Values for `ANSWER_COLUMNS`."""
    return msgspec.structs.astuple(answer)


def to_answer(row: Row) -> IdempotentAnswer:
    """An answer."""
    return IdempotentAnswer(*row)
