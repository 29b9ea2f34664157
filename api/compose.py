"""The one place that names concrete adapters: it puts an installation together and takes it apart.

The order matters at the end as much as at the beginning. When the engine is told to stop, the HTTP front
closes first, then calls that are up end, then whatever carried them: signalling, media, the store.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import trio
from msgspec import Struct

from adapters.address_guard import AddressGuard
from adapters.drop.doors import AllDrops
from adapters.drop.local import LocalDrops
from adapters.drop.sftp import open_sftp_drops
from adapters.mail.receiver import ReceiverFailed
from adapters.media.client import PlaneSettings, open_media_plane, planes_of_this_machine
from adapters.media.codecs.codec import CodecName
from adapters.media.prompts.library import PromptError, PromptLibrary
from adapters.media.prompts.work import add_prompt, complete_prompts
from adapters.media.recording.archive import RecordingArchive
from adapters.media.types import PlaneUnavailable
from adapters.outgoing_http import GuardedHttp, JsonRequests
from adapters.sip.identity.headers import TrunkIdentity, UnsafeHeader
from adapters.sip.identity.passport import CannotSign
from adapters.sip.trace.archive import TraceArchive, open_trace_archive
from adapters.sip.transport.sockets import TlsSettings
from adapters.sip.transport.tls import BadTlsFile, server_context
from adapters.sip.trunk import Stir, Trunk
from adapters.sip.user_agent import UserAgent, UserAgentSettings, open_user_agent
from adapters.sip.wire.digest import Credentials
from adapters.speech.espeak import find_espeak
from adapters.speech.piper import PiperSynthesiser
from adapters.speech.spoken_texts import SpeechSettings, open_speech
from adapters.speech.synthesiser import Synthesiser
from adapters.sqlite.lock import DatabaseInUse
from adapters.sqlite.schema import DatabaseTooNew
from adapters.sqlite.store import open_sqlite_store
from adapters.webhook import WebhookNotifier
from adapters.workers import open_process_workers
from api.compose_mail import MailRoom, open_mail_room
from api.config import Config
from api.config import Trunk as TrunkConfig
from api.config_changes import find_waiting_keys
from api.data_folder import (
    ADMIN_KEY_HASH,
    DATABASE,
    PRIVATE_FILE,
    PRIVATE_FOLDER,
    PROMPTS,
    RECORDINGS,
    TRACES,
)
from api.http.app import make_app
from api.http.auth import KEY_PREFIX, hash_key
from api.http.exchange import HttpSettings
from api.http.feed import FeedHub
from api.http.forwarded import Proxies
from api.http.guard import serve_http
from api.http.secure_headers import secure_headers
from api.http.tls import Certificate
from api.metrics import MediaStatistics, Metrics, StoreStatistics
from api.store_watch import StoreWatch
from api.supervisor import keep_running
from engine.dial.conversation import FlowParts
from engine.dial.day_caps import DayCapDefaults
from engine.dial.route import RouteSettings
from engine.dial.trunk import TrunkSettings
from engine.drop.keeper import DropKeeper
from engine.drop.visit import VisitServices
from engine.events import StoredEvent
from engine.forgetting import Forgetting
from engine.ids import IdSource
from engine.notify.courier import AT_ONCE_MAX as HOOKS_AT_ONCE_MAX
from engine.notify.courier import Courier
from engine.ports.clock import Randomness, WallClock
from engine.ports.holder import Holder
from engine.ports.prompts import PromptRefused
from engine.ports.store import Store
from engine.ports.stored import StoreUnavailable
from engine.ports.workers import Workers
from engine.post.holder import HolderByMail
from engine.running.settings import EngineSettings
from engine.running.statistics import EngineStatistics
from engine.runtime import Engine

TELL_WAITING_S: Final = 10.0
"""How often at the most the feed tells what the contacts of a list wait for."""
BEEP: Final = "tone:1000/400ms"
"""What tells a callee to speak."""
TALKERS: Final = 2
"""Processes that speak texts."""


class Started(Struct, frozen=True):
    """Where an installation can be reached."""

    http_url: str
    sip_address: str
    admin_key: str | None
    """The administrator key that this start made; it is told only this once."""
    reload: Callable[[Config], Awaitable[list[str]]]
    """Goes by another configuration as far as that can be done while calls are up; the keys that were changed
    and wait for a restart. Raises `CannotStart` with nothing changed."""


class CannotStart(Exception):
    """The installation cannot run as it is configured; the text says why, in a sentence."""


class SystemClock:
    """The machine's time of day."""

    def now(self) -> float:
        """Seconds since the Unix epoch, UTC."""
        return time.time()  # noqa: TID251 - this is where the engine's clock comes from


