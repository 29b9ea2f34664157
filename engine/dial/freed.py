"""Flows that may let more calls go, as agents or channels of theirs are free again."""

from __future__ import annotations

from collections.abc import Mapping

import trio

from engine.dial.flow_desk import FlowDesk


class FreedFlows:
    """Collects them for whoever offers more contacts of theirs."""

    def __init__(self, desks: Mapping[str, FlowDesk]) -> None:
        """`desks` are the flows in operation at any time."""
        self._desks = desks
        self.waiting_for_channel: set[str] = set()
        """Flows with contacts for which there was no channel."""
        self.flows: dict[str, None] = {}
        """Those that were freed and that nobody has asked for yet."""
        self._has_freed = trio.Event()

    def note(self, flow: str) -> None:
        """A flow may let more calls go."""
        self.flows[flow] = None
        self._has_freed.set()

    def note_channel(self, flow: str) -> None:
        """A flow may have a channel of its own free again; second legs take and give them back as well."""
        desk = self._desks.get(flow)
        if flow in self.waiting_for_channel and desk is not None and not desk.is_full:
            self.waiting_for_channel.discard(flow)
            self.note(flow)

    def forget(self, flow: str) -> None:
        """A flow was deleted."""
        self.waiting_for_channel.discard(flow)
        self.flows.pop(flow, None)

    async def wait(self) -> list[str]:
        """Flows that were freed, as soon as there are any."""
        await self._has_freed.wait()
        self._has_freed = trio.Event()
        freed, self.flows = self.flows, {}
        return [*freed]
