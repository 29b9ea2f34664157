"""Files as people, spreadsheets and attackers make them, each with what is to become of it.

All are made here: nothing is read from a disk. `FILES` is the table; its families follow one another below.
"""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from engine.intake.rows import Rules
from engine.model.variable import Variable
from tests.engine.intake.workbooks import SHEET, make_workbook, replace_parts, sheet_xml

NOW: Final = datetime.fromisoformat("2030-07-01T12:00:00+05:30").timestamp()
RULES: Final = Rules({"name": Variable("there")}, "Asia/Kolkata", ("+91", "+1"), NOW)
ZOE, UMA = "+919876543210", "+14155552671"
Row = tuple[int, str, str, float]
"""(row, first number, name, start time) of a contact."""
Fault = tuple[int, str | None, str]
"""(row, column, code) of an error or a warning."""


class Case(Struct, frozen=True):
    """A file and what is to become of it."""

    id: str
    data: bytes
    name: str = "people.csv"
    refused: str | None = None
    """The code with which the whole file is refused."""
    taken: tuple[Row, ...] = ()
    errors: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()
    rejected: int | None = None
    """Rows that are not taken; None where each error of a row above 0 is one of its own."""


def row(number: int, tel: str = ZOE, name: str = "there", after_s: float = 0.0) -> Row:
    return (number, tel, name, NOW + after_s)


BOTH: Final = (row(1, ZOE, "Zoë"), row(2, UMA, "Uma"))


def encodings() -> Iterator[Case]:
    """The same two people in every encoding, with every delimiter and line end."""
    for codec in ("utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le", "cp1252"):
        for delimiter in ",;\t":
            for end in ("\n", "\r\n", "\r"):
                lines = ["tel1,name", f"{ZOE},Zoë", f"{UMA},Uma", ""]
                text = end.join(lines).replace(",", delimiter)
                name = f"{codec} {delimiter!r} {end!r}"
                yield Case(name, text.encode(codec), taken=BOTH)
    two = f"tel1,name\n{ZOE},Zoë\n{UMA},Uma\n"
    yield Case("utf-16-be with a mark", b"\xfe\xff" + two.encode("utf-16-be"), taken=BOTH)
    broken = two.encode().replace(b"Uma", b"U\xff\xffa") + f"{UMA},Zoë\n".encode()
    yield Case(
        "one broken row of utf-8",
        broken,
        taken=(row(1, ZOE, "Zoë"), row(3, UMA, "Zoë")),
        errors=((2, None, "invalid_encoding"),),
    )
    odd = b"\xff\xfe" + two.encode("utf-16-le") + b"\x41"
    yield Case("an odd byte of utf-16", odd, taken=BOTH, errors=((3, None, "invalid_encoding"),))
    undefined = b"tel1,name\n" + ZOE.encode() + b",\x81\n"
    yield Case("a byte that windows-1252 lacks", undefined, errors=((1, None, "invalid_encoding"),))


def quotes() -> Iterator[Case]:
    """Cells in quotes, as RFC 4180 has them and as it has not."""
    for delimiter in ",;\t":
        name = f'Zoë "Q{delimiter}"\nof Pune'
        quoted = name.replace('"', '""')
        text = f'"tel1"{delimiter}"name"\n"{ZOE}"{delimiter}"{quoted}"\n'
        yield Case(f"quotes around {delimiter!r}", text.encode(), taken=(row(1, ZOE, name),))
        hint = f"sep={delimiter}\ntel1{delimiter}name\n{ZOE}{delimiter}Zoë\n"
        yield Case(f"a hint of {delimiter!r}", hint.encode(), taken=(row(1, ZOE, "Zoë"),))
        blank = f"tel1{delimiter}name\n{ZOE}{delimiter}  Zoë  \n"
        yield Case(f"blanks around {delimiter!r}", blank.encode(), taken=(row(1, ZOE, "Zoë"),))
        wrapped = f'tel1{delimiter}name\n="00{ZOE[1:]}"{delimiter}"=""007"""\n'
        yield Case(
            f"excel's texts and {delimiter!r}", wrapped.encode(), taken=(row(1, ZOE, "007"),)
        )
    open_quote = f'tel1,name\n{ZOE},"Zoë\n{UMA},Uma\n'
    yield Case(
        "a quote that is not closed",
        open_quote.encode(),
        taken=(row(2, UMA, "Uma"),),
        errors=((1, None, "malformed_row"),),
    )
    stray = f'tel1,name\n{ZOE},"Z"oë\n{UMA},Uma\n'
    yield Case(
        "a quote inside of quotes",
        stray.encode(),
        taken=(row(2, UMA, "Uma"),),
        errors=((1, None, "malformed_row"),),
    )
    inner = f'tel1,name\n{ZOE},Z"oë"\n'
    yield Case("quotes in a plain cell", inner.encode(), taken=(row(1, ZOE, 'Z"oë"'),))


