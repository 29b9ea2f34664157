"""The commands: what they take, what they print, and which exit code they leave."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.request import urlopen

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from api.__main__ import COMMANDS, run
from tests.api.test_client import LIST

Answers = dict[str, tuple[int, Any]]


class Seen:
    """What a server was asked."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, str]] = []
        """Method, target and key of each."""
        self.bodies: list[bytes] = []


@contextmanager
def serve(answers: Answers) -> Iterator[tuple[str, Seen]]:
    """A server of these answers, in a thread, because a command runs its own loop; its address."""
    seen = Seen()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            key = self.headers.get("Authorization", "")
            seen.requests.append((self.command, self.path, key))
            seen.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            status, value = answers[self.path]
            content = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _answer

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variables of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith("CALLWHEEL_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run([*command.split(), "--help"])
    assert caught.value.code == 0
    assert f"usage: callwheel {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "line",
    [
        "",
        "dance",
        "keys",
        "keys create --account a",
        "keys create --account a --role king",
        "upload flw_1",
        "demo --contacts 0",
        "demo --contacts 50001",
        "demo --contacts ²",
        "demo --seed -1",
        "sim --seed x",
        "forecast lst_1 --talk-s inf",
        "forecast lst_1 --answer-rate nan",
    ],
)
def test_what_cannot_be_understood_is_exit_code_2(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(line.split())
    assert caught.value.code == 2
    assert "usage: callwheel" in capsys.readouterr().err


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


def test_keys_are_listed_replaced_and_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    key = {"id": "key_1", "account": "acc_1", "role": "owner", "name": "CRM", "scopes": ["lists"]}
    answers = {
        "/v1/keys?limit=1000": (200, {"items": [key], "next": None}),
        "/v1/keys/key_1/rotate": (201, {**key, "id": "key_2", "key": "cw_x"}),
        "/v1/keys/key_1": (200, {}),
    }
    with serve(answers) as (url, seen):
        at = ["--url", url, "--key", "cw_k"]
        assert run(["keys", "list", *at]) == 0
        assert run(["keys", "rotate", "key_1", "--overlap", "2", *at]) == 0
        assert run(["keys", "revoke", "key_1", *at]) == 0
    assert [request[:2] for request in seen.requests] == [
        ("GET", "/v1/keys?limit=1000"),
        ("POST", "/v1/keys/key_1/rotate"),
        ("DELETE", "/v1/keys/key_1"),
    ]
    assert json.loads(seen.bodies[1]) == {"overlap_s": 7200.0}
    listed = "key_1\tacc_1\towner\tgood\tnever used\tlists\tCRM\n"
    assert capsys.readouterr().out == f"{listed}cw_x\n"


def test_keys_create_prints_the_key_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {"id": "key_1", "key": "cw_x", "account": "acc_1", "role": "owner"}
    monkeypatch.setenv("CALLWHEEL_ADMIN_KEY", "cw_admin")
    with serve({"/v1/keys": (201, made)}) as (url, seen):
        monkeypatch.setenv("CALLWHEEL_URL", url)
        assert run(["keys", "create", "--account", "sales", "--role", "owner"]) == 0
    assert seen.requests == [("POST", "/v1/keys", "Bearer cw_admin")]
    assert json.loads(seen.bodies[0]) == {"account": "sales", "role": "owner"}
    assert capsys.readouterr() == (
        "cw_x\n",
        "A key of sales as owner (key_1). It is shown this once; keep it.\n",
    )


def test_a_command_without_a_key_says_how_to_give_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["results", "lst_1"]) == 2
    assert capsys.readouterr().err == (
        "callwheel results: a key is needed: give --key or set CALLWHEEL_KEY.\n"
    )


def test_an_engine_that_is_not_there_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with serve({}) as (url, _):
        pass
    assert run(["watch", "lst_1", "--url", url, "--key", "k"]) == 1
    host = url.removeprefix("http://")
    assert capsys.readouterr().err == (
        f"callwheel watch: {host} cannot be reached: Connection refused.\n"
    )


def test_a_refusal_is_told_in_the_engines_words(capsys: pytest.CaptureFixture[str]) -> None:
    problem = {"code": "not_found", "detail": "There is no list 'lst_1'."}
    with serve({"/v1/lists/lst_1/results.csv": (404, problem)}) as (url, _):
        assert run(["results", "lst_1", "--url", url, "--key", "k"]) == 1
    assert capsys.readouterr() == (
        "",
        "callwheel results: There is no list 'lst_1'. (not_found)\n",
    )


