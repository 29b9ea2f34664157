"""Answering machine detection: what may be asked, and what is answered.

Here, beside the model and not among the ports, because the settings of a flow hold the parameters.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Answerer = Literal["human", "machine", "fax", "unknown"]
"""Who answered. `unknown` is a line on which nobody spoke."""

Milliseconds = Annotated[int, Meta(ge=0, le=60_000)]
"""No limit of an analysis is longer than a minute."""


class AmdVerdict(Struct, frozen=True):
    """Who answered, as far as the first seconds of the callee's sound tell."""

    answerer: Answerer
    cause: str
    """Which limit decided, by the name of its parameter; or `beep`, or a fax's tone, or `ended`."""
    elapsed_ms: int
    """How long after the analysis began it was known."""


class AmdParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """The limits of answering machine detection, named and preset as Asterisk's `amd.conf` has them; all
    but the last three."""

    initial_silence: Milliseconds = 2500
    """Milliseconds of silence at the beginning after which nobody speaks. Asterisk calls that a
    machine; here it is `unknown`, as no machine was heard either."""
    greeting: Milliseconds = 1500
    """Milliseconds of voice, pauses left out, that a person's greeting does not reach."""
    after_greeting_silence: Milliseconds = 800
    """Milliseconds of silence after words that show a person waiting."""
    total_analysis_time: Annotated[int, Meta(ge=100, le=60_000)] = 5000
    """Milliseconds after which it is a person if there was a word at all (Asterisk: not sure). Time in
    which a tone stands is not counted, up to as much again."""
    min_word_length: Milliseconds = 100
    """Milliseconds of voice that make a word; what is shorter is a noise."""
    between_words_silence: Milliseconds = 50
    """Milliseconds of silence that end a word."""
    maximum_number_of_words: Annotated[int, Meta(ge=0, le=100)] = 3
    """A person's greeting has no more words than this. Asterisk decided at the third word when its
    preset was 3, and does when one of 2 is exceeded, as it is now."""
    silence_threshold: Annotated[int, Meta(ge=0, le=32_767)] = 256
    """Mean magnitude of a frame, of 32,767, up to which it is silent on a line without noise."""
    maximum_word_length: Milliseconds = 5000
    """Milliseconds that a person's word does not reach."""
    shortest_machine_greeting: Milliseconds = 2400
    """Milliseconds, pauses included, that a machine speaks at least, whichever limit it passes; 0
    leaves the limits alone to decide, as Asterisk does."""
    noise_margin: Annotated[float, Meta(ge=0, le=100)] = 2.5
    """Voice is so many times louder than the line's noise; 0 leaves the threshold where it is."""
    background_share: Annotated[float, Meta(ge=0, le=1)] = 0.17
    """Voice has this share of the loudest voice's level: 15 dB. 0 hears every voice on the line."""