def numbers() -> Iterator[Case]:
    """One number in many spellings."""
    good = [
        "919876543210",
        "+919876543210",
        "00919876543210",
        "+91 98765 43210",
        "+91-98765-43210",
        "(+91) 98765.43210",
        "'+919876543210",
        "'919876543210",
        " 919876543210 ",
        "\u00a0+91\u00a098765\u202f43210",
        "\u202a+919876543210\u202c",
        "+91\u201198765\u201143210",
        "\uff0b919876543210",
        "\uff0b\uff19\uff11\uff19\uff18\uff17\uff16\uff15\uff14\uff13\uff12\uff11\uff10",
        "\u0669\u0661\u0669\u0668\u0667\u0666\u0665\u0664\u0663\u0662\u0661\u0660",
    ]
    for place, text in enumerate(good):
        yield Case(f"number {place}", f"tel1\n{text}\n".encode(), taken=(row(1),))
    bad = {
        "9.19876E+11": "spreadsheet_damage",
        "9,19876E+11": "spreadsheet_damage",
        "9.19876e11": "spreadsheet_damage",
        "919876543210.0": "spreadsheet_damage",
        "919876543210.00": "spreadsheet_damage",
        "###########": "spreadsheet_damage",
        "12": "invalid_number",
        "0": "invalid_number",
        "-": "invalid_number",
        "+": "invalid_number",
        "none": "invalid_number",
        "N/A": "invalid_number",
        "#N/A": "invalid_number",
        "+91987654321012345": "invalid_number",
        "+91 98765 43210 ext 5": "invalid_number",
        "+919876543210/+919876543211": "invalid_number",
        "tel:+919876543210": "invalid_number",
        "²³": "invalid_number",
        "1" * 5_000: "invalid_number",
        "+447911123456": "number_not_allowed",
        "+999999999999": "invalid_number",
    }
    for text, code in bad.items():
        data = f'tel1\n"{text}"\n'.encode()
        yield Case(f"spelling {text[:24]}", data, errors=((1, "tel1", code),))


def ragged() -> Iterator[Case]:
    """Rows that are shorter or longer than their header."""
    for blank in ("", ",", ",,,,,,,,"):
        text = f"tel1,name{blank}\n{ZOE}\n{blank}\n\n{UMA},Uma{blank}\n"
        yield Case(
            f"ragged with {len(blank)}",
            text.encode(),
            taken=(row(1, ZOE), row(4, UMA, "Uma")),
        )
    text = f"tel1\n{ZOE},Zoë\n{UMA}\n"
    yield Case(
        "a row that is too long",
        text.encode(),
        taken=(row(2, UMA),),
        errors=((1, None, "too_many_columns"),),
    )
    yield Case("no tel1 in a row", b"tel1,name\n,Zoe\n", errors=((1, "tel1", "missing_tel"),))
    yield Case(
        "the same twice",
        f"tel1\n{ZOE}\n{ZOE}\n".encode(),
        taken=(row(1),),
        errors=((2, "tel1", "duplicate_number"),),
    )
    yield Case(
        "an example",
        f"tel1\nEXAMPLE\n{ZOE}\n".encode(),
        taken=(row(2),),
        warnings=((1, "tel1", "example_row"),),
    )
    yield Case("only an example", b"tel1\nexample\n", refused="no_rows")


