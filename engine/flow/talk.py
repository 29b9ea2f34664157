"""One answered call on its way through a graph: its values, what it set, and what is heard on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final, NoReturn, TypeVar

import structlog
import trio
from msgspec import Struct, field

from engine.flow.definition import Definition
from engine.flow.nodes import Prompt
from engine.flow.services import FlowServices
from engine.flow.variables import initial_values, render, render_plain
from engine.ports.speech import SpeechFailed, SpeechRefused
from engine.ports.telephony import Call, CallEnded, Ended

log = structlog.get_logger(__name__)

T = TypeVar("T")

VALUE_LENGTH_MAX: Final = 4_096
"""Characters of a value that a call sets. Without a bound, a loop that sets a text to twice itself would fill
the memory within a second."""
SPEECH_WAIT_S: Final = 10.0
"""How long a callee waits in silence for a text to be spoken that nobody has heard before; then the flow goes
on without it."""


class Passed(Struct, frozen=True):
    """What came of a node."""

    next: str | None
    """The node that follows; None hangs up."""
    outcome: str
    data: dict[str, Any] = field(default_factory=dict)
    """What else is told of it."""


class Talk:
    """One answered call. `result` and `values` stay as they are however the call ends."""

    def __init__(
        self,
        definition: Definition,
        call: Call,
        services: FlowServices,
        *,
        variables: Mapping[str, str],
        amd: str = "off",
        names: Mapping[str, str] | None = None,
    ) -> None:
        """
        Args:
            variables: what the contact brings, and the values that every call has.
            amd: who answered, or `off` where nobody listened for it.
            names: what every line of the log about this call carries.
        """
        self.definition = definition
        self.call = call
        self.services = services
        self.amd = amd
        self.values = initial_values(definition.variables, variables)
        self.result: dict[str, str] = {}
        """The variables that the call set."""
        self.names = dict(names or {})

    def set_value(self, name: str, value: str) -> None:
        """Give a variable a value, cut to `VALUE_LENGTH_MAX`."""
        kept = value[:VALUE_LENGTH_MAX]
        if len(kept) < len(value):
            log.warning("a value was cut", variable=name, characters=len(value), **self.names)
        self.values[name] = self.result[name] = kept

    def set_private_value(self, name: str, value: str) -> None:
        """Give a variable a value that is there for the call alone, and told nobody."""
        self.values[name] = value
        self.result.pop(name, None)

    def fill_in(self, text: str) -> str:
        """A text that nobody hears, with the values of its variables as they are."""
        return render_plain(text, self.values)

    async def hear(self, prompt: Prompt, on: Call | None = None) -> bool:
        """Play a prompt to its end, on this call or on another, and say whether it was heard. What cannot be
        played is logged and passed over: a callee should rather miss a sentence than hear nothing at all.
        Raises `CallEnded`."""
        call = on or self.call
        if prompt.play is not None:
            return await self.play(prompt.play, call)
        async with AsyncExitStack() as stack:
            prompt_id = await self._speak(prompt, call, stack)
            return prompt_id is not None and await self.play(prompt_id, call)

    async def play(self, prompt_id: str, on: Call | None = None) -> bool:
        """Play a prompt by its id, and say whether it was there. Raises `CallEnded`."""
        try:
            await (on or self.call).play(prompt_id)
        except KeyError:
            log.error("a prompt is gone", prompt=prompt_id, **self.names)
            return False
        return True

    async def _speak(self, prompt: Prompt, call: Call, stack: AsyncExitStack) -> str | None:
        """The id of a text's prompt, which lasts as long as the stack; None where there is none in time."""
        speech, wanted = self.services.speech, self.definition.language

        async def make() -> str | None:
            with trio.move_on_after(SPEECH_WAIT_S):
                voice = await speech.find_voice(prompt.voice, wanted)
                language = wanted or voice.language
                text = render(prompt.say or "", self.values, self.definition.variables, language)
                made = speech.make(text, voice.name)
                return (await stack.enter_async_context(made)).prompt
            return None

        try:
            prompt_id = await while_up(call, make)
        except (SpeechRefused, SpeechFailed) as error:
            reason = error.detail if isinstance(error, SpeechRefused) else str(error)
            log.error("a text is not spoken", reason=reason, **self.names)
            return None
        if prompt_id is None:
            log.error("a text is not spoken", reason="it took too long", **self.names)
        return prompt_id


async def until_ended(call: Call) -> NoReturn:
    """Raise `CallEnded` when the call ends."""
    raise CallEnded(await call.wait_ended())


async def while_up(call: Call, work: Callable[[], Awaitable[T]]) -> T:
    """What `work` returns or raises. Raises `CallEnded`, and cancels the work, when the call ends first."""
    done: list[T] = []
    failed: list[Exception] = []
    ended: list[Ended] = []

    async def watch(scope: trio.CancelScope) -> None:
        ended.append(await call.wait_ended())
        scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch, nursery.cancel_scope)
        # Caught inside, so that it leaves as it is and not as a group of one.
        try:
            done.append(await work())
        except Exception as error:
            failed.append(error)
        nursery.cancel_scope.cancel()
    if failed:
        raise failed[0]
    if done:
        return done[0]
    raise CallEnded(ended[0])
