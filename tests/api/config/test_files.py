"""Files that a configuration names are looked at before anything starts."""

from __future__ import annotations

import pytest

from api.config import ConfigError, read_config
from api.config.files import find_mistakes_in_files


def test_files_of_mail_that_are_not_there_are_told_before_a_start() -> None:
    text = """\
[mail]
domain = "lists.example.com"
tls_cert = "/nowhere/cert.pem"
tls_key = "/nowhere/key.pem"
[mail.imap]
host = "imap.example.com"
user = "lists"
password = "p"
tls_ca = "/nowhere/ca.pem"
"""
    with pytest.raises(ConfigError) as caught:
        read_config(text, {}, file="c.toml", find_more=find_mistakes_in_files)
    assert [(str(one.place), one.code) for one in caught.value.mistakes] == [
        ("c.toml, line 3: mail.tls_cert", "unusable_file"),
        ("c.toml, line 4: mail.tls_key", "unusable_file"),
        ("c.toml, line 9: mail.imap.tls_ca", "unusable_file"),
    ]
