"""The store in memory: the twin of `adapters.sqlite` for worlds under virtual time."""

from sim.memory_store.store import MemoryStore

__all__ = ["MemoryStore"]
