"""Answering machine detection: what may be asked, and what is answered."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Answerer = Literal["human", "machine", "fax", "unknown"]
"""Who answered. `unknown` is a line on which nobody spoke."""


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

    initial_silence: int = 2500
    """Milliseconds of silence at the beginning after which nobody speaks. Asterisk calls that a
    machine; here it is `unknown`, as no machine was heard either."""
    greeting: int = 1500
    """Milliseconds of voice, pauses left out, that a person's greeting does not reach."""
    after_greeting_silence: int = 800
    """Milliseconds of silence after words that show a person waiting."""
    total_analysis_time: int = 5000
    """Milliseconds after which it is a person if there was a word at all (Asterisk: not sure). Time in
    which a tone stands is not counted, up to as much again."""
    min_word_length: int = 100
    """Milliseconds of voice that make a word; what is shorter is a noise."""
    between_words_silence: int = 50
    """Milliseconds of silence that end a word."""
    maximum_number_of_words: int = 3
    """A person's greeting has no more words than this. Asterisk decided at the third word when its
    preset was 3, and does when one of 2 is exceeded, as it is now."""
    silence_threshold: int = 256
    """Mean magnitude of a frame, of 32,767, up to which it is silent on a line without noise."""
    maximum_word_length: int = 5000
    """Milliseconds that a person's word does not reach."""
    shortest_machine_greeting: int = 2400
    """Milliseconds, pauses included, that a machine speaks at least, whichever limit it passes; 0
    leaves the limits alone to decide, as Asterisk does."""
    noise_margin: float = 2.5
    """Voice is so many times louder than the line's noise; 0 leaves the threshold where it is."""
    background_share: float = 0.17
    """Voice has this share of the loudest voice's level: 15 dB. 0 hears every voice on the line."""
