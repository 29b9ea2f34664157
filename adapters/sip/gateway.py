"""`Gateway`: one trunk in operation. It finds the trunk's servers and looks again when the DNS says so,
keeps a health for each, probes and registers where that is wanted, chooses where a call goes, and tells
whether the trunk can be used at all.

How it works. What is known of servers is in `locate.health`, what is asked of them in `errand`; both are
pure, and this is the task that gives them time. It sleeps until the next of them wants something, or
until it is nudged because something has happened.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import structlog
import trio
from msgspec import Struct

from adapters.sip.call.authentication import Authenticator
from adapters.sip.errand.errand import Errand
from adapters.sip.errand.probe import Probed, Prober
from adapters.sip.errand.registration import Registration
from adapters.sip.locate.health import Failure, ServerTable
from adapters.sip.locate.records import LocateError
from adapters.sip.locate.resolver import LookupSettings, locate
from adapters.sip.locate.server import Server
from adapters.sip.locate.target import Family, TrunkTarget
from adapters.sip.pump import Cause
from adapters.sip.trunk import Here, Line, Trunk, open_line
from adapters.sip.wire.fields import read_retry_after
from adapters.sip.wire.hop import Hop
from engine.model import TrunkFailure
from engine.ports.clock import Randomness
from engine.ports.telephony import Ended, TrunkCondition

LOOK_AGAIN_S = 15.0
"""When names are asked for again after nobody could tell, or where there was no way to what was found."""
FIRST_LOOK_S_MAX = 5.0
"""How long a start waits for the servers of its trunks; what takes longer goes on behind it."""
LEAVE_S_MAX = 1.0
"""How long a stop waits for a registrar to forget us."""

Trouble = Literal["", "no server", "not registered", "all servers down"]

_log = structlog.get_logger("callwheel.sip")


class GatewayServices(Struct, frozen=True):
    """What every gateway works with."""

    begin: Callable[[Errand, Callable[[], None]], None]
    """Sends an errand, and calls what comes with it when the errand is done."""
    here: Callable[[Hop], Here]
    """Our own addresses as a hop sees them. Raises `OSError` where there is no way to it."""
    families: tuple[Family, ...]
    """What our sockets can send to."""
    lookup: LookupSettings
    randomness: Randomness
    tell: Callable[[TrunkCondition], None]
    hosts_changed: Callable[[], None]
    """Told that `hosts` has changed."""
    cause_of_silence: Callable[[Hop, float], Cause]
    """Why nothing at all came from a hop since a moment."""
    may_register: trio.Event
    """Set once trunks may be registered with, as from then on they may send calls."""


class Gateway:
    """See the module. All of it is synchronous but `run` and `leave`; `now` is trio's."""

    def __init__(self, trunk: Trunk, services: GatewayServices) -> None:
        self.trunk = trunk
        self.hosts: frozenset[str] = frozenset()
        """The IP addresses of its servers: those in force, and those of the look before, whose calls
        may still be up."""
        self._services = services
        self._table = ServerTable()
        self._lines: dict[Hop, Line] = {}
        self._hosts_in_force: frozenset[str] = frozenset()
        self._whereabouts = "The trunk's servers are being looked for."
        self._last_words = ""
        """Of whatever failed last: what the transport said about it."""
        self._registration = Registration(trunk, services.randomness) if trunk.registers else None
        self._prober = Prober(
            trunk.probe_s, services.randomness, self._hear_of_probe, _authenticator(trunk)
        )
        self._probed_at: dict[Hop, float] = {}
        self._passed_over: Hop | None = None
        """The server that the last REGISTER got no response from, or a 503."""
        self._told: tuple[Trouble, str] = ("no server", self._whereabouts)
        """What is the matter, and why, where there can be more than one reason."""
        self._is_retired = False
        self._alarm = trio.CancelScope()
        self._has_looked = trio.Event()
        self._has_left = trio.Event()

    # For calls.

    def choose(self, now: float) -> Line | None:
        """The server that the next call goes to, None when there is none. What became of it must be
        told: `note_answer`, `note_refusal`, `note_failure` or `give_back`."""
        if self._registration is not None and not self._registration.is_registered:
            return None
        hop = self._table.choose(now, self._services.randomness)
        self._tell_change(now)
        return None if hop is None else self._lines[hop]

    def give_back(self, line: Line, chosen_at: float, now: float) -> None:
        """A chosen server was not used, or nothing was heard from it and nothing could be."""
        self._table.give_back(line.hop, now, chosen_at)
        self._settle(now)

    def note_answer(self, line: Line, now: float) -> None:
        """A server said something."""
        self._table.note_answer(line.hop, now)
        if self._told[0]:
            self._settle(now)

    def note_refusal(self, line: Line, ended: Ended, now: float) -> bool:
        """A server, or whoever is behind it, refused a call. True where another server is well and can
        take what this one asks to be spared, so that the trunk as a whole need not rest."""
        if ended.sip_code != 503 or len(self._table.servers) < 2:
            self.note_answer(line, now)
            return False
        self._table.note_busy(line.hop, now, ended.retry_after_s)
        self._settle(now)
        return self._table.has_other(line.hop, now)

    def note_failure(self, line: Line, chosen_at: float, now: float) -> bool:
        """A call got no response at all from a server. True where another server can take it."""
        self._note_silence(line.hop, chosen_at, now)
        self._prober.suspect(line.hop, now)
        self._settle(now)
        return self._table.has_other(line.hop, now)

    def find_failure(self, line: Line, dialed_at: float) -> TrunkFailure:
        """Why a call got no response at all from a server."""
        return self._services.cause_of_silence(line.hop, dialed_at).failure

    def describe(self, now: float) -> str:
        """How the trunk is, in one sentence for a person, or two."""
        trouble = self._trouble(now)
        if trouble == "no server":
            return self._whereabouts
        if trouble == "not registered":
            assert self._registration is not None
            return self._registration.condition.detail
        detail = self._table.describe(now)
        if trouble == "all servers down" and self._last_words:
            return f"{detail} The transport says: {self._last_words}."
        return detail

    def condition(self, now: float) -> TrunkCondition:
        """Whether the trunk can be used."""
        return TrunkCondition(self.trunk.name, not self._trouble(now), self.describe(now))

    def retire(self) -> None:
        """Another takes its place, or none: its calls that are up go on, and it tells nothing more."""
        self._is_retired = True

    # Its life.

    async def run(self) -> None:
        """Run until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_located)
            nursery.start_soon(self._keep_well)
            await self._services.may_register.wait()
            self._nudge()

    async def wait_located(self) -> None:
        """Return when the servers have been looked for once."""
        await self._has_looked.wait()

    async def leave(self) -> None:
        """Unregister, as far as that can be done quickly."""
        registration = self._registration
        if registration is None:
            return
        registration.stop(trio.current_time())
        if registration.is_stopped:
            return
        self._nudge()
        with trio.move_on_after(LEAVE_S_MAX):
            await self._has_left.wait()

    async def _keep_located(self) -> None:
        trunk, services = self.trunk, self._services
        target = TrunkTarget(trunk.host, trunk.port, trunk.transport)
        while True:
            wait_s = LOOK_AGAIN_S
            try:
                found = await locate(
                    target, services.families, services.randomness, services.lookup
                )
            except LocateError as error:
                self._whereabouts = str(error)
                if self._table.servers:
                    # Those that were found before stay: they may well still be there.
                    _log.warning("a trunk cannot be located", trunk=trunk.name, error=str(error))
            else:
                wait_s = found.ttl_s
                if not self._take_servers(found.servers):
                    wait_s = min(wait_s, LOOK_AGAIN_S)
            self._has_looked.set()
            self._settle(trio.current_time())
            await trio.sleep(wait_s)

    def _take_servers(self, servers: tuple[Server, ...]) -> bool:
        """Use these servers from now on; False where there is no way to one of them just now."""
        lines: dict[Hop, Line] = {}
        for server in servers:
            try:
                here = self._services.here(server.hop)
            except OSError as error:
                self._whereabouts = f"There is no way to {server.hop.host}: {error}."
                continue
            lines[server.hop] = open_line(self.trunk, server.hop, here)
        self._lines = lines
        self._table.replace(server for server in servers if server.hop in lines)
        self._prober.watch(lines.values(), trio.current_time())
        self._probed_at = {hop: at for hop, at in self._probed_at.items() if hop in lines}
        before, self._hosts_in_force = self._hosts_in_force, frozenset(hop.host for hop in lines)
        self.hosts = before | self._hosts_in_force
        self._services.hosts_changed()
        return len(lines) == len(servers)

    async def _keep_well(self) -> None:
        await self._has_looked.wait()
        while True:
            now = trio.current_time()
            self._send_errands(now)
            self._tell_change(now)
            if self._registration is not None and self._registration.is_stopped:
                self._has_left.set()
            with trio.CancelScope(deadline=self._next_wake(now)) as self._alarm:
                await trio.sleep_forever()

    def _next_wake(self, now: float) -> float:
        wake = self._prober.next_wake
        if self._registration is not None and self._services.may_register.is_set():
            wake = min(wake, self._registration.next_wake)
        if self._told[0] == "all servers down":
            wake = min(wake, self._table.until(now))
        return wake

    def _send_errands(self, now: float) -> None:
        registration, may_register = self._registration, self._services.may_register.is_set()
        if registration is not None and may_register and registration.next_wake <= now:
            errand = registration.wake(now, self._server_to_ask(now))
            if errand is not None:
                self._send_register(errand, now)
        for errand in self._prober.wake(now):
            self._table.begin_trial(errand.hop, now)
            self._probed_at[errand.hop] = now
            self._services.begin(errand, self._nudge)

    def _send_register(self, errand: Errand, now: float) -> None:
        hop = errand.hop

        def hear() -> None:
            self._hear_of_register(errand, hop, now)

        self._services.begin(errand, hear)

    def _server_to_ask(self, now: float) -> Line | None:
        """Where the next REGISTER goes: where a call would, unless the last one had no luck there."""
        lines = self._lines
        hop = self._table.choose(now, self._services.randomness)
        if hop is not None:
            self._table.give_back(hop, now, now)
        elif lines:
            hop = next(iter(lines))
        if hop is not None and hop == self._passed_over:
            hop = next((other for other in lines if other != hop), hop)
        return None if hop is None else lines[hop]

    def _hear_of_register(self, errand: Errand, hop: Hop, asked_at: float) -> None:
        """What became of a REGISTER says something about the server as well."""
        now, done = trio.current_time(), errand.done
        assert done is not None
        self._passed_over = None
        if done.response is None:
            if done.how != "abandoned":
                self._passed_over = hop
                self._note_silence(hop, asked_at, now)
        elif done.status == 503:
            self._passed_over = hop
            retry_after_s = read_retry_after(done.response.first(b"retry-after"))
            self._table.note_busy(hop, now, retry_after_s)
        else:
            self._table.note_answer(hop, now)
        self._settle(now)

    def _hear_of_probe(self, probed: Probed, now: float) -> None:
        if probed.is_well:
            self._table.note_answer(probed.hop, now)
        elif probed.status is not None:
            self._table.note_busy(probed.hop, now, probed.retry_after_s)
        else:
            asked_at = self._probed_at.get(probed.hop, now)
            self._note_silence(probed.hop, asked_at, now, "probe_failed")
        self._settle(now)

    def _note_silence(
        self, hop: Hop, since: float, now: float, silence: Failure = "timed_out"
    ) -> None:
        """A request got no response. `silence` is what that means where nothing went wrong with the
        transport."""
        cause = self._services.cause_of_silence(hop, since)
        failure = silence if cause.failure == "timed_out" else cause.failure
        self._last_words = cause.detail.removesuffix(".")
        self._table.note_failure(hop, failure, now, since)

    def _trouble(self, now: float) -> Trouble:
        if not self._table.servers:
            return "no server"
        if self._registration is not None and not self._registration.is_registered:
            return "not registered"
        return "" if self._table.usable(now) else "all servers down"

    def _settle(self, now: float) -> None:
        """Something has happened: tell what it changed, and let the task look at its timers."""
        self._tell_change(now)
        self._nudge()

    def _nudge(self) -> None:
        self._alarm.cancel()

    def _tell_change(self, now: float) -> None:
        trouble = self._trouble(now)
        # How servers are changes with each second that is left to wait, and is told once.
        has_reason = trouble in ("no server", "not registered")
        told = (trouble, self.describe(now) if has_reason else "")
        if told == self._told or self._is_retired:
            return
        self._told = told
        condition = self.condition(now)
        log = _log.info if condition.is_usable else _log.warning
        log("the condition of a trunk", trunk=self.trunk.name, detail=condition.detail)
        self._services.tell(condition)
        self._nudge()


def _authenticator(trunk: Trunk) -> Authenticator | None:
    # A trunk without registration answers OPTIONS to anybody whom it knows by his address.
    if trunk.credentials is None or not trunk.registers:
        return None
    return Authenticator(trunk.credentials, trunk.realm)
