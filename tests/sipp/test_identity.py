"""Item 7: who the INVITE says is calling, and its signature, verified here with nothing of ours."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from msgspec import structs

from adapters.sip.identity.headers import TrunkIdentity
from adapters.sip.trunk import Stir, Trunk
from engine.ports.telephony import Answered, Ended, Presentation
from tests.sipp.scenario import HUNG_UP, NOW, Scenario, expected, play

pytestmark = pytest.mark.peer

CERTIFICATE: Final = "https://cert.example.org/shaken.pem"
ANSWERED: Final = Scenario((Answered(), HUNG_UP), "answered")


def of_trunk(identity: TrunkIdentity, domain: str | None = None) -> Trunk:
    return Trunk("main", "127.0.0.1", domain=domain, identity=identity)


SCENARIOS: Final[dict[str, Scenario]] = {
    "sees_a_display_name": structs.replace(
        ANSWERED,
        trunk=of_trunk(TrunkIdentity(display_name="Somebody else")),
        presentation=Presentation(display_name='Example "Q" Ltd'),
    ),
    "sees_no_number": structs.replace(ANSWERED, presentation=Presentation(withhold=True)),
    "sees_the_asserted_identity": structs.replace(
        ANSWERED,
        trunk=of_trunk(TrunkIdentity(asserted="did", asserted_form="both"), "calls.example.com"),
    ),
    "sees_a_diversion": structs.replace(
        ANSWERED, presentation=Presentation(diverted_from="+14155550111")
    ),
    "sees_headers_of_trunk_and_call": structs.replace(
        ANSWERED,
        trunk=of_trunk(TrunkIdentity(headers=(("X-Account", "7"), ("X-Campaign", "autumn")))),
        presentation=Presentation(
            headers=(("X-Campaign", "spring"), ("X-Evil", "1\r\nInjected: yes"), ("Via", "X-Evil"))
        ),
    ),
    "passes_an_identity_header_through": structs.replace(
        ANSWERED,
        presentation=Presentation(
            headers=(
                (
                    "Identity",
                    "eyJhbGciOiJFUzI1NiJ9.e30.c2ln"
                    ";info=<https://cert.example.org/cert.pem>;alg=ES256;ppt=shaken",
                ),
                ("Date", "Sat, 13 Nov 2010 23:29:00 GMT"),
            )
        ),
    ),
    "438_invalid_identity": Scenario(
        (Ended("rejected", 438, "Invalid Identity Header"),), "failed"
    ),
}
OTHER_SCENARIOS: Final = ("verifies_our_signature",)


@pytest.mark.parametrize("name", SCENARIOS)
async def test_the_carrier_is_told_who_calls_as_it_wants_to_hear_it(
    name: str, sipp: str, tmp_path: Path
) -> None:
    assert await play(sipp, tmp_path, name, SCENARIOS[name]) == expected(SCENARIOS[name])


async def test_the_signature_of_a_call_is_good_and_says_who_calls_whom(
    sipp: str, tmp_path: Path
) -> None:
    key = generate_private_key(SECP256R1())
    file = tmp_path / "stir.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    file.chmod(0o600)
    stir = Stir(str(file), CERTIFICATE, "A")
    scenario = structs.replace(ANSWERED, trunk=Trunk("main", "127.0.0.1", stir=stir))
    seen = await play(sipp, tmp_path, "verifies_our_signature", scenario)
    assert seen == expected(scenario)
    [logged] = (tmp_path / "logs.log").read_text("utf-8").split("\n")[:-1]
    identity, _, date = logged.partition("|")
    token, _, parameters = identity.strip().partition(";")
    assert parameters == f"info=<{CERTIFICATE}>;alg=ES256;ppt=shaken"
    assert parsedate_to_datetime(date.strip()) == datetime.fromtimestamp(NOW, UTC)
    header, claims = verified(token, key)
    assert header == {"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": CERTIFICATE}
    assert len(claims.pop("origid")) == 36
    assert claims == {
        "attest": "A",
        "dest": {"tn": ["14155550000"]},
        "iat": int(NOW),
        "orig": {"tn": "14155550100"},
    }


def verified(token: str, key: EllipticCurvePrivateKey) -> tuple[dict[str, str], dict[str, str]]:
    """Header and claims of a PASSporT (RFC 8225), once its signature was found good (RFC 7515 §5.2, ES256
    of RFC 7518 §3.4). Raises `InvalidSignature`."""
    header, claims, signature = (
        base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split(".")
    )
    assert len(signature) == 64
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    signed = token.rpartition(".")[0].encode()
    key.public_key().verify(encode_dss_signature(r, s), signed, ECDSA(SHA256()))
    return json.loads(header), json.loads(claims)
