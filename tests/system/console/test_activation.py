"""From a mail that asks to an active flow, the whole way: a real mail over STARTTLS to the running product, a
real Chromium in which an operator decides, and the answers in the sender's mailbox."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from pathlib import Path
from typing import Final

import pytest
import trustme
from playwright.sync_api import Page, expect

from bench.free_ports import free_port
from tests.peers import require
from tests.system.console.browser import PATIENCE_MS, Visit, open_browser
from tests.system.console.doing import CHECKS, button
from tests.system.console.product import make_flow, open_product
from tests.system.mailbox import Mailbox, open_mailbox

pytestmark = pytest.mark.peer

SENDER: Final = "ada@example.com"
DOMAIN: Final = "lists.example.net"
FIRST, SECOND = "+14155550100", "+14155550101"

expect.set_options(timeout=PATIENCE_MS)


def make_certificate(folder: Path) -> tuple[trustme.CA, list[str]]:
    """An authority, and what the configuration says of the certificate that STARTTLS shows."""
    authority = trustme.CA()
    certificate = authority.issue_cert(DOMAIN)
    chain, key = folder / "mail.pem", folder / "mail-key.pem"
    certificate.private_key_pem.write_to_path(str(key))
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(str(chain), append=True)
    return authority, [f'tls_cert = "{chain}"', f'tls_key = "{key}"']


def send(authority: trustme.CA, port: int, text: str, message_id: str) -> None:
    """As a mail program does."""
    message = EmailMessage()
    message["From"] = f"Ada <{SENDER}>"
    message["To"] = f"activate@{DOMAIN}"
    message["Subject"] = "Our reminders"
    message["Message-ID"] = message_id
    message.set_content(text)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
        client._host = DOMAIN  # type: ignore[attr-defined] # what the certificate is for
        client.starttls(context=context)
        client.send_message(message)


def receive(mailbox: Mailbox) -> tuple[str, str | None, str]:
    """The next letter: subject, what it answers, and its text."""
    letter = mailbox.letters.get(timeout=60)
    assert letter["To"] == SENDER
    body = letter.get_body()
    assert body is not None
    text = body.get_content().replace("\r\n", "\n")
    return str(letter["Subject"]), letter["In-Reply-To"], text


def expect_waiting(page: Page, count: int) -> None:
    """The badge beside the view's name says how many requests wait."""
    name = f"Requests {count} waiting" if count else "Requests"
    expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()


def test_a_flow_is_asked_for_by_mail_and_activated_by_an_operator_with_the_keyboard(
    tmp_path: Path,
) -> None:
    program = require("chromium", "chromium")
    authority, tls = make_certificate(tmp_path)
    port = free_port()
    with open_mailbox(free_port()) as mailbox:
        mail = ["[mail]", f'bind = "127.0.0.1:{port}"', f'domain = "{DOMAIN}"', *tls]
        mail.append(f'smarthost = "127.0.0.1:{mailbox.port}"')
        with (
            open_product(tmp_path, "\n".join(mail)) as product,
            open_browser(program) as browser,
        ):
            run, client = product.run, product.client
            key = run(client.create_key, "default", "operator")
            listed = {"email_senders": [SENDER]}
            reminder = run(make_flow, client, "Reminder", [FIRST, SECOND], 5, listed)
            survey = run(make_flow, client, "Survey", [], 5, listed)
            account = product.get("/v1/me")["account"]
            tab = Visit(browser, product.url)
            page = tab.page
            tab.sign_in(key.key)
            expect_waiting(page, 0)
            # The page hears of both over the feed.
            for number, flow in ((1, reminder), (2, survey)):
                text = f"Hello,\n\nAccount: {account}\nFlow: {flow}\nDIDs: {FIRST}, {SECOND}\n-- \nAda\n"
                send(authority, port, text, f"<{number}@example.com>")
            expect_waiting(page, 2)
            asked = sorted(receive(mailbox) for _ in range(2))
            assert [one[:2] for one in asked] == [
                ("Your request for Reminder was received", "<1@example.com>"),
                ("Your request for Survey was received", "<2@example.com>"),
            ]
            page.get_by_role("link", name="Requests 2 waiting", exact=True).press("Enter")
            card = page.get_by_role("listitem", name="Reminder", exact=True)
            expect(card).to_contain_text(f"{FIRST}, {SECOND}")
            expect(card).to_contain_text(SENDER)
            for look in tab.looks():
                assert (look, page.evaluate(CHECKS)) == (look, [])
            card.get_by_role("button", name="Confirm").press("Enter")
            expect_waiting(page, 1)
            subject, answered, text = receive(mailbox)
            assert (subject, answered) == ("Reminder is active", "<1@example.com>")
            assert f"    {FIRST}\n    {SECOND}\n" in text
            view = product.get(f"/v1/flows/{reminder}")
            assert (view["listener"]["active"], view["dids"]) == (True, [FIRST, SECOND])
            # What had the focus has gone; the next button has it.
            expect(button(page, "Confirm")).to_be_focused()
            page.keyboard.press("Tab")
            page.keyboard.press("Enter")
            page.get_by_label(f"What {SENDER} is told").press_sequentially("Not before Monday.")
            page.keyboard.press("Tab")
            page.keyboard.press("Enter")
            expect_waiting(page, 0)
            expect(page.get_by_text("No request waits.")).to_be_visible()
            subject, answered, text = receive(mailbox)
            assert (subject, answered) == (
                "Your request was refused by an operator",
                "<2@example.com>",
            )
            assert "The reason: Not before Monday.\n" in text
            decided = page.get_by_role("table", name="Decided requests")
            expect(decided).to_contain_text("confirmed")
            expect(decided).to_contain_text("Not before Monday.")
            tab.close()