def starttimes() -> Iterator[Case]:
    """Start times in cells and in names."""
    times = {
        "2030-07-01T13:00": 3600.0,
        "2030-07-01 13:00": 3600.0,
        "2030-07-01T13:00:00+05:30": 3600.0,
        "2030-07-01T07:30:00Z": 3600.0,
        "20300701T130000": 3600.0,
        "2030-07-02": 43_200.0,
        "": 0.0,
    }
    for text, after_s in times.items():
        data = f"tel1,starttime\n{ZOE},{text}\n".encode()
        yield Case(f"at {text!r}", data, taken=(row(1, after_s=after_s),))
    late = f"tel1,starttime\n{ZOE},2030-07-01T11:00\n".encode()
    yield Case("late", late, taken=(row(1),), warnings=((1, "starttime", "starttime_past"),))
    for text, code in {
        "2030-06-01": "starttime_past",
        "soon": "invalid_starttime",
        "01/07/2030": "invalid_starttime",
        "2030-13-01": "invalid_starttime",
        "2030-07-01T25:00": "invalid_starttime",
        "9999-01-01": "invalid_starttime",
        "45123": "invalid_starttime",
    }.items():
        data = f"tel1,starttime\n{ZOE},{text}\n".encode()
        yield Case(f"at {text!r}", data, errors=((1, "starttime", code),))
    plain = f"tel1\n{ZOE}\n".encode()
    yield Case(
        "a name with a time", plain, "upload_01072030130000.csv", taken=(row(1, after_s=3600),)
    )
    yield Case(
        "a name with no time", plain, "upload_99999999999999.csv", refused="invalid_starttime"
    )
    yield Case("a name like one", plain, "upload_0107203013000.csv", taken=(row(1),))


def headers() -> Iterator[Case]:
    """First rows of all kinds."""
    for header in (
        "tel1,name",
        "TEL1,NAME",
        " Tel1 ,$flow.name",
        "tel1,$flow.name.variable",
        '="tel1",name',
    ):
        yield Case(
            f"header {header}", f"{header}\n{ZOE},Zoë\n".encode(), taken=(row(1, ZOE, "Zoë"),)
        )
    yield Case("blank lines before", f"\n,,\n  \ntel1\n{ZOE}\n".encode(), taken=(row(1),))
    yield Case(
        "an unknown column",
        f"tel1,city\n{ZOE},Pune\n".encode(),
        taken=(row(1),),
        errors=((0, "city", "unknown_column"),),
    )
    yield Case(
        "a column twice",
        f"tel1,tel1\n{ZOE},{UMA}\n".encode(),
        taken=(row(1),),
        errors=((0, "tel1", "duplicate_column"),),
    )
    yield Case(
        "a column without a title",
        f"tel1,,name\n{ZOE},x,Zoë\n".encode(),
        taken=(row(1, ZOE, "Zoë"),),
        errors=((0, "", "unknown_column"),),
    )
    yield Case("no header", f"{ZOE},Zoë\n".encode(), refused="missing_tel")
    yield Case("phone for tel1", f"phone\n{ZOE}\n".encode(), refused="missing_tel")
    yield Case("only a header", b"tel1,name\n", refused="no_rows")
    yield Case("a header and blanks", b"tel1,name\n,\n\n  ,\t\n", refused="no_rows")
    yield Case("1,001 columns", b",".join([b"tel1"] * 1_001), refused="too_many_columns")


