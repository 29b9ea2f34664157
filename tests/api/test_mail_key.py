"""The key of mail addresses outlasts every start, and is never half a key."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from api.mail_key import find_mail_key
from engine.mail.address import SECRET_BYTES


def test_the_key_is_made_once_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "mail.key"
    key = find_mail_key(file)
    assert len(key) == SECRET_BYTES
    assert find_mail_key(file) == key
    assert [one.name for one in tmp_path.iterdir()] == ["mail.key"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("octets", [b"", b"ab" * 31, b"x" * 64, b"\xff" * 64])
def test_a_damaged_key_is_told_and_left_as_it_is(octets: bytes, tmp_path: Path) -> None:
    """With an empty one anybody could make the addresses of flows."""
    file = tmp_path / "mail.key"
    file.write_bytes(octets)
    with pytest.raises(OSError, match="damaged"):
        find_mail_key(file)
    assert file.read_bytes() == octets
