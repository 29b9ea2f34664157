"""A run as the judge goes through it."""

from __future__ import annotations

from collections import defaultdict

from msgspec import Struct

from engine.model import FlowSettings
from sim.world.run import Run
from sim.world.tape import CallOver, Invite, Told


class Breach(Struct, frozen=True):
    """A promise that was broken."""

    promise: str
    """In a few words, the same for each breach of it."""
    what: str


class Case:
    """What a run left behind, sorted."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.plan = run.plan
        self.entries = run.tape.entries
        self.invites = [one for one in self.entries if isinstance(one, Invite)]
        self.overs = {one.attempt: one for one in self.entries if isinstance(one, CallOver)}
        self.told = [one for one in self.entries if isinstance(one, Told)]
        self.attempts = {one.id: one for one in run.attempts}
        self.contacts = {one.id: one for one in run.contacts}
        self.lists = {one.id: one for one in run.lists}
        self.flows = {one.id: one for one in self.plan.flows}
        self.dids = {one.number: one for one in self.plan.dids}
        self.accounts = {one.id: one for one in self.plan.accounts}

        self._by_list: defaultdict[str, list[str]] = defaultdict(list)
        for contact in run.contacts:
            self._by_list[contact.list].append(contact.id)

    def contacts_of(self, call_list: str) -> list[str]:
        """Those of a list."""
        return self._by_list[call_list]

    def settings_of(self, contact: str) -> FlowSettings:
        """Those of the contact's flow."""
        return self.flows[self.contacts[contact].flow].settings

    def was_in_trouble(self, since: float, until: float) -> bool:
        """Whether the disk was full or slow between two moments of the world."""
        return any(one.begin <= until and one.end >= since for one in self.plan.disk)
