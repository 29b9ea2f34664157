"""Callees as a test says they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from engine.ports.amd import AmdVerdict
from engine.ports.telephony import CallRequest
from sim.call_script import CallScript, Moment, Press, press
from sim.telephony import DialedCall, SimulatedTelephony

E164: Final = re.compile(r"\+[1-9][0-9]{5,14}")
KEYS: Final = re.compile(r"[0-9*#A-D]*")
REFUSALS: Final = range(300, 700)
RING_S = 2.0
"""From the INVITE to the answer, unless a test says otherwise."""


class Carrier:
    """Calls come here. A number that nothing is said of answers, presses nothing, and listens to the end.

    What is said of a number holds for its next calls, for `times` of them where that is given; what is said
    next holds from then on. What cannot be, as a number that no call could ever come to, raises
    `ValueError`: said of nobody, it would leave a test with the callee that everybody else has.
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
            if KEYS.fullmatch(some) is None:
                raise ValueError(f"keys are 0 to 9, *, # and A to D, not {some!r}")
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
        if code not in REFUSALS:
            raise ValueError(f"a call is refused by a status of 300 to 699, not {code}")
        self._add(number, times, CallScript(code=code, q850=q850, final_after_s=0.5))

    def _add(self, number: str, times: int | None, script: CallScript) -> None:
        if E164.fullmatch(number) is None:
            raise ValueError(f"a number is in E.164, as +14155550123, not {number!r}")
        if times is not None and times < 1:
            raise ValueError(f"`times` is 1 at the least, not {times}")
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
