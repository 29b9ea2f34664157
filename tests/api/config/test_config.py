"""The configuration: what is understood, and that every mistake is told with its place."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path

import pytest

from api.config import (
    KEYS,
    Config,
    ConfigError,
    Folder,
    Http,
    Imap,
    Limits,
    Log,
    Mail,
    Media,
    Retention,
    Route,
    Sftp,
    Sip,
    Speech,
    Trunk,
    Webhooks,
    read_config,
)
from api.config.keys import Address, PortRange, TrunkUri
from engine.did_health import RestRules
from engine.disposition import OutcomeTable
from engine.model import Cap
from tests.api.config.mistakes import find_mistakes

WHOLE = """\
data_dir = "/var/lib/callwheel"
drain_s = 12.5

[http]
bind = "[::1]:8081"
public_url = "https://calls.example.com/"
requests_per_s = 50
tls_cert = "/etc/callwheel/http.pem"
tls_key = "/etc/callwheel/http.key"
trusted_proxies = ["10.0.0.0/8", "fd00::1"]
forwarded_by = "Forwarded"

[sip]
bind = "127.0.0.2:0"
tls_bind = "[::]:5061"
tls_cert = "/etc/callwheel/cert.pem"
tls_key = "/etc/callwheel/key.pem"
tls_ca = "/etc/callwheel/ca.pem"
advertise = "192.0.2.8"
nameservers = ["192.0.2.53", "[2001:db8::53]:5353"]
trace_keep_s = 0
trace_bytes_max = 1048576

[media]
advertise = "192.0.2.7"
ports = "30000-30999"
planes = 3

[limits]
channels = 40
cps = 0.5
caps = [{calls = 3, per_s = 900}, {calls = 20, per_s = 86400}]
destinations = ["+91", "+1"]
account_calls_per_day = 9000
country_calls_per_day = 700

[dids]
blocked_max = 0.1
answered_min = 0.05
calls_min = 100
rest_s = 86400

[speech]
voice = "en-gb"
piper = {asha = "/voices/asha.onnx"}
bytes_max = 16777216

[log]
format = "json"

[mail]
domain = "Lists.example.com"
bind = "127.0.0.1:2525"
tls_cert = "/etc/callwheel/mail.pem"
tls_key = "/etc/callwheel/mail.key"
mails_per_minute = 30
activation = "Start"
smarthost = "mail.example.com:587"
smarthost_encryption = "required"
smarthost_username = "calls"
smarthost_password = "secret"

[retention]
events_days = 400

[mail.imap]
host = "Imap.example.com"
port = 1993
user = "lists@example.com"
password = "imap secret"
password_file = "/etc/callwheel/imap-password"
tls = "starttls"
tls_ca = "/etc/callwheel/imap-ca.pem"
folder = "Lists"
every_s = 30
taken = "flag"
taken_folder = "Done"
address = "Lists@example.com"

[sftp]
allow = ["192.168.7.0/24"]

[[folders]]
account = "default"
path = "/srv/lists"

[webhooks]
allow = ["10.0.0.0/8", "fd00::/8"]

[[trunks]]
name = "main"
uri = "sip:127.0.0.1:5070"
channels = 10
cps = 3
caps = [{calls = 5, per_s = 0.5}]
username = "u"
password = "p"
realm = "carrier.example.com"
register = true
register_expires_s = 60
probe_s = 30
large_over_tcp = true
tls_check = false
follow_redirects = true
session_expires_s = 0
outcomes = {"sip:487" = "no-answer", "q850:3" = "invalid-number", "text:channel limit" = "congested"}
from_domain = "Calls.example.com"
display_name = "Acme \\"Ltd\\""
asserted_identity = "did"
asserted_form = "both"
diversion = "+14155550100"
headers = ["X-Account: 7, eight", "X-Empty:"]
stir_key = "/etc/callwheel/stir.pem"
stir_certificate_url = "https://cert.example.com/shaken.pem"
stir_attestation = "A"
codecs = ["PCMA", "pcmu"]
srtp = "required"

[[trunks]]
name = "other"
uri = "sip:Carrier.example.com;transport=tls"

[[routes]]
name = "anywhere"
trunks = [["main", "other"]]

