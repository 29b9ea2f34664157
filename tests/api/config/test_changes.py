"""Which changes of a configuration hold at once, and which wait for a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.config import KEYS, Config, Sip, read_config
from api.config.changes import find_waiting_keys
from api.config.files import read_marks

OLD = '[[trunks]]\nname = "main"\nuri = "sip:192.0.2.1"\n'
MAIL = (
    'mail.domain = "mail.example"\nmail.imap.host = "imap.example"\nmail.imap.user = "lists"\n'
    'mail.imap.password = "secret"\nmail.imap.address = "lists@mail.example"\n'
)


@pytest.mark.parametrize(
    ("text", "waiting"),
    [
        (OLD, []),
        ("", []),
        (OLD.replace("main", "other") + "channels = 3\n", []),
        (OLD + '[[routes]]\nname = "r"\ntrunks = ["main"]\n', []),
        (
            'drain_s = 3\nlimits.channels = 7\nlimits.cps = 2\nlimits.destinations = ["+1"]\n'
            + OLD,
            [],
        ),
        ("limits.caps = [{calls = 3, per_s = 9}]\n" + OLD, []),
        (
            'data_dir = "elsewhere"\nlimits.account_calls_per_day = 9\nhttp.bind = "127.0.0.1:1"\n'
            "media.planes = 2\ndids.rest_s = 60\nlimits.channels = 7\n"
            'mail.imap.folder = "Lists"\n' + MAIL + OLD,
            [
                "data_dir",
                "http.bind",
                "media.planes",
                "limits.account_calls_per_day",
                "mail.imap.folder",
            ],
        ),
    ],
)
def test_what_waits_is_named(text: str, waiting: list[str]) -> None:
    before = MAIL + OLD if MAIL in text else OLD
    found = find_waiting_keys(read_config(before, {}), read_config(text, {}), {}, {})
    assert found == waiting
    assert set(found) <= set(KEYS)


def test_the_administrators_key_waits_and_is_not_shown() -> None:
    changed = read_config(OLD, {"CALLWHEEL_ADMIN_KEY": "a-secret"})
    assert find_waiting_keys(read_config(OLD, {}), changed, {}, {}) == ["CALLWHEEL_ADMIN_KEY"]


def test_a_file_waits_that_was_written_anew_under_the_same_name(tmp_path: Path) -> None:
    config = Config(sip=Sip(tls_cert=str(tmp_path / "cert.pem"), tls_key=str(tmp_path / "key.pem")))
    (tmp_path / "cert.pem").write_text("the first")
    marks = read_marks(config)
    assert find_waiting_keys(config, config, marks, read_marks(config)) == []
    (tmp_path / "cert.pem").write_text("the second")
    assert find_waiting_keys(config, config, marks, read_marks(config)) == ["sip.tls_cert"]
    (tmp_path / "key.pem").write_text("there at last")
    (tmp_path / "cert.pem").unlink()
    found = find_waiting_keys(config, config, marks, read_marks(config))
    assert found == ["sip.tls_cert", "sip.tls_key"]
