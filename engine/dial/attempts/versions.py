"""The graphs of flows as they were when their lists came in."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from engine.flow.definition import Definition, read_definition
from engine.model import Flow
from engine.ports.settings_store import SettingsStore

VERSIONS_KEPT_MAX: Final = 256
"""Graphs that are kept read; the one that was used longest ago goes first."""


class FlowVersions:
    """Finds the graph that a contact was accepted with. A flow that is changed does not change the lists that
    are there already; only its settings count for all of them from then on."""

    def __init__(self, store: SettingsStore) -> None:
        self._store = store
        self._read: OrderedDict[tuple[str, int], Definition] = OrderedDict()

    async def find(self, flow: Flow, version: int, present: Definition) -> Definition:
        """The graph of a version. Raises `InvalidDefinition` where this release cannot read it, and
        `StoreUnavailable`.

        Args:
            present: the graph of `flow`, which is taken for its own version, and for one of which the store
                has none.
        """
        if version == flow.version:
            return present
        key = (flow.id, version)
        known = self._read.get(key)
        if known is not None:
            self._read.move_to_end(key)
            return known
        raw = await self._store.get_definition(flow.account, flow.id, version)
        read = present if raw is None else read_definition(raw)
        self._read[key] = read
        if len(self._read) > VERSIONS_KEPT_MAX:
            self._read.popitem(last=False)
        return read