def rubbish() -> Iterator[Case]:
    """What is no list at all."""
    png = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(50)
    for name, data, code in (
        ("empty", b"", "no_rows"),
        ("a mark", b"\xef\xbb\xbf", "no_rows"),
        ("a mark of utf-16", b"\xff\xfe", "no_rows"),
        ("blanks", b" \n\t\n\r\n", "no_rows"),
        ("an image", png, "not_csv"),
        ("a pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\x00\n", "not_csv"),
        ("gzip", gzip.compress(b"tel1\n+919876543210\n"), "not_csv"),
        ("an old excel file", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "not_csv"),
        ("elf", b"\x7fELF\x02\x01\x01" + bytes(100), "not_csv"),
        ("nul", b"tel1\n\x00", "not_csv"),
        ("bells", b"\x07\x07\x07\n", "not_csv"),
        ("html", b"<!doctype html><title>tel1</title>\n", "not_csv"),
        ("json", b'{"tel": "+919876543210"}\n', "not_csv"),
        ("every byte", bytes(range(256)) * 8, "not_csv"),
        ("5 MB and a byte", b"tel1\n" + b" " * (5 * 1024 * 1024), "file_too_large"),
        ("a header of one quote", b'"', "not_csv"),
        ("a header of many quotes", b'"' * 70_001, "not_csv"),
    ):
        yield Case(name, data, refused=code)
    huge = f'tel1,name\n{ZOE},"{"x" * 70_000}"\n{UMA},Uma\n'.encode()
    yield Case(
        "a huge field", huge, taken=(row(2, UMA, "Uma"),), errors=((1, None, "row_too_long"),)
    )
    long = f"tel1,name\n{ZOE},{'x' * 5_000}\n".encode()
    yield Case("a long value", long, errors=((1, "$flow.name", "value_too_long"),))
    tall = f'tel1,name\n{ZOE},"{"x" * 40}\n'.encode() + b"\n" * 40 + f"{UMA}\n".encode()
    yield Case(
        "a quote over forty lines", tall, taken=(row(42, UMA),), errors=((1, None, "row_too_long"),)
    )