async def run_engine(
    config: Config, *, task_status: trio.TaskStatus[Started] = trio.TASK_STATUS_IGNORED
) -> None:
    """Run an installation until cancelled, and then take it apart in good order.

    Raises `CannotStart`, and `OSError` where an address cannot be used.
    """
    async with trio.open_nursery() as nursery:
        stopping = trio.Event()
        started = await nursery.start(_run_installation, config, stopping)
        task_status.started(started)
        try:
            await trio.sleep_forever()
        finally:
            stopping.set()


async def _run_installation(
    config: Config, stopping: trio.Event, *, task_status: trio.TaskStatus[Started]
) -> None:
    """The whole life of an installation. It is out of reach of cancellation: `stopping` ends it, so that
    nothing that a call needs goes before the call does."""
    hub = FeedHub()
    with trio.CancelScope(shield=True):
        async with _open_parts(config, hub) as parts, trio.open_nursery() as couriers:
            await couriers.start(keep_running, "webhooks", parts.courier.run)
            await couriers.start(keep_running, "forgetting", parts.forgetting.run)
            await _serve(config, parts, hub, stopping, task_status)
            # What has not been sent by then is sent after the next start.
            couriers.cancel_scope.cancel()


async def _serve(
    config: Config,
    parts: _Parts,
    hub: FeedHub,
    stopping: trio.Event,
    task_status: trio.TaskStatus[Started],
) -> None:
    """Dial, and answer over HTTP, until `stopping`; then let calls end."""
    engine = parts.engine
    async with trio.open_nursery() as nursery:
        await engine.administration.ensure_default_account()
        dialing = await nursery.start(_host, engine.run)
        lag = await nursery.start(_host, parts.metrics.watch_loop)
        looking = await nursery.start(_host, parts.watch.run)
        picking_up = await nursery.start(_host, partial(keep_running, "pick-ups", parts.doors.run))
        mailing = [
            await nursery.start(_host_mail, partial(keep_running, *service))
            for service in parts.mails.services
        ]
        made_key, admin_sha256 = _find_admin_key(config)
        host, port = _choose_http_address(config)
        certificate = _read_certificate(config)
        watching = trio.CancelScope()
        if certificate is not None:
            watching = await nursery.start(_host, certificate.run)
        scheme = "http" if certificate is None else "https"
        url = config.http.public_url or f"{scheme}://{_in_url(host)}:{port}"
        settings = HttpSettings(
            url,
            admin_sha256,
            requests_per_s=config.http.requests_per_s,
            proxies=Proxies(config.http.trusted_proxies, config.http.forwarded_by),
            find_address=parts.mails.find_address,
            mailbox=parts.mails.fetcher,
        )
        app = make_app(
            engine,
            settings,
            hub,
            parts.prompts,
            parts.traces,
            parts.recordings,
            parts.courier.wake,
            parts.metrics.show,
            parts.doors,
            parts.watch.problems,
            parts.mails.activations,
        )
        serve = partial(
            serve_http,
            app,
            host,
            port,
            shutdown=stopping,
            closing=hub.close,
            certificate=certificate,
            secure_headers=secure_headers(is_secure=url.startswith("https:")),
            shortcut=app.shortcut,
        )
        await nursery.start(keep_running, "http", serve)
        sip_host, sip_port = parts.agent.address
        reload = partial(_reload, parts, certificate, config)
        task_status.started(Started(url, f"{_in_url(sip_host)}:{sip_port}", made_key, reload))
        await stopping.wait()
        watching.cancel()
        picking_up.cancel()
        for scope in mailing:
            scope.cancel()
        lag.cancel()
        looking.cancel()
        dialing.cancel()


async def _reload(
    parts: _Parts, certificate: Certificate | None, before: Config, config: Config
) -> list[str]:
    """As `Started` has it. `before` is what was started with, of which all holds that waits."""
    if not set(_codecs(config)) <= set(_codecs(before)):
        raise CannotStart("A trunk speaks a codec that none spoke at the start: restart for that.")
    trunks = tuple(_sip_trunk(trunk) for trunk in config.trunks)
    try:
        await parts.engine.reload(_engine_settings(config), partial(parts.agent.set_trunks, trunks))
    except (CannotSign, UnsafeHeader, ValueError, StoreUnavailable) as error:
        raise CannotStart(str(error)) from error
    if certificate is not None:
        await certificate.reload()
    return find_waiting_keys(before, config)


