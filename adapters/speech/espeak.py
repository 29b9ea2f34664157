"""espeak-ng, called as a library: no program is started, and no shell is ever near a text.

The library comes from the wheel `espeakng-loader`, or from the system (Debian's `espeak-ng`). Markup
and phonemes in texts are both off: `espeak_Synth` gets neither flag.

It runs only in worker processes, best of its own: it is C that writes past its buffers. Random text of
rare signs ended 1.51 and 1.52 (SIGABRT, SIGSEGV) within a few hundred texts, in every script tried.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import re
import sys
from functools import cache
from typing import Final

import numpy as np
from msgspec import Struct

from adapters.speech.synthesiser import (
    SOUND_S_MAX,
    Description,
    Sound,
    SynthesiserMissing,
    refuse_long_sound,
)
from engine.ports.speech import Voice

WHEEL: Final = "espeakng_loader"
"""The module of the wheel that carries the library and its data."""
SYSTEM_LIBRARIES: Final = {"darwin": "libespeak-ng.1.dylib"}
SYSTEM_LIBRARY: Final = "libespeak-ng.so.1"
DATA_PATH_BYTES_MAX: Final = 158
"""espeak-ng 1.51 and 1.52 keep the path of their data in 160 octets, and look elsewhere, without an
error, when it is longer."""

_SYNCHRONOUS: Final = 2
"""espeak_AUDIO_OUTPUT: samples go to the callback, and nothing to a sound card."""
_DO_NOT_EXIT: Final = 0x8000
"""espeakINITIALIZE_DONT_EXIT: without it, missing data ends the process."""
_UTF_8: Final = 1
"""espeakCHARS_UTF8, and neither espeakSSML (0x10) nor espeakPHONEMES (0x100)."""
_OK: Final = 0
_VARIANT: Final = re.compile(r"!v/([A-Za-z0-9_-]{1,32})")


class EspeakSynthesiser(Struct, frozen=True):
    """espeak-ng at the first of several places where it works."""

    places: tuple[tuple[str, str | None], ...]
    """Library, and the folder of its data where that is not the one it was built for."""

    def describe(self) -> Description:
        """See `Synthesiser`. Voices are named by their language, such as `en-us`."""
        return _open(self.places).description

    def make(self, text: str, voice: str) -> Sound:
        """See `Synthesiser`."""
        return _open(self.places).speak(text, voice)


def find_espeak() -> EspeakSynthesiser:
    """espeak-ng of the wheel where that is installed, else of the system. Nothing is loaded yet."""
    places: list[tuple[str, str | None]] = []
    if importlib.util.find_spec(WHEEL) is not None:
        wheel = importlib.import_module(WHEEL)
        places.append((wheel.get_library_path(), wheel.get_data_path()))
    places.append((SYSTEM_LIBRARIES.get(sys.platform, SYSTEM_LIBRARY), None))
    return EspeakSynthesiser(tuple(places))


class _VoiceRecord(ctypes.Structure):
    """espeak_VOICE of speak_lib.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("_1", ctypes.c_ubyte),
        ("_2", ctypes.c_int),
        ("_3", ctypes.c_void_p),
    )


_Callback: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


@cache
def _open(places: tuple[tuple[str, str | None], ...]) -> _Espeak:
    """The library, loaded once in each process because it can be loaded only once."""
    reasons = []
    for library, data in places:
        try:
            return _Espeak(library, data)
        except SynthesiserMissing as error:
            reasons.append(str(error))
    raise SynthesiserMissing(
        "espeak-ng is missing: pip install espeakng-loader, or apt-get install espeak-ng "
        f"({'; '.join(reasons)})"
    )


