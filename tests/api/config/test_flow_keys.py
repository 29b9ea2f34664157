"""Keys of speech, and lists of networks."""

from __future__ import annotations

import pytest

from tests.api.config.mistakes import find_mistakes


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('[sftp]\nallow = ["10.0.0.1/8"]\n', "invalid_network"),
        ('[webhooks]\nallow = "10.0.0.0/8"\n', "wrong_type"),
        ('[webhooks]\nallow = ["10.0.0.1/8"]\n', "invalid_network"),
        ('[webhooks]\nallow = ["example.com"]\n', "invalid_network"),
        ('[http]\ntrusted_proxies = ["proxy.example.com"]\n', "invalid_network"),
        ("[webhooks]\nallow = [" + '"10.0.0.0/8",' * 101 + "]\n", "too_many"),
        ('[speech]\nvoice = "no voice"\n', "invalid_name"),
        ('[speech]\npiper = ["/voices/asha.onnx"]\n', "wrong_type"),
        ("[speech]\npiper = {asha = 5}\n", "wrong_type"),
        ("[speech]\nbytes_max = 5\n", "out_of_range"),
        ("[speech]\nbytes_max = 2.5\n", "wrong_type"),
    ],
)
def test_a_wrong_value_of_speech_or_of_a_list_of_networks_is_told(text: str, code: str) -> None:
    assert [found for _, found in find_mistakes(text)] == [code]
