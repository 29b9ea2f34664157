"""`callwheel serve`: what it prints, where it listens, and how it stops."""

from __future__ import annotations

import errno
import os
import re
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
import trustme

from api.commands import serve as serving
from api.config import read_config
from tests.api.commands.answering import serve
from tests.api.commands.tls_files import write_tls


def start_serve(folder: Path, http: str = "127.0.0.1:0") -> subprocess.Popen[str]:
    """An engine in a process of its own, since it listens to signals."""
    environment = {
        **os.environ,
        "CALLWHEEL_DATA_DIR": str(folder / "data"),
        "CALLWHEEL_DRAIN_S": "0",
        "CALLWHEEL_HTTP__BIND": http,
        "CALLWHEEL_SIP__BIND": "127.0.0.1:0",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "api", "serve"],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def read_until_up(engine: subprocess.Popen[str]) -> list[str]:
    """What it prints until it is up, without the last line."""
    assert engine.stdout is not None
    return list(iter(engine.stdout.readline, "Callwheel is up.\n"))


def test_serve_tells_a_made_key_once_and_stops_in_good_order_when_it_is_told(
    tmp_path: Path,
) -> None:
    with start_serve(tmp_path) as engine:
        first = read_until_up(engine)
        engine.send_signal(signal.SIGTERM)
        rest, _ = engine.communicate(timeout=60)
    assert (engine.returncode, rest.splitlines()) == (
        0,
        ["Stopping: calls that are up have 0 s to end.", "Callwheel has stopped."],
    )
    assert [line.rsplit(None, 1)[0] for line in first[:2]] == ["  API and console", "  SIP"]
    assert re.fullmatch(r"  administrator key  cw_\S+   \(shown this once; keep it\)\n", first[2])
    with start_serve(tmp_path) as engine:
        second = read_until_up(engine)
        engine.send_signal(signal.SIGINT)
        engine.communicate(timeout=60)
    assert (engine.returncode, len(first), len(second)) == (0, 3, 2)


def test_serve_on_an_address_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    with serve({}) as (url, _):
        taken = url.removeprefix("http://")
        with start_serve(tmp_path, taken) as engine:
            out, err = engine.communicate(timeout=60)
    assert (engine.returncode, out, without_log(err)) == (
        1,
        "",
        [f"callwheel serve: the engine cannot run: Address already in use (http.bind {taken})."],
    )


def without_log(err: str) -> list[str]:
    """The lines on standard error that are for a person."""
    return [line for line in err.splitlines() if not line.startswith("{")]


def test_a_port_that_takes_a_right_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system says no more than that permission is denied."""
    config = read_config('[http]\nbind = "127.0.0.1:80"', {})
    monkeypatch.setattr(serving, "_can_bind", lambda address, _: address.port >= 1024)
    bare = PermissionError(errno.EACCES, "Permission denied")
    said = serving._say(ExceptionGroup("", [bare]), config)
    assert said == "Permission denied (http.bind 127.0.0.1:80)."
    of_file = PermissionError(errno.EACCES, "Permission denied", "data/callwheel.db")
    said = serving._say(ExceptionGroup("", [of_file]), config)
    assert said == "Permission denied (data/callwheel.db)."


def test_serve_speaks_tls_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1")
    leaf.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "own.pem"))
    for part in ("CERT", "KEY"):
        monkeypatch.setenv(f"CALLWHEEL_HTTP__TLS_{part}", f"{tmp_path}/own.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with start_serve(tmp_path) as engine:
        url = read_until_up(engine)[0].split()[-1]
        with urlopen(f"{url}/healthz", context=context) as answer:
            seen = url.partition(":")[0], answer.status, answer.headers["Strict-Transport-Security"]
        engine.send_signal(signal.SIGTERM)
        engine.communicate(timeout=60)
    assert (engine.returncode, seen) == (0, ("https", 200, "max-age=31536000"))


def test_serve_names_the_port_of_tls_when_that_is_taken(tmp_path: Path) -> None:
    with serve({}) as (url, _):
        taken = url.removeprefix("http://")
        path = write_tls(tmp_path, taken)
        engine = subprocess.run(
            [sys.executable, "-m", "api", "serve", "--config", str(path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (engine.returncode, engine.stdout, without_log(engine.stderr)) == (
        1,
        "",
        [f"callwheel serve: the engine cannot run: Address already in use (sip.tls_bind {taken})."],
    )


def test_what_the_engine_keeps_is_open_to_its_own_user_alone(tmp_path: Path) -> None:
    with start_serve(tmp_path) as engine:
        read_until_up(engine)
        kept = [tmp_path / "data", *(tmp_path / "data").rglob("*")]
        modes = {file.name: file.stat().st_mode & 0o077 for file in kept}
        engine.send_signal(signal.SIGTERM)
        engine.communicate(timeout=60)
    assert {"data", "callwheel.db", "callwheel.db-wal", "traces.db"} <= modes.keys()
    assert (engine.returncode, set(modes.values())) == (0, {0})
