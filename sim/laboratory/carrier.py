"""Callees as a test says they are."""

from __future__ import annotations

from collections.abc import Mapping

from engine.ports.amd import AmdVerdict
from engine.ports.telephony import CallRequest
from sim.call_script import CallScript, Moment, Press, press
from sim.telephony import DialedCall, SimulatedTelephony

RING_S = 2.0
"""From the INVITE to the answer, unless a test says otherwise."""


class Carrier:
    """Calls come here. A number that nothing is said of answers, presses nothing, and listens to the end.

    What is said of a number holds for its next calls, for `times` of them where that is given; what is said
    next holds from then on.
    """

    def __init__(self) -> None:
        self._scripts: dict[str, list[tuple[int | None, CallScript]]] = {}
        self.telephony = SimulatedTelephony(self._choose)
        """The engine's side of it."""

    @property
    def calls(self) -> list[DialedCall]:
        """Every call that came, in its order: whom it was to and from (`request.number`, `request.caller`),
        and the prompts that were `played`; a text that was spoken is `say:TEXT`."""
        return self.telephony.dialed

    def answers(
        self,
        number: str,
        *,
        presses: str | Mapping[int, str] = "",
        after_s: float = RING_S,
        talks_s: float | None = None,
        times: int | None = None,
    ) -> None:
        """A person takes the call.

        Args:
            number: E.164.
            presses: keys after the first prompt of the call, or after each: {number of the prompt: keys}.
            after_s: seconds from the INVITE.
            talks_s: seconds from the answer until they hang up; None leaves that to the flow.
            times: for so many calls.
        """
        keys: list[Press] = []
        for prompt, some in ({1: presses} if isinstance(presses, str) else presses).items():
            keys += press(some, Moment(0.5, "prompt_ends", prompt))
        script = CallScript(final_after_s=after_s, talk_s=talks_s, keys=tuple(keys))
        self._add(number, times, script)

    def is_machine(
        self, number: str, *, beeps_after_s: float = 5.0, times: int | None = None
    ) -> None:
        """An answering machine takes the call, and its greeting ends with a beep."""
        verdict = AmdVerdict("machine", "greeting", 2_500)
        self._add(number, times, CallScript(verdict=verdict, beeps_s=(beeps_after_s,)))

    def is_busy(self, number: str, *, times: int | None = None) -> None:
        """486."""
        self.refuses(number, 486, times=times)

    def does_not_answer(self, number: str, *, times: int | None = None) -> None:
        """It rings until the caller gives up."""
        self._add(number, times, CallScript(final_after_s=None))

    def refuses(
        self, number: str, code: int, *, q850: int | None = None, times: int | None = None
    ) -> None:
        """Any other final status of SIP, 300 to 699, perhaps with a cause of Q.850."""
        self._add(number, times, CallScript(code=code, q850=q850, final_after_s=0.5))

    def _add(self, number: str, times: int | None, script: CallScript) -> None:
        self._scripts.setdefault(number, []).append((times, script))

    def _choose(self, request: CallRequest, before: int) -> CallScript:
        scripts = self._scripts.get(request.number, [])
        left = before
        for place, (times, script) in enumerate(scripts):
            is_last = place == len(scripts) - 1
            if is_last if times is None else left < times:
                return script
            left -= times or 0
        return CallScript()