def pack(files: Sequence[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return buffer.getvalue()


PEOPLE: Final = f"tel1,name\n{ZOE},Zoë\n{UMA},Uma\n".encode()


def archives() -> Iterator[Case]:
    """Archives, honest and otherwise."""

    def zipped(id_: str, data: bytes, **expected: Any) -> Case:
        return Case(id_, data, "lists.zip", **expected)

    one = pack([("people.csv", PEOPLE)])
    yield zipped("an archive", one, taken=BOTH)
    yield zipped("stored", pack([("people.csv", PEOPLE)], zipfile.ZIP_STORED), taken=BOTH)
    yield zipped("in a folder", pack([("june/people.CSV", PEOPLE)]), taken=BOTH)
    yield Case("an archive by another name", one, taken=BOTH)
    yield zipped(
        "from a mac", pack([("people.csv", PEOPLE), ("__MACOSX/._people.csv", b"\x00")]), taken=BOTH
    )
    for name in (
        "../../etc/people.csv",
        "/etc/people.csv",
        "C:\\people.csv",
        "..\\people.csv",
        "a/../b.csv",
    ):
        yield zipped(f"climbs out by {name}", pack([(name, PEOPLE)]), taken=BOTH)
    halves = [("a.csv", f"tel1\n{ZOE}\n".encode()), ("b.csv", f"tel1\n{UMA}\n{ZOE}\n".encode())]
    yield zipped(
        "two lists",
        pack(halves),
        taken=(row(1), row(2, UMA)),
        errors=((3, "tel1", "duplicate_number"),),
    )
    nested = pack([("people.csv", PEOPLE), ("inner.zip", one)])
    yield zipped("an archive inside", nested, taken=BOTH, warnings=((0, None, "not_csv"),))
    yield zipped("only archives inside", pack([("inner.zip", one)]), refused="bad_zip")
    deep = one
    for _ in range(20):
        deep = pack([("inner.zip", deep)])
    yield zipped("archives twenty deep", deep, refused="bad_zip")
    yield zipped("nothing inside", pack([]), refused="bad_zip")
    yield zipped("only a folder", pack([("june/", b"")]), refused="bad_zip")
    yield zipped(
        "60,000 entries",
        pack([(f"{n:x}", b"") for n in range(60_000)], zipfile.ZIP_STORED),
        refused="bad_zip",
    )
    yield zipped("101 entries", pack([(f"{n}.csv", PEOPLE) for n in range(101)]), refused="bad_zip")
    zeros = bytes(30_000_000)
    yield zipped("a bomb", pack([("people.csv", zeros)]), refused="file_too_large")
    yield zipped(
        "a bomb of many",
        pack([(f"{n}.csv", zeros[:4_000_000]) for n in range(8)]),
        refused="file_too_large",
    )
    yield zipped(
        "a bomb that lies", lie_about_size(pack([("people.csv", zeros)])), refused="bad_zip"
    )
    yield zipped("entries that share bytes", share_bytes(one), refused="bad_zip")
    yield zipped("encrypted", set_flag(one, 1), refused="bad_zip")
    yield zipped("lzma", pack([("people.csv", PEOPLE)], zipfile.ZIP_LZMA), refused="bad_zip")
    yield zipped("bzip2", pack([("people.csv", PEOPLE)], zipfile.ZIP_BZIP2), refused="bad_zip")
    yield zipped("cut off", one[:-30], refused="bad_zip")
    yield zipped("cut at the front", b"PK\x03\x04" + one[40:], refused="bad_zip")
    damaged = bytearray(one)
    damaged[45] ^= 0xFF
    yield zipped("damaged", bytes(damaged), refused="bad_zip")
    yield zipped("only its mark", b"PK\x03\x04", refused="bad_zip")
    yield zipped("no archive", PEOPLE, refused="bad_zip")
    yield zipped("a binary list inside", pack([("people.csv", bytes(100))]), refused="not_csv")
    yield zipped("an empty list inside", pack([("people.csv", b"")]), refused="no_rows")
    yield zipped("a list without tel1 inside", pack([("a.csv", b"x\n1\n")]), refused="missing_tel")


def lie_about_size(data: bytes) -> bytes:
    """An archive whose only entry says that it is ten bytes when it is unpacked."""
    lying = bytearray(data)
    at = lying.index(b"PK\x01\x02")
    struct.pack_into("<L", lying, at + 24, 10)
    return bytes(lying)


def share_bytes(data: bytes) -> bytes:
    """An archive whose directory names its only entry twice (CVE-2024-0450)."""
    at, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entry = data[at:end]
    tail = bytearray(data[end:])
    struct.pack_into("<HHL", tail, 8, 2, 2, 2 * len(entry))
    return data[:at] + entry * 2 + bytes(tail)


def set_flag(data: bytes, flag: int) -> bytes:
    """An archive with a flag set on its first entry, in both places."""
    flagged = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        flagged[flagged.index(mark) + offset] |= flag
    return bytes(flagged)


FAR_AWAY: Final = '<row r="99999999"><c><v>1</v></c></row>'
ENTITY: Final = '<!DOCTYPE x [<!ENTITY a "b">]>'


def workbooks() -> Iterator[Case]:
    """Workbooks."""

    def book(id_: str, data: bytes, **expected: Any) -> Case:
        return Case(id_, data, "people.xlsx", **expected)

    header = ("tel1", "name", "starttime")
    base = make_workbook({"List": [header, (ZOE, "Zoë"), (UMA, "Uma")]})
    yield book("a workbook", base, taken=BOTH)
    yield Case("a workbook by another name", base, taken=BOTH)
    yield Case("a workbook called an archive", base, "people.zip", taken=BOTH)
    kinds: tuple[tuple[str, object], ...] = (("whole", 919876543210), ("floating", 919876543210.0))
    for id_, number in kinds:
        data = make_workbook({"List": [header, (number, "Zoë")]})
        yield book(f"a {id_} number", data, taken=(row(1, ZOE, "Zoë"),))
    for tel, code in (
        ("9.19876E+11", "spreadsheet_damage"),
        (9.2e18, "spreadsheet_damage"),
        (12.5, "invalid_number"),
        (True, "invalid_number"),
        ("#N/A", "invalid_number"),
    ):
        data = make_workbook({"List": [header, (tel, "Zoë")]})
        yield book(f"a number {tel!r}", data, errors=((1, "tel1", code),))
    moment = datetime.fromisoformat("2030-07-01T13:00:00")
    timed = make_workbook({"List": [header, (ZOE, "Zoë", moment)]})
    yield book("a moment", timed, taken=(row(1, ZOE, "Zoë", 3600),))
    two = make_workbook({"List": [header, (ZOE, "Zoë")], "More": [("x",)]})
    yield book(
        "two sheets", two, taken=(row(1, ZOE, "Zoë"),), warnings=((0, None, "sheet_not_read"),)
    )
    hidden = make_workbook({"Old": [("x",)], "List": [header, (ZOE, "Zoë")]}, hidden=["Old"])
    yield book(
        "a hidden sheet",
        hidden,
        taken=(row(1, ZOE, "Zoë"),),
        warnings=((0, None, "sheet_not_read"),),
    )
    yield book("no rows", make_workbook({"List": [header]}), refused="no_rows")
    yield book("an empty sheet", make_workbook({"List": []}), refused="no_rows")
    yield book("no tel1", make_workbook({"List": [("phone",), (ZOE,)]}), refused="missing_tel")
    yield book("cut off", base[:-100], refused="bad_zip")
    for id_, parts, code in (
        ("an empty sheet part", {SHEET: ""}, "bad_xlsx"),
        ("a sheet that ends early", {SHEET: sheet_xml("")[:-20]}, "bad_xlsx"),
        (
            "a text that is not there",
            {SHEET: sheet_xml('<row><c t="s"><v>9</v></c></row>')},
            "bad_xlsx",
        ),
        (
            "a row far away",
            {SHEET: sheet_xml('<row r="99999999"><c><v>1</v></c></row>')},
            "too_many_contacts",
        ),
        (
            "a column far away",
            {SHEET: sheet_xml('<row><c r="XFD1"><v>1</v></c></row>')},
            "too_many_columns",
        ),
        (
            "a row without end",
            {SHEET: sheet_xml("<row>" + "<c/>" * 3_000_000 + "</row>")},
            "file_too_large",
        ),
        ("a sheet without end", {SHEET: sheet_xml(" " * 70_000_000)}, "file_too_large"),
        ("texts without end", {"xl/sharedStrings.xml": " " * 9_000_000}, "file_too_large"),
        ("styles without end", {"xl/styles.xml": " " * 600_000}, "file_too_large"),
        ("a broken directory", {"[Content_Types].xml": "no"}, "bad_xlsx"),
        (
            "entities",
            {SHEET: '<!DOCTYPE x [<!ENTITY a "b">]>' + sheet_xml("<row><c><v>&a;</v></c></row>")},
            "bad_xlsx",
        ),
    ):
        yield book(id_, replace_parts(base, parts), refused=code)
    word = pack([("[Content_Types].xml", b"<Types/>"), ("word/document.xml", b"<x/>")])
    yield book("a letter", word, refused="not_csv")


FILES: Final[tuple[Case, ...]] = tuple(
    case
    for family in (
        encodings,
        quotes,
        numbers,
        ragged,
        starttimes,
        headers,
        rubbish,
        archives,
        workbooks,
    )
    for case in family()
)


def large_files() -> Iterator[tuple[str, str, bytes]]:
    """(what, name, file) of files as large as are taken, that hold as much as they can of one thing."""
    limit = 5 * 1024 * 1024
    yield "one cell", "a.csv", b"tel1\n" + b"x" * (limit - 5)
    yield "quotes", "a.csv", b"tel1\n" + b'"' * (limit - 5)
    yield "commas", "a.csv", b"tel1\n" + b"," * (limit - 5)
    yield "blank lines", "a.csv", b"tel1\n" + b"\n" * (limit - 5)
    wide = "\U0001f600".encode()
    yield (
        "wide characters",
        "a.csv",
        b"tel1,name\n" + (b"+919876543210," + wide * 900 + b"\n") * 1_400,
    )
    yield "numbers", "a.csv", b"tel1\n" + b"".join(b"1415%07d\n" % n for n in range(430_000))
    yield (
        "bad rows",
        "a.csv",
        b"tel1\n" + b"".join(b"%d\n" % n for n in range(700_000))[: limit - 5],
    )
    yield "rows that are refused whole", "a.csv", b"tel1\n" + (b"1," * 30_000 + b"\n") * 80
    cells = "".join(
        f'<row><c><v>1415{n:07}</v></c><c t="inlineStr"><is><t>N{n}</t></is></c></row>'
        for n in range(60_000)
    )
    yield (
        "a sheet",
        "a.xlsx",
        replace_parts(
            make_workbook({"L": [("tel1",)]}),
            {
                SHEET: sheet_xml(
                    '<row><c t="str"><v>tel1</v></c><c t="str"><v>name</v></c></row>' + cells
                )
            },
        ),
    )
    texts = "".join(f"<si><t>t{n}</t></si>" for n in range(350_000))
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    yield (
        "texts",
        "a.xlsx",
        replace_parts(
            make_workbook({"L": [("tel1",), ("x",)]}),
            {"xl/sharedStrings.xml": f'<sst xmlns="{main}">{texts}</sst>'},
        ),
    )
