"""Mails that nobody meant well: each is read, or said to be unreadable; none raises."""

from __future__ import annotations

import time
import zipfile
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.mail.address import address_of, flow_of
from engine.mail.reading import FILES_MAX, MailedFile, read_mail, unpack_mail
from tests.engine.mail.world import FLOW, SENDER, make_mail

HEAD = b"From: ada@example.com\r\nMIME-Version: 1.0\r\n"
LIST = b"tel1\r\n+14155550100\r\n"


def nest(depth: int) -> bytes:
    """A part within a part within a part …"""
    opened = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
        for level in range(depth)
    )
    return HEAD + opened + b"Content-Disposition: attachment; filename=a.csv\r\n\r\n" + LIST


def in_parts(count: int) -> bytes:
    part = b"--b\r\nContent-Disposition: attachment; filename=a.csv\r\n\r\n" + LIST
    return HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * count + b"--b--\r\n"


def alone(headers: bytes, body: bytes = LIST) -> bytes:
    return HEAD + headers + b"\r\n" + body


def zip_of_zeros() -> bytes:
    octets = BytesIO()
    with zipfile.ZipFile(octets, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", bytes(50_000_000))
    return octets.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n\r\n",
        b"\x00" * 1_000,
        nest(50),
        nest(1_500),
        in_parts(10_000),
        HEAD + b"X: " + b"y" * 1_000_000 + b"\r\n\r\n",
        HEAD + b"X: y\r\n" * 100_000 + b"\r\n",
        alone(b"Content-Type: text/csv; charset=no-such; name=a.csv\r\n"),
        alone(b"Content-Type: multipart/mixed\r\n"),
        alone(b"Content-Type: multipart/mixed; boundary=\r\n"),
        alone(b"Content-Type: ;;;=\r\nContent-Disposition: ;filename==?\r\n"),
        alone(b"Content-Disposition: attachment; filename*0*=x''%ff; filename*9=b\r\n"),
        alone(b"Content-Disposition: attachment; filename*=no-such'x'a.csv\r\n"),
        alone(b"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=a.csv\r\n"),
        alone(b"Content-Transfer-Encoding: nonsense\r\nContent-Disposition: attachment; filename=a.csv\r\n"),
        alone(b"Subject: =?utf-8?b?////?= =?no-such?q?x?=\r\n"),
        alone(b"From: \xff\xfe <>, @@\r\n"),
        alone(b"Message-ID: <" + b"x" * 10_000 + b">\r\n"),
        alone(b"Date: Mon, 99 Foo 99999999999\r\nTo: (((((((\r\n"),
    ],
)  # fmt: skip
def test_hostile_octets_are_read_or_said_to_be_unreadable(content: bytes) -> None:
    mail = unpack_mail(read_mail(content))
    assert len(mail.files) <= FILES_MAX
    assert not (mail.problem and mail.files)


@given(st.binary(max_size=300))
def test_no_octets_raise(octets: bytes) -> None:
    for content in (
        octets,
        HEAD + octets,
        alone(b"Content-Type: multipart/mixed; boundary=b\r\n", octets),
    ):
        unpack_mail(read_mail(content))  # fmt: skip


@pytest.mark.parametrize("content", [nest(21), in_parts(2_001)])
def test_a_tangled_mail_is_said_to_be_one_and_costs_nothing(content: bytes) -> None:
    begun = time.process_time()
    mail = unpack_mail(read_mail(content + b"x\r\n" * 500_000))
    assert time.process_time() - begun < 1.0
    assert (mail.sender, mail.problem, mail.files, mail.tangle != "") == (SENDER, "", (), True)


def test_a_mail_with_as_many_parts_as_it_may_have_is_read() -> None:
    assert unpack_mail(read_mail(nest(20))).tangle == ""
    assert unpack_mail(read_mail(in_parts(1_999))).tangle == ""


