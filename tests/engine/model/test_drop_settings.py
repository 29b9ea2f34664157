"""The settings of what is picked up."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engine.form import Invalid
from engine.forms.flow_secrets import hide_secrets, keep_secrets
from engine.model import FlowSettings
from engine.model.drop_settings import (
    FolderSettings,
    SftpSettings,
    find_drop_mistakes,
    place_of,
    read_host_key,
)
from engine.model.webhook import HIDDEN

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH1KwWFpC0mZ6sVqJp1b2m0zC9zD5Wn1r5b8k3m3e0aB"
SFTP = SftpSettings("files.example.com", "lists", HOST_KEY, password="geheim")
WHOLE = {"host": "files.example.com", "user": "lists", "host_key": HOST_KEY, "password": "geheim"}


def places_of(changes: dict[str, Any]) -> list[str]:
    settings = {"sftp": {**WHOLE, **changes}}
    return [mistake.pointer for mistake in find_drop_mistakes(settings, "/settings")]


def test_a_place_tells_where_a_setting_points_to() -> None:
    assert place_of(SFTP) == "sftp://lists@files.example.com:22/~/."
    there = msgspec.structs.replace(SFTP, host="2001:db8::1", port=2222, folder="/lists")
    assert place_of(there) == "sftp://lists@[2001:db8::1]:2222/lists"
    assert place_of(FolderSettings("leads/new")) == "folder:leads/new"


@pytest.mark.parametrize("before", ["", "files.example.com ", "|1|abc= "])
def test_a_host_key_is_read_as_ssh_keyscan_prints_it(before: str) -> None:
    kind, octets = read_host_key(f"{before}{HOST_KEY} a comment")
    assert (kind, len(octets)) == ("ssh-ed25519", 51)


@pytest.mark.parametrize(
    "text",
    ["", "ssh-ed25519", "ssh-dss AAAA", HOST_KEY[:-3], HOST_KEY.replace("ssh-ed25519", "ssh-rsa")],
)
def test_what_is_no_host_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_host_key(text)
    assert places_of({"host_key": text}) == ["/settings/sftp/host_key"]


def test_mistakes_are_found_where_they_are() -> None:
    assert places_of({}) == []
    assert places_of({"host": "files.example.com/x"}) == ["/settings/sftp/host"]
    assert places_of({"user": "a\nb"}) == ["/settings/sftp/user"]
    assert places_of({"folder": "a\x00b"}) == ["/settings/sftp/folder"]
    assert places_of({"password": None}) == ["/settings/sftp"]
    assert places_of({"password": None, "private_key": "nonsense"}) == [
        "/settings/sftp/private_key"
    ]
    assert places_of({"password": None, "private_key": HIDDEN}) == []


@pytest.mark.parametrize("path", ["/etc", "..", "a/../b", "", "/", "a\nb"])
def test_a_folder_lies_below_what_the_operator_gave(path: str) -> None:
    found = [one.pointer for one in find_drop_mistakes({"folder": {"path": path}}, "/settings")]
    assert found == ["/settings/folder/path"]


def test_what_logs_in_is_never_shown_and_kept_where_it_is_sent_back_hidden() -> None:
    present = FlowSettings(sftp=SFTP)
    shown = hide_secrets(present)
    assert shown.sftp == msgspec.structs.replace(SFTP, password=HIDDEN)
    assert keep_secrets(shown, present) == present
    other_key = msgspec.structs.replace(SFTP, password=None, private_key="key")
    assert hide_secrets(FlowSettings(sftp=other_key)).sftp == msgspec.structs.replace(
        other_key, private_key=HIDDEN
    )


@pytest.mark.parametrize("change", [{"host": "evil.example.com"}, {"port": 23}, {"user": "you"}])
def test_a_hidden_password_is_not_sent_to_another_server(change: dict[str, Any]) -> None:
    elsewhere = msgspec.structs.replace(SFTP, password=HIDDEN, **change)
    with pytest.raises(Invalid) as caught:
        keep_secrets(FlowSettings(sftp=elsewhere), FlowSettings(sftp=SFTP))
    assert [one.pointer for one in caught.value.errors] == ["/settings/sftp/password"]


def test_there_is_nothing_to_keep_for_a_new_flow() -> None:
    with pytest.raises(Invalid):
        keep_secrets(hide_secrets(FlowSettings(sftp=SFTP)), None)
