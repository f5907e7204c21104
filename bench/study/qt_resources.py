"""Files in Qt's binary resource files (.rcc), as far as photographs need them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

_COMPRESSED, _FOLDER, _ZSTD = 1, 2, 4


def resource_files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each file that is stored as it is; compressed ones are not.

    Photographs are stored as they are, since they do not get smaller.

    Raises
    ------
    ValueError
        If this is no resource file.
    """
    content = path.read_bytes()
    if content[:4] != b"qres":
        raise ValueError(f"{path} does not begin with 'qres', expected a Qt resource file (.rcc)")
    version, tree, data, names = struct.unpack_from(">4I", content, 4)
    size = 14 if version == 1 else 22  # later versions keep times

    def visit(index: int, folder: str) -> Iterator[tuple[str, bytes]]:
        at = tree + index * size
        name_at, flags = struct.unpack_from(">IH", content, at)
        name = ""
        if index:  # the root has none
            (length,) = struct.unpack_from(">H", content, names + name_at)
            start = names + name_at + 6  # behind length and hash
            name = folder + content[start : start + 2 * length].decode("utf-16-be")
        if flags & _FOLDER:
            count, first = struct.unpack_from(">II", content, at + 6)
            for child in range(first, first + count):
                yield from visit(child, f"{name}/" if name else "")
        elif not flags & (_COMPRESSED | _ZSTD):
            (offset,) = struct.unpack_from(">I", content, at + 10)
            (length,) = struct.unpack_from(">I", content, data + offset)
            start = data + offset + 4
            yield name, content[start : start + length]

    yield from visit(0, "")
