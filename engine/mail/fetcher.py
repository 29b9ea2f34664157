"""Looks after the mailbox: has new mails fetched, tries again where that goes wrong, and says how it stands.

All flows that hear senders have this one mailbox, so each of them tells how it stands as it tells of its SFTP
server: by events of its account, and in what the store keeps of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
import trio
from msgspec import Struct

from engine.model import Flow
from engine.model.pickup import OK, DropState, state_changed
from engine.ports.clock import Randomness, WallClock
from engine.ports.mailboxes import Mailbox, MailboxFailed, MailboxSession
from engine.ports.store import Store
from engine.ports.stored import StoreUnavailable

PAGE: Final = 500
"""Flows that are told at once."""
RETRY_S_MAX: Final = 600.0
"""Between two sessions that go wrong, where the mailbox is not looked into more seldom anyhow."""
RETRY_DOUBLINGS_MAX: Final = 10
LOOKS_APART_S: Final = 1.0
"""From a look that brings nothing to the next one at least, whatever the server says of news."""
SPREAD: Final = 0.1
"""Of a pause, by chance on top of it."""
STEADY_S: Final = 60.0
"""A session that lasted as long and ends is opened again at once: servers end them now and then."""

log = structlog.get_logger(__name__)


class MailboxStatus(Struct, frozen=True):
    """How the mailbox stands."""

    code: str | None
    """`ok`, or what is wrong; None before the first look."""
    detail: str
    said: str
    """The server's own words; they are the operator's to read."""
    since: float | None
    looked_at: float | None
    """When the last look ended; None before the first."""
    next_at: float | None
    """When the next session is due; None during one."""
    failures: int
    """Sessions in a row that went wrong."""
    passed_over: int
    """Mails since the start that nobody could deal with; they are in the mailbox still."""


class MailFetcher:
    """Fetches while `run` runs."""

    def __init__(
        self,
        mailbox: Mailbox,
        store: Store,
        clock: WallClock,
        randomness: Randomness,
        every_s: float,
        on_mail: Callable[[], None],
    ) -> None:
        """
        Args:
            every_s: how long it waits at most between two looks.
            on_mail: called when something is in the spool; must not block.
        """
        self._mailbox = mailbox
        self._store = store
        self._clock = clock
        self._randomness = randomness
        self._every_s = every_s
        self._on_mail = on_mail
        self._code: str | None = None
        self._detail = ""
        self._said = ""
        self._since: float | None = None
        self._looked_at: float | None = None
        self._next_at: float | None = None
        self._failures = 0
        self._passed_over = 0
        self._is_told = False
        """Whether all flows tell how it stands."""

    @property
    def status(self) -> MailboxStatus:
        """How the mailbox stands now."""
        return MailboxStatus(
            code=self._code,
            detail=self._detail,
            said=self._said,
            since=self._since,
            looked_at=self._looked_at,
            next_at=self._next_at,
            failures=self._failures,
            passed_over=self._passed_over,
        )

    @property
    def failing(self) -> int:
        """Mailboxes whose last session went wrong."""
        return int(self._failures > 0)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Fetch until cancelled."""
        task_status.started()
        while True:
            begun = trio.current_time()
            failed = await self._live_once()
            if self._failures == 0 and trio.current_time() - begun >= STEADY_S:
                log.info("a session with the mailbox ended", reason=failed.detail, said=failed.said)
                continue
            self._failures += 1
            await self._stand(failed.code, failed.detail, failed.said)
            pause_s = pause_after(self._every_s, self._failures, self._randomness.random())
            self._next_at = self._clock.now() + pause_s
            await trio.sleep(pause_s)
            self._next_at = None

    async def _live_once(self) -> MailboxFailed:
        """One session, until it goes wrong; how."""
        try:
            async with self._mailbox.open() as session:
                while True:
                    await self._look(session)
        except MailboxFailed as failed:
            return failed
        except Exception as error:
            # Whatever a server makes of us: it is tried again, and nothing else suffers.
            log.exception("a session with the mailbox broke")
            return MailboxFailed(
                "unavailable", f"The session broke ({type(error).__name__}); the log has more."
            )

    async def _look(self, session: MailboxSession) -> None:
        begun = trio.current_time()
        fetched = await session.fetch()
        self._looked_at = self._clock.now()
        if fetched.kept:
            self._on_mail()
        if fetched.passed_over:
            self._passed_over += fetched.passed_over
            log.error(
                "mails stay in the mailbox that nobody can deal with", mails=fetched.passed_over
            )
        self._failures = 0
        await self._stand(OK, "")
        if not fetched.has_more:
            await session.wait(self._every_s)
        if not fetched.kept:
            await trio.sleep_until(begun + LOOKS_APART_S)

    async def _stand(self, code: str, detail: str, said: str = "") -> None:
        """Note how it stands, and have all flows tell that."""
        if (code, detail) != (self._code, self._detail):
            self._is_told = False
        if code != self._code:
            self._since = self._clock.now()
        if (code, said) != (self._code, self._said):
            log.info("the mailbox changed", code=code, detail=detail, said=said)
        self._code, self._detail, self._said = code, detail, said
        if self._is_told:
            return
        try:
            await self._tell_all(code, detail)
            self._is_told = True
        except StoreUnavailable as error:
            # It is tried again with the next look.
            log.error("cannot keep how the mailbox stands", error=str(error))

    async def _tell_all(self, code: str, detail: str) -> None:
        cursor: str | None = None
        while True:
            page = await self._store.list_all_flows(PAGE, cursor)
            for flow in page.items:
                if flow.settings.email_senders:
                    await self._tell(flow, code, detail)
            cursor = page.next
            if cursor is None:
                return

    async def _tell(self, flow: Flow, code: str, detail: str) -> None:
        before = await self._store.drop_state(flow.account, flow.id, "mailbox")
        if before is not None and (before.code, before.detail) == (code, detail):
            return
        is_new = code != (OK if before is None else before.code)
        assert self._since is not None  # something was noted
        since = self._since if is_new or before is None else before.since
        state = DropState(code, detail, since)
        event = state_changed(flow, "mailbox", state) if is_new else None
        try:
            await self._store.keep_drop_state(flow.account, flow.id, "mailbox", state, event)
        except LookupError:
            log.info("a flow went before it could tell of the mailbox", flow=flow.id)


def pause_after(every_s: float, failures: int, chance: float) -> float:
    """Seconds until the next session, after so many in a row that went wrong; `chance` is 0 to 1."""
    doubled = every_s * 2.0 ** min(failures - 1, RETRY_DOUBLINGS_MAX)
    return min(doubled, max(every_s, RETRY_S_MAX)) * (1 + SPREAD * chance)
