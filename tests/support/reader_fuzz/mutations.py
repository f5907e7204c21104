"""Damage to files: bytes, JSON, fields of zip archives, headers of arrays, pickles."""

from __future__ import annotations

import bz2
import io
import json
import lzma
import random
import struct
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

Files = dict[str, bytes]

INTEGERS = (0, 1, 2, 7, 8, 127, 128, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**32,
            2**40, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -1, -8)  # fmt: skip
# Raw JSON text in place of a value.
NASTY = (
    "null", "true", "false", "0", "-1", "7.5", "1e400", "NaN", "Infinity", "-Infinity", '""', '"x"',
    '"\\ud800"', '"\\udfff\\ud800"', '"\\u0000"', '"../x.safetensors"', '"/etc/passwd"', '".."',
    '"a/b.safetensors"', '"\x1b[31m"', '"' + "n" * 2000 + '"', "[]", "{}", "[0]", "[[]]", "[true]",
    "[1.0]", "[-1,-8]", "[" * 40 + "]" * 40, "[" * 5000 + "]" * 5000,
    '{"a":' * 900 + "1" + "}" * 900,
    "[" + ",".join(["1"] * 65) + "]", "[4294967296,4294967296]", "[0,9223372036854775807,4]",
    "1" + "0" * 30, "1" * 5000, '{"a":1,"a":2}', '"2:4"', '"row 2:4"', '"0:0"', '"F32"', '"BOOL"',
    '"F4"', '"tnm."', "'x'", "/**/1", '"\\x"', "{1:2}", "",
)  # fmt: skip
NPY_TOKENS = ("'<f4'", "'|b1'", "'|O'", "'>f8'", "'<f2'", "'|V2'", "'|V0'", "'<U0'", "'<c16'",
              "'<M8[s]'", "True", "False", "(4,)", "()", "(True, 4)", "(-4, -4)", "(4, 4.0)",
              "(" + "1, " * 65 + ")", "(1099511627776, 0)", "(9223372036854775807, 4, 0)",
              "(8L, 12L)", "[('a', '<f4', (1000000, 1000000))]", "[('a', '|O')]", "[('a', 'b')",
              "'''", "\\", "(" * 300, "{}", "None", "0x", "1_0", "lambda: 0", "'\\xff'",
              "{'shape': (4, 4)}", "'<f99'", "'zz'", "\0", "\n", "#")  # fmt: skip


def mutate(files: Files, rng: random.Random) -> Files:
    """Damage one file of several, once or a few times."""
    changed = dict(files)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        name = rng.choice(sorted(changed))
        changed[name] = rng.choice(_mutations_of(name))(changed[name], rng)
    return changed


def _mutations_of(name: str) -> list[Callable[[bytes, random.Random], bytes]]:
    plain = [_bytes] * 3
    if name.endswith(".json"):
        return [*plain, *[_json] * 9]
    if name.endswith(".safetensors"):
        return [*plain, *[_header] * 9]
    if name.endswith(".npy"):
        return [*plain, *[_npy] * 6]
    if name.endswith(".npz"):
        return [*plain, *[_zip_field] * 4, *[_rebuilt_zip] * 5]
    return [*plain, _zip_field, _zip_field, _pickle]


def _bytes(data: bytes, rng: random.Random) -> bytes:
    if not data:
        return rng.randbytes(rng.randrange(64))
    start = rng.randrange(len(data))
    end = min(len(data), start + rng.choice((1, 1, 2, 4, 8, 64, 1000)))
    new = bytearray(data)
    kind = rng.randrange(9)
    if kind == 0:
        new[start] ^= 1 << rng.randrange(8)
    elif kind == 1:
        new[start:end] = rng.randbytes(end - start)
    elif kind == 2:
        return data[:start]
    elif kind == 3:
        del new[start:end]
    elif kind == 4:
        new[start:start] = data[start:end]
    elif kind == 5:
        width = rng.choice((2, 4, 8))
        new[start : start + width] = _integer(rng, width)
    elif kind == 6:
        new[start:end] = bytes(end - start)
    elif kind == 7:
        new += rng.randbytes(rng.choice((1, 8, 100)))
    else:
        return rng.choice((b"", data[:8], b"\0" * 100, b"PK\5\6" + b"\0" * 18, b"{}", b"\xff\xfe"))
    return bytes(new)


def _integer(rng: random.Random, width: int) -> bytes:
    value = rng.choice(INTEGERS) + rng.choice((-1, 0, 0, 1))
    return (value % 256**width).to_bytes(width, "little")


def _json(data: bytes, rng: random.Random) -> bytes:
    try:
        return _json_text(json.loads(data), rng).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):  # it is damaged already
        return _bytes(data, rng)


