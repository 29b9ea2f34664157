"""The audit log: entries come with the changes, and only with them."""

from __future__ import annotations

import msgspec
import pytest

from engine.model import Flow, audit
from engine.model.audit import AUDIT_KEPT_S, AuditEntry
from engine.ports.stored import Conflict
from tests.contract.store_samples import ACME, FLOW, NOW, OTHER, Kit, a_did, all_pages, an_answer

ENTRY = AuditEntry(
    at=NOW,
    account=ACME,
    key="key_1",
    role="owner",
    source="192.0.2.1",
    action="PUT /v1/flows/{flow}",
    targets=(FLOW,),
)


def rename(flow: Flow) -> Flow:
    return msgspec.structs.replace(flow, name="recall")


async def test_the_first_change_of_a_request_takes_its_entry_along(kit: Kit) -> None:
    audit.begin(ENTRY)
    await kit.store.change_flow(ACME, FLOW, audit.noting(rename))
    await kit.store.delete_flow(ACME, FLOW)
    audit.begin(None)
    await kit.store.add_did(a_did("+911", ACME))
    changed = msgspec.structs.replace(ENTRY, detail={"changed": {"name": ["reminder", "recall"]}})
    assert await all_pages(lambda *page: kit.store.list_audit(ACME, *page), 1) == [changed]
    assert (await kit.store.list_audit(OTHER, 10, None)).items == ()


async def test_what_changes_nothing_leaves_no_entry(kit: Kit) -> None:
    await kit.store.add_did(a_did("+911", ACME), an_answer())
    audit.begin(ENTRY)
    with pytest.raises(Conflict):
        await kit.store.add_did(a_did("+911", ACME))
    assert await kit.store.add_did(a_did("+912", ACME), an_answer()) is not None
    assert await kit.store.change_flow(OTHER, FLOW, rename) is None
    assert await kit.store.put_do_not_call_once(ACME, [], lambda _: an_answer("key-2")) == 0
    assert await kit.store.get_answer(ACME, "key-2") == an_answer("key-2")
    assert await kit.store.list_flows(ACME, 10, None)
    assert (await kit.store.list_all_audit(10, None)).items == ()


async def test_entries_of_the_installation_are_for_its_administrator_alone(kit: Kit) -> None:
    for place, account in enumerate((None, ACME, OTHER)):
        audit.begin(msgspec.structs.replace(ENTRY, account=account))
        await kit.store.add_did(a_did(f"+91{place}", ACME))
    found = await all_pages(kit.store.list_all_audit, 2)
    assert [entry.account for entry in found] == [None, ACME, OTHER]
    ours = await all_pages(lambda *page: kit.store.list_audit(ACME, *page), 1)
    assert ours == found[1:2]


async def test_old_entries_make_room(kit: Kit) -> None:
    for place, at in enumerate((NOW, NOW + 1, NOW + AUDIT_KEPT_S + 1)):
        audit.begin(msgspec.structs.replace(ENTRY, at=at))
        await kit.store.add_did(a_did(f"+91{place}", ACME))
    kept = (await kit.store.list_all_audit(10, None)).items
    assert [entry.at for entry in kept] == [NOW + AUDIT_KEPT_S + 1]
