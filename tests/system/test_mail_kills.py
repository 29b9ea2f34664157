"""Nothing lost, nothing twice, one receipt: the process that deals with mails is killed at each step of its
way, and the one that takes them while they come in.
"""

from __future__ import annotations

import signal
import smtplib
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from pathlib import Path
from random import Random

import msgspec
import pytest

from adapters.mail.receiver_settings import ReceiverSettings
from adapters.mail.spool import Envelope, make_spool, write_mail
from adapters.sqlite.store import open_sqlite_store
from bench.free_ports import free_port
from bench.installation import make_csv
from engine.mail.address import address_of
from tests.contract.store_samples import ACME, FixedClock
from tests.sizes import size
from tests.system.lives import open_lives
from tests.system.mail_program import (
    ACTIVATE,
    ASKED_FLOWS,
    ASKING_STEPS,
    DOMAIN,
    HOLDER,
    ID,
    NUMBER,
    SECRET,
    SENDER,
    STEPS,
)
from tests.system.mailbox import Mailbox, open_mailbox

ROUNDS = size(1, 50)
"""Of who deals with mails. In each of them, with a store of its own, it is killed at every step once: a
sender gets no more than so many answers an hour."""
RECEIVER_KILLS = size(3, 50)
ADDRESS = address_of(SECRET, ID, DOMAIN)
PROGRAM = "tests.system.mail_program"


def make_mail(number: int) -> bytes:
    """With two lists, of which one is refused; no two are alike."""
    message = EmailMessage()
    message["From"] = SENDER
    message["To"] = ADDRESS
    message["Subject"] = f"Leads {number}"
    message["Message-ID"] = f"<{number}@example.com>"
    message.set_content("Two lists.")
    leads = make_csv(3, 10 * number) + b"nonsense\n"
    message.add_attachment(leads, maintype="text", subtype="csv", filename=f"{number}.csv")
    message.add_attachment(
        b"\x89PNG\x00\x00%d" % number, maintype="text", subtype="csv", filename=f"{number}-bad.csv"
    )
    return message.as_bytes()


def drop(folder: Path, number: int, sender: str, address: str, mail: bytes) -> None:
    envelope = Envelope("127.0.0.1", sender, (address,), 1_000_000.0 + number)
    write_mail(folder / "spool", envelope, mail)


def subjects(mailbox: Mailbox) -> Counter[str]:
    """Of the letters that came, each counted once however often it was sent."""
    by_id: dict[str, str] = {}
    while not mailbox.letters.empty():
        letter = mailbox.letters.get()
        by_id[str(letter["Message-ID"])] = str(letter["Subject"])
    return Counter(by_id.values())


def die_at_each(folder: Path, steps: Sequence[str], bring: Callable[[int], None]) -> Counter[str]:
    """Bring a mail for each step, kill whoever deals with it there, and bring it again; then let all be dealt
    with. The subjects of the letters that came of it."""
    with (
        open_mailbox(free_port()) as mailbox,
        open_lives(PROGRAM, str(folder), str(mailbox.port)) as live,
    ):
        assert live("") == 0
        for number, step in enumerate(steps):
            bring(number)
            assert live(step) == -signal.SIGKILL, step
            # The server that brought it did not hear that it was kept.
            bring(number)
        assert live("") == 0
        return subjects(mailbox)


@pytest.mark.parametrize("round_", range(ROUNDS))
async def test_each_list_of_a_mail_is_taken_once_and_answered_once(
    tmp_path: Path, round_: int
) -> None:
    steps = list(STEPS)
    Random(round_).shuffle(steps)
    mails = [make_mail(number) for number in range(len(steps))]  # each has an id of its own
    letters = die_at_each(
        tmp_path, steps, lambda number: drop(tmp_path, number, SENDER, ADDRESS, mails[number])
    )
    async with open_sqlite_store(tmp_path / "callwheel.db", lambda _: None, FixedClock()) as store:
        pickups = (await store.list_pickups(ACME, ID, 1_000, None)).items
        lists = [
            one
            for one in (await store.list_lists(ACME, ID, 1_000, None)).items
            if one.source == "email"
        ]
        counts = [await store.count_list(ACME, one.id, 0.0) for one in lists]
    names = [f"{number}.csv" for number in range(len(steps))]
    bad = [f"{number}-bad.csv" for number in range(len(steps))]
    assert all(one.is_done for one in pickups)
    assert sorted(one.file.name for one in pickups) == sorted([*names, *bad])
    assert sorted(one.name for one in lists) == sorted(names)
    assert {count.contacts for count in counts if count is not None} == {3}
    assert letters == Counter(
        [*(f"{name} was taken" for name in names), *(f"{name} was refused" for name in bad)]
    )
    assert list((tmp_path / "spool" / "new").iterdir()) == []


