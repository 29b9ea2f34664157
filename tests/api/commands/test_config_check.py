"""`callwheel config check`, and `serve` where it says the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from api.__main__ import run
from tests.api.commands.tls_files import write_tls


def test_config_check_tells_every_mistake_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.toml"
    path.write_text('drain_s = -1\n[http]\nbimd = "x"\n')
    monkeypatch.setenv("CALLWHEEL_SIP__BIND", "here")
    assert run(["config", "check", "--config", str(path)]) == 1
    assert capsys.readouterr() == (
        "",
        "callwheel config check: the configuration has 3 mistakes.\n"
        f"  {path}, line 1: drain_s: This is 0 to 3600, not -1. (out_of_range)\n"
        f"  {path}, line 3: http.bimd: There is no such key; did you mean `bind`? (unknown_key)\n"
        "  environment: CALLWHEEL_SIP__BIND: This is host:port, as 127.0.0.1:8080, not 'here'."
        " (invalid_address)\n",
    )


def test_config_check_says_what_to_expect_of_the_defaults(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["config", "check"]) == 0
    assert capsys.readouterr() == (
        "The default configuration: no mistakes.\n"
        "  The API and the console will be at 127.0.0.1:8080, SIP at 127.0.0.1:5062.\n"
        "  There is no trunk: triggers will wait, with the blocker no_trunk.\n"
        "  limits.destinations is empty: every number will be refused.\n",
        "",
    )


def test_config_check_warns_of_keys_that_anybody_on_the_way_can_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "callwheel.toml"
    trunk = '[[trunks]]\nname = "{0}"\nuri = "sip:192.0.2.9:5060{1}"\nsrtp = "{2}"\n'
    path.write_text(
        trunk.format("open", ";transport=tcp", "optional")
        + trunk.format("udp", "", "required")
        + trunk.format("safe", ";transport=tls", "required")
        + trunk.format("plain", "", "off"),
    )
    assert run(["config", "check", "--config", str(path)]) == 0
    warnings = [line for line in capsys.readouterr().out.splitlines() if "Warning" in line]
    assert warnings == [
        f"  Warning: trunk {name!r} has srtp = {srtp!r}, and its signalling is not encrypted: whoever"
        " reads that has the keys of the sound too. Put ;transport=tls into its uri."
        for name, srtp in (("open", "optional"), ("udp", "required"))
    ]


def test_serve_refuses_a_wrong_configuration_as_config_check_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(b"\xff")
    assert run(["serve", "--config", str(path)]) == 1
    assert run(["serve", "--config", str(tmp_path / "none.toml")]) == 1
    assert capsys.readouterr() == (
        "",
        f"callwheel serve: {path} is not UTF-8: byte 0 begins no letter.\n"
        f"callwheel serve: {tmp_path}/none.toml cannot be read: No such file or directory.\n",
    )


@pytest.mark.parametrize("command", ["config check", "serve"])
def test_files_that_cannot_be_used_are_told_with_the_key_that_names_them(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_tls(tmp_path, "127.0.0.1:0")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    locked = generate_private_key(SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    (tmp_path / "key.pem").write_bytes(locked)
    with path.open("a") as file:
        file.write(
            f'tls_ca = "{tmp_path}/none.pem"\n[[trunks]]\nname = "a"\nuri = "sip:127.0.0.9"\n'
            f'stir_key = "{pipe}"\nstir_attestation = "A"\n'
            'stir_certificate_url = "https://cert.example.com/p.pem"\n'
        )
    assert run([*command.split(), "--config", str(path)]) == 1
    assert capsys.readouterr() == (
        "",
        f"callwheel {command}: the configuration has 3 mistakes.\n"
        f"  {path}, line 7: sip.tls_key: The key in {tmp_path}/key.pem is encrypted; nobody is there"
        " to type its pass phrase. (encrypted_key)\n"
        f"  {path}, line 8: sip.tls_ca: There is no authorities file {tmp_path}/none.pem."
        " (unusable_file)\n"
        f"  {path}, line 12: trunks.0.stir_key: {pipe} is not a regular file."
        " (unreadable_key_file)\n",
    )


def test_config_check_takes_files_that_can_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_tls(tmp_path, "127.0.0.1:0")
    assert run(["config", "check", "--config", str(path)]) == 0
    assert capsys.readouterr().out.startswith(f"{path}: no mistakes.\n")
