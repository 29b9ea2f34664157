"""Keys of the table `mail`."""

from __future__ import annotations

import pytest

from api.config import Imap, Mail, read_config
from api.config.keys import Address
from tests.api.config.mistakes import find_mistakes


@pytest.mark.parametrize("key", ['bind = "127.0.0.1:2525"', 'smarthost = "mail.example.com:25"'])
def test_mails_need_a_domain(key: str) -> None:
    assert find_mistakes(f"[mail]\n{key}\n") == [
        ("callwheel.toml, line 1: mail.domain", "missing_key")
    ]


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ('domain = "not a host"', "invalid_domain"),
        ('smarthost = "mail.example.com"', "invalid_address"),
        ('smarthost = "10.0.0.999:25"', "invalid_address"),
        ('smarthost_encryption = "perhaps"', "invalid_encryption"),
        ("mails_per_minute = 0", "out_of_range"),
        ("mails_per_minute = 1.5", "wrong_type"),
        ('activation = "a@b"', "invalid_local_part"),
        (f'activation = "{"a" * 65}"', "invalid_local_part"),
    ],
)
def test_a_wrong_setting_of_mails_is_refused(key: str, code: str) -> None:
    assert [found for _, found in find_mistakes(f"[mail]\n{key}\n")] == [code]


IMAP = '[mail]\ndomain = "lists.example.com"\n[mail.imap]\n'
MAILBOX = 'host = "imap.example.com"\nuser = "lists"\npassword = "secret"\n'


def test_a_mailbox_needs_no_more_than_a_host_and_somebody_to_log_in() -> None:
    expected = Imap(host="imap.example.com", user="lists", password="secret")
    assert read_config(IMAP + MAILBOX, {}).mail == Mail(domain="lists.example.com", imap=expected)


@pytest.mark.parametrize(
    ("text", "place", "code"),
    [
        (f"{IMAP}{MAILBOX}port = 0", "line 7: mail.imap.port", "out_of_range"),
        (f"{IMAP}{MAILBOX}port = 993.5", "line 7: mail.imap.port", "wrong_type"),
        (f"{IMAP}{MAILBOX}every_s = 1", "line 7: mail.imap.every_s", "out_of_range"),
        (f'{IMAP}{MAILBOX}tls = "maybe"', "line 7: mail.imap.tls", "invalid_tls"),
        (f'{IMAP}{MAILBOX}tls = "off"', "line 7: mail.imap.tls", "password_in_the_clear"),
        (f'{IMAP}{MAILBOX}taken = "eat"', "line 7: mail.imap.taken", "invalid_taken"),
        (f'{IMAP}{MAILBOX}folder = "{"x" * 201}"', "line 7: mail.imap.folder", "invalid_folder"),
        (f'{IMAP}{MAILBOX}address = "a+b@c"', "line 7: mail.imap.address", "invalid_address"),
        (
            f'{IMAP}{MAILBOX}address = "{"x" * 25}@example.com"',
            "line 7: mail.imap.address",
            "invalid_address",
        ),
        (
            f'{IMAP}host = "a b"\nuser = "u"\npassword = "p"',
            "line 4: mail.imap.host",
            "invalid_host",
        ),
        (f'{IMAP}host = "a"\nuser = "u"', "line 3: mail.imap.password", "missing_key"),
        (f'{IMAP}host = "a"\npassword = "p"', "line 3: mail.imap.user", "missing_key"),
        (f"[mail.imap]\n{MAILBOX}", "line 1: mail.domain", "missing_key"),
    ],
)
def test_what_is_wrong_with_a_mailbox_is_told(text: str, place: str, code: str) -> None:
    assert find_mistakes(text) == [(f"callwheel.toml, {place}", code)]


def test_a_mailbox_of_the_environment_needs_a_domain_too() -> None:
    environment = {
        "CALLWHEEL_MAIL__IMAP__HOST": "a",
        "CALLWHEEL_MAIL__IMAP__USER": "u",
        "CALLWHEEL_MAIL__IMAP__PASSWORD": "p",
    }
    assert find_mistakes("", **environment) == [("environment: mail.domain", "missing_key")]


def test_a_smarthost_may_be_a_name() -> None:
    text = '[mail]\ndomain = "lists.example.com"\nsmarthost = "Mail.example.com:587"\n'
    assert read_config(text, {}).mail == Mail(
        domain="lists.example.com", smarthost=Address("mail.example.com", 587)
    )


def test_an_empty_address_for_activations_takes_none() -> None:
    assert read_config('[mail]\nactivation = ""\n', {}).mail == Mail(activation=None)
    assert read_config("", {"CALLWHEEL_MAIL__ACTIVATION": ""}).mail == Mail(activation=None)