class _Espeak:
    """The library, initialised. It is never ended: 1.51 hangs in `espeak_Terminate`."""

    def __init__(self, library: str, data: str | None) -> None:
        path = None if data is None else os.fsencode(data)
        if path is not None and len(path) > DATA_PATH_BYTES_MAX:
            raise SynthesiserMissing(
                f"{data} is longer than the {DATA_PATH_BYTES_MAX} bytes it takes"
            )
        try:
            self._library = ctypes.CDLL(library)
        except OSError as error:
            raise SynthesiserMissing(str(error)) from None
        self._library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_VoiceRecord))
        self._library.espeak_ListVoices.argtypes = [ctypes.POINTER(_VoiceRecord)]
        self._library.espeak_Info.restype = ctypes.c_char_p
        self._library.espeak_Synth.argtypes = [
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint,
            ctypes.c_void_p,
            ctypes.c_void_p,
        ]
        self._rate_hz = self._library.espeak_Initialize(_SYNCHRONOUS, 0, path, _DO_NOT_EXIT)
        if self._rate_hz <= 0:
            raise SynthesiserMissing(f"{library} does not find its data")
        # ctypes does not keep what a C library keeps: the reference must stay.
        self._callback = _Callback(self._take)
        self._library.espeak_SetSynthCallback(self._callback)
        self._pieces: list[bytes] = []
        self._bytes_left = 0
        self._identifiers: dict[str, bytes] = {}
        self.description: Final = self._describe()

    def speak(self, text: str, voice: str) -> Sound:
        name, plus, variant = voice.partition("+")
        # Nothing but its own names: one of 300 letters ends the process.
        if name not in self._identifiers or (plus and variant not in self.description.variants):
            raise LookupError(f"espeak-ng has no voice {voice!r}")
        identifier = self._identifiers[name] + f"{plus}{variant}".encode()
        if self._library.espeak_SetVoiceByName(identifier) != _OK:
            raise RuntimeError(f"espeak-ng does not take the voice {voice}")
        self._pieces = []
        self._bytes_left = int(SOUND_S_MAX * self._rate_hz) * 2
        octets = text.encode() + b"\0"
        if self._library.espeak_Synth(octets, len(octets), 0, 1, 0, _UTF_8, None, None) != _OK:
            raise RuntimeError("espeak-ng does not take the text")
        if self._bytes_left < 0:
            raise refuse_long_sound()
        return Sound(np.frombuffer(b"".join(self._pieces), np.int16), self._rate_hz)

    def _take(self, samples: int | None, count: int, events: int | None) -> int:
        """Called from C with the next samples; 1 ends the synthesis."""
        if samples and count > 0:
            self._bytes_left -= 2 * count
            if self._bytes_left < 0:
                return 1
            self._pieces.append(ctypes.string_at(samples, 2 * count))
        return 0

    def _describe(self) -> Description:
        version = self._library.espeak_Info(None).decode()
        voices: list[Voice] = []
        aliases: dict[str, str] = {}
        for record in self._list(None):
            languages = _read_languages(record.languages)
            if languages and languages[0] not in self._identifiers:
                self._identifiers[languages[0]] = record.identifier
                voices.append(Voice(languages[0], languages[0], record.name.decode()))
            for language in languages[1:]:
                aliases.setdefault(language, languages[0])
        languages_of_variants = ctypes.create_string_buffer(b"variant")
        wanted = _VoiceRecord(languages=ctypes.addressof(languages_of_variants))
        found = (_VARIANT.fullmatch(record.identifier.decode()) for record in self._list(wanted))
        variants = tuple(sorted(match[1] for match in found if match))
        return Description(f"espeak-ng {version}", tuple(voices), aliases, variants)

    def _list(self, wanted: _VoiceRecord | None) -> list[_VoiceRecord]:
        """The voices that are as wanted. They lie in the library's memory until the next question."""
        records = self._library.espeak_ListVoices(wanted and ctypes.byref(wanted))
        listed: list[_VoiceRecord] = []
        while records[len(listed)]:
            listed.append(records[len(listed)].contents)
        return listed


def _read_languages(address: int) -> list[str]:
    """A list of languages: before each name an octet with its priority, and an octet 0 at the end."""
    languages = []
    while priority_and_name := ctypes.string_at(address):
        languages.append(priority_and_name[1:].decode())
        address += len(priority_and_name) + 1
    return languages
