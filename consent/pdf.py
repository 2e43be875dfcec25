"""One page of PDF (ISO 32000-1) by hand: text in two scripts, rules and squares. Pure.

Latin text is set in the standard fonts, Chinese in ``STSong-Light`` over the predefined map ``UniGB-UCS2-H`` (section
9.7.5.2), which every conforming viewer brings or substitutes: no font travels with the file. A character that neither
has is shown as a box, so nothing is left out in silence.
"""

import re
import zlib
from typing import Final

WIDTH, HEIGHT = 595.0, 842.0
"""A4 in points."""
PLAIN, BOLD, MONO, SONG = "F1", "F2", "F3", "F4"
BOX: Final = "\N{WHITE SQUARE}"

_FONTS: Final = {PLAIN: "Helvetica", BOLD: "Helvetica-Bold", MONO: "Courier"}
# Adobe's metrics of Helvetica for the characters from space to tilde, in thousandths of the size.
_HELVETICA: Final = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
    722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556,
    556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334,
    260, 334, 584,
]  # fmt: skip
_BOLDER: Final = 1.08
"""Helvetica-Bold is at most this much wider than the plain one on average: enough to wrap by."""


def width(text: str, size: float, font: str = PLAIN) -> float:
    """Points the text takes on one line, near enough to wrap by."""
    total = 0.0
    for character in text:
        if _latin(character) is None:
            total += 1000
        elif font == MONO:
            total += 600
        else:
            at = ord(character) - 32
            total += (_HELVETICA[at] if 0 <= at < len(_HELVETICA) else 778) * (_BOLDER if font == BOLD else 1.0)
    return total * size / 1000


def wrap(text: str, size: float, room: float, font: str = PLAIN) -> list[str]:
    """The text in lines no wider than ``room`` points: broken at spaces, and anywhere in Chinese or in long words."""
    lines, line = [], ""
    for piece in re.findall(r"\s+|[\x21-\u2e7f]+|.", text):
        if not line and piece.isspace():
            continue
        if width(line + piece, size, font) <= room:
            line += piece
            continue
        if line.strip():
            lines.append(line.rstrip())
            line = ""
        piece = piece.lstrip()
        while width(piece, size, font) > room:
            cut = max(n for n in range(1, len(piece)) if n == 1 or width(piece[:n], size, font) <= room)
            lines.append(piece[:cut])
            piece = piece[cut:]
        line = piece
    return [*lines, line.rstrip()] if line.strip() else lines


class Page:
    """A4, drawn from the top left corner down; all positions in points."""

    def __init__(self, *, title: str, language: str) -> None:
        self._title, self._language = title, language
        self._drawn: list[str] = []

    def text(self, x: float, y: float, text: str, *, size: float = 10.0, font: str = PLAIN) -> None:
        """One line whose baseline lies ``y`` below the top."""
        self._drawn.append(f"BT {x:.2f} {HEIGHT - y:.2f} Td")
        for face, run in _runs(text, font):
            shown = f"<{run.encode('utf-16-be').hex()}>" if face == SONG else f"<{run.encode('cp1252').hex()}>"
            self._drawn.append(f"/{face} {size:.2f} Tf {shown} Tj")
        self._drawn.append("ET")

    def square(self, x: float, y: float, wide: float, high: float) -> None:
        """A filled rectangle whose upper left corner is (x, y)."""
        self._drawn.append(f"{x:.3f} {HEIGHT - y - high:.3f} {wide:.3f} {high:.3f} re f")

    def rule(self, y: float, left: float, right: float) -> None:
        """A thin line across."""
        self._drawn.append(f"0.5 w {left:.2f} {HEIGHT - y:.2f} m {right:.2f} {HEIGHT - y:.2f} l S")

    def bytes(self) -> bytes:
        """The file. The same page gives the same bytes."""
        content = zlib.compress("\n".join(self._drawn).encode("ascii"), 9)
        fonts = " ".join(f"/{face} {number} 0 R" for number, face in enumerate([*_FONTS, SONG], start=5))
        objects: list[str | bytes] = [
            f"<< /Type /Catalog /Pages 2 0 R /Lang ({self._language}) "
            "/ViewerPreferences << /DisplayDocTitle true >> >>",
            "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {WIDTH:g} {HEIGHT:g}] /Contents 4 0 R "
            f"/Resources << /Font << {fonts} >> >> >>",
            content,
            *(
                f"<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>"
                for name in _FONTS.values()
            ),
            "<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light-UniGB-UCS2-H /Encoding /UniGB-UCS2-H "
            "/DescendantFonts [9 0 R] >>",
            "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /DW 1000 /FontDescriptor 10 0 R "
            "/CIDSystemInfo << /Registry (Adobe) /Ordering (GB1) /Supplement 4 >> >>",
            "<< /Type /FontDescriptor /FontName /STSong-Light /Flags 6 /FontBBox [-25 -254 1000 880] /ItalicAngle 0 "
            "/Ascent 880 /Descent -120 /CapHeight 880 /StemV 93 >>",
            f"<< /Title <feff{self._title.encode('utf-16-be').hex()}> /Producer (Vouch) >>",
        ]
        return _file(objects)


def _file(objects: list[str | bytes]) -> bytes:
    out, places = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"), []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        if isinstance(body, bytes):
            head = f"<< /Length {len(body)} /Filter /FlateDecode >>\nstream\n".encode()
            body = head + body + b"\nendstream"
        else:
            body = body.encode("ascii")
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{place:010d} 00000 n \n".encode() for place in places)
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R /Info {len(objects)} 0 R >>\n".encode()
    return bytes(out + f"startxref\n{start}\n%%EOF\n".encode())


def _runs(text: str, font: str) -> list[tuple[str, str]]:
    """The text cut where the font must change."""
    runs: list[tuple[str, str]] = []
    for character in text:
        face = font
        if _latin(character) is None:
            face, character = SONG, character if _chinese(character) else BOX
        if runs and runs[-1][0] == face:
            runs[-1] = (face, runs[-1][1] + character)
        else:
            runs.append((face, character))
    return runs


def _latin(character: str) -> bytes | None:
    try:
        return character.encode("cp1252") if character.isprintable() else None
    except UnicodeEncodeError:
        return None


def _chinese(character: str) -> bool:
    try:
        return ord(character) <= 0xFFFF and bool(character.encode("gbk"))
    except UnicodeEncodeError:
        return False
