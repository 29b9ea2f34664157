"""What holds where nobody says anything."""

from __future__ import annotations

from api.config import Config, Http, Limits, Log, Media, Sip, Speech, Trunk, Webhooks, read_config
from api.config.keys import Address, PortRange, TrunkUri
from engine.model.disposition import OutcomeTable


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
