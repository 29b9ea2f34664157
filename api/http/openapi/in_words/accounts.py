"""Accounts, keys, the audit log and DIDs, in words."""

from __future__ import annotations

from typing import Final

from api.http.openapi.described import CSV_TYPE, Described, page_of
from api.http.views.accounts import (
    AccountView,
    AuditView,
    CallerView,
    KeyView,
    NewKeyView,
)
from api.http.views.dids import DidView
from engine.control.keys import KeyForm, RotationForm
from engine.forms.account import AccountChangeForm, AccountForm
from engine.forms.did import DidChangeForm, DidForm, RestForm

DID: Final = "/v1/dids/{did}"
ACCOUNTS: Final[dict[tuple[str, str], Described]] = {
    ("POST", "/v1/accounts"): Described(
        "Make an account",
        AccountView,
        201,
        AccountForm,
        {"name": "hospital", "timezone": "Europe/Berlin", "email": "it@hospital.example"},
        codes=("account_exists",),
    ),
    ("GET", "/v1/accounts"): Described("List all accounts", page_of(AccountView)),
    ("GET", "/v1/accounts/{account}"): Described("Show an account", AccountView),
    ("PATCH", "/v1/accounts/{account}"): Described(
        "Change an account", AccountView, takes=AccountChangeForm, example={"cps": 20}
    ),
    ("POST", "/v1/accounts/{account}/stop"): Described(
        "Make no call of an account any more, and end those that go on, at once", AccountView
    ),
    ("POST", "/v1/accounts/{account}/start"): Described("Let an account call again", AccountView),
    ("POST", "/v1/accounts/{account}/pause"): Described(
        "Begin no call of an account any more; those that are up go on", AccountView
    ),
    ("POST", "/v1/accounts/{account}/resume"): Described(
        "Let an account go on that was paused", AccountView
    ),
    ("POST", "/v1/accounts/{account}/cancel"): Described(
        "Cancel all lists and calls of an account that wait", AccountView
    ),
    ("POST", "/v1/keys"): Described(
        "Make a key",
        NewKeyView,
        201,
        KeyForm,
        {"account": "hospital", "role": "operator"},
        codes=("unknown_account",),
        detail="The answer is the only place that shows it. With an Idempotency-Key the same caller gets it "
        "again for a day: it is kept under encryption with the key that asked.",
    ),
    ("GET", "/v1/keys"): Described("List keys", page_of(KeyView)),
    ("GET", "/v1/keys/{key}"): Described("Show a key, but for itself", KeyView),
    ("GET", "/v1/me"): Described("Show who asks: the key's role, and its account", CallerView),
    ("POST", "/v1/keys/{key}/rotate"): Described(
        "Make a key in the place of another, which goes on for a while",
        NewKeyView,
        201,
        RotationForm,
        {},
        detail="The new key has as long to live as the old one was made for; one that a key with an "
        "end asks for, itself in its own place too, ends with that key.",
    ),
    ("DELETE", "/v1/keys/{key}"): Described("Revoke a key, at once", None, 204),
    ("GET", "/v1/audit"): Described("List who changed what", page_of(AuditView)),
    ("GET", "/v1/audit.csv"): Described("Get the audit log", media_type=CSV_TYPE),
    ("GET", "/v1/audit.ndjson"): Described(
        "Get the audit log, an entry a line", media_type="application/x-ndjson"
    ),
    ("PATCH", DID): Described(
        "Change a DID's limits or trunk, at once", DidView, takes=DidChangeForm, example={"cps": 5}
    ),
    ("DELETE", DID): Described("Take a DID away", None, 204),
    ("POST", f"{DID}/rest"): Described(
        "Call from this DID no more for a while",
        DidView,
        takes=RestForm,
        example={"for_s": 3600, "note": "shown as spam"},
    ),
    ("POST", f"{DID}/resume"): Described("Call from a DID again that rests", DidView),
    ("POST", "/v1/dids"): Described(
        "Make a DID",
        DidView,
        201,
        DidForm,
        {
            "number": "+914012345678",
            "account": "hospital",
            "trunk": "main",
            "cps": 5,
            "channels": 30,
            "caps": [{"calls": 1000, "per_s": 86400}],
        },
        codes=("did_exists", "unknown_account"),
    ),
    ("GET", DID): Described(
        "Show a DID with how busy it is",
        DidView,
        detail="Its ETag stands for what PATCH changes, not for how busy it is.",
    ),
    ("GET", "/v1/dids"): Described("List DIDs with how busy each is", page_of(DidView)),
}
