"""A process that writes as fast as it can and says on its output what was acknowledged, until it is killed.

python -m tests.adapters.sqlite.writing_child DATABASE
"""

from __future__ import annotations

import os
import sys
from itertools import count
from pathlib import Path

import trio

from adapters.sqlite.store import SqliteStore, open_sqlite_store
from engine.ports.dial_store import Progress
from tests.contract.store_samples import (
    FixedClock,
    a_contact,
    a_new_list,
    about,
    an_answer,
    an_attempt,
    begin,
    completed,
    end,
    furnish,
    waiting_again,
)

WORKERS = 12
CONTACTS = 3


def acknowledge(*words: object) -> None:
    """One line, in one write, so that a kill leaves no half of it."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def work(store: SqliteStore, numbers: count[int]) -> None:
    """Accept lists and dial them; every third call is tried again."""
    for number in numbers:
        name = f"lst_{100_000 + number}"
        await store.accept_list(a_new_list(CONTACTS, name), an_answer(f"key-{number}"))
        acknowledge("list", name)
        for row in range(1, CONTACTS + 1):
            contact = a_contact(row, name)
            attempt = await begin(store, contact, number * 10 + row)
            acknowledge("begun", attempt.id)
            again = waiting_again(contact) if row == CONTACTS else completed(contact)
            await end(store, attempt, again)
            acknowledge("ended", attempt.id)
            ringing = an_attempt(contact, number * 10 + row, status="ringing")
            await store.note_progress([Progress(ringing, [about(ringing, "attempt.ringing")])])


async def main(path: Path) -> None:
    """Until somebody ends it."""
    async with open_sqlite_store(path, lambda events: None, FixedClock()) as store:
        await furnish(store)
        numbers = count()
        async with trio.open_nursery() as nursery:
            for _ in range(WORKERS):
                nursery.start_soon(work, store, numbers)


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]))
