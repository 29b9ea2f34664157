"""Whatever can be set arrives, from the file and from the environment, and every mistake is told at once."""

from __future__ import annotations

from api.config import KEYS, read_config
from tests.api.config.mistakes import find_mistakes
from tests.api.config.whole import WHOLE, WHOLE_CONFIG


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
