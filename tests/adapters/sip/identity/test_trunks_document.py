"""docs/trunks.md shows the lines that its example really makes."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from adapters.sip.identity.headers import TrunkIdentity, open_identity, present
from adapters.sip.identity.passport import Signer
from api.config import read_config
from engine.ports.telephony import Presentation

DOCUMENT = Path(__file__).parents[4] / "docs" / "trunks.md"


def test_the_example_of_the_documentation_says_what_the_documentation_shows() -> None:
    section = DOCUMENT.read_text(encoding="utf-8").partition("## Who is calling")[2]
    example = re.search(r"```toml\n(.*?)```", section, re.DOTALL)
    shown = re.search(r"```text\n(.*?)```", section, re.DOTALL)
    assert example is not None
    assert shown is not None
    trunk = read_config(example[1], {}).trunks[0]
    assert trunk.from_domain is not None
    assert trunk.stir_certificate_url is not None
    assert trunk.stir_attestation is not None
    identity = TrunkIdentity(
        display_name=trunk.display_name,
        asserted=trunk.asserted_identity,
        asserted_form=trunk.asserted_form,
        diversion=trunk.diversion,
        headers=trunk.headers,
    )
    caller = "+14155550123"
    presented = present(open_identity(identity, trunk.from_domain.encode()), caller, Presentation())
    signer = Signer(
        generate_private_key(SECP256R1()), trunk.stir_certificate_url, trunk.stir_attestation
    )
    signed = signer.lines(caller, "+14155550199", now=1443208345, origid=UUID(int=0))
    lines = [b"From: %b;tag=1" % presented.from_value, *presented.lines, *signed]
    patterns = [re.escape(line).replace("…", r"\S+") for line in shown[1].splitlines()]
    assert [
        bool(re.fullmatch(pattern, line.decode()))
        for pattern, line in zip(patterns, lines, strict=True)
    ] == [True] * len(patterns)
