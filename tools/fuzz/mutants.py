"""Files changed at random, each a function of its seed: most a few bytes off, so that readers get far into them.

What guards its content by a checksum or a length (PNG, ZIP, safetensors) is changed inside and closed again; left as
it is, no reader would look further than that.
"""

import io
import json
import math
import random
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence

MOST_BYTES = 1 << 20  # of a mutant
HEAD = 200  # bytes: what a file says of itself stands here, and is changed as often as all the rest
NUMBERS = (0, 1, 2, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
WORDS = (
    *(
        b"",
        b"\0",
        b"\n",
        b"\r\n",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\xff" * 8,
        b"\x1b[31m",
        "\u202e\u2028é\U0001f600".encode(),
    ),
    *(
        b",",
        b'"',
        b"'",
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b"- ",
        b"&a ",
        b"*a",
        b"!!python/none ",
        b"? ",
        b"| ",
        b"%YAML 9\n",
    ),
    *(b"null", b"true", b"~", b"-1", b"0x10", b"1e999", b"NaN", b"-.inf", b"9" * 400, b"1_0", b"0o7", b"2001-01-01"),
    *(b"../", b"/dev/zero", b"sample:", b"generated:1:0.1-0.2:N", b"#", b"\\", b"a" * 300),
    *(
        b"\x80\x02",
        b"\x80\x05",
        b"(",
        b")",
        b"]",
        b"}",
        b"t",
        b"R",
        b".",
        b"cos\nsystem\n",
        b"\x93",
        b"q\0",
        b"h\0",
        b"\x95",
    ),
)

Change = Callable[[random.Random, bytes, Sequence[bytes]], bytes]


def mutant(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """One of the seeds, changed in one to eight places."""
    data = rng.choice(seeds)
    for _ in range(1 << rng.randrange(4)):
        data = _changed(rng, data, seeds)
    return data[:MOST_BYTES]


def _changed(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """Changed in one place: mostly inside of what guards its content, sometimes not."""
    for sign, inside in GUARDED.items():
        if sign(data) and rng.random() < 0.8:
            return inside(rng, data)
    return rng.choice(CHANGES)(rng, data, seeds)


def _place(rng: random.Random, data: bytes) -> int:
    return rng.randrange(min(len(data), HEAD) + 1 if rng.random() < 0.5 else len(data) + 1)


def _range(rng: random.Random, data: bytes) -> tuple[int, int]:
    start = _place(rng, data)
    return start, min(len(data), start + 1 + int(rng.paretovariate(0.7)))


def _flipped(rng: random.Random, data: bytes, _) -> bytes:
    changed, at = bytearray(data or b"\0"), _place(rng, data)
    changed[min(at, len(changed) - 1)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _numbered(rng: random.Random, data: bytes, _) -> bytes:
    """A number written over: of 1 to 8 bytes, of either order."""
    size, at = rng.choice((1, 2, 4, 8)), _place(rng, data)
    number = (rng.choice(NUMBERS) % (1 << 8 * size)).to_bytes(size, rng.choice(("little", "big")))
    return data[:at] + number + data[at + size :]


def _cut(rng: random.Random, data: bytes, _) -> bytes:
    start, end = _range(rng, data)
    return data[:start] + data[end:]


def _shortened(rng: random.Random, data: bytes, _) -> bytes:
    return data[: _place(rng, data)]


def _repeated(rng: random.Random, data: bytes, _) -> bytes:
    start, end = _range(rng, data)
    times = min(rng.choice((1, 2, 10, 1000, 100_000)), MOST_BYTES // (end - start + 1))
    return data[:end] + data[start:end] * times + data[end:]


def _spliced(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    other = rng.choice(seeds)
    return data[: _place(rng, data)] + other[_place(rng, other) :]


def _copied(rng: random.Random, data: bytes, _) -> bytes:
    start, end = _range(rng, data)
    at = _place(rng, data)
    return data[:at] + data[start:end] + data[at:]


def _worded(rng: random.Random, data: bytes, _) -> bytes:
    at, word = _place(rng, data), rng.choice(WORDS)
    return data[:at] + word + data[at + rng.choice((0, 0, len(word), 1)) :]


def _noisy(rng: random.Random, data: bytes, _) -> bytes:
    at, noise = _place(rng, data), rng.randbytes(1 + int(rng.paretovariate(1)) % 64)
    return data[:at] + noise + data[at + rng.choice((0, len(noise))) :]


CHANGES: tuple[Change, ...] = (
    *(_flipped, _numbered, _numbered, _cut, _shortened),
    *(_repeated, _spliced, _copied, _worded, _worded, _noisy),
)


def _in_png(rng: random.Random, data: bytes) -> bytes:
    """A chunk's name, content or place changed, with its checksum right; pixels also before they are compressed."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        [size] = struct.unpack(">I", data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    if not chunks:
        return data[:8]
    i = rng.randrange(len(chunks))
    name, content = chunks[i]
    if name == b"IDAT" and rng.random() < 0.5:
        content = _recompressed(rng, content)
    elif rng.random() < 0.1:
        name = rng.choice(
            (b"IHDR", b"PLTE", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"eXIf", b"iCCP", b"zTXt", b"IEND", b"gAMA")
        )
    else:
        content = rng.choice(CHANGES)(rng, content, [c for _, c in chunks])
    place = i if rng.random() < 0.9 else rng.randrange(len(chunks))
    chunks[i] = chunks[place]
    chunks[place] = (name, content)
    return data[:8] + b"".join(_chunk(*chunk) for chunk in chunks)


def _recompressed(rng: random.Random, content: bytes) -> bytes:
    try:
        pixels = zlib.decompressobj().decompress(content, MOST_BYTES)
    except zlib.error:
        return content
    return zlib.compress(rng.choice(CHANGES)(rng, pixels, [pixels]))


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _in_zip(rng: random.Random, data: bytes) -> bytes:
    """A member's name or content changed, with its checksum right."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except Exception:  # of a damaged archive, of nearly any type
        return data
    if not members:
        return data
    i = rng.randrange(len(members))
    name, content = members[i]
    if rng.random() < 0.1:
        name = rng.choice(
            ("data.pkl", "archive/data.pkl", "archive/data/0", "a.npy", "../a.npy", "byteorder", "a" * 300, "")
        )
    else:
        content = rng.choice(CHANGES)(rng, content, [c for _, c in members])
    members[i] = (name, content)
    return _zipped(members, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))


def _zipped(members: Sequence[tuple[str, bytes]], method: int) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", method) as archive:
        warnings.simplefilter("ignore", UserWarning)  # of two members of one name, which are meant
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name or "_"), content[:MOST_BYTES], method)
    return file.getvalue()


def _in_safetensors(rng: random.Random, data: bytes) -> bytes:
    """The header changed as text, or an array in its shape, with all lengths right."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = rng.choice(CHANGES)(rng, data[8:end], [data[8:end]])
    try:
        arrays = {
            name: (entry["dtype"], entry["shape"], data[end:][slice(*entry["data_offsets"])])
            for name, entry in json.loads(data[8:end]).items()
        }
        if rng.random() < 0.5:
            return _of_arrays(_with_another_shape(rng, arrays))
    except Exception:  # of a damaged header, of nearly any type
        pass
    return len(header).to_bytes(8, "little") + header + data[end:]


def _with_another_shape(rng: random.Random, arrays: dict[str, tuple]) -> dict[str, tuple]:
    """One array of another shape, or gone, or under another name."""
    name = rng.choice(list(arrays))
    kind, shape, numbers = arrays.pop(name)
    others = (
        [],
        [0],
        [1],
        [len(numbers)],
        [*shape, 1],
        shape[1:],
        shape[:-1],
        shape[::-1],
        [2 * n for n in shape],
        [n // 2 for n in shape],
    )
    other = rng.choice(others)
    size = len(numbers) // max(1, math.prod(shape)) * math.prod(other)
    if rng.random() < 0.9:
        arrays[rng.choice((name, name, name, rng.choice([name, *arrays])))] = (
            kind,
            other,
            (numbers * (1 + size // max(1, len(numbers))))[:size],
        )
    return arrays


def _of_arrays(arrays: dict[str, tuple]) -> bytes:
    header, at = {}, 0
    for name, (kind, shape, numbers) in arrays.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + len(numbers)]}
        at += len(numbers)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + b"".join(numbers for *_, numbers in arrays.values())


def _is_safetensors(data: bytes) -> bool:
    return data[8:9] == b"{" and int.from_bytes(data[:8], "little") < len(data)


def _in_json(rng: random.Random, data: bytes) -> bytes:
    """A value, at any depth, in another's place, or something else there."""
    try:
        whole = json.loads(data)
        _change_value(rng, whole)
        return json.dumps(whole).encode()
    except (ValueError, RecursionError):
        return data


def _change_value(rng: random.Random, whole: dict | list) -> None:
    keys = list(whole) if isinstance(whole, dict) else list(range(len(whole)))
    if not keys:
        return
    key = rng.choice(keys)
    if isinstance(whole[key], (dict, list)) and rng.random() < 0.7:
        return _change_value(rng, whole[key])
    others = (
        None,
        True,
        -1,
        0,
        1,
        1.5,
        1e308,
        10**30,
        "",
        "x",
        "a" * 5000,
        [],
        {},
        [[]],
        {"a": 1},
        whole[rng.choice(keys)],
    )
    if rng.random() < 0.15:
        del whole[key]
    else:
        whole[key] = rng.choice(others)


GUARDED: dict[Callable[[bytes], bool], Callable[[random.Random, bytes], bytes]] = {
    lambda data: data.startswith(b"\x89PNG\r\n\x1a\n"): _in_png,
    lambda data: data.startswith(b"PK\3\4"): _in_zip,
    _is_safetensors: _in_safetensors,
    lambda data: data.startswith(b"{"): _in_json,
}
