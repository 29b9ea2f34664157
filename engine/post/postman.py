"""The postman: keeps letters and hands them to a mail server, again and again until it takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog
import trio
from msgspec import structs

from engine.ids import IdSource
from engine.model.letter import Attachment, Letter, letter_given_up, next_try_at
from engine.ports.clock import Randomness, WallClock
from engine.ports.letters import NotSent, Smarthost
from engine.ports.store import Store
from engine.ports.stored import StoreUnavailable

AT_ONCE_MAX: Final = 4
"""Letters that are handed over at once; each is in memory with what is attached."""
LOOK_EVERY_S: Final = 60.0
"""How long it waits at most before it looks again, as the clock may have been set."""
STORE_RETRY_S: Final = 1.0
CLEAR_EVERY_S: Final = 3_600.0
CLEAR_CHUNK: Final = 1_000
KEPT_S: Final = 30 * 86_400.0
"""How long a letter that is done can be looked up."""
SUBJECT_LENGTH_MAX: Final = 200

log = structlog.get_logger(__name__)


class Postman:
    """Keeps letters, and sends them while `run` runs."""

    def __init__(
        self,
        store: Store,
        smarthost: Smarthost | None,
        clock: WallClock,
        ids: IdSource,
        randomness: Randomness,
    ) -> None:
        """Without a smarthost letters are not even written: nobody would ever get them."""
        self._store = store
        self._smarthost = smarthost
        self._clock = clock
        self._ids = ids
        self._randomness = randomness
        self._woken = trio.Event()

    async def post(
        self,
        account: str,
        key: str,
        to: str,
        subject: str,
        text: str,
        *,
        attachments: Sequence[Attachment] = (),
        in_reply_to: str | None = None,
    ) -> None:
        """Write a letter down, which is not lost once this returns, and comes once for its key. Raises
        `StoreUnavailable`."""
        letter = self.write(
            account, key, to, subject, text, attachments=attachments, in_reply_to=in_reply_to
        )
        if letter is not None and await self._store.keep_letter(letter):
            self.wake()

    def write(
        self,
        account: str,
        key: str,
        to: str,
        subject: str,
        text: str,
        *,
        attachments: Sequence[Attachment] = (),
        in_reply_to: str | None = None,
    ) -> Letter | None:
        """A letter for whoever keeps it in a transaction of its own, and then calls `wake`; None where no
        letters are sent."""
        if self._smarthost is None:
            return None
        now = self._clock.now()
        return Letter(
            id=self._ids.new("ltr"),
            key=key,
            account=account,
            to=to,
            subject=one_line(subject),
            text=text,
            created_at=now,
            due_at=now,
            in_reply_to=in_reply_to,
            attachments=tuple(attachments),
        )

    def wake(self) -> None:
        """There may be a new letter. Never blocks and never raises."""
        self._woken.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send until cancelled. What was being handed over then is handed over again by the next run, with
        the same Message-ID."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._clear)
            task_status.started()
            while True:
                self._woken = trio.Event()
                try:
                    wait_s = await self._send_due()
                except StoreUnavailable as error:
                    log.error("cannot keep letters", error=str(error))
                    wait_s = STORE_RETRY_S
                with trio.move_on_after(wait_s):
                    await self._woken.wait()

    async def _send_due(self) -> float:
        """Send what is due; seconds until there may be more."""
        smarthost = self._smarthost
        if smarthost is None:
            return LOOK_EVERY_S
        due = await self._store.due_letters(self._clock.now(), AT_ONCE_MAX)
        if due:
            async with trio.open_nursery() as nursery:
                for letter in due:
                    nursery.start_soon(self._send, smarthost, letter)
            return 0.0
        next_at = await self._store.next_letter_at()
        if next_at is None:
            return LOOK_EVERY_S
        return min(LOOK_EVERY_S, max(0.0, next_at - self._clock.now()))

    async def _send(self, smarthost: Smarthost, letter: Letter) -> None:
        tried = structs.replace(letter, tries=letter.tries + 1)
        event = None
        try:
            await self._hand_over(smarthost, letter)
        except NotSent as failed:
            now = self._clock.now()
            due_at = (
                None if failed.is_final else next_try_at(letter, now, self._randomness.random())
            )
            tried = structs.replace(tried, due_at=due_at, last=failed.detail)
            if due_at is None:
                tried = structs.replace(tried, state="given_up", done_at=now)
                event = letter_given_up(tried, now)
            log.warning("a letter was not taken", letter=letter.id, reason=failed.detail)
        else:
            tried = structs.replace(tried, state="sent", due_at=None, done_at=self._clock.now())
        while True:
            try:
                await self._store.note_letter(tried, event)
            except StoreUnavailable as error:
                # It must not be sent again because of this.
                log.error("cannot keep what became of a letter", error=str(error))
                await trio.sleep(STORE_RETRY_S)
            else:
                return

    async def _hand_over(self, smarthost: Smarthost, letter: Letter) -> None:
        """Raises `NotSent`, and nothing else: a letter over which the smarthost's client breaks must not keep
        all others waiting, and is given up in its time."""
        try:
            await smarthost.send(letter)
        except NotSent:
            raise
        except Exception as error:
            log.error(
                "the smarthost's client broke over a letter", letter=letter.id, exc_info=error
            )
            raise NotSent(
                f"It could not be handed over ({type(error).__name__}).", False
            ) from error

    async def _clear(self) -> None:
        """Forget what was done long ago, now and then."""
        while True:
            try:
                before = self._clock.now() - KEPT_S
                while await self._store.clear_letters(before, CLEAR_CHUNK) == CLEAR_CHUNK:
                    pass
            except StoreUnavailable as error:
                log.error("cannot forget old letters", error=str(error))
            await trio.sleep(CLEAR_EVERY_S)


def one_line(text: str) -> str:
    """A text that can stand in a header: printable, on one line, not too long."""
    return "".join(sign if sign.isprintable() else " " for sign in text)[:SUBJECT_LENGTH_MAX]
