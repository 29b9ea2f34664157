"""A configuration that names files of TLS."""

from __future__ import annotations

from pathlib import Path

import trustme


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
