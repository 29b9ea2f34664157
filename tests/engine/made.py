"""Values for tests, each with everything that a test does not care about filled in."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.model import (
    Account,
    AccountRules,
    Attempt,
    CallList,
    Contact,
    Did,
    Flow,
    FlowSettings,
    Report,
)

EPOCH = 1_800_000_000.0
"""The moment at which tests begin: 15 January 2027, 08:00 UTC."""

HOME_RULES = AccountRules(approved_countries=("US",))
"""Those of an account for which a call to the United States is nothing to be told of."""

DEFINITION: dict[str, Any] = {
    "start": "hello",
    "nodes": {
        "hello": {"type": "play", "play": "prm_hello", "next": "bye"},
        "bye": {"type": "hangup"},
    },
}


def account(**changes: Any) -> Account:
    """An account of which calls to the United States are nothing new."""
    value = Account("acc_1", "default", "UTC", "owner@example.com", EPOCH, HOME_RULES)
    return msgspec.structs.replace(value, **changes)


def did(**changes: Any) -> Did:
    """A DID of 10 calls a second."""
    value = Did("+14155550100", "acc_1", "main", cps=10, channels=100)
    return msgspec.structs.replace(value, **changes)


def flow(**changes: Any) -> Flow:
    """An active flow with one DID."""
    value = Flow(
        id="flw_1",
        account="acc_1",
        name="reminder",
        kind="multicast",
        timezone="UTC",
        definition=DEFINITION,
        settings=FlowSettings(),
        version=1,
        listener_active=True,
        dids=("+14155550100",),
        calls_list="lst_calls",
        created_at=EPOCH,
    )
    return msgspec.structs.replace(value, **changes)


def call_list(**changes: Any) -> CallList:
    """A list that has not started."""
    value = CallList(
        id="lst_1",
        account="acc_1",
        flow="flw_1",
        flow_version=1,
        name="people",
        source="api",
        status="running",
        report=Report(1, 1, 0),
        created_at=EPOCH,
    )
    return msgspec.structs.replace(value, **changes)


def contact(**changes: Any) -> Contact:
    """A contact with one number, due at once."""
    value = Contact(
        id="cnt_1",
        account="acc_1",
        list="lst_1",
        flow="flw_1",
        row=1,
        tel=("+14155550123",),
        variables={},
        starttime=EPOCH,
        reference=None,
        state="open",
        due_at=EPOCH,
        wait_code="starttime",
    )
    return msgspec.structs.replace(value, **changes)


def attempt(**changes: Any) -> Attempt:
    """An attempt whose intent was just written down."""
    value = Attempt(
        id="att_1",
        account="acc_1",
        flow="flw_1",
        list="lst_1",
        contact="cnt_1",
        number="+14155550123",
        did="+14155550100",
        trunk="main",
        status="initiated",
        initiated_at=EPOCH,
    )
    return msgspec.structs.replace(value, **changes)
