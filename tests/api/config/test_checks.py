"""What is wrong between keys; `test_sip` has it of trunks and routes, `test_mail_keys` of mails."""

from __future__ import annotations

import pytest

from tests.api.config.mistakes import find_mistakes


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('[[folders]]\naccount = "default"\n', "missing_key"),
        (
            '[[folders]]\naccount = "a"\npath = "/a"\n[[folders]]\naccount = "a"\npath = "/b"\n',
            "duplicate_folder",
        ),
        ('[http]\ntls_cert = "a.pem"\n', "missing_key"),
    ],
)
def test_keys_that_miss_or_repeat_each_other_are_told(text: str, code: str) -> None:
    assert [found for _, found in find_mistakes(text)] == [code]
