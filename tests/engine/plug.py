"""A plug that can be pulled at every step of what a test does, and what is plugged in."""

from __future__ import annotations

from typing import Any


class PulledOut(BaseException):
    """The process is gone; nothing catches that."""


class Plug:
    """Counts steps, and is pulled at one of them."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.pull_at: int | None = None
        self.error: type[BaseException] = PulledOut
        """What is raised then; a fault of ours is an Exception."""

    def step(self, name: str) -> None:
        """One is about to be done, or was."""
        self.steps.append(name)
        if len(self.steps) - 1 == self.pull_at:
            raise self.error(name)


class Plugged:
    """Something of whose methods some are steps, before and after."""

    def __init__(self, inner: Any, names: tuple[str, ...], plug: Plug) -> None:
        self._inner = inner
        self._names = names
        self._plug = plug

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name not in self._names:
            return method

        async def change(*args: Any, **kwargs: Any) -> Any:
            self._plug.step(f"before {name}")
            result = await method(*args, **kwargs)
            self._plug.step(f"after {name}")
            return result

        return change
