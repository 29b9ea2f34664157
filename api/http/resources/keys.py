"""Keys to accounts. The answer that holds one is kept for its Idempotency-Key, sealed."""

from __future__ import annotations

from api.http.auth import hash_key, make_key
from api.http.exchange import NOTHING, Answer, Exchange, answer, answer_page
from api.http.problem import Problem, not_found
from api.http.views.accounts import CallerView, show_key, show_new_key
from engine.control.keys import KeyForm, RotationForm
from engine.form import read_form
from engine.model import ApiKey, Scope


async def create_key(exchange: Exchange) -> Answer:
    """POST /v1/keys"""
    form, key = read_form(exchange.read_json(), KeyForm), make_key()
    _require_within(exchange, form.scopes)
    _require_life(exchange, form.expires_in_s)
    acts_for = exchange.account if exchange.names_account else None
    keys = exchange.engine.administration.keys
    return await exchange.make(
        201,
        lambda record: show_new_key(record, key),
        lambda remember: keys.create(acts_for, form, hash_key(key), remember),
    )


async def list_keys(exchange: Exchange) -> Answer:
    """GET /v1/keys: an administrator who names no account sees those of all."""
    limit, cursor = exchange.parameters.read_page()
    if exchange.names_account:
        page = await exchange.store.list_keys(exchange.account.id, limit, cursor)
    else:
        page = await exchange.store.list_all_keys(limit, cursor)
    return answer_page(page, show_key)


async def get_key(exchange: Exchange) -> Answer:
    """GET /v1/keys/{key}"""
    return answer(show_key(await _find_key(exchange)))


async def get_caller(exchange: Exchange) -> Answer:
    """GET /v1/me"""
    caller = exchange.caller
    assert caller is not None  # the route takes a key
    account = caller.account
    return answer(
        CallerView(
            caller.key, caller.role, caller.scopes, account.id, account.name, account.timezone
        )
    )


async def rotate_key(exchange: Exchange) -> Answer:
    """POST /v1/keys/{key}/rotate"""
    old, key = await _find_key(exchange), make_key()
    form = read_form(exchange.read_json(), RotationForm)
    _require_within(exchange, old.scopes)
    keys = exchange.engine.administration.keys
    assert exchange.caller is not None  # the route takes a key
    not_after = exchange.caller.expires_at
    made = await exchange.make(
        201,
        lambda fresh: show_new_key(fresh, key),
        lambda remember: keys.rotate(old, form, hash_key(key), not_after, remember),
    )
    await _forget(exchange, old)
    return made


async def revoke_key(exchange: Exchange) -> Answer:
    """DELETE /v1/keys/{key}"""
    key = await _find_key(exchange)
    _require_within(exchange, key.scopes)
    await exchange.engine.administration.keys.revoke(key)
    await _forget(exchange, key)
    return NOTHING


def _require_within(exchange: Exchange, scopes: tuple[Scope, ...]) -> None:
    """A key with scopes gives nobody more than it has itself, and ends no key that has more. Raises the
    problem `forbidden`."""
    caller = exchange.caller
    assert caller is not None  # the routes take a key
    if caller.scopes and not (scopes and set(scopes) <= set(caller.scopes)):
        own = ", ".join(caller.scopes)
        raise Problem("forbidden", f"The key itself has only the scopes: {own}.")


def _require_life(exchange: Exchange, expires_in_s: float | None) -> None:
    """A key that ends makes none that outlives it. Raises the problem `forbidden`."""
    assert exchange.caller is not None  # as above
    ends_at = exchange.caller.expires_at
    if ends_at is not None and (expires_in_s is None or exchange.now + expires_in_s > ends_at):
        left_s = max(0, int(ends_at - exchange.now))
        raise Problem("forbidden", f"The key itself ends in {left_s} s: say `expires_in_s`.")


async def _forget(exchange: Exchange, key: ApiKey) -> None:
    """Let the end of a key hold for those who were looked up with it."""
    changed = await exchange.store.get_any_key(key.id)
    assert changed is not None  # keys are never forgotten
    ends_at = changed.expires_at if changed.revoked_at is None else changed.revoked_at
    if ends_at is not None:
        exchange.front.keyring.end(key.id, ends_at)


async def _find_key(exchange: Exchange) -> ApiKey:
    asked = exchange.path["key"]
    if exchange.names_account:
        key = await exchange.store.get_key(exchange.account.id, asked)
    else:
        key = await exchange.store.get_any_key(asked)
    if key is None:
        raise not_found("key", asked)
    return key
