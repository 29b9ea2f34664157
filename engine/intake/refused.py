"""The one exception by which a submission is turned away as a whole."""

from __future__ import annotations

from collections.abc import Sequence

from engine.model import RowError


class Refused(Exception):
    """Nothing of a submission was taken, and why. `code` is stable; `detail` says what to do.

    Codes: `listener_inactive`, `file_too_large`, `not_csv`, `bad_zip`, `bad_xlsx`,
    `unknown_sheet`, `no_rows`, `missing_tel`,
    `too_many_columns`, `invalid_starttime` (of the file's name or of the whole body), `body_too_large`,
    `invalid_json`, `invalid_body`, `too_many_contacts`. A single call is refused with the code of
    its first row error, and carries them all.
    """

    def __init__(self, code: str, detail: str, errors: Sequence[RowError] = ()) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
