"""Silence and tones, written down as text."""

from __future__ import annotations

import numpy as np
import pytest

from adapters.media.prompts.files import is_prompt_id
from adapters.media.prompts.signals import BadSignal, Signal, read_signal


@pytest.mark.parametrize(
    ("text", "signal", "prompt_id"),
    [
        ("silence:2s", Signal(2_000), "silence-2000ms"),
        ("silence:20ms", Signal(20), "silence-20ms"),
        ("tone:440/500ms", Signal(500, (440,)), "tone-440-500ms"),
        ("tone:440+350/60s", Signal(60_000, (350, 440)), "tone-350-440-60000ms"),
        (
            "tone:697+1209+941+1633/1s",
            Signal(1_000, (697, 941, 1209, 1633)),
            "tone-697-941-1209-1633-1000ms",
        ),
    ],
)
def test_a_signal_is_read_and_names_its_prompt(text: str, signal: Signal, prompt_id: str) -> None:
    read = read_signal(text)
    assert (read, read.prompt_id, is_prompt_id(prompt_id)) == (signal, prompt_id, True)


FORM = "a signal is written silence:2s, tone:440/500ms or tone:350+440/2s"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", FORM),
        ("beep", FORM),
        ("tone:440", FORM),
        ("tone:/1s", FORM),
        ("silence:2", FORM),
        ("silence:-2s", FORM),
        ("silence:2s\n", FORM),
        ("tone:440/1s/../../etc", FORM),
        ("tone:" + "1+" * 50_000 + "/1s", FORM),
        ("silence:19ms", "a signal lasts 20 to 60000 ms"),
        ("silence:61s", "a signal lasts 20 to 60000 ms"),
        ("tone:99/1s", "a tone is of 100 to 3400 Hz"),
        ("tone:440+4000/1s", "a tone is of 100 to 3400 Hz"),
        ("tone:400+500+600+700+800/1s", "at most 4 tones sound together"),
    ],
)
def test_what_is_no_signal_is_refused(text: str, says: str) -> None:
    with pytest.raises(BadSignal) as caught:
        read_signal(text)
    assert str(caught.value) == says


def test_a_tone_is_pure_and_comes_and_goes_without_a_click() -> None:
    sound = Signal(1_000, (350, 440)).make_samples()
    spectrum = np.abs(np.fft.rfft(sound))
    assert sorted(spectrum.argsort()[-2:]) == [350, 440]
    assert (len(sound), sound.dtype) == (8_000, np.dtype(np.float32))
    assert float(np.abs(sound[:4]).max()) < 0.1
    assert float(np.abs(sound[-4:]).max()) < 0.1
    assert 0.9 < float(np.abs(sound).max()) <= 1.0
