"""What a line of the log carries that concerns one contact, attempt or leg. It is made where there is a line
to write, so that a call that goes well costs nothing for it."""

from __future__ import annotations

from engine.model import Attempt, Contact
from engine.model.agent import Agent, Leg


def of_contact(contact: Contact) -> dict[str, str]:
    """Of a contact that no attempt goes on for."""
    return {"account": contact.account, "flow": contact.flow, "contact": contact.id}


def of_attempt(attempt: Attempt) -> dict[str, str]:
    """Of an attempt."""
    return {
        "account": attempt.account,
        "flow": attempt.flow,
        "contact": attempt.contact,
        "attempt": attempt.id,
    }


def of_leg(leg: Leg) -> dict[str, str | None]:
    """Of a further leg; its attempt and contact are None where there is no customer yet."""
    return {
        "account": leg.account,
        "flow": leg.flow,
        "contact": leg.contact,
        "attempt": leg.attempt,
        "leg": leg.id,
    }


def of_agent(agent: Agent) -> dict[str, str]:
    """Of an agent whom no contact waits for."""
    return {"account": agent.account, "flow": agent.flow, "agent": agent.id}
