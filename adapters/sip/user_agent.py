"""The user agent: the thin trio shell around `SipCore`, as the engine's telephony.

How it works. A `MessagePump` carries messages between the sockets and the core. Each trunk has a
`Gateway`, which says where its next call goes. What happened to calls goes straight into their
`SipCall`, where whoever asked wakes up.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from uuid import UUID

import structlog
import trio
from msgspec import Struct

from adapters.media.sdp import make_terms
from adapters.media.types import MediaPlane, PlaneUnavailable, Stream
from adapters.sip.call.outbox import CallEvent
from adapters.sip.call.transaction import Timing
from adapters.sip.call.uac import OutboundCall
from adapters.sip.call.uas import LocalMedia
from adapters.sip.core import Caller, SipCore, SipStatistics, TooManyCalls
from adapters.sip.gateway import FIRST_LOOK_S_MAX, Gateway, GatewayServices
from adapters.sip.identity.headers import present
from adapters.sip.identity.passport import NotANumber, Signer
from adapters.sip.identity.signers import check_identities, open_signers
from adapters.sip.locate.resolver import LookupSettings
from adapters.sip.own_addresses import OwnAddresses
from adapters.sip.pump import Mailroom, MessagePump
from adapters.sip.sip_call import SipCall, Traces, Way
from adapters.sip.trace.record import CallTrace
from adapters.sip.transport.certified_names import unchecked_names
from adapters.sip.transport.sockets import Failed, Sockets, TlsSettings
from adapters.sip.transport.stream_transport import StreamStatistics
from adapters.sip.trunk import Line, Trunk
from adapters.sip.wire.hop import Hop
from adapters.sip.wire.uri import Address
from engine.ports.clock import Randomness, WallClock
from engine.ports.telephony import Call, CallRequest, TelephonyUnavailable, TrunkCondition

STREAM_CLOSE_S_MAX = 1.0
"""How long leaving a call waits for the media plane to free its port."""

_log = structlog.get_logger("callwheel.sip")


class UserAgentSettings(Struct, frozen=True):
    """What a user agent must be told."""

    trunks: tuple[Trunk, ...]
    bind: Address = ("127.0.0.1", 0)
    """Where SIP is spoken from, over UDP and TCP; port 0 takes a free one."""
    advertise: str | None = None
    """The IP address that trunks see us under, where it is not the one we are bound to."""
    timing: Timing = Timing()
    tls: TlsSettings = TlsSettings()
    nameservers: tuple[Address, ...] = ()
    """Asked for the trunks' names; none asks as the system does."""


class UserAgentStatistics(Struct, frozen=True):
    """Counters since the start."""

    sip: SipStatistics
    datagrams_received: int
    datagrams_sent: int
    sends_dropped: int
    """Datagrams that found the kernel's buffer full; their retransmission repairs that."""
    streams: StreamStatistics


