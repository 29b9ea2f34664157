"""The file of a multipart form (RFC 7578)."""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from api.http.problem import Problem

FILE_FIELD: Final = "file"
PARTS_MAX: Final = 16
"""Fields and files of one form."""
NAME_LENGTH_MAX: Final = 255
"""Characters of a file's name."""


class UploadedFile(Struct, frozen=True):
    """A file that a form brought."""

    name: str
    """As the client calls it, on its own disk."""
    data: bytes


def read_uploaded_file(body: bytes, content_type: str) -> UploadedFile:
    """The one file in the form's field `file`. Raises the problems `bad_request` for what is no form,
    `missing_file`, and `invalid_body` for more than one."""
    files = _read_files(body, content_type)
    if not files:
        raise Problem("missing_file", f"Send the file in the form's field `{FILE_FIELD}`.")
    if len(files) > 1:
        raise Problem("invalid_body", "Send one file at a time.")
    return files[0]


def _read_files(body: bytes, content_type: str) -> list[UploadedFile]:
    boundary = parse_options_header(content_type)[1].get("boundary", "")
    if not boundary or not boundary.isascii():
        raise Problem("bad_request", "The content type names no boundary.")
    decoder = MultipartDecoder(boundary.encode(), len(body), max_parts=PARTS_MAX)
    files: list[UploadedFile] = []
    wanted: str | None = None
    pieces: list[bytes] = []
    try:
        decoder.receive_data(body)
        decoder.receive_data(None)
        while not isinstance(event := decoder.next_event(), Epilogue | NeedData):
            if isinstance(event, Field | File):
                wanted, pieces = _find_name(event), []
            elif isinstance(event, Data) and wanted is not None:
                pieces.append(event.data)
                if not event.more_data:
                    files.append(UploadedFile(wanted[:NAME_LENGTH_MAX], b"".join(pieces)))
    except RequestEntityTooLarge:
        raise Problem("body_too_large", f"A form has at most {PARTS_MAX} parts.") from None
    except ValueError as error:
        raise Problem("bad_request", f"The form cannot be read: {error}.") from None
    return files


def _find_name(part: Field | File) -> str | None:
    """The name of the file that the part is; None for any other part. Some clients send a file
    without a name of its own."""
    if part.name != FILE_FIELD:
        return None
    name = part.filename if isinstance(part, File) else None
    return name or FILE_FIELD
