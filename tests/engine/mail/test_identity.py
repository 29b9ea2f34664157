"""What a mail is known by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.mail.identity import KEY_LENGTH, identify_mail

WRITTEN = (
    b"From: ada@example.com\r\nMessage-ID: <1@example.com>\r\nDate: today\r\nSubject: a\r\n  b\r\n"
)
MAIL = WRITTEN + b"\r\nHere you are.\r\n"


@pytest.mark.parametrize(
    "copy",
    [
        b"Received: from elsewhere\r\n" + MAIL,
        b"Return-Path: <x@example.com>\r\nX-Spam: no\r\n" + MAIL,
        WRITTEN + b"Delivered-To: us@example.com\r\n\r\nHere you are.\r\n",
    ],
)
def test_a_copy_that_came_another_way_is_the_same_mail(copy: bytes) -> None:
    assert identify_mail(copy) == identify_mail(MAIL)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"<1@", b"<2@"),
        (b"today", b"tomorrow"),
        (b"ada@", b"eve@"),
        (b"are.", b"go."),
        (b"  b", b" c"),
    ],
)
def test_a_mail_that_says_anything_else_is_another(before: bytes, after: bytes) -> None:
    assert identify_mail(MAIL.replace(before, after)) != identify_mail(MAIL)


def test_of_a_mail_without_id_and_date_all_counts() -> None:
    mail = b"From: ada@example.com\r\n\r\nHere you are.\r\n"
    assert identify_mail(b"Received: at noon\r\n" + mail) != identify_mail(mail)


@given(st.binary(max_size=200))
def test_no_octets_raise(octets: bytes) -> None:
    assert len(identify_mail(octets)) == KEY_LENGTH
