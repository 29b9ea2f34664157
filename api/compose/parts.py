"""The engine over its adapters."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import trio
from msgspec import Struct

from adapters.media.client import (
    PlaneSettings,
    RtpMediaPlane,
    open_media_plane,
    planes_of_this_machine,
)
from adapters.media.recording.archive import RecordingArchive
from adapters.media.types import PlaneUnavailable
from adapters.outgoing_http import GuardedHttp
from adapters.sip.identity.headers import UnsafeHeader
from adapters.sip.identity.passport import CannotSign
from adapters.sip.trace.archive import TraceArchive, open_trace_archive
from adapters.sip.user_agent import UserAgent, open_user_agent
from adapters.sqlite.lock import DatabaseInUse
from adapters.sqlite.schema import DatabaseTooNew
from adapters.sqlite.store import open_sqlite_store
from adapters.webhook import WebhookNotifier
from adapters.workers import open_process_workers
from api.compose.clock import SystemClock
from api.compose.doors import open_doors
from api.compose.flows import PromptsInWorkers, open_flow_parts
from api.compose.mail import MailRoom, open_mail_room
from api.compose.settings import codecs_of, engine_settings, sip_settings
from api.compose.started import CannotStart
from api.config import Config
from api.data_folder import (
    DATABASE,
    PRIVATE_FILE,
    PRIVATE_FOLDER,
    PROMPTS,
    RECORDINGS,
    TRACES,
)
from api.http.feed import FeedHub
from api.metrics import MediaStatistics, Metrics, StoreStatistics
from api.store_watch import StoreWatch
from engine.control.forgetting import Forgetting
from engine.drop.keeper import DropKeeper
from engine.model.events import StoredEvent
from engine.notify.courier import AT_ONCE_MAX as HOOKS_AT_ONCE_MAX
from engine.notify.courier import Courier
from engine.ports.clock import WallClock
from engine.post.holder import HolderByMail
from engine.running.statistics import EngineStatistics
from engine.runtime import Engine


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


class Parts(Struct, frozen=True):
    engine: Engine
    courier: Courier
    forgetting: Forgetting
    doors: DropKeeper
    mails: MailRoom
    metrics: Metrics
    prompts: PromptsInWorkers
    traces: TraceArchive
    recordings: RecordingArchive
    agent: UserAgent
    may_register: trio.Event
    """Set once calls can be carried: trunks that are registered with may send some."""
    watch: StoreWatch


@asynccontextmanager
async def open_parts(config: Config, hub: FeedHub) -> AsyncIterator[Parts]:
    """The engine over its adapters, which live as long as the block. Raises `CannotStart`."""
    data = _make_data_dir(config)
    clock, chance = SystemClock(), secrets.SystemRandom()
    listeners = _Listeners(hub)
    async with AsyncExitStack() as stack:
        try:
            store = await stack.enter_async_context(
                open_sqlite_store(data / DATABASE, listeners.publish, clock)
            )
        except (DatabaseInUse, DatabaseTooNew) as error:
            raise CannotStart(str(error)) from error
        # Its processes start while the rest is put together.
        plane = await stack.enter_async_context(_media_plane(config, data))
        workers = await stack.enter_async_context(open_process_workers(_worker_count()))
        prompts = PromptsInWorkers(data / PROMPTS, codecs_of(config), workers)
        await prompts.complete()
        traces = await stack.enter_async_context(
            open_trace_archive(
                data / TRACES, config.sip.trace_keep_s, config.sip.trace_bytes_max, clock
            )
        )
        may_register = trio.Event()
        agent = await _open_agent(config, plane, chance, clock, traces, may_register, stack)
        engine = Engine(
            engine_settings(config),
            store=store,
            telephony=agent,
            clock=clock,
            randomness=chance,
            workers=workers,
            parts=await open_flow_parts(config, stack),
        )
        http = GuardedHttp(config.webhooks.allow, at_once_max=HOOKS_AT_ONCE_MAX)
        courier = Courier(store, WebhookNotifier(http), clock, chance)
        mails = open_mail_room(config, data, store, engine, workers, clock, chance)
        holder = HolderByMail(store, mails.postman)
        doors = await open_doors(config, engine, store, holder, clock, chance, stack)
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
        try:
            await plane.wait_started()
        except PlaneUnavailable as error:
            raise CannotStart(str(error)) from error
        yield Parts(
            engine,
            courier,
            Forgetting(store, clock, config.retention.events_days),
            doors,
            mails,
            metrics,
            prompts,
            traces,
            RecordingArchive(data / RECORDINGS),
            agent,
            may_register,
            StoreWatch(store.statistics, store.prove_writable),
        )


def _media_plane(config: Config, data: Path) -> AbstractAsyncContextManager[RtpMediaPlane]:
    """What carries sound; it is started, and not waited for."""
    media = config.media
    return open_media_plane(
        media.advertise,
        prompts_folder=data / PROMPTS,
        recordings_folder=data / RECORDINGS,
        ports=(media.ports.first, media.ports.last),
        settings=PlaneSettings(
            media.planes or planes_of_this_machine(), speaks_opus="opus" in codecs_of(config)
        ),
        waits=False,
    )


async def _open_agent(
    config: Config,
    plane: RtpMediaPlane,
    chance: secrets.SystemRandom,
    clock: WallClock,
    traces: TraceArchive,
    may_register: trio.Event,
    stack: AsyncExitStack,
) -> UserAgent:
    """Who makes calls, for as long as the stack. Raises `CannotStart`."""
    try:
        return await stack.enter_async_context(
            open_user_agent(
                sip_settings(config),
                plane,
                chance,
                clock=clock,
                traces=traces,
                make_secret=secrets.token_bytes,
                may_register=may_register,
            )
        )
    except (CannotSign, UnsafeHeader) as error:
        raise CannotStart(str(error)) from error


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


def _worker_count() -> int:
    """Processes for parsing: as many as there are cores beside the engine's own and the plane's."""
    return max(1, min(4, (os.cpu_count() or 1) - 1))
