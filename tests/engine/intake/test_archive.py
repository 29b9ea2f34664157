"""ZIP archives, honest and not."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.intake.archive import ENTRIES_MAX, UNPACKED_BYTES_MAX, Unpacked, is_archive, unpack
from engine.intake.refused import Refused
from engine.intake.table import FILE_BYTES_MAX

PEOPLE = b"tel1\n+919876543210\n"


def pack(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def refusal_of(data: bytes) -> tuple[str, str]:
    with pytest.raises(Refused) as refused:
        unpack("lists.zip", data)
    return refused.value.code, refused.value.detail


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_csv_files_come_out_in_their_order_under_their_last_names(method: int) -> None:
    files = {"b.csv": PEOPLE, "folder/": b"", "folder/a.CSV": b"tel1\n1\n", "../../etc/c.csv": b"x"}
    assert unpack("lists.zip", pack(files, method)) == (
        [Unpacked("b.csv", PEOPLE), Unpacked("a.CSV", b"tel1\n1\n"), Unpacked("c.csv", b"x")],
        [],
    )


def test_other_files_are_named_and_not_read() -> None:
    files = {
        "a.csv": PEOPLE,
        "readme.txt": b"hello",
        "nested.zip": pack({"b.csv": PEOPLE}),
        "__MACOSX/._a.csv": b"\x00\x05",
        "x/.DS_Store": b"\x00",
    }
    assert unpack("lists.zip", pack(files)) == (
        [Unpacked("a.csv", PEOPLE)],
        ["readme.txt", "nested.zip"],
    )


def test_an_archive_without_a_list_is_refused() -> None:
    expected = ("bad_zip", "'lists.zip' holds no .csv file.")
    assert refusal_of(pack({})) == expected
    assert refusal_of(pack({"readme.txt": b"hello"})) == expected


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    size = UNPACKED_BYTES_MAX // 4 + 1
    bomb = pack({f"{number}.csv": b"0" * size for number in range(4)})
    assert len(bomb) < 100_000
    assert refusal_of(bomb)[0] == "file_too_large"


def test_a_file_that_claims_to_be_small_is_read_no_further_than_the_bound() -> None:
    """The size that an entry claims stands in two places; both are made to lie."""
    honest = pack({"a.csv": b"0" * (FILE_BYTES_MAX + 1000)})
    size = struct.pack("<L", FILE_BYTES_MAX + 1000)
    assert honest.count(size) == 2
    assert refusal_of(honest)[0] == "file_too_large"
    assert refusal_of(honest.replace(size, struct.pack("<L", 10)))[0] == "bad_zip"


def test_files_that_share_their_bytes_are_refused() -> None:
    """CVE-2024-0450: Python 3.11's zipfile unpacks the same bytes once for each of many entries."""
    data = pack({"a.csv": PEOPLE, "b.csv": PEOPLE})
    second = data.index(b"PK\x03\x04", 4)
    directory = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
    overlapping = bytearray(data)
    assert struct.unpack_from("<L", overlapping, directory + 42) == (second,)
    struct.pack_into("<L", overlapping, directory + 42, 0)
    assert refusal_of(bytes(overlapping)) == (
        "bad_zip",
        "'lists.zip' has files that share their bytes.",
    )


def test_too_many_files_are_refused() -> None:
    files = {f"{number}.csv": PEOPLE for number in range(ENTRIES_MAX + 1)}
    assert refusal_of(pack(files))[0] == "bad_zip"


def test_an_encrypted_archive_is_refused() -> None:
    data = bytearray(pack({"a.csv": PEOPLE}))
    directory = data.index(b"PK\x01\x02")
    for flags in (6, directory + 8):
        struct.pack_into("<H", data, flags, 1)
    assert refusal_of(bytes(data)) == (
        "bad_zip",
        "'lists.zip' is encrypted; send it without a password.",
    )


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packings_whose_memory_is_not_bounded_are_refused(method: int) -> None:
    assert refusal_of(pack({"a.csv": PEOPLE}, method))[0] == "bad_zip"


def test_an_archive_that_is_too_large_is_refused() -> None:
    assert refusal_of(b"PK\x03\x04" + bytes(FILE_BYTES_MAX))[0] == "file_too_large"


def test_an_archive_is_known_by_its_first_bytes() -> None:
    assert [is_archive(data) for data in (pack({"a.csv": b""}), pack({}), PEOPLE, b"PK")] == [
        True,
        True,
        False,
        False,
    ]


HONEST = pack({"a.csv": PEOPLE * 20, "b.csv": PEOPLE})


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(HONEST) - 1), st.integers(0, 255)), max_size=6),
    st.integers(0, len(HONEST)),
)
def test_any_damage_to_an_archive_leaves_it_readable_or_refused(
    changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(HONEST)
    for place, value in changes:
        data[place] = value
    for damaged in (bytes(data), bytes(data[:cut]), bytes(data[cut:])):
        try:
            unpack("lists.zip", damaged)
        except Refused as refused:
            assert refused.code in {"bad_zip", "file_too_large", "not_csv"}  # noqa: PT017