async def _host(
    service: Callable[..., Awaitable[None]], *, task_status: trio.TaskStatus[trio.CancelScope]
) -> None:
    """Run a service in a scope of its own, which is reported when it is up."""
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            await nursery.start(service)
            task_status.started(scope)


async def _host_mail(
    service: Callable[..., Awaitable[None]], *, task_status: trio.TaskStatus[trio.CancelScope]
) -> None:
    """As `_host`. Raises `CannotStart` where no mail can be taken."""
    has_failed = False
    try:
        await _host(service, task_status=task_status)
    except* ReceiverFailed:
        has_failed = True
    if has_failed:
        raise CannotStart("No mail can be taken as [mail] says; the line above has the reason.")


class _Listeners:
    """Those who hear of what the store commits."""

    def __init__(self, hub: FeedHub) -> None:
        self.all: list[Callable[[Sequence[StoredEvent]], None]] = [hub.publish]
        """Some are made over the store, and so after it."""

    def publish(self, events: Sequence[StoredEvent]) -> None:
        """Pass on what one commit brought."""
        for hear in self.all:
            hear(events)


class _Sources(Struct, frozen=True):
    """Implements `api.metrics.Sources`."""

    engine: Callable[[], EngineStatistics]
    store: Callable[[], StoreStatistics]
    media: Callable[[], MediaStatistics]
    feed_readers: Callable[[], int]
    hooks: Callable[[], int]
    doors_failing: Callable[[], int]
    workers_waiting: Callable[[], int]
    tasks: Callable[[], int]


class _Parts(Struct, frozen=True):
    engine: Engine
    courier: Courier
    forgetting: Forgetting
    doors: DropKeeper
    mails: MailRoom
    metrics: Metrics
    prompts: _PromptsInWorkers
    traces: TraceArchive
    recordings: RecordingArchive
    agent: UserAgent
    watch: StoreWatch


@asynccontextmanager
async def _open_parts(config: Config, hub: FeedHub) -> AsyncIterator[_Parts]:
    """The engine over its adapters, which live as long as the block. Raises `CannotStart`."""
    data = _make_data_dir(config)
    clock, chance = SystemClock(), secrets.SystemRandom()
    listeners = _Listeners(hub)
    async with AsyncExitStack() as stack:
        try:
            store = await stack.enter_async_context(
                open_sqlite_store(data / DATABASE, listeners.publish, clock)
            )
            plane = await stack.enter_async_context(
                open_media_plane(
                    config.media.advertise,
                    prompts_folder=data / PROMPTS,
                    recordings_folder=data / RECORDINGS,
                    ports=(config.media.ports.first, config.media.ports.last),
                    settings=PlaneSettings(
                        config.media.planes or planes_of_this_machine(),
                        speaks_opus="opus" in _codecs(config),
                    ),
                )
            )
        except (DatabaseInUse, DatabaseTooNew, PlaneUnavailable) as error:
            raise CannotStart(str(error)) from error
        workers = await stack.enter_async_context(open_process_workers(_worker_count()))
        codecs = _codecs(config)
        library = PromptLibrary(data / PROMPTS, codecs=codecs)
        if not await trio.to_thread.run_sync(library.is_complete):
            await workers.run(complete_prompts, data / PROMPTS, codecs)
        sip = config.sip
        traces = await stack.enter_async_context(
            open_trace_archive(data / TRACES, sip.trace_keep_s, sip.trace_bytes_max, clock)
        )
        try:
            agent = await stack.enter_async_context(
                open_user_agent(
                    _sip_settings(config),
                    plane,
                    chance,
                    clock=clock,
                    traces=traces,
                    make_secret=secrets.token_bytes,
                )
            )
        except (CannotSign, UnsafeHeader) as error:
            raise CannotStart(str(error)) from error
        parts = await _open_flow_parts(config, stack)
        engine = Engine(
            _engine_settings(config),
            store=store,
            telephony=agent,
            clock=clock,
            randomness=chance,
            workers=workers,
            parts=parts,
        )
        http = GuardedHttp(config.webhooks.allow, at_once_max=HOOKS_AT_ONCE_MAX)
        courier = Courier(store, WebhookNotifier(http), clock, chance)
        nameservers = tuple((server.host, server.port) for server in config.sip.nameservers)
        mails = open_mail_room(
            config.mail,
            data,
            store,
            engine.intake,
            workers,
            clock,
            chance,
            nameservers,
            engine.changes.note_flow,
        )
        if mails.door is not None:
            engine.changes.flow_listeners.append(mails.door.note_flow)
        holder = HolderByMail(store, mails.postman)
        doors = await _open_doors(config, engine, store, holder, clock, chance, stack)
        engine.changes.flow_listeners.append(doors.wake)
        metrics = Metrics(
            _Sources(
                engine.statistics,
                store.statistics,
                plane.statistics,
                lambda: hub.readers,
                lambda: courier.busy_hooks,
                lambda: doors.failing + mails.failing,
                lambda: workers.waiting,
                lambda: trio.lowlevel.current_statistics().tasks_living,
            )
        )
        listeners.all += [courier.note, metrics.note]
        yield _Parts(
            engine,
            courier,
            Forgetting(store, clock, config.retention.events_days),
            doors,
            mails,
            metrics,
            _PromptsInWorkers(data / PROMPTS, codecs, workers),
            traces,
            RecordingArchive(data / RECORDINGS),
            agent,
            StoreWatch(store.statistics, store.prove_writable),
        )