class UserAgent:
    """Implements `engine.ports.telephony.Telephony` over SIP. Made by `open_user_agent`."""

    def __init__(
        self,
        settings: UserAgentSettings,
        media: MediaPlane,
        randomness: Randomness,
        nursery: trio.Nursery,
        signers: Mapping[str, Signer],
        clock: WallClock | None,
        traces: Traces | None,
        make_secret: Callable[[int], bytes],
        may_register: trio.Event,
    ) -> None:
        self._settings = settings
        self._media = media
        self._randomness = randomness
        self._nursery = nursery
        self._clock = clock
        self._traces = traces
        self._make_secret = make_secret
        self._signers = dict(signers)
        self._unchecked = set(unchecked_names(settings.trunks))
        self._scopes: dict[Gateway, trio.CancelScope] = {}
        """Of the gateways' tasks."""
        self._retired: list[Gateway] = []
        """Whose calls may still be up."""
        self._trunk_hosts: set[str] = set()
        self._tell_engine: Callable[[TrunkCondition], None] | None = None
        self._calls: dict[OutboundCall, SipCall] = {}
        secret = randomness.getrandbits(128).to_bytes(16, "big")
        # The sockets are opened by the pump, which needs the core, which asks where it is.
        self._own = OwnAddresses(lambda: self.pump.sockets, settings.bind[0], settings.advertise)
        self.core = SipCore(
            secret, self._trunk_hosts, settings.timing, self._own.end_towards, self._own.is_own
        )
        self.pump = MessagePump(
            self.core, Mailroom(self._open_sockets, self._tell, self._finish_trace)
        )
        self._services = GatewayServices(
            begin=self.pump.begin_errand,
            here=self._own.here_towards,
            families=(6,) if ":" in settings.bind[0] else (4,),
            lookup=LookupSettings(nameservers=settings.nameservers),
            randomness=randomness,
            tell=self._tell_condition,
            hosts_changed=self._collect_hosts,
            cause_of_silence=self.pump.cause_of_silence,
            may_register=may_register,
        )
        self.gateways = {trunk.name: Gateway(trunk, self._services) for trunk in settings.trunks}

    @property
    def address(self) -> Address:
        """Where SIP arrives over UDP and TCP."""
        return self.pump.sockets.udp

    def statistics(self) -> UserAgentStatistics:
        """Counters since the start."""
        sockets = self.pump.sockets
        return UserAgentStatistics(
            sip=self.core.statistics(),
            datagrams_received=self.pump.datagrams_received,
            datagrams_sent=sockets.sent,
            sends_dropped=sockets.dropped,
            streams=sockets.stream_statistics(),
        )

    def watch_trunks(self, tell: Callable[[TrunkCondition], None]) -> None:
        """See the port. One listener; a later one takes its place."""
        self._tell_engine = tell
        now = trio.current_time()
        for gateway in self.gateways.values():
            condition = gateway.condition(now)
            if not condition.is_usable:
                tell(condition)

    @asynccontextmanager
    async def prepare_call(self, request: CallRequest) -> AsyncIterator[Call]:
        """Choose a server, reserve a media port and a Call-ID. Raises `TelephonyUnavailable` when
        there is no such trunk or none of its servers can be used, no port or no media plane, or too
        many calls are up."""
        gateway = self.gateways.get(request.trunk)
        if gateway is None:
            raise TelephonyUnavailable(f"no trunk {request.trunk!r}")
        try:
            stream = await self._media.open_stream()
        except PlaneUnavailable as error:
            raise TelephonyUnavailable(str(error)) from error
        try:
            call = self._prepare(gateway, request, stream)
            try:
                yield call
            finally:
                call.leave()
                del self._calls[call.core_call]
        finally:
            with trio.move_on_after(STREAM_CLOSE_S_MAX, shield=True):
                await stream.close()

    def _prepare(self, gateway: Gateway, request: CallRequest, stream: Stream) -> SipCall:
        now = trio.current_time()
        line = gateway.choose(now)
        if line is None:
            raise TelephonyUnavailable(gateway.describe(now))
        chance = self._randomness.getrandbits
        try:
            core_call = self.core.prepare(
                line,
                number=request.number,
                caller=self._present(line, request),
                token=b"%096x" % chance(384),
                media=LocalMedia(
                    self._media.address,
                    stream.port,
                    chance(31),
                    terms=make_terms(line.trunk.codecs, line.trunk.srtp, self._make_secret),
                ),
            )
        except TooManyCalls as error:
            gateway.give_back(line, now, now)
            raise TelephonyUnavailable(str(error)) from error
        way = Way(request.attempt, gateway, line, now)
        call = SipCall(self, core_call, stream, way, self._traces)
        self._calls[core_call] = call
        return call

    def _present(self, line: Line, request: CallRequest) -> Caller:
        """Who a call says is calling, signed where the trunk has a key."""
        presented = present(line.identity, request.caller, request.presentation)
        for sentence in presented.dropped:
            _log.warning("a header was left out", detail=sentence, **_name(request))
        lines = presented.lines
        signer = self._signers.get(line.trunk.name)
        if signer is not None and self._clock is not None and not presented.has_identity:
            origin = UUID(int=self._randomness.getrandbits(128), version=4)
            try:
                lines += signer.lines(
                    request.caller, request.number, now=self._clock.now(), origid=origin
                )
            except NotANumber as error:
                _log.warning("a call is not signed", detail=str(error), **_name(request))
        return Caller(presented.from_value, lines)

    def set_trunks(self, trunks: tuple[Trunk, ...]) -> None:
        """Speak to other trunks from now on. One that is as it was goes on untouched; of the others calls
        that are up go on, and registrations end. Who watches is told of new ones when it watches again.
        Raises `CannotSign` and `UnsafeHeader` with nothing changed."""
        check_identities(trunks)
        signers = open_signers(trunks, self._clock)
        self._signers = signers
        self._unchecked.clear()
        self._unchecked.update(unchecked_names(trunks))
        before = self.gateways
        self.gateways = {}
        for trunk in trunks:
            gateway = before.get(trunk.name)
            if gateway is None or gateway.trunk != trunk:
                gateway = Gateway(trunk, self._services)
                self.start(gateway)
            self.gateways[trunk.name] = gateway
        in_use = {call.gateway for call in self._calls.values()}
        self._retired = [gateway for gateway in self._retired if gateway in in_use]
        for gateway in before.values():
            if self.gateways.get(gateway.trunk.name) is not gateway:
                self._retire(gateway)
        self._collect_hosts()

    def start(self, gateway: Gateway) -> None:
        """Run a gateway until it is retired."""
        scope = self._scopes[gateway] = trio.CancelScope()

        async def run() -> None:
            with scope:
                await gateway.run()

        self._nursery.start_soon(run)

    def _retire(self, gateway: Gateway) -> None:
        """Its calls stay; a registration ends, unless the trunk that takes its place has the same one."""
        gateway.retire()
        self._retired.append(gateway)
        scope = self._scopes.pop(gateway)
        fresh = self.gateways.get(gateway.trunk.name)
        keeps = fresh is not None and _is_registered_alike(fresh.trunk, gateway.trunk)

        async def leave() -> None:
            if not keeps:
                await gateway.leave()
            scope.cancel()

        self._nursery.start_soon(leave)

    # For calls.

    def watch(self, call: SipCall, scope: trio.CancelScope) -> None:
        """End an answered call when its stream is lost."""
        self._nursery.start_soon(call.watch_stream, scope)

    def flush(self, now: float) -> None:
        """Send and tell everything that the core has to say."""
        self.pump.flush(now)

    # For the pump.

    def _open_sockets(self, on_message: Callable[[bytes, Hop], None], on_failed: Failed) -> Sockets:
        settings = self._settings
        return Sockets(
            settings.bind,
            settings.tls,
            self._unchecked,
            self._nursery,
            is_trunk=self._trunk_hosts.__contains__,
            on_message=on_message,
            on_failed=on_failed,
        )

    def _tell(self, core_call: OutboundCall, event: CallEvent) -> None:
        call = self._calls.get(core_call)
        if call is None:
            return
        try:
            call.hear(event)
        except Exception:
            call.context.run(
                _log.exception, "a call could not be told", call_id=call.call_id, what=repr(event)
            )
            call.lose_stream()

    def _finish_trace(self, trace: CallTrace) -> None:
        if self._traces is not None:
            self._traces.finish(trace)

    # For gateways.

    def _tell_condition(self, condition: TrunkCondition) -> None:
        if self._tell_engine is not None:
            self._tell_engine(condition)

    def _collect_hosts(self) -> None:
        self._trunk_hosts.clear()
        for gateway in (*self.gateways.values(), *self._retired):
            self._trunk_hosts.update(gateway.hosts)

    def hang_up_all(self) -> None:
        """Send what ends each call, and wait for nobody."""
        for call in tuple(self._calls.values()):
            call.hang_up()
        for core_call in tuple(self._calls):
            core_call.abandon("we_hung_up")
        self.flush(trio.current_time())


