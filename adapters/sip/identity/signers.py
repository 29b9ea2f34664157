"""How the calls of each trunk present themselves and are signed, checked and read when it is configured."""

from __future__ import annotations

from pathlib import Path

import structlog

from adapters.sip.identity.headers import open_identity
from adapters.sip.identity.passport import Signer
from adapters.sip.trunk import Trunk, domain_bytes
from engine.ports.clock import WallClock

_log = structlog.get_logger("callwheel.sip")


def check_identities(trunks: tuple[Trunk, ...]) -> None:
    """See that all trunks can present themselves. Raises `UnsafeHeader` for what would be found out only when
    their servers are known."""
    for trunk in trunks:
        domain = b"localhost" if trunk.domain is None else domain_bytes(trunk.domain)
        open_identity(trunk.identity, domain)


def open_signers(trunks: tuple[Trunk, ...], clock: WallClock | None) -> dict[str, Signer]:
    """Who signs the calls of each trunk that has a key. Raises `CannotSign`."""
    signers = {}
    for trunk in trunks:
        if trunk.stir is None:
            continue
        assert clock is not None, "a signature needs the time of day"
        stir = trunk.stir
        signer = Signer.open(Path(stir.key_file), stir.certificate_url, stir.attestation)
        for warning in signer.warnings:
            _log.warning("a key for signing calls", trunk=trunk.name, detail=warning)
        signers[trunk.name] = signer
    return signers