@pytest.mark.parametrize("round_", range(ROUNDS))
async def test_each_mail_that_asks_makes_one_request_and_is_answered_once(
    tmp_path: Path, round_: int
) -> None:
    steps = list(ASKING_STEPS)
    Random(round_).shuffle(steps)
    assert len(ASKED_FLOWS) == len(steps)
    mails = [make_asking(number, flow) for number, flow in enumerate(ASKED_FLOWS)]
    letters = die_at_each(
        tmp_path, steps, lambda number: drop(tmp_path, number, HOLDER, ACTIVATE, mails[number])
    )
    async with open_sqlite_store(tmp_path / "callwheel.db", lambda _: None, FixedClock()) as store:
        requests = (await store.list_activations(ACME, None, 1_000, None)).items
        audit = (await store.list_audit(ACME, 1_000, None)).items
    assert sorted((one.flow, one.status) for one in requests) == [
        (flow, "pending") for flow in ASKED_FLOWS
    ]
    assert sorted(entry.targets[0] for entry in audit) == sorted(one.id for one in requests)
    assert letters == Counter({"Your request for reminder was received": len(steps)})
    assert list((tmp_path / "spool" / "new").iterdir()) == []


def make_asking(number: int, flow: str) -> bytes:
    """A mail of the account's holder; no two are alike."""
    message = EmailMessage()
    message["From"] = HOLDER
    message["To"] = ACTIVATE
    message["Subject"] = f"Request {number}"
    message["Message-ID"] = f"<{number}@example.com>"
    message.set_content(f"Account: {ACME}\nFlow: {flow}\nDIDs: {NUMBER}\n")
    return message.as_bytes()


def test_every_mail_that_was_said_to_be_kept_is_kept(tmp_path: Path) -> None:
    chance = Random(7)
    spool = tmp_path / "spool"
    kept = set[str]()
    number = 0
    for _ in range(RECEIVER_KILLS):
        make_spool(spool)
        with open_receiver(spool) as (process, port):
            killing = threading.Timer(chance.uniform(0.02, 0.5), process.kill)
            killing.start()
            said = send_until_refused(port, number)
            killing.join()
        number += len(said) + 1
        kept |= set(said)
    there = {one.name: one.read_bytes() for one in (spool / "new").iterdir()}
    assert kept <= set(there)
    # What was in hand when it was killed may be there as well: whole, and not kept in the sender's eyes.
    assert len(there) - len(kept) <= RECEIVER_KILLS
    assert all(one.rstrip(b"\r\n").endswith(b"--") for one in there.values())


@contextmanager
def open_receiver(spool: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The process that takes mails, and its port."""
    settings = ReceiverSettings("127.0.0.1", 0, DOMAIN, SECRET, str(spool), peer_mails_max=10_000)
    command = [sys.executable, "-m", "adapters.mail.receiver_process"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode(settings) + b"\n")
        process.stdin.flush()
        yield process, int(process.stdout.readline().split()[1])
        process.kill()


def send_until_refused(port: int, first: int) -> list[str]:
    """Mails one after the other until the process is gone; the ids that it said."""
    said: list[str] = []
    with suppress(OSError, smtplib.SMTPException), smtplib.SMTP("127.0.0.1", port) as client:
        for number in range(first, first + 500):
            client.mail(SENDER)
            client.rcpt(ADDRESS)
            code, text = client.data(make_mail(number))
            assert code == 250
            said.append(text.decode().rpartition(" ")[2])
    return said