[[routes]]
name = "cheap"
trunks = ["other", ["main"]]
"""

WHOLE_CONFIG = Config(
    data_dir="/var/lib/callwheel",
    drain_s=12.5,
    http=Http(
        Address("::1", 8081),
        "https://calls.example.com",
        50,
        tls_cert="/etc/callwheel/http.pem",
        tls_key="/etc/callwheel/http.key",
        trusted_proxies=(ip_network("10.0.0.0/8"), ip_network("fd00::1")),
        forwarded_by="forwarded",
    ),
    sip=Sip(
        bind=Address("127.0.0.2", 0),
        tls_bind=Address("::", 5061),
        tls_cert="/etc/callwheel/cert.pem",
        tls_key="/etc/callwheel/key.pem",
        tls_ca="/etc/callwheel/ca.pem",
        advertise="192.0.2.8",
        nameservers=(Address("192.0.2.53", 53), Address("2001:db8::53", 5353)),
        trace_keep_s=0,
        trace_bytes_max=1_048_576,
    ),
    media=Media("192.0.2.7", PortRange(30000, 30999), 3),
    limits=Limits(40, 0.5, ("+91", "+1"), (Cap(3, 900), Cap(20, 86_400)), 9_000, 700),
    dids=RestRules(0.1, 0.05, 100, 86_400),
    speech=Speech("en-gb", (("asha", "/voices/asha.onnx"),), 16_777_216),
    log=Log("json"),
    webhooks=Webhooks((ip_network("10.0.0.0/8"), ip_network("fd00::/8"))),
    mail=Mail(
        domain="lists.example.com",
        bind=Address("127.0.0.1", 2525),
        tls_cert="/etc/callwheel/mail.pem",
        tls_key="/etc/callwheel/mail.key",
        mails_per_minute=30,
        activation="start",
        smarthost=Address("mail.example.com", 587),
        smarthost_encryption="required",
        smarthost_username="calls",
        smarthost_password="secret",
        imap=Imap(
            host="imap.example.com",
            user="lists@example.com",
            port=1993,
            password="imap secret",
            password_file="/etc/callwheel/imap-password",
            tls="starttls",
            tls_ca="/etc/callwheel/imap-ca.pem",
            folder="Lists",
            every_s=30,
            taken="flag",
            taken_folder="Done",
            address="lists@example.com",
        ),
    ),
    retention=Retention(400),
    sftp=Sftp((ip_network("192.168.7.0/24"),)),
    folders=(Folder("default", "/srv/lists"),),
    trunks=(
        Trunk(
            name="main",
            uri=TrunkUri("127.0.0.1", 5070),
            channels=10,
            cps=3,
            caps=(Cap(5, 0.5),),
            username="u",
            password="p",
            realm="carrier.example.com",
            register=True,
            register_expires_s=60,
            probe_s=30,
            large_over_tcp=True,
            tls_check=False,
            follow_redirects=True,
            session_expires_s=0,
            outcomes=OutcomeTable(
                by_text=(("channel limit", "congested"),),
                by_q850={3: "invalid-number"},
                by_sip={487: "no-answer"},
            ),
            from_domain="calls.example.com",
            display_name='Acme "Ltd"',
            asserted_identity="did",
            asserted_form="both",
            diversion="+14155550100",
            headers=(("X-Account", "7, eight"), ("X-Empty", "")),
            stir_key="/etc/callwheel/stir.pem",
            stir_certificate_url="https://cert.example.com/shaken.pem",
            stir_attestation="A",
            codecs=("PCMA", "PCMU"),
            srtp="required",
        ),
        Trunk("other", TrunkUri("carrier.example.com", None, "tls")),
    ),
    routes=(Route("anywhere", (("main", "other"),)), Route("cheap", (("other",), ("main",)))),
)


def test_without_a_file_the_defaults_are_those_of_the_documentation() -> None:
    assert read_config("", {}) == Config(
        data_dir="data",
        drain_s=30,
        http=Http(Address("127.0.0.1", 8080), None),
        sip=Sip(
            bind=Address("127.0.0.1", 5062),
            tls_bind=None,
            tls_cert=None,
            tls_key=None,
            tls_ca=None,
            advertise=None,
            nameservers=(),
            trace_keep_s=604_800,
            trace_bytes_max=1_073_741_824,
        ),
        media=Media("127.0.0.1", PortRange(20000, 29999), None),
        limits=Limits(5000, 500, ()),
        speech=Speech("en-us", (), 2 << 30),
        log=Log("auto"),
        webhooks=Webhooks(()),
        trunks=(),
        routes=(),
        admin_key=None,
    )


def test_a_trunk_of_which_only_name_and_address_are_given_has_the_documented_defaults() -> None:
    config = read_config('[[trunks]]\nname = "main"\nuri = "sip:127.0.0.1:5070"\n', {})
    assert config.trunks == (
        Trunk(
            name="main",
            uri=TrunkUri("127.0.0.1", 5070, None),
            channels=1000,
            cps=200,
            username=None,
            password=None,
            realm=None,
            register=False,
            register_expires_s=3600,
            probe_s=0,
            large_over_tcp=False,
            tls_check=True,
            follow_redirects=False,
            session_expires_s=1800,
            outcomes=OutcomeTable(),
            from_domain=None,
            display_name="",
            asserted_identity="none",
            asserted_form="sip",
            diversion=None,
            headers=(),
            stir_key=None,
            stir_certificate_url=None,
            stir_attestation=None,
        ),
    )


def test_every_key_of_a_file_arrives() -> None:
    assert read_config(WHOLE, {}) == WHOLE_CONFIG


def test_every_key_can_come_from_the_environment_instead() -> None:
    environment = {
        "CALLWHEEL_DATA_DIR": "/var/lib/callwheel",
        "CALLWHEEL_DRAIN_S": "12.5",
        "CALLWHEEL_HTTP__BIND": "[::1]:8081",
        "CALLWHEEL_HTTP__PUBLIC_URL": "https://calls.example.com/",
        "CALLWHEEL_HTTP__REQUESTS_PER_S": "50",
        "CALLWHEEL_HTTP__TLS_CERT": "/etc/callwheel/http.pem",
        "CALLWHEEL_HTTP__TLS_KEY": "/etc/callwheel/http.key",
        "CALLWHEEL_HTTP__TRUSTED_PROXIES": "10.0.0.0/8, fd00::1",
        "CALLWHEEL_HTTP__FORWARDED_BY": "forwarded",
        "CALLWHEEL_SIP__BIND": "127.0.0.2:0",
        "CALLWHEEL_SIP__TLS_BIND": "[::]:5061",
        "CALLWHEEL_SIP__TLS_CERT": "/etc/callwheel/cert.pem",
        "CALLWHEEL_SIP__TLS_KEY": "/etc/callwheel/key.pem",
        "CALLWHEEL_SIP__TLS_CA": "/etc/callwheel/ca.pem",
        "CALLWHEEL_SIP__ADVERTISE": "192.0.2.8",
        "CALLWHEEL_SIP__NAMESERVERS": "192.0.2.53, [2001:db8::53]:5353",
        "CALLWHEEL_SIP__TRACE_KEEP_S": "0",
        "CALLWHEEL_SIP__TRACE_BYTES_MAX": "1048576",
        "CALLWHEEL_MEDIA__ADVERTISE": "192.0.2.7",
        "CALLWHEEL_MEDIA__PORTS": "30000-30999",
        "CALLWHEEL_MEDIA__PLANES": "3",
        "CALLWHEEL_LIMITS__CHANNELS": "40",
        "CALLWHEEL_LIMITS__CPS": "0.5",
        "CALLWHEEL_LIMITS__ACCOUNT_CALLS_PER_DAY": "9000",
        "CALLWHEEL_LIMITS__COUNTRY_CALLS_PER_DAY": "700",
        "CALLWHEEL_LIMITS__CAPS": "[{calls = 3, per_s = 900}, {calls = 20, per_s = 86400}]",
        "CALLWHEEL_LIMITS__DESTINATIONS": "+91, +1",
        "CALLWHEEL_DIDS__BLOCKED_MAX": "0.1",
        "CALLWHEEL_DIDS__ANSWERED_MIN": "0.05",
        "CALLWHEEL_DIDS__CALLS_MIN": "100",
        "CALLWHEEL_DIDS__REST_S": "86400",
        "CALLWHEEL_SPEECH__VOICE": "en-gb",
        "CALLWHEEL_SPEECH__PIPER": '{asha = "/voices/asha.onnx"}',
        "CALLWHEEL_SPEECH__BYTES_MAX": "16777216",
        "CALLWHEEL_LOG__FORMAT": "json",
        "CALLWHEEL_WEBHOOKS__ALLOW": "10.0.0.0/8, fd00::/8",
        "CALLWHEEL_MAIL__DOMAIN": "Lists.example.com",
        "CALLWHEEL_MAIL__BIND": "127.0.0.1:2525",
        "CALLWHEEL_MAIL__TLS_CERT": "/etc/callwheel/mail.pem",
        "CALLWHEEL_MAIL__TLS_KEY": "/etc/callwheel/mail.key",
        "CALLWHEEL_MAIL__MAILS_PER_MINUTE": "30",
        "CALLWHEEL_MAIL__ACTIVATION": "Start",
        "CALLWHEEL_MAIL__SMARTHOST": "mail.example.com:587",
        "CALLWHEEL_MAIL__SMARTHOST_ENCRYPTION": "required",
        "CALLWHEEL_MAIL__SMARTHOST_USERNAME": "calls",
        "CALLWHEEL_MAIL__SMARTHOST_PASSWORD": "secret",
        "CALLWHEEL_RETENTION__EVENTS_DAYS": "400",
        "CALLWHEEL_MAIL__IMAP__HOST": "imap.example.com",
        "CALLWHEEL_MAIL__IMAP__PORT": "1993",
        "CALLWHEEL_MAIL__IMAP__USER": "lists@example.com",
        "CALLWHEEL_MAIL__IMAP__PASSWORD": "imap secret",
        "CALLWHEEL_MAIL__IMAP__PASSWORD_FILE": "/etc/callwheel/imap-password",
        "CALLWHEEL_MAIL__IMAP__TLS": "starttls",
        "CALLWHEEL_MAIL__IMAP__TLS_CA": "/etc/callwheel/imap-ca.pem",
        "CALLWHEEL_MAIL__IMAP__FOLDER": "Lists",
        "CALLWHEEL_MAIL__IMAP__EVERY_S": "30",
        "CALLWHEEL_MAIL__IMAP__TAKEN": "flag",
        "CALLWHEEL_MAIL__IMAP__TAKEN_FOLDER": "Done",
        "CALLWHEEL_MAIL__IMAP__ADDRESS": "lists@example.com",
        "CALLWHEEL_SFTP__ALLOW": "192.168.7.0/24",
        "CALLWHEEL_FOLDERS__0__ACCOUNT": "default",
        "CALLWHEEL_FOLDERS__0__PATH": "/srv/lists",
        "CALLWHEEL_TRUNKS__0__NAME": "main",
        "CALLWHEEL_TRUNKS__0__URI": "sip:127.0.0.1:5070",
        "CALLWHEEL_TRUNKS__0__CHANNELS": "10",
        "CALLWHEEL_TRUNKS__0__CPS": "3",
        "CALLWHEEL_TRUNKS__0__CAPS": "[{calls = 5, per_s = 0.5}]",
        "CALLWHEEL_TRUNKS__0__USERNAME": "u",
        "CALLWHEEL_TRUNKS__0__PASSWORD": "p",
        "CALLWHEEL_TRUNKS__0__REALM": "carrier.example.com",
        "CALLWHEEL_TRUNKS__0__REGISTER": "true",
        "CALLWHEEL_TRUNKS__0__REGISTER_EXPIRES_S": "60",
        "CALLWHEEL_TRUNKS__0__PROBE_S": "30",
        "CALLWHEEL_TRUNKS__0__LARGE_OVER_TCP": "True",
        "CALLWHEEL_TRUNKS__0__TLS_CHECK": "false",
        "CALLWHEEL_TRUNKS__0__FOLLOW_REDIRECTS": "true",
        "CALLWHEEL_TRUNKS__0__SESSION_EXPIRES_S": "0",
        "CALLWHEEL_TRUNKS__0__OUTCOMES": (
            "sip:487 = no-answer, q850:3=invalid-number, text:channel limit = congested"
        ),
        "CALLWHEEL_TRUNKS__0__FROM_DOMAIN": "Calls.example.com",
        "CALLWHEEL_TRUNKS__0__DISPLAY_NAME": 'Acme "Ltd"',
        "CALLWHEEL_TRUNKS__0__ASSERTED_IDENTITY": "did",
        "CALLWHEEL_TRUNKS__0__ASSERTED_FORM": "both",
        "CALLWHEEL_TRUNKS__0__DIVERSION": "+14155550100",
        "CALLWHEEL_TRUNKS__0__HEADERS": '["X-Account: 7, eight", "X-Empty:"]',
        "CALLWHEEL_TRUNKS__0__STIR_KEY": "/etc/callwheel/stir.pem",
        "CALLWHEEL_TRUNKS__0__STIR_CERTIFICATE_URL": "https://cert.example.com/shaken.pem",
        "CALLWHEEL_TRUNKS__0__STIR_ATTESTATION": "A",
        "CALLWHEEL_TRUNKS__0__CODECS": "PCMA,PCMU",
        "CALLWHEEL_TRUNKS__0__SRTP": "required",
        "CALLWHEEL_TRUNKS__1__NAME": "other",
        "CALLWHEEL_TRUNKS__1__URI": "sip:Carrier.example.com;transport=tls",
        "CALLWHEEL_ROUTES__0__NAME": "anywhere",
        "CALLWHEEL_ROUTES__0__TRUNKS": '[["main", "other"]]',
        "CALLWHEEL_ROUTES__1__NAME": "cheap",
        "CALLWHEEL_ROUTES__1__TRUNKS": "other, main",
    }
    given = {
        name.removeprefix("CALLWHEEL_").lower().replace("__0__", ".*.").replace("__", ".")
        for name in environment
        if "__1__" not in name
    }
    assert given == set(KEYS)
    assert read_config("", environment) == WHOLE_CONFIG


def test_the_environment_goes_before_the_file_key_by_key() -> None:
    config = read_config(
        WHOLE,
        {
            "CALLWHEEL_TRUNKS__1__URI": "sip:192.0.2.5:5080",
            "CALLWHEEL_LIMITS__DESTINATIONS": '["+44"]',
            "PATH": "/bin",
            "CALLWHEEL_ADMIN_KEY": "cw-abc_1",
            "CALLWHEEL_URL": "http://127.0.0.1:1",
            "CALLWHEEL_KEY": "k",
            "CALLWHEEL_TEST_SIZE": "long",
        },
    )
    assert config.trunks == (
        WHOLE_CONFIG.trunks[0],
        Trunk("other", TrunkUri("192.0.2.5", 5080)),
    )
    assert config.routes == WHOLE_CONFIG.routes
    assert config.limits == Limits(40, 0.5, ("+44",), (Cap(3, 900), Cap(20, 86_400)), 9_000, 700)
    assert config.admin_key == "cw-abc_1"


def test_a_tenth_trunk_of_the_environment_comes_after_the_ninth() -> None:
    environment = {f"CALLWHEEL_TRUNKS__{i}__NAME": f"t{i}" for i in range(11)}
    environment |= {f"CALLWHEEL_TRUNKS__{i}__URI": f"sip:127.0.0.1:{5000 + i}" for i in range(11)}
    assert [trunk.name for trunk in read_config("", environment).trunks] == [
        f"t{i}" for i in range(11)
    ]


def test_every_mistake_is_told_at_once_with_file_line_and_key() -> None:
    text = """\