def _json_text(value: Any, rng: random.Random) -> str:
    """Write JSON with one value, somewhere in it, replaced by something nasty, or a key."""
    places = list(_places(value, ()))
    chosen = rng.choice(places)
    kind = rng.randrange(4)

    def write(item: Any, at: tuple[object, ...]) -> str:
        if at == chosen and (kind or not isinstance(item, dict)):
            if isinstance(item, str) and item[:1] in "[{" and item and rng.random() < 0.8:
                return json.dumps(_json_text(json.loads(item), rng))  # JSON within JSON
            if isinstance(item, int) and rng.random() < 0.5:
                return str(rng.choice(INTEGERS))
            return rng.choice(NASTY)
        if isinstance(item, dict):
            pairs = [f"{json.dumps(key)}:{write(one, (*at, key))}" for key, one in item.items()]
            if at == chosen and pairs:
                pairs.append(rng.choice(pairs))
                if rng.random() < 0.5:
                    pairs[-1] = rng.choice(NASTY) + ":" + pairs[-1].partition(":")[2]
                if rng.random() < 0.3:
                    del pairs[rng.randrange(len(pairs))]
            return "{" + ",".join(pairs) + "}"
        if isinstance(item, list):
            return "[" + ",".join(write(one, (*at, i)) for i, one in enumerate(item)) + "]"
        return json.dumps(item)

    return write(value, ())


def _places(value: Any, at: tuple[object, ...]) -> list[tuple[object, ...]]:
    found = [at]
    if isinstance(value, dict):
        items = list(value.items())
    else:
        items = list(enumerate(value)) if isinstance(value, list) else []
    for key, one in items:
        found += _places(one, (*at, key))
    return found


def _header(data: bytes, rng: random.Random) -> bytes:
    """Damage the JSON of a safetensors header; the length is made to fit."""
    length = int.from_bytes(data[:8], "little")
    text = _json(data[8 : 8 + length], rng)
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def _npy(data: bytes, rng: random.Random) -> bytes:
    """Damage the text of an array's header; the length is made to fit."""
    if len(data) < 12:
        return _bytes(data, rng)
    length = int.from_bytes(data[8:10], "little")
    words = data[10 : 10 + length].decode("latin1").split(" ")
    words[rng.randrange(len(words))] = rng.choice(NPY_TOKENS) + rng.choice(("", ",", "}", ")"))
    text = " ".join(words).encode("latin1")
    if rng.random() < 0.1:
        return b"\x93NUMPY\x02\x00" + _integer(rng, 4) + text + data[10 + length :]
    return data[:8] + struct.pack("<H", len(text) % 65536) + text + data[10 + length :]


def _zip_field(data: bytes, rng: random.Random) -> bytes:
    """Overwrite a field of a local header, a directory entry, or the end of the directory."""
    marks = (b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\6\6", b"PK\6\7")
    starts = [at for mark in marks for at in _found(data, mark)]
    if not starts:
        return _bytes(data, rng)
    start = rng.choice(starts) + 4 + 2 * rng.randrange(22)
    width = rng.choice((2, 2, 4, 8))
    return data[:start] + _integer(rng, width) + data[start + width :]


def _found(data: bytes, mark: bytes) -> list[int]:
    places, at = [], data.find(mark)
    while at >= 0:
        places.append(at)
        at = data.find(mark, at + 1)
    return places


def _rebuilt_zip(data: bytes, rng: random.Random) -> bytes:
    """Write the archive again with one member that no one would write."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as source:
            members = [(one, source.read(one)) for one in source.infolist()]
    except Exception:  # what came is damaged already
        return _bytes(data, rng)
    if not members:
        return _bytes(data, rng)
    chosen = rng.randrange(len(members))
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w") as target:
        warnings.simplefilter("ignore")  # that a name comes twice is meant
        for place, (old, content) in enumerate(members):
            info = zipfile.ZipInfo(old.filename, old.date_time)
            info.comment, info.compress_type = old.comment, old.compress_type
            if place == chosen:
                content = _strange_member(info, content, rng)
            target.writestr(info, content)
    return out.getvalue()


def _strange_member(info: zipfile.ZipInfo, content: bytes, rng: random.Random) -> bytes:
    kind = rng.randrange(6)
    if kind == 0:
        start = info.comment[4:] if info.comment.startswith(b"tnm ") else b'{"pattern":"2:4"}'
        info.comment = b"tnm " + _json(start, rng)[:60000]
    elif kind == 1:
        info.comment = b"tnm " + rng.choice((b"[]", b"[" * 5000, b"{}", b"\xff", b'"x"', b"1", b""))
    elif kind == 2:
        info.filename = rng.choice(("../w.npy", ".npy", "a" * 2000 + ".npy", "w/", "\x1b.npy",
                                    "näme.npy", "x\ud800.npy".encode("utf-8", "replace").decode(),
                                    "w"))  # fmt: skip
    elif kind == 3:
        info.compress_type = rng.choice((zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED))
    elif kind == 4:
        return rng.choice((lzma.compress(content), bz2.compress(content), b"", bytes(1 << 20)))
    else:
        return _npy(content, rng)
    return content


def _pickle(data: bytes, rng: random.Random) -> bytes:
    """Overwrite a byte of the pickle itself, where most of the bytes are tensors."""
    start = max(data.find(b"\x80\x02"), 0)
    at = min(len(data) - 1, start + rng.randrange(600)) if data else 0
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