def test_results_come_byte_for_byte(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    content = b"\xef\xbb\xbfid,name\r\ncnt_1,\xe5\xb0\x8f\r\n"
    path = tmp_path / "out.csv"
    with serve({"/v1/lists/lst_1/results.csv": (200, content)}) as (url, _):
        options = ["--url", url, "--key", "k"]
        assert run(["results", "lst_1", *options]) == 0
        assert run(["results", "lst_1", "--output", str(path), *options]) == 0
        assert run(["results", "lst_1", "--output", str(tmp_path), *options]) == 1
    sys.stdout.flush()
    assert capfdbinary.readouterr().out == content
    assert path.read_bytes() == content


PREFLIGHT = {
    "numbers": 3,
    "countries": {"IN": 2, "US": 1},
    "do_not_call": {"numbers": 1, "contacts": 0},
    "forecast": {
        "ends_at": "2030-07-01T09:30:00.000Z",
        "calls_per_s": 2.0,
        "bottleneck": "did_cps",
        "assumes": "One call each.",
        "contacts": 2,
        "attempts": 2,
    },
}


def test_upload_shows_what_was_taken_and_what_was_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "demo.csv"
    path.write_bytes(b"tel1\n+1\n")
    answers = {
        "/v1/flows/flw_1/lists": (202, LIST),
        "/v1/flows/flw_1/lists?dry_run=true": (
            202,
            {**LIST, "id": "", "preflight": PREFLIGHT},
        ),
    }
    with serve(answers) as (url, seen):
        options = [str(path), "--url", url, "--key", "k"]
        assert run(["upload", "flw_1", *options]) == 0
        assert run(["upload", "flw_1", "--dry-run", *options]) == 0
    assert [target for _, target, _ in seen.requests] == list(answers)
    assert b'filename="demo.csv"' in seen.bodies[0]
    first, second = capsys.readouterr().out.split("demo.csv: 3 rows, 2 accepted, 1 rejected.\n")[1:]
    assert "invalid_number" in first
    assert first.endswith("\nList lst_1\n")
    told = " ".join(second.split())
    assert told.endswith(
        "3 numbers: IN 2, US 1. 1 numbers are on the do-not-call list; 0 contacts have no other."
        " It ends at 2030-07-01T09:30:00.000Z, at 2 calls a second. What holds it back most is did_cps."
        " Still to be called: 2, in about 2 calls. One call each."
        " Nobody is called: this was a dry run."
    )


def test_upload_of_a_list_with_nothing_good_is_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "demo.csv"
    path.write_bytes(b"tel1\nx\n")
    rejected = {**LIST, "status": "rejected", "report": {"rows": 1, "accepted": 0, "rejected": 1}}
    with serve({"/v1/flows/flw_1/lists": (202, rejected)}) as (url, _):
        assert run(["upload", "flw_1", str(path), "--url", url, "--key", "k"]) == 1
    assert capsys.readouterr().out == "demo.csv: 1 rows, 0 accepted, 1 rejected.\n"


def test_upload_of_a_file_that_is_not_there_asks_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve({}) as (url, seen):
        assert run(["upload", "flw_1", str(tmp_path / "x.csv"), "--url", url, "--key", "k"]) == 1
    assert seen.requests == []
    assert capsys.readouterr().err == (
        f"callwheel upload: {tmp_path}/x.csv cannot be read: No such file or directory.\n"
    )


FORECAST = {
    "ends_at": "2030-07-01T09:30:00.000Z",
    "earliest_at": "2030-07-01T09:20:00.000Z",
    "latest_at": "2030-07-01T09:45:00.000Z",
    "calls_per_s": 2.0,
    "bottleneck": "did_cps",
    "without_bottleneck_at": "2030-07-01T09:10:00.000Z",
    "contacts": 500,
    "attempts": 800,
    "assumes": "One call each.",
}


def test_forecast_says_when_a_list_ends_and_what_holds_it_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serve({"/v1/lists/lst_1/forecast": (200, FORECAST)}) as (url, seen):
        options = ["--answer-rate", "0.4", "--url", url, "--key", "k"]
        assert run(["forecast", "lst_1", *options]) == 0
    assert [json.loads(body) for body in seen.bodies] == [{"answer_rate": 0.4}]
    assert capsys.readouterr().out == (
        "It ends at 2030-07-01T09:30:00.000Z, at 2 calls a second."
        " Not before 2030-07-01T09:20:00.000Z, and not after 2030-07-01T09:45:00.000Z."
        " What holds it back most is did_cps; without that it would end at 2030-07-01T09:10:00.000Z."
        " Still to be called: 500, in about 800 calls. One call each.\n"
    )


def test_forecast_of_a_list_that_cannot_end_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    endless = {"ends_at": None, "bottleneck": "no_trunk", "assumes": "One call each."}
    with serve({"/v1/lists/lst_1/forecast": (200, endless)}) as (url, _):
        assert run(["forecast", "lst_1", "--url", url, "--key", "k"]) == 0
    assert capsys.readouterr().out == (
        "No end is in sight: no_trunk stands in the way. One call each.\n"
    )


def test_forecast_of_a_list_whose_latest_end_is_in_no_sight_says_the_earliest_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    endless = {**FORECAST, "latest_at": None, "bottleneck": None}
    with serve({"/v1/lists/lst_1/forecast": (200, endless)}) as (url, _):
        assert run(["forecast", "lst_1", "--url", url, "--key", "k"]) == 0
    assert capsys.readouterr().out == (
        "It ends at 2030-07-01T09:30:00.000Z, at 2 calls a second."
        " Not before 2030-07-01T09:20:00.000Z."
        " Still to be called: 500, in about 800 calls. One call each.\n"
    )


def test_forecast_of_a_list_that_is_done_names_no_end(capsys: pytest.CaptureFixture[str]) -> None:
    done = {"ends_at": "2030-07-01T09:30:00.000Z", "contacts": 0, "assumes": "One call each."}
    with serve({"/v1/lists/lst_1/forecast": (200, done)}) as (url, _):
        assert run(["forecast", "lst_1", "--url", url, "--key", "k"]) == 0
    assert capsys.readouterr().out == "Nobody of it is left to be called.\n"


@pytest.mark.parametrize(("status", "code"), [("completed", 0), ("canceled", 0), ("rejected", 1)])
def test_watch_of_a_list_that_has_ended_says_how(
    status: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve({"/v1/lists/lst_1": (200, {**LIST, "status": status})}) as (url, _):
        assert run(["watch", "lst_1", "--url", url, "--key", "k"]) == code
    assert capsys.readouterr().out == f"demo.csv is {status}: 1 busy.\n"


def test_foreign_text_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    named = {**LIST, "status": "completed", "name": "\x1b[2J\nevil"}
    with serve({"/v1/lists/lst_1": (200, named)}) as (url, _):
        assert run(["watch", "lst_1", "--url", url, "--key", "k"]) == 0
    assert capsys.readouterr().out == "�[2J�evil is completed: 1 busy.\n"


def test_sim_refuses_a_profile_and_an_address_that_cannot_be(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["sim", "--bind", "here"]) == 1
    assert run(["sim", "--profile", "/nowhere/at/all.toml"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[:2] for line in lines] == [
        ["callwheel sim", " bind here"],
        ["callwheel sim", " profile /nowhere/at/all.toml"],
    ]


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


def write_tls(folder: Path, tls_bind: str) -> Path:
    """A configuration with a certificate and its key."""
    leaf = trustme.CA().issue_cert("callwheel.example")
    leaf.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    leaf.private_key_pem.write_to_path(str(folder / "key.pem"))
    path = folder / "c.toml"
    path.write_text(
        f'data_dir = "{folder}/data"\nhttp.bind = "127.0.0.1:0"\n[sip]\nbind = "127.0.0.1:0"\n'
        f'tls_bind = "{tls_bind}"\ntls_cert = "{folder}/cert.pem"\ntls_key = "{folder}/key.pem"\n'
    )
    return path


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


def test_what_the_engine_keeps_is_open_to_its_own_user_alone(tmp_path: Path) -> None:
    with start_serve(tmp_path) as engine:
        read_until_up(engine)
        kept = [tmp_path / "data", *(tmp_path / "data").rglob("*")]
        modes = {file.name: file.stat().st_mode & 0o077 for file in kept}
        engine.send_signal(signal.SIGTERM)
        engine.communicate(timeout=60)
    assert {"data", "callwheel.db", "callwheel.db-wal", "traces.db"} <= modes.keys()
    assert (engine.returncode, set(modes.values())) == (0, {0})


def test_bench_names_its_scenarios_and_knows_no_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--list"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert run(["bench", "wheel", "juggling"]) == 2
    assert capsys.readouterr().err == (
        f"callwheel bench: there is no scenario juggling; there are {', '.join(names)}.\n"
    )
