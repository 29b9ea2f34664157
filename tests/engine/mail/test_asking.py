"""How people write that a flow is to be activated; each is understood, and no octets raise."""

from __future__ import annotations

import time
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.mail.asking import NUMBERS_MAX, TEXT_LENGTH_MAX, Asked, read_asking, unpack_asking

ACCOUNT = f"acc_{1:028x}"
FLOW = f"flw_{2:028x}"
FIRST, SECOND = "+14155550100", "+14155550101"
LINES = f"Account: {ACCOUNT}\nFlow: {FLOW}\nDIDs: {FIRST}, {SECOND}\n"
QUOTED = f"Account: acc_{9:028x}\nFlow: flw_{9:028x}\nDIDs: +14155550199\n"


def write(text: str = "", *, html: str = "", subject: str = "please") -> bytes:
    message = EmailMessage()
    message["From"] = "Ada <ada@example.com>"
    message["To"] = "activate@lists.example.net"
    message["Subject"] = subject
    message["Message-ID"] = "<1@example.com>"
    if text:
        message.set_content(text)
    if html and text:
        message.add_alternative(html, subtype="html")
    elif html:
        message.set_content(html, subtype="html")
    return message.as_bytes()


def read(content: bytes) -> Asked:
    return unpack_asking(read_asking(content))


@pytest.mark.parametrize(
    "content",
    [
        write(LINES),
        write(f"Hello,\n\n{LINES}\nThank you\n-- \nAda\nDIDs: +14155550188\n"),
        write(f"  account = {ACCOUNT.upper()}\n* Flow:   {FLOW}\n- Numbers: {FIRST} {SECOND}\n"),
        write(f"Account {ACCOUNT}, flow {FLOW}; caller numbers: {FIRST} and {SECOND}.\n"),
        write(
            f"*Account:* {ACCOUNT}\n*Flow:* {FLOW}\n*DIDs:*\n- +1 (415) 555-0100\n- +1 415.555.0101\n"
        ),
        write(
            f"Account: {ACCOUNT}\nFlow: {FLOW}\nDIDs:\n\n{FIRST}\n{SECOND}\n\nCall me: +14155550177\n"
        ),
        write(f"DIDs: {FIRST}, {SECOND}, {FIRST}\nFlow: {FLOW}\nAccount: {ACCOUNT}\n"),
        write(f"{LINES}\nOn Monday, 3 May 2027, Callwheel wrote:\n> Flow: flw_9\n{QUOTED}"),
        write(f"{LINES}\n-----Original Message-----\nFrom: somebody\n{QUOTED}"),
        write("".join(f"> {line}\n" for line in QUOTED.splitlines()) + LINES),
        write(subject=f"Activate {FLOW} of {ACCOUNT}, DIDs: {FIRST}, {SECOND}"),
        write(f"DIDs: {FIRST}, {SECOND}\n", subject=f"{ACCOUNT} / {FLOW}"),
        write(
            html=f"<html><style>p {{ color: red }}</style><p>Account:&nbsp;<b>{ACCOUNT}</b></p>"
            f"<p>Flow: {FLOW}</p><p>DIDs: <a href='tel:{FIRST}'>{FIRST}</a>, {SECOND}</p>"
            f"<blockquote><p>DIDs: +14155550199 of flw_9</p></blockquote></html>"
        ),
        write(
            html=f"<table><tr><td>Account</td><td>{ACCOUNT}</td></tr><tr><td>Flow</td><td>{FLOW}</td>"
            f"</tr><tr><td>DIDs</td><td>{FIRST}<br>{SECOND}</td></tr></table>"
        ),
        write(f"{LINES}", html="<p>Account: acc_9</p>"),
        write("This mail is HTML.", html=LINES.replace("\n", "<br>")),
    ],
)
def test_it_is_understood_however_it_is_written(content: bytes) -> None:
    asked = read(content)
    found = asked.accounts, asked.flows, asked.numbers, asked.damaged
    assert found == ((ACCOUNT,), (FLOW,), (FIRST, SECOND), ())
    assert asked.mail.sender == "ada@example.com"