def _is_registered_alike(one: Trunk, other: Trunk) -> bool:
    """Whether a registration of the one is that of the other."""

    def binding(trunk: Trunk) -> tuple[object, ...]:
        return trunk.registers, trunk.host, trunk.port, trunk.transport, trunk.credentials

    return binding(one) == binding(other)


def _name(request: CallRequest) -> dict[str, str]:
    return {"leg" if request.attempt.startswith("leg_") else "attempt": request.attempt}


@asynccontextmanager
async def open_user_agent(
    settings: UserAgentSettings,
    media: MediaPlane,
    randomness: Randomness,
    *,
    clock: WallClock | None = None,
    traces: Traces | None = None,
    make_secret: Callable[[int], bytes] = secrets.token_bytes,
    may_register: trio.Event | None = None,
) -> AsyncIterator[UserAgent]:
    """A user agent on sockets of its own. Leaving the block ends what calls there are.

    It is there when the trunks' servers have been looked for once, or after `FIRST_LOOK_S_MAX`. `clock`
    is needed by trunks that sign; `make_secret` makes the keys of SRTP. No trunk is registered with
    before `may_register` is set, if it is given. Raises `OSError` when a socket cannot be bound or a
    certificate cannot be used, `CannotSign` for a trunk's key, and `UnsafeHeader` for a trunk's identity.
    """
    check_identities(settings.trunks)
    signers = open_signers(settings.trunks, clock)
    fault: OSError | None = None
    if may_register is None:
        may_register = trio.Event()
        may_register.set()
    async with trio.open_nursery() as outer:
        nursery = await outer.start(_hold_nursery)
        # When everything around is cancelled, what ends calls and registrations is still to be sent.
        nursery.cancel_scope.shield = True
        try:
            agent = UserAgent(
                settings,
                media,
                randomness,
                nursery,
                signers,
                clock,
                traces,
                make_secret,
                may_register,
            )
        except OSError as error:
            # Out of a nursery it would come as a group of one.
            fault = error
            nursery.cancel_scope.cancel()
        else:
            async with _running(agent, nursery):
                yield agent
    if fault is not None:
        raise fault


async def _hold_nursery(*, task_status: trio.TaskStatus[trio.Nursery]) -> None:
    async with trio.open_nursery() as nursery:
        task_status.started(nursery)
        await trio.sleep_forever()


@asynccontextmanager
async def _running(agent: UserAgent, nursery: trio.Nursery) -> AsyncIterator[None]:
    try:
        nursery.start_soon(agent.pump.keep_time)
        nursery.start_soon(agent.pump.read_datagrams)
        for gateway in agent.gateways.values():
            agent.start(gateway)
        with trio.move_on_after(FIRST_LOOK_S_MAX):
            for gateway in agent.gateways.values():
                await gateway.wait_located()
        yield
    finally:
        agent.hang_up_all()
        with trio.CancelScope(shield=True):
            await _leave_all(agent)
        agent.pump.sockets.close()
        nursery.cancel_scope.cancel()


async def _leave_all(agent: UserAgent) -> None:
    async with trio.open_nursery() as nursery:
        for gateway in agent.gateways.values():
            nursery.start_soon(gateway.leave)