def test_only_so_many_lists_are_taken_of_a_mail() -> None:
    mail = unpack_mail(read_mail(in_parts(FILES_MAX + 3)))
    assert len(mail.files) == FILES_MAX
    assert mail.left_out == ("a.csv",) * 3


def test_a_bomb_is_not_opened_here() -> None:
    bomb = zip_of_zeros()
    message = make_mail({"bomb.zip": bomb})
    assert unpack_mail(read_mail(message.as_bytes())).files == (MailedFile("bomb.zip", bomb),)


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        (b'filename="=?utf-8?q?M=C3=A4rz=2Ecsv?="', "März.csv"),
        (b"filename*=utf-8''M%C3%A4rz.csv", "März.csv"),
        (b"filename*0=peo; filename*1=ple.csv", "people.csv"),
        (b'filename="../../etc/people.csv"', "people.csv"),
        (b'filename="c:\\\\lists\\\\people.csv"', "people.csv"),
    ],
)
def test_names_are_read_however_they_are_written(disposition: bytes, name: str) -> None:
    content = alone(b"Content-Disposition: attachment; " + disposition + b"\r\n")
    assert [one.name for one in unpack_mail(read_mail(content)).files] == [name]


@pytest.mark.parametrize(
    "field", [b"", b"From: eve@example.org\r\n", b"From: ada@example.com, eve@example.org\r\n"]
)
def test_a_mail_without_its_one_sender_has_none(field: bytes) -> None:
    first = b"" if b"," in field or not field else b"From: ada@example.com\r\n"
    assert unpack_mail(read_mail(first + field + b"\r\n\r\n")).sender == ""


@pytest.mark.parametrize("message_id", ["<[1]@example.com>", "<1@[192.0.2.1]>", "<>", "<", "x"])
def test_no_message_id_keeps_a_list_from_being_read(message_id: str) -> None:
    content = alone(
        f"Message-ID: {message_id}\r\n".encode()
        + b"Content-Disposition: attachment; filename=a.csv\r\n"
    )
    mail = unpack_mail(read_mail(content))
    assert [one.name for one in mail.files] == ["a.csv"]
    assert mail.message_id == (message_id if len(message_id) > 2 else None)


@pytest.mark.parametrize(
    "headers",
    [
        b"From: " + b'"a" ' * 50_000 + b"\r\n",
        b"From: a@b.c\r\n" * 18_000,
        b"Content-Type: text/plain; a=" + b'"' * 200_000 + b"\r\n",
        b"Subject: " + b"=?utf-8?q?a?= " * 18_000 + b"\r\n",
    ],
)
@pytest.mark.parametrize("is_inside", [False, True])
def test_no_header_costs_more_than_a_moment(headers: bytes, is_inside: bool) -> None:
    """Each of these took a worker from ten seconds to minutes."""
    content = headers + b"\r\n" + LIST
    if is_inside:
        content = alone(b"Content-Type: multipart/mixed; boundary=b\r\n", b"--b\r\n" + content)
    began = time.process_time()
    unpack_mail(read_mail(content))
    assert time.process_time() - began < 2.0


def test_the_sender_is_the_address_and_not_the_name() -> None:
    content = b'From: "eve@example.org" <Ada@Example.com>\r\n\r\n'
    assert unpack_mail(read_mail(content)).sender == SENDER


@given(st.binary(min_size=32, max_size=32), st.integers(0, 2**112 - 1))
def test_an_address_leads_to_its_flow_in_any_case_and_to_no_other(
    secret: bytes, number: int
) -> None:
    flow = f"flw_{number:028x}"
    address = address_of(secret, flow, "lists.example.net")
    assert flow_of(secret, address.upper(), "Lists.Example.net") == flow
    assert len(address.partition("@")[0]) <= 64
    assert flow_of(bytes([secret[0] ^ 1]) + secret[1:], address, "lists.example.net") is None
    if flow != FLOW:
        other = address.replace(flow, FLOW)
        assert flow_of(secret, other, "lists.example.net") is None