async def _open_doors(
    config: Config,
    engine: Engine,
    store: Store,
    holder: Holder,
    clock: WallClock,
    chance: Randomness,
    stack: AsyncExitStack,
) -> DropKeeper:
    """Who picks lists up from SFTP servers and watched folders, for as long as the stack."""

    async def find_name(account: str) -> str | None:
        found = await store.get_account(account)
        return None if found is None else found.name

    sftp = await stack.enter_async_context(open_sftp_drops(AddressGuard(config.sftp.allow)))
    roots = {one.account: Path(one.path) for one in config.folders}
    services = VisitServices(
        store=store,
        intake=engine.intake,
        clock=clock,
        ids=IdSource(clock, chance),
        drops=AllDrops(sftp, LocalDrops(roots, find_name)),
        holder=holder,
    )
    return DropKeeper(services, chance)


async def _open_flow_parts(config: Config, stack: AsyncExitStack) -> FlowParts:
    """What flows speak and ask with, for as long as the stack."""
    library = PromptLibrary(Path(config.data_dir) / PROMPTS, codecs=_codecs(config))
    beep = await trio.to_thread.run_sync(_prepare_prompts, library)
    # Of their own: a text can end its worker, and must not wait behind the parsing of files.
    talkers = await stack.enter_async_context(open_process_workers(TALKERS))
    synthesisers: list[Synthesiser] = [find_espeak()]
    if config.speech.piper:
        synthesisers.insert(0, PiperSynthesiser(config.speech.piper))
    settings = SpeechSettings(
        default_voice=config.speech.voice,
        bytes_max=config.speech.bytes_max,
        at_once_max=TALKERS,
    )
    speech = await stack.enter_async_context(open_speech(synthesisers, talkers, library, settings))
    return FlowParts(
        speech=speech,
        requests=JsonRequests(GuardedHttp(config.webhooks.allow)),
        beep=beep,
    )


def _prepare_prompts(library: PromptLibrary) -> str:
    """Clear away what a crash left of prompts, and see that there is a beep; its id."""
    library.tidy()
    return library.add_signal(BEEP).prompt_id


def _make_data_dir(config: Config) -> Path:
    """The folder that everything is kept in, private where it is made here."""
    data = Path(config.data_dir)
    data.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    (data / RECORDINGS).mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    for suffix in ("", "-wal", "-shm"):
        # Earlier releases left them open to others. Whoever does not own them cannot change that.
        with suppress(FileNotFoundError, PermissionError):
            (data / f"{TRACES}{suffix}").chmod(PRIVATE_FILE)
    return data


def _engine_settings(config: Config) -> EngineSettings:
    return EngineSettings(
        channels=config.limits.channels,
        cps=config.limits.cps,
        destinations=config.limits.destinations,
        tell_waiting_s=TELL_WAITING_S,
        trunks=tuple(
            TrunkSettings(
                trunk.name,
                trunk.channels,
                trunk.cps,
                trunk.outcomes,
                trunk.caps,
            )
            for trunk in config.trunks
        ),
        routes=tuple(RouteSettings(route.name, route.trunks) for route in config.routes),
        caps=config.limits.caps,
        did_rests=config.dids,
        day_caps=DayCapDefaults(
            config.limits.account_calls_per_day, config.limits.country_calls_per_day
        ),
        drain_s=config.drain_s,
    )


