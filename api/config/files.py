"""What is wrong with the files that a configuration names: looked at before anything starts.

Only this module opens them. A file can still change until the engine itself reads it, which then says so
in the same words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from adapters.sip.identity.passport import CannotSign, read_key_file
from adapters.sip.transport.tls import FILE_BYTES_MAX, Part, find_bad_files
from api.config.source import ConfigMistake, Source
from api.config.tables import Config

TLS_FILES: Final[dict[Part, str]] = {
    "certificate": "sip.tls_cert",
    "key": "sip.tls_key",
    "authorities": "sip.tls_ca",
}
"""What each file is for, and the key that names it."""
HTTP_TLS_FILES: Final[dict[Part, str]] = {
    "certificate": "http.tls_cert",
    "key": "http.tls_key",
}
"""The same of the HTTP server."""
MAIL_TLS_FILES: Final[dict[Part, str]] = {
    "certificate": "mail.tls_cert",
    "key": "mail.tls_key",
    "authorities": "mail.imap.tls_ca",
}
"""The same of the mail receiver, and of the mailbox that mails are fetched out of."""

READ_ONCE: Final = (*TLS_FILES.values(), "mail.tls_cert", "mail.tls_key")
"""Keys of files that are read at the start, and not again. The HTTP server looks for new ones itself, trunks
have their keys read whenever the configuration is, and the mailbox's are read by each session."""


def read_marks(config: Config) -> dict[str, bytes | None]:
    """What tells of the files in `READ_ONCE` whether they are others now, by key; None where one cannot be
    read. Blocks."""
    marks: dict[str, bytes | None] = {}
    for key in READ_ONCE:
        table, _, name = key.partition(".")
        file = getattr(getattr(config, table), name)
        if file is not None:
            marks[key] = None
            with suppress(OSError), Path(file).open("rb") as stream:
                marks[key] = sha256(stream.read(FILE_BYTES_MAX)).digest()
    return marks


def find_mistakes_in_files(source: Source, values: Mapping[str, Any]) -> Iterator[ConfigMistake]:
    """Every file that cannot be used, at the key that names it. `values` are those that could be read."""
    for keys in (TLS_FILES, HTTP_TLS_FILES, MAIL_TLS_FILES):
        files = {part: values.get(key) for part, key in keys.items()}
        bad_files = find_bad_files(
            cert=files["certificate"], key=files["key"], authority=files.get("authorities")
        )
        for bad in bad_files:
            place = source.settings[keys[bad.part]].place
            yield ConfigMistake(place, bad.code, bad.detail)
    for key, value in values.items():
        setting = source.settings[key]
        if setting.pattern != "trunks.*.stir_key":
            continue
        try:
            read_key_file(Path(value))
        except CannotSign as cannot:
            yield ConfigMistake(setting.place, cannot.code, cannot.detail)
