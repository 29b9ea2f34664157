"""Item 3: digest, with every answer computed once more here, from RFC 7616 alone."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final

import pytest
from msgspec import structs

from adapters.sip.trunk import Trunk
from adapters.sip.wire.digest import Credentials
from engine.ports.telephony import Answered, Ended, Ringing
from tests.sipp.scenario import HUNG_UP, Scenario, expected, play

pytestmark = pytest.mark.peer

USER, PASSWORD = "caller", "secret"
TRUNK = Trunk(
    "main", "127.0.0.1", credentials=Credentials(USER.encode(), PASSWORD.encode()), realm=b"carrier"
)
ANY_REALM = structs.replace(TRUNK, realm=None)
WRONG = structs.replace(TRUNK, credentials=Credentials(USER.encode(), b"wrong"))

ACCEPTED = Scenario((Answered(), HUNG_UP), "answered", trunk=TRUNK)
REFUSED = Scenario((Ended("rejected", 401, "Unauthorized"),), "failed", trunk=TRUNK)

SCENARIOS: Final[dict[str, Scenario]] = {
    "challenges_with_md5": ACCEPTED,
    "challenges_with_407_and_qop": ACCEPTED,
    "challenges_with_md5_sess": ACCEPTED,
    "challenges_with_sha256": ACCEPTED,
    "challenges_with_sha256_sess": ACCEPTED,
    "challenges_with_sha512_256": ACCEPTED,
    "auth_int": ACCEPTED,
    "offers_a_list_of_qops": ACCEPTED,
    "two_challenges_weak_first": ACCEPTED,
    "two_challenges_in_one_header": ACCEPTED,
    "stale_nonce": ACCEPTED,
    "stale_for_ever": REFUSED,
    "challenges_twice_wrong_password": structs.replace(REFUSED, trunk=WRONG),
    "proxy_and_server_both_challenge": structs.replace(ACCEPTED, trunk=ANY_REALM),
    "challenges_for_a_foreign_realm": Scenario(
        (Ended("rejected", 407, "Proxy Authentication Required"),), "failed", trunk=TRUNK
    ),
    "challenges_for_two_realms": ACCEPTED,
    "challenges_without_need": Scenario(
        (Ringing(), Ended("rejected", 401, "Unauthorized")), "failed"
    ),
    "asks_for_the_password_in_clear": REFUSED,
    "challenge_cannot_be_read": REFUSED,
    "challenges_the_bye": ACCEPTED,
    "challenges_a_canceled_invite": Scenario(
        (Ended("we_hung_up", 401, "Unauthorized"),),
        "no-answer",
        hang_up="when dialled",
        trunk=TRUNK,
    ),
}

_HASHES: Final = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
_PARAMETER: Final = re.compile(r'(\w+)=(?:"([^"]*)"|([^",\s]+))')


def is_right(logged: str) -> bool:
    """Whether what sipp logged, `METHOD Digest …`, is the answer that RFC 7616 §3.4.1 demands."""
    method, _, credentials = logged.partition(" ")
    given = {name: quoted or bare for name, quoted, bare in _PARAMETER.findall(credentials)}
    algorithm = given.get("algorithm", "MD5").upper()

    def digest(*parts: str) -> str:
        name = _HASHES[algorithm.removesuffix("-SESS")]
        return hashlib.new(name, ":".join(parts).encode()).hexdigest()

    secret = digest(given["username"], given["realm"], PASSWORD)
    if algorithm.endswith("-SESS"):
        secret = digest(secret, given["nonce"], given["cnonce"])
    counted = (given["nc"], given["cnonce"], given["qop"]) if "qop" in given else ()
    proof = digest(secret, given["nonce"], *counted, digest(method, given["uri"]))
    return (given["username"], given["response"]) == (USER, proof)


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_challenge_is_met_as_the_table_says(name: str, sipp: str, tmp_path: Path) -> None:
    assert await play(sipp, tmp_path, name, SCENARIOS[name]) == expected(SCENARIOS[name])
    log = tmp_path / "logs.log"
    answers = [line for line in log.read_text("utf-8").splitlines() if line] if log.exists() else []
    assert [line for line in answers if not is_right(line)] == []
