"""From a mailed list to dialled contacts and a receipt: real SMTP on both sides of the running product."""

from __future__ import annotations

import smtplib
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trustme

from bench.free_ports import free_port
from bench.installation import (
    POLL_S,
    Installation,
    make_config,
    make_flow,
    open_installation,
    wait_completed,
)
from tests.peers import require
from tests.system.carrier import open_carrier
from tests.system.mailbox import Mailbox, open_mailbox

SENDER = "ada@example.com"
DOMAIN = "lists.example.net"
LIST = b"tel1\n+14155550111\n+14155550112\nnonsense\n"


class Post(msgspec.Struct):
    """The product with a door for mails."""

    engine: Installation
    flow: str
    address: str
    """Of the flow."""
    port: int
    """Where mails are taken."""
    authority: trustme.CA


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with open_mailbox(free_port()) as mailbox:
        yield mailbox


@asynccontextmanager
async def open_post(folder: Path, mailbox: Mailbox) -> AsyncIterator[Post]:
    authority = trustme.CA()
    certificate = authority.issue_cert(DOMAIN)
    chain, key = folder / "mail.pem", folder / "mail-key.pem"
    certificate.private_key_pem.write_to_path(str(key))
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(str(chain), append=True)
    port = free_port()
    mail = [
        "[mail]",
        f'bind = "127.0.0.1:{port}"',
        f'domain = "{DOMAIN}"',
        f'smarthost = "127.0.0.1:{mailbox.port}"',
        f'tls_cert = "{chain}"',
        f'tls_key = "{key}"',
    ]
    with trio.fail_after(120):
        async with open_carrier(folder) as trunk:
            config = make_config(folder / "data", trunk, extra="\n".join(mail))
            async with open_installation(folder, config) as engine:
                settings = {"email_senders": [SENDER]}
                flow = await make_flow(engine.client, {"+14155550100": 50}, settings=settings)
                view = await get(engine, f"/v1/flows/{flow}")
                yield Post(engine, flow, view["triggers"]["email"], port, authority)


async def get(engine: Installation, path: str) -> dict[str, Any]:
    answer = await engine.client._http.request(
        "GET", engine.url + path, headers={"Authorization": f"Bearer {engine.admin_key}"}
    )
    assert answer.status == 200, answer.body
    found: dict[str, Any] = msgspec.json.decode(answer.body)
    return found


def write_mail(to: str, name: str = "leads.csv", data: bytes = LIST) -> EmailMessage:
    message = EmailMessage()
    message["From"] = f"Ada <{SENDER}>"
    message["To"] = to
    message["Subject"] = "Monday's leads"
    message["Message-ID"] = "<monday@example.com>"
    message.set_content("They are attached.")
    message.add_attachment(data, maintype="text", subtype="csv", filename=name)
    return message


def send(post: Post, message: EmailMessage) -> None:
    """As a mail program does."""
    context = ssl.create_default_context()
    post.authority.configure_trust(context)
    with smtplib.SMTP("127.0.0.1", post.port, timeout=30) as client:
        # The certificate is of the domain, whatever address it was found under.
        client._host = DOMAIN  # type: ignore[attr-defined]
        client.starttls(context=context)
        client.send_message(message, from_addr=SENDER, to_addrs=[post.address])


async def wait_for_letter(engine: Installation, subject: str, state: str) -> None:
    """Until the product knows what became of a letter, which it does after the mail server."""
    while True:
        letters = (await get(engine, "/v1/letters"))["items"]
        if (subject, state) in [(one["subject"], one["state"]) for one in letters]:
            return
        # Another process has no event to wait for.
        await trio.sleep(POLL_S)


async def receive(mailbox: Mailbox) -> EmailMessage:
    return await trio.to_thread.run_sync(lambda: mailbox.letters.get(timeout=60))


async def test_a_mailed_list_is_dialled_and_its_sender_gets_a_receipt_with_the_rejected_rows(
    tmp_path: Path, mailbox: Mailbox
) -> None:
    async with open_post(tmp_path, mailbox) as post:
        mailbox.refusals.append("550 5.7.1 Not today")
        await trio.to_thread.run_sync(send, post, write_mail(post.address, "first.csv", b"tel1\n"))
        await wait_for_letter(post.engine, "first.csv was refused", "given_up")
        await trio.to_thread.run_sync(send, post, write_mail(post.address))
        receipt = await receive(mailbox)
        lists = await get(post.engine, f"/v1/lists?flow={post.flow}")
        [mailed] = [one for one in lists["items"] if one["source"] == "email"]
        dispositions = await wait_completed(post.engine.client, mailed["id"])
        await wait_for_letter(post.engine, "leads.csv was taken", "sent")
        letters = await get(post.engine, "/v1/letters")
    assert (mailed["name"], dispositions) == ("leads.csv", {"answered": 2})
    assert receipt["To"] == SENDER
    assert receipt["Subject"] == "leads.csv was taken"
    assert receipt["In-Reply-To"] == "<monday@example.com>"
    assert receipt["Auto-Submitted"] == "auto-replied"
    body = receipt.get_body()
    assert body is not None
    text = body.get_content()
    assert f"leads.csv: 2 of 3 rows were taken, as the list {mailed['id']}." in text
    [rejected] = receipt.iter_attachments()
    assert rejected.get_filename() == "rejected.csv"
    assert "nonsense,3,tel1,invalid_number" in rejected.get_content()
    # A receipt that the mail server refuses for good is given up where people can see it.
    assert [(one["subject"], one["state"], one["last"]) for one in letters["items"]] == [
        ("leads.csv was taken", "sent", ""),
        ("first.csv was refused", "given_up", "550 5.7.1 Not today"),
    ]


@pytest.mark.peer
async def test_swaks_delivers_to_the_flow_and_to_nobody_else(
    tmp_path: Path, mailbox: Mailbox
) -> None:
    swaks = require("swaks", "swaks")
    leads = tmp_path / "leads.csv"
    leads.write_bytes(LIST)

    async def run(post: Post, to: str) -> tuple[int, str]:
        done = await trio.run_process(
            [
                *(swaks, "--server", f"127.0.0.1:{post.port}", "--from", SENDER, "--to", to),
                *("--attach-type", "text/csv", "--attach-name", "leads.csv"),
                *("--attach", f"@{leads}", "--h-From", SENDER, "--suppress-data"),
            ],
            capture_stdout=True,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return done.returncode, done.stdout.decode()

    async with open_post(tmp_path, mailbox) as post:
        code, said = await run(post, post.address)
        assert (code, "250 2.0.0 Kept as" in said) == (0, True), said
        assert (await receive(mailbox))["Subject"] == "leads.csv was taken"
        code, said = await run(post, f"{post.flow}-aaaaaaaaaaaaaaaa@{DOMAIN}")
        assert (code, "550 5.1.1" in said) == (24, True), said
        code, said = await run(post, "somebody@example.org")
        assert (code, "550 5.1.1" in said) == (24, True), said
