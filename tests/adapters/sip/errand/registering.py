"""A registration, and a registrar that answers what a test wants."""

from __future__ import annotations

from adapters.sip.errand.registration import Registration
from adapters.sip.trunk import Line
from adapters.sip.wire.message import Request
from engine.ports.clock import Randomness
from tests.adapters.sip.errand.desk import CREDENTIALS, Chance, Desk, trunk_line


class Scene(Desk):
    """A registration whose time goes by. With chance at nought, refreshes are early and pauses long."""

    def __init__(self, line: Line | None = None, chance: Randomness | None = None) -> None:
        super().__init__()
        self.line: Line | None = trunk_line(credentials=CREDENTIALS) if line is None else line
        trunk = trunk_line(credentials=CREDENTIALS).trunk if line is None else line.trunk
        self.registration = Registration(trunk, Chance() if chance is None else chance)

    def ask(self) -> Request | None:
        """The REGISTER that is due now."""
        errand = self.registration.wake(self.now, self.line)
        return None if errand is None else self.begin(errand)

    def register(self, *headers: tuple[bytes, bytes]) -> Request:
        request = self.expect()
        self.respond(request, 200, *headers)
        return request

    def expect(self) -> Request:
        request = self.ask()
        assert request is not None
        return request

    def skip(self) -> float:
        """Go to the next thing that the registration wants, and say how long that was."""
        waited = self.registration.next_wake - self.now
        self.wait(waited)
        return round(waited, 3)

    def be_silent(self) -> None:
        """Let the REGISTER under way time out."""
        self.wait(32.0)
        self.datagrams()

    @property
    def is_usable(self) -> bool:
        return self.registration.condition.is_usable
