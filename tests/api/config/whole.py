"""A file with every key, and what it means."""

from __future__ import annotations

from ipaddress import ip_network

from api.config import (
    Config,
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
)
from api.config.keys import Address, PortRange, TrunkUri
from engine.model import Cap
from engine.model.did_health import RestRules
from engine.model.disposition import OutcomeTable

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