def test_what_is_no_number_is_told() -> None:
    asked = read(write(f"Flow: {FLOW}\nDIDs: {FIRST}, 12 34, 9.19876E+11\n"))
    assert (asked.numbers, asked.damaged) == ((FIRST,), ("12 34", "9.19876E+11"))


def test_a_mail_that_names_several_flows_says_all_of_them() -> None:
    assert read(write("flw_1 or flw_2?\n")).flows == ("flw_1", "flw_2")


def test_numbers_are_only_those_behind_a_label() -> None:
    asked = read(write(f"My telephone is +14155550177.\nFlow: {FLOW}\nBest, Ada, +14155550178\n"))
    assert asked.numbers == ()


def test_a_thank_you_with_the_mail_that_it_answers_asks_for_nothing() -> None:
    asked = read(write(f"Thanks!\n\nOn Monday, Callwheel wrote:\n\n{QUOTED}"))
    assert (asked.accounts, asked.flows, asked.numbers) == ((), (), ())


def test_no_more_numbers_are_read_than_a_mail_may_have() -> None:
    many = ", ".join(f"+1415{5550000 + number}" for number in range(900))
    assert len(read(write(f"DIDs: {many}\n")).numbers) == NUMBERS_MAX + 1


@pytest.mark.parametrize(
    "text",
    ["<!--" * 9_000, "<a " * 9_000, "<![CDATA[" * 3_000, "&#" * 9_000, "</" * 9_000, "<a b='" * 9_000,
     "<" * TEXT_LENGTH_MAX, "on " * 9_000, "DIDs: " * 9_000, "+1" * 9_000, "DIDs\n" * 4_000, " " * 16_000],
)  # fmt: skip
def test_no_text_costs_a_worker_much(text: str) -> None:
    """Its length is bounded, and nothing spends more than a moment on that much."""
    before = time.process_time()
    read(write(text, html=f"<p>{text}</p>"))
    read(write(html=text))
    assert time.process_time() - before < 1


@given(
    st.binary(max_size=300), st.sampled_from(["text/plain", "text/html", "x/y", "multipart/mixed"])
)
def test_no_octets_raise(content: bytes, kind: str) -> None:
    head = f"From: ada@example.com\r\nMIME-Version: 1.0\r\nContent-Type: {kind}; charset=no\r\n\r\n"
    read(head.encode() + content)
    read(content)


@settings(max_examples=50)
@given(st.text(max_size=200))
def test_no_text_raises(text: str) -> None:
    read(head_of("text/plain") + text.encode("utf-8", "surrogatepass"))
    read(head_of("text/html") + text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    ("charset", "text"), [("utf-7", b"12+2AA-3"), ("unicode_escape", b"12\\ud8003")]
)
def test_half_a_surrogate_pair_breaks_nothing(charset: str, text: bytes) -> None:
    head = f"From: a@b.c\r\nContent-Type: text/plain; charset={charset}\r\n\r\nDIDs: "
    assert read(head.encode() + text).damaged == ("12?3",)


@pytest.mark.parametrize("charset", ["punycode", "idna", "utf-7", "utf-16", "hz", "unicode_escape"])
def test_no_charset_costs_a_worker_much(charset: str) -> None:
    """A mail to the desk has half a megabyte at most; who sends it is anybody."""
    head = f"From: a@b.c\r\nContent-Type: text/plain; charset={charset}\r\n\r\nabcdefgh-"
    before = time.process_time()
    read(head.encode() + b"b" * 200_000)
    assert time.process_time() - before < 1


def head_of(kind: str) -> bytes:
    return f"From: a@b.c\r\nContent-Type: {kind}; charset=utf-8\r\n\r\n".encode()
