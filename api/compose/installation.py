"""The life of an installation: it is put together, serves, and is taken apart."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import structlog
import trio

from adapters.mail.receiver import ReceiverFailed
from adapters.sip.identity.headers import UnsafeHeader
from adapters.sip.identity.passport import CannotSign
from api.compose.front import (
    choose_http_address,
    find_admin_key,
    in_url,
    make_application,
    read_certificate,
)
from api.compose.parts import Parts, open_parts
from api.compose.settings import codecs_of, engine_settings, sip_trunk
from api.compose.started import CannotStart, Started
from api.config import Config
from api.config.changes import Marks, find_waiting_keys
from api.config.files import read_marks
from api.http.feed import FeedHub
from api.http.guard import serve_http
from api.http.secure_headers import secure_headers
from api.http.tls import Certificate
from api.supervisor import keep_running
from engine.ports.stored import StoreUnavailable

log = structlog.get_logger(__name__)


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
        async with open_parts(config, hub) as parts, trio.open_nursery() as couriers:
            await couriers.start(keep_running, "webhooks", parts.courier.run)
            await couriers.start(keep_running, "forgetting", parts.forgetting.run)
            await _serve(config, parts, hub, stopping, task_status)
            # What has not been sent by then is sent after the next start.
            couriers.cancel_scope.cancel()


async def _serve(
    config: Config,
    parts: Parts,
    hub: FeedHub,
    stopping: trio.Event,
    task_status: trio.TaskStatus[Started],
) -> None:
    """Dial, and answer over HTTP, until `stopping`; then let calls end."""
    async with trio.open_nursery() as nursery:
        await parts.engine.administration.ensure_default_account()
        dialing = await nursery.start(_host, parts.engine.run)
        services = [
            await nursery.start(_host, parts.metrics.watch_loop),
            await nursery.start(_host, parts.watch.run),
            await nursery.start(_host, partial(keep_running, "pick-ups", parts.doors.run)),
            *[
                await nursery.start(_host_mail, partial(keep_running, *service))
                for service in parts.mails.services
            ],
        ]
        certificate = read_certificate(config)
        if certificate is not None:
            services.append(await nursery.start(_host, certificate.run))
        made_key, admin_sha256 = find_admin_key(config)
        host, port = choose_http_address(config)
        scheme = "http" if certificate is None else "https"
        url = config.http.public_url or f"{scheme}://{in_url(host)}:{port}"
        app = make_application(config, parts, hub, url, admin_sha256)
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
        marks = await trio.to_thread.run_sync(read_marks, config)
        parts.may_register.set()
        reload = partial(_reload, parts, certificate, config, marks)
        task_status.started(Started(url, f"{in_url(sip_host)}:{sip_port}", made_key, reload))
        await stopping.wait()
        for scope in (*services, dialing):
            scope.cancel()


async def _reload(
    parts: Parts, certificate: Certificate | None, before: Config, marks: Marks, config: Config
) -> list[str]:
    """As `Started` has it. `before` is what was started with, of which all holds that waits, and `marks` are
    those of its files."""
    if not set(codecs_of(config)) <= set(codecs_of(before)):
        raise CannotStart("A trunk speaks a codec that none spoke at the start: restart for that.")
    trunks = tuple(sip_trunk(trunk) for trunk in config.trunks)
    try:
        await parts.engine.reload(engine_settings(config), partial(parts.agent.set_trunks, trunks))
    except (CannotSign, UnsafeHeader, ValueError, StoreUnavailable) as error:
        raise CannotStart(str(error)) from error
    if certificate is not None:
        await certificate.reload()
    marks_now = await trio.to_thread.run_sync(read_marks, config)
    waiting = find_waiting_keys(before, config, marks, marks_now)
    try:
        await parts.engine.administration.tell_configuration(waiting)
    except StoreUnavailable as error:
        log.error("cannot tell that another configuration was taken", error=str(error))
    return waiting


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