data_dir = 5
colour = "red"
[http]
bind = "localhost:8080"
bimd = "127.0.0.1:8080"
[media]
advertise = "0.0.0.0"
ports = "20001-29999"
[limits]
cps = 0
channels = 1.5
destinations = [
  "+91",
  "0044",
]
[[trunks]]
name = "main"
uri = "127.0.0.1:5070"
username = "u"
[[trunks]]
# The same name again, and nowhere to send to.
name = "main"
[telephony]
x = 1
"""
    assert find_mistakes(text, CALLWHEEL_DRAIN_S="-1", CALLWHEEL_HTPP__BIND="x") == [
        ("callwheel.toml, line 1: data_dir", "wrong_type"),
        ("callwheel.toml, line 2: colour", "unknown_key"),
        ("callwheel.toml, line 4: http.bind", "invalid_address"),
        ("callwheel.toml, line 5: http.bimd", "unknown_key"),
        ("callwheel.toml, line 7: media.advertise", "invalid_address"),
        ("callwheel.toml, line 8: media.ports", "invalid_ports"),
        ("callwheel.toml, line 10: limits.cps", "out_of_range"),
        ("callwheel.toml, line 11: limits.channels", "wrong_type"),
        ("callwheel.toml, line 12: limits.destinations", "invalid_destination"),
        ("callwheel.toml, line 16: trunks.0.password", "missing_key"),
        ("callwheel.toml, line 18: trunks.0.uri", "invalid_uri"),
        ("callwheel.toml, line 20: trunks.1.uri", "missing_key"),
        ("callwheel.toml, line 22: trunks.1.name", "duplicate_trunk"),
        ("callwheel.toml, line 23: telephony", "unknown_key"),
        ("environment: CALLWHEEL_DRAIN_S", "out_of_range"),
        ("environment: CALLWHEEL_HTPP__BIND", "unknown_key"),
    ]


def test_a_mistyped_key_is_told_what_was_probably_meant() -> None:
    with pytest.raises(ConfigError) as caught:
        read_config('[http]\nbimd = "127.0.0.1:1"\n', {}, file="c.toml")
    assert str(caught.value) == (
        "c.toml, line 2: http.bimd: There is no such key; did you mean `bind`? (unknown_key)"
    )


def test_a_file_that_is_not_toml_is_told_with_its_line() -> None:
    assert find_mistakes("[http]\nbind = 127.0.0.1\n", CALLWHEEL_DRAIN_S="x") == [
        ("callwheel.toml, line 2", "not_toml"),
        ("environment: CALLWHEEL_DRAIN_S", "wrong_type"),
    ]


@pytest.mark.parametrize("text", ["x = " + "[" * 100_000, "x = " + "9" * 5000])
def test_a_file_that_breaks_the_parser_is_not_toml(text: str) -> None:
    assert [code for _, code in find_mistakes(text)] == ["not_toml"]


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


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        ({"CALLWHEEL_TRUNKS__1__NAME": "b"}, "index_gap"),
        ({"CALLWHEEL_TRUNKS__0": "b"}, "wrong_type"),
        ({"CALLWHEEL_HTTP": "b"}, "wrong_type"),
        ({"CALLWHEEL_TRUNKS__00__NAME": "b"}, "unknown_key"),
        ({"CALLWHEEL_TRUNKS__" + "9" * 5000 + "__NAME": "b"}, "unknown_key"),
        ({"CALLWHEEL_": "b"}, "unknown_key"),
        ({"CALLWHEEL_LIMITS__CPS": "5\nx = 1"}, "wrong_type"),
        ({"CALLWHEEL_LIMITS__CPS": "nan"}, "out_of_range"),
        ({"CALLWHEEL_LIMITS__CPS": "true"}, "wrong_type"),
        ({"CALLWHEEL_LIMITS__DESTINATIONS": "+1,+1x"}, "invalid_destination"),
        ({"CALLWHEEL_LIMITS__DESTINATIONS": "[5"}, "wrong_type"),
        ({"CALLWHEEL_LIMITS__CAPS": "3 in 900"}, "wrong_type"),
        ({"CALLWHEEL_LIMITS__CAPS": "3"}, "wrong_type"),
        ({"CALLWHEEL_LIMITS__CAPS": "[{calls = 3}]"}, "invalid_cap"),
        ({"CALLWHEEL_LIMITS__CAPS": "[{calls = 0, per_s = 1}]"}, "invalid_cap"),
        ({"CALLWHEEL_LIMITS__CAPS": str(["x"] * 17)}, "too_many"),
        ({"CALLWHEEL_HTTP__BIND": ""}, "invalid_text"),
        ({"CALLWHEEL_ADMIN_KEY": "two words"}, "invalid_key"),
    ],
)
def test_a_wrong_variable_is_told_by_its_own_name(environment: dict[str, str], code: str) -> None:
    assert find_mistakes("", **environment) == [(f"environment: {next(iter(environment))}", code)]


def test_an_administrator_key_is_not_repeated_in_its_mistake() -> None:
    with pytest.raises(ConfigError) as caught:
        read_config("", {"CALLWHEEL_ADMIN_KEY": "my secret"})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "bind",
    ["8080", ":8080", "localhost:80", "127.0.0.1:65536", "::1:80", "127.0.0.1:-1", "127.0.0.1:٣"],
)
def test_a_bind_address_is_an_ip_address_and_a_port(bind: str) -> None:
    assert [code for _, code in find_mistakes(f'http.bind = "{bind}"')] == ["invalid_address"]


@pytest.mark.parametrize(
    "ports",
    ["20000", "20000-20000", "20000-19999", "20001-20002", "20000-20002", "0-99", "65000-65537"],
)
def test_media_ports_are_an_even_range(ports: str) -> None:
    assert [code for _, code in find_mistakes(f'media.ports = "{ports}"')] == ["invalid_ports"]


@pytest.mark.parametrize(
    "uri",
    [
        "sip:",
        "sips:carrier.example.com",
        "sip:user@carrier.example.com",
        "sip:10.0.0.999",
        "sip:carrier.example.com:0",
        "sip:carrier.example.com;lr",
        "sip:carrier.example.com;transport=sctp",
        "sip:-a-",
        "sip:a b",
        "sip:[::1",
    ],
)
def test_a_trunk_uri_has_one_form(uri: str) -> None:
    codes = [code for _, code in find_mistakes(f'[[trunks]]\nname = "a"\nuri = "{uri}"\n')]
    assert codes in (["invalid_uri"], ["invalid_address"])


@pytest.mark.parametrize(
    "url", ["calls.example.com", "ftp://a", "https://", "https://a/b", "https://u@a", "http://a:x"]
)
def test_a_public_url_is_a_web_address_without_a_path(url: str) -> None:
    assert [code for _, code in find_mistakes(f'http.public_url = "{url}"')] == ["invalid_url"]


def test_a_table_written_as_a_value_is_told() -> None:
    assert find_mistakes('http = 5\ntrunks = "main"\n') == [
        ("callwheel.toml, line 1: http", "wrong_type"),
        ("callwheel.toml, line 2: trunks", "wrong_type"),
    ]


def test_a_line_inside_a_text_of_several_lines_is_no_key() -> None:
    text = 'data_dir = """\ndrain_s = 7\n"""\ndrain_s = -1\n'
    assert find_mistakes(text) == [
        ("callwheel.toml, line 1: data_dir", "invalid_text"),
        ("callwheel.toml, line 4: drain_s", "out_of_range"),
    ]


DOCUMENT = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_the_example_of_the_documentation_is_a_configuration() -> None:
    example = re.search(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    config = read_config(example[1], {})
    assert (config.trunks[0].name, config.limits.destinations) == ("main", ("+91", "+1"))


def test_the_documentation_names_every_key_and_no_other() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    table = text.partition("## The keys")[2].partition("Each trunk")[0]
    firsts = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {key for cell in firsts for key in re.findall(r"`([^`]+)`", cell)} == set(KEYS)


def test_the_mistakes_that_the_documentation_shows_are_the_real_ones() -> None:
    text = '[http]\nbimd = "127.0.0.1:8080"\n[media]\nports = "20001-29999"\n'
    with pytest.raises(ConfigError) as caught:
        read_config(text, {"CALLWHEEL_DRAIN_S": "-1"}, file="callwheel.toml")
    shown = DOCUMENT.read_text(encoding="utf-8")
    assert [line for line in str(caught.value).splitlines() if f"  {line}\n" not in shown] == []


@pytest.mark.parametrize(
    ("planes", "code"),
    [("0", "out_of_range"), ("65", "out_of_range"), ("1.5", "wrong_type"), ("true", "wrong_type")],
)
def test_planes_are_a_whole_number_of_processes(planes: str, code: str) -> None:
    assert [found for _, found in find_mistakes(f"media.planes = {planes}")] == [code]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('[sftp]\nallow = ["10.0.0.1/8"]\n', "invalid_network"),
        ('[[folders]]\naccount = "default"\n', "missing_key"),
        (
            '[[folders]]\naccount = "a"\npath = "/a"\n[[folders]]\naccount = "a"\npath = "/b"\n',
            "duplicate_folder",
        ),
        ('[webhooks]\nallow = "10.0.0.0/8"\n', "wrong_type"),
        ('[webhooks]\nallow = ["10.0.0.1/8"]\n', "invalid_network"),
        ('[webhooks]\nallow = ["example.com"]\n', "invalid_network"),
        ('[http]\ntrusted_proxies = ["proxy.example.com"]\n', "invalid_network"),
        ('[http]\nforwarded_by = "x-real-ip"\n', "invalid_header"),
        ('[http]\ntls_cert = "a.pem"\n', "missing_key"),
        ("[webhooks]\nallow = [" + '"10.0.0.0/8",' * 101 + "]\n", "too_many"),
        ('[log]\nformat = "xml"\n', "invalid_choice"),
        ('[speech]\nvoice = "no voice"\n', "invalid_name"),
        ('[speech]\npiper = ["/voices/asha.onnx"]\n', "wrong_type"),
        ("[speech]\npiper = {asha = 5}\n", "wrong_type"),
        ("[speech]\nbytes_max = 5\n", "out_of_range"),
        ("[speech]\nbytes_max = 2.5\n", "wrong_type"),
    ],
)
def test_a_wrong_value_of_speech_or_webhooks_is_told(text: str, code: str) -> None:
    assert [found for _, found in find_mistakes(text)] == [code]
