"""The process that looks into a mailbox: apart from the engine, as IMAP is spoken with a client that blocks.

Settings come as JSON on the first line of standard input (`MailboxSettings`), then an order a line
(`Order`). To each there is an `Outcome` a line on standard output, the first of whether somebody is logged
in. It ends with its standard input.
"""

from __future__ import annotations

import logging
import os
import resource
import sys
import threading
from contextlib import ExitStack
from queue import SimpleQueue
from typing import Final

import msgspec

from adapters.mail.mailbox_session import MailboxSession, open_mailbox
from adapters.mail.mailbox_wire import MailboxSettings, Order, Outcome
from engine.ports.mailboxes import MailboxFailed

MEMORY_BYTES_MAX: Final = 1024**3
"""Of addresses. A server that sends without end ends this process, which is started again, and not more."""


def main() -> None:
    """Run as a child of the engine."""
    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    settings = msgspec.json.decode(sys.stdin.buffer.readline(), type=MailboxSettings)
    orders = SimpleQueue[Order]()
    threading.Thread(target=_hear, args=(orders,), daemon=True).start()
    try:
        with ExitStack() as stack:
            session = stack.enter_context(open_mailbox(settings))
            _say(Outcome())
            while True:
                _say(_carry_out(session, orders.get()))
    except MailboxFailed as failed:
        _say(Outcome(code=failed.code, detail=failed.detail, said=failed.said))
    except (Exception, MemoryError) as error:
        detail = f"What the server sent cannot be dealt with ({type(error).__name__})."
        _say(Outcome(code="failed", detail=detail))


def _carry_out(session: MailboxSession, order: Order) -> Outcome:
    if order.wait_s is None:
        return Outcome(session.fetch())
    session.wait(order.wait_s)
    return Outcome()


def _hear(orders: SimpleQueue[Order]) -> None:
    """Whoever waits for the server would not notice that the engine is gone."""
    for line in sys.stdin.buffer:
        orders.put(msgspec.json.decode(line, type=Order))
    os._exit(0)


def _say(outcome: Outcome) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
