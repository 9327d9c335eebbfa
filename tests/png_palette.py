"""Make a screenshot a quarter of its size: the 256 colours that a page mostly has, by a palette.

Only what Chromium writes is understood: 8-bit RGB, not interlaced.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
RGB, PALETTE = 2, 3
BYTES = 3
"""Of a pixel."""
COLOURS, FREQUENT = 256, 160


def with_palette(png: bytes) -> bytes:
    """Return the same picture with a palette; a colour that is left out becomes its nearest one.

    ValueError where the picture is none that Chromium takes.
    """
    chunks = list(_chunks(png))
    width, height, *kind = struct.unpack(">IIBBBBB", dict(chunks)[b"IHDR"])
    if kind != [8, RGB, 0, 0, 0]:
        raise ValueError(f"PNG of kind {kind}: read is only 8-bit RGB, [8, 2, 0, 0, 0]")
    data = zlib.decompress(b"".join(body for name, body in chunks if name == b"IDAT"))
    rows = list(_rows(data, width))
    palette, index = _palette(rows)
    lines = (bytes(index[row[x : x + BYTES]] for x in range(0, len(row), BYTES)) for row in rows)
    return SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, PALETTE, 0, 0, 0)),
            (b"PLTE", b"".join(palette)),
            (b"IDAT", zlib.compress(b"".join(b"\0" + line for line in lines), 9)),
            (b"IEND", b""),
        )
    )


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += 12 + length


def _rows(data: bytes, width: int) -> Iterator[bytes]:
    """Undo each row's filter, which says how a byte was guessed from those before it."""
    above = bytes(width * BYTES)
    for start in range(0, len(data), width * BYTES + 1):
        row = bytearray(data[start + 1 : start + 1 + width * BYTES])
        guess = GUESSES[data[start]]
        if guess is not None:
            for x, byte in enumerate(row):
                left, corner = (row[x - BYTES], above[x - BYTES]) if x >= BYTES else (0, 0)
                row[x] = (byte + guess(left, above[x], corner)) & 255
        above = bytes(row)
        yield above


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    return min((left, up, corner), key=lambda each: abs(guess - each))


GUESSES: list[Callable[[int, int, int], int] | None] = [
    None,
    lambda left, up, corner: left,
    lambda left, up, corner: up,
    lambda left, up, corner: (left + up) // 2,
    _paeth,
]


def _palette(rows: list[bytes]) -> tuple[list[bytes], dict[bytes, int]]:
    """Return the colours that are kept, and for every colour which of them stands for it.

    Most are the frequent ones. The others are those that are least like any, so that a small mark
    keeps its colour.
    """
    found = Counter(row[x : x + BYTES] for row in rows for x in range(0, len(row), BYTES))
    kept = [colour for colour, _ in found.most_common(FREQUENT)]
    index = {colour: number for number, colour in enumerate(kept)}
    nearest = {
        colour: min((_distance(each, colour), number) for number, each in enumerate(kept))
        for colour in found.keys() - index.keys()
    }
    while nearest and len(kept) < COLOURS:
        rare = max(nearest, key=lambda colour: nearest[colour])
        kept.append(rare)
        for colour, standing in nearest.items():
            nearest[colour] = min(standing, (_distance(rare, colour), len(kept) - 1))
        index[rare] = nearest.pop(rare)[1]
    return kept, index | {colour: number for colour, (_, number) in nearest.items()}


def _distance(one: bytes, other: bytes) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))
