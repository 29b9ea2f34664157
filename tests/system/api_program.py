"""A program that knows Callwheel by its OpenAPI description alone: it is run by another Python, in which a
client was generated from that, and prints the disposition of each contact.

    python api_program.py URL KEY
"""

from __future__ import annotations

import sys
import time

from callwheel_client.api.dids import dids_create_did
from callwheel_client.api.flows import flows_attach_dids, flows_create_flow, flows_set_listener
from callwheel_client.api.lists import lists_get_list, lists_list_contacts
from callwheel_client.api.triggers import triggers_multicast
from callwheel_client.client import AuthenticatedClient
from callwheel_client.models.contact_request import ContactRequest
from callwheel_client.models.did_form import DidForm
from callwheel_client.models.dids_form import DidsForm
from callwheel_client.models.flow_form import FlowForm
from callwheel_client.models.flow_form_definition import FlowFormDefinition
from callwheel_client.models.listener_form import ListenerForm
from callwheel_client.models.multicast_body import MulticastBody

DID = "+14155550100"
DEFINITION = {"start": "bye", "nodes": {"bye": {"type": "hangup"}}}


def main(url: str, key: str) -> None:
    """Make a flow, trigger it, and read the result."""
    client = AuthenticatedClient(url, key, raise_on_unexpected_status=True)
    did = DidForm(number=DID, account="default", trunk="main")
    assert dids_create_did.sync(client=client, body=did).number == DID
    form = FlowForm(name="generated", definition=FlowFormDefinition.from_dict(DEFINITION))
    flow = flows_create_flow.sync(client=client, body=form).id
    flows_attach_dids.sync(flow, client=client, body=DidsForm(numbers=[DID]))
    assert flows_set_listener.sync(flow, client=client, body=ListenerForm(True)).listener.active
    contacts = [ContactRequest(tel=[f"+1415555020{n}"], reference=f"r{n}") for n in range(3)]
    body = MulticastBody(contacts=contacts, name="three")
    made = triggers_multicast.sync(flow, client=client, body=body, idempotency_key="once")
    assert (made.accepted, made.rejected) == (3, [])
    while lists_get_list.sync(made.list_, client=client).status != "completed":
        time.sleep(0.2)
    for contact in lists_list_contacts.sync(made.list_, client=client).items:
        print(contact.reference, contact.disposition)


main(*sys.argv[1:])