def _sip_settings(config: Config) -> UserAgentSettings:
    tls_bind = config.sip.tls_bind
    return UserAgentSettings(
        trunks=tuple(_sip_trunk(trunk) for trunk in config.trunks),
        bind=(config.sip.bind.host, config.sip.bind.port),
        advertise=config.sip.advertise,
        tls=TlsSettings(
            bind=None if tls_bind is None else (tls_bind.host, tls_bind.port),
            certificate=config.sip.tls_cert,
            key=config.sip.tls_key,
            authorities=config.sip.tls_ca,
        ),
        nameservers=tuple((server.host, server.port) for server in config.sip.nameservers),
    )


def _sip_trunk(trunk: TrunkConfig) -> Trunk:
    stir = None
    if trunk.stir_key and trunk.stir_certificate_url and trunk.stir_attestation:
        stir = Stir(trunk.stir_key, trunk.stir_certificate_url, trunk.stir_attestation)
    return Trunk(
        name=trunk.name,
        host=trunk.uri.host,
        port=trunk.uri.port,
        transport=trunk.uri.transport,
        credentials=_credentials(trunk.username, trunk.password),
        realm=None if trunk.realm is None else trunk.realm.encode(),
        domain=trunk.from_domain,
        large_over_tcp=trunk.large_over_tcp,
        tls_check=trunk.tls_check,
        registers=trunk.register,
        register_expires_s=trunk.register_expires_s,
        probe_s=trunk.probe_s,
        session_expires_s=trunk.session_expires_s,
        follows_redirects=trunk.follow_redirects,
        identity=TrunkIdentity(
            display_name=trunk.display_name,
            asserted=trunk.asserted_identity,
            asserted_form=trunk.asserted_form,
            diversion=trunk.diversion,
            headers=trunk.headers,
        ),
        stir=stir,
        codecs=trunk.codecs,
        srtp=trunk.srtp,
    )


def _credentials(username: str | None, password: str | None) -> Credentials | None:
    if username is None or password is None:
        return None
    return Credentials(username.encode(), password.encode())


def _worker_count() -> int:
    """Processes for parsing: as many as there are cores beside the engine's own and the plane's."""
    return max(1, min(4, (os.cpu_count() or 1) - 1))


class _PromptsInWorkers:
    """Keeps prompts in the media plane's library, decoding them where that holds nobody up."""

    def __init__(self, folder: Path, codecs: tuple[CodecName, ...], workers: Workers) -> None:
        self._folder = folder
        self._codecs = codecs
        self._workers = workers

    async def add(self, prompt_id: str, data: bytes) -> float:
        """See `engine.ports.prompts.PromptKeeper`."""
        try:
            return await self._workers.run(add_prompt, self._folder, self._codecs, prompt_id, data)
        except PromptError as error:
            raise PromptRefused(error.code, error.detail) from None


def _codecs(config: Config) -> tuple[CodecName, ...]:
    """What the trunks speak."""
    return tuple(sorted({codec for trunk in config.trunks for codec in trunk.codecs}))


def _read_certificate(config: Config) -> Certificate | None:
    """The HTTP server's own; None where it speaks without TLS. Raises `CannotStart`."""
    cert, key = config.http.tls_cert, config.http.tls_key
    if cert is None or key is None:
        return None
    try:
        return Certificate(partial(server_context, cert, key), (cert, key))
    except BadTlsFile as bad:
        raise CannotStart(bad.detail) from bad


def _find_admin_key(config: Config) -> tuple[str | None, bytes]:
    """(the administrator key if it was made now, its SHA-256). The key itself is kept nowhere: whoever
    lost it removes the file, and the next start makes another."""
    if config.admin_key is not None:
        return None, hash_key(config.admin_key)
    file = Path(config.data_dir) / ADMIN_KEY_HASH
    try:
        return None, bytes.fromhex(file.read_text(encoding="ascii"))
    except FileNotFoundError:
        made = KEY_PREFIX + secrets.token_urlsafe(32)
        sha256 = hash_key(made)
        file.touch(mode=PRIVATE_FILE)
        file.write_text(sha256.hex(), encoding="ascii")
        return made, sha256
    except ValueError:
        raise CannotStart(
            f"{file} does not hold the hash of a key; remove it, and the next start makes a new key."
        ) from None


def _choose_http_address(config: Config) -> tuple[str, int]:
    """Where the front listens. Its own address stands in what it answers, so a free port is chosen here,
    before it listens."""
    bind = config.http.bind
    if bind.port:
        return bind.host, bind.port
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((bind.host, 0))
        return bind.host, int(probe.getsockname()[1])


def _in_url(host: str) -> str:
    """An IP address as it stands in a URL."""
    return f"[{host}]" if ":" in host else host
