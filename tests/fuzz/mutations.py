"""Damage done to files: to bytes, to text, to YAML, to JSON, to archives, to Tables."""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

from acepot.evaluate.tablebytes import MAGIC

Mutation = Callable[[Random, bytes, list[bytes]], bytes]

#: Longer mutants are not made longer still.
_LARGEST = 100_000
_NUMBER = re.compile(rb"-?\d+\.?\d*(?:[eE][-+]?\d+)?")
_NUMBERS = (
    b"0", b"-0", b"-1", b"1e308", b"-1e308", b"1e-308", b"1e999", b"nan", b"NaN", b"inf",
    b"-Infinity", b".nan", b".inf", b"4294967296", b"9223372036854775807",
    b"-9223372036854775808", b"99999999999999999999999999", b"1e18", b"2147483648", b"255",
    b"256", b"1000", b"100000000", b"0x10", b"1_0", b"0b11", b"1e", b"--1", b"\xd9\xa3", b"1.5",
    b"0.001", b"3.0000000001", b"50", b"", b"true", b"null", b"~", b"'1'", b"\"1\"", b"1" * 400,
)  # fmt: skip


def mutant(kind: str, seed: int, number: int, files: dict[str, bytes]) -> tuple[str, bytes]:
    """The mutant of a number, the same on every machine.

    Args:
        kind: of file.
        seed: of the campaign.
        number: of the mutant.
        files: the seeds of this kind by name.

    Returns:
        The name of the file it was made from, and its bytes.
    """
    random = Random(f"{seed}/{kind}/{number}")
    name = random.choice(sorted(files))
    data, others = files[name], [files[k] for k in sorted(files)]
    for _ in range(random.choice((1, 1, 1, 1, 2, 2, 3, 8))):
        if len(data) < _LARGEST:
            data = random.choice(_OF_KIND[kind])(random, data, others)
    return name, data


# ---------------------------------------------------------------- any bytes


def _flip(random: Random, data: bytes, _: list[bytes]) -> bytes:
    out = bytearray(data)
    for _k in range(random.choice((1, 1, 2, 8)) if out else 0):
        out[random.randrange(len(out))] ^= 1 << random.randrange(8)
    return bytes(out)


def _overwrite(random: Random, data: bytes, _: list[bytes]) -> bytes:
    at = random.randrange(len(data) + 1)
    junk = random.choice((bytes(8), b"\xff" * 8, random.randbytes(random.randrange(1, 17))))
    return data[:at] + junk + data[at + len(junk) :]


def _truncate(random: Random, data: bytes, _: list[bytes]) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _delete(random: Random, data: bytes, _: list[bytes]) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + data[at + random.randrange(1, 40) :]


def _splice(random: Random, data: bytes, others: list[bytes]) -> bytes:
    other = random.choice(others)
    at, begin = random.randrange(len(data) + 1), random.randrange(len(other) + 1)
    end = min(len(other), begin + random.choice((8, 60, 400, len(other))))
    return data[:at] + other[begin:end] + data[at + random.choice((0, end - begin)) :]


_BYTES: list[Mutation] = [_flip, _overwrite, _truncate, _delete, _splice]

# ---------------------------------------------------------------- text


def _number(random: Random, data: bytes, _: list[bytes]) -> bytes:
    found = list(_NUMBER.finditer(data))
    if not found:
        return data
    where = random.choice(found)
    gentle = b"%.3g" % (float(where[0]) * random.uniform(-0.5, 2.0))
    small = str(random.randrange(-3, 70)).encode()
    new = random.choice((random.choice(_NUMBERS), random.choice(found)[0], small, gentle, gentle))
    return data[: where.start()] + new + data[where.end() :]


def _digit(random: Random, data: bytes, _: list[bytes]) -> bytes:
    found = list(_NUMBER.finditer(data))
    if not found:
        return data
    at = random.choice(found).end()
    return data[:at] + random.choice((b"0", b"9", b"00000", b"e5", b"e-5", b"e300")) + data[at:]


def _sign(random: Random, data: bytes, _: list[bytes]) -> bytes:
    found = list(_NUMBER.finditer(data))
    if not found:
        return data
    at = random.choice(found).start()
    return data[:at] + b"-" + data[at:]


def _line(random: Random, data: bytes, _: list[bytes]) -> bytes:
    lines = data.split(b"\n")
    at, other = random.randrange(len(lines)), random.randrange(len(lines))
    how = random.randrange(4)
    if how == 0:
        lines.insert(other, lines[at])
    elif how == 1:
        del lines[at]
    elif how == 2:
        lines[at], lines[other] = lines[other], lines[at]
    else:
        lines[at:at] = [lines[at]] * random.choice((10, 200))
    return b"\n".join(lines)


def _word(random: Random, data: bytes, _: list[bytes]) -> bytes:
    found = list(re.finditer(rb"[A-Za-z_.]{2,}", data))
    if not found:
        return data
    where, other = random.choice(found), random.choice(found)
    new = random.choice((other[0], b"", b"[]", b"{}", b"None", "ü".encode(), b"Zz"))
    return data[: where.start()] + new + data[where.end() :]


def _nest(random: Random, data: bytes, _: list[bytes]) -> bytes:
    depth, at = random.choice((5, 100, 5000)), random.randrange(len(data) + 1)
    left, right = random.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"{a: ", b"}"), (b"(", b")")))
    return data[:at] + left * depth + b"1" + right * depth + data[at:]


_TEXT: list[Mutation] = [
    *_BYTES, _number, _number, _number, _digit, _digit, _sign, _line, _word, _nest
]  # fmt: skip

_TAGS = (
    b"&a ", b"*a", b"!!python/object/apply:os.system [ls]", b"!!binary ", b"!!set ", b"!!int ",
    b"!local ", b"<<: *a", b"? ", b"--- ", b"...\n", b"%YAML 9.9\n", b"|\n  ", b">\n  ", b"- - - ",
    b"\t", b"@", b"`", b"\xff\xfe", b"\x00", b"'", b'"', b"# ",
)  # fmt: skip


def _yaml(random: Random, data: bytes, _: list[bytes]) -> bytes:
    found = list(re.finditer(rb"[:,\[{\n] ?", data))
    at = random.choice(found).end() if found else 0
    return data[:at] + random.choice(_TAGS) + data[at:]


def _laughs(random: Random, data: bytes, _: list[bytes]) -> bytes:
    """Aliases of aliases: a thousand million entries if they were followed."""
    lines = [b"a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    for k in range(1, 10):
        lines.append(b"a%d: &a%d [%s]" % (k, k, b", ".join([b"*a%d" % (k - 1)] * 9)))
    return random.choice((b"\n".join(lines) + b"\n" + data, data + b"\n" + b"\n".join(lines)))


# ---------------------------------------------------------------- JSON


def _json(random: Random, data: bytes, _: list[bytes]) -> bytes:
    """Another value, or none, or a second one, somewhere in the tree."""
    try:
        root = json.loads(data)
    except (ValueError, RecursionError):
        return data
    places: list[tuple[Any, Any]] = []
    waiting = [root]
    while waiting:
        node = waiting.pop()
        keys = (
            node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        )
        for key in list(keys):
            places.append((node, key))
            waiting.append(node[key])
    if not places:
        return data
    node, key = random.choice(places)
    donor, its = random.choice(places)
    how = random.randrange(5)
    if how == 0:
        del node[key]
    elif how == 1:
        node[key] = json.loads(json.dumps(donor[its]))
    elif how == 2 and isinstance(node, list):
        node.extend([node[key]] * random.choice((1, 50)))
    else:
        node[key] = random.choice(
            (0, -1, 1.5, 1e308, -1e308, 10**400, 2**63, True, None, "", "x", [], {}, [[]], [1e300])
        )
    return json.dumps(root).encode()


# ---------------------------------------------------------------- .acepot archives


def _members(data: bytes) -> list[tuple[str, bytes]]:
    """Names and contents; nothing of an archive that is damaged already."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [(info.filename, archive.read(info)) for info in archive.infolist()]
    except Exception:
        return []


def _archive(
    members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED, comment: bytes = b""
) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", method) as archive:
        warnings.simplefilter("ignore")  # of repeated names
        archive.comment = comment
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, method)
    return out.getvalue()


def _repaired(random: Random, data: bytes, _: list[bytes]) -> bytes:
    """A damaged member in an archive whose own sums are right; often the digests too."""
    if not (members := _members(data)):
        return data
    at = random.randrange(len(members)) if random.random() < 0.4 else 0
    name, content = members[at]
    how = [_json, _json, _json, _number, _digit, _flip] if name.endswith("json") else [
        _flip, _overwrite, _truncate]  # fmt: skip
    members[at] = (name, random.choice(how)(random, content, [content]))
    return _archive(_digested(members) if random.random() < 0.8 else members)


def _digested(members: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """The members with the digests and shapes of the header put right, where it can be read."""

    contents = dict(members)
    try:
        header = json.loads(contents["header.json"])
        for key, entry in header["arrays"].items():
            raw = contents[f"{key}.bin"]
            entry["sha256"] = hashlib.sha256(raw).hexdigest()
        text = json.dumps(header).encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return members
    return [(name, text if name == "header.json" else raw) for name, raw in members]


def _zip(random: Random, data: bytes, _: list[bytes]) -> bytes:
    """Tricks of archives: other methods, repeated and foreign names, wrong sizes."""
    members = _members(data)
    how = random.randrange(8)
    if how == 0:
        return _archive(members, zipfile.ZIP_DEFLATED)
    if how == 1:
        return _archive([(random.choice(("../x", "/etc/x", "", "a/b", "é")), b"1"), *members])
    if how == 2:
        renamed = [(random.choice(members)[0] if members else "x", c) for _, c in members]
        return _archive(renamed)
    if how == 3:
        return _archive(members, comment=random.randbytes(100))
    if how == 4:
        return random.randbytes(random.randrange(1, 100)) + data
    if how == 5:
        return _archive(random.sample(members, len(members)))
    # Sizes, offsets and flags of the central directory or of a local header.
    out = bytearray(data)
    mark = random.choice((b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"))
    places = [m.start() for m in re.finditer(re.escape(mark), data)]
    if places:
        at = random.choice(places) + random.choice(
            (4, 6, 8, 10, 12, 16, 18, 20, 22, 24, 28, 30, 42)
        )
        new = random.choice((b"\xff\xff\xff\xff", bytes(4), struct.pack("<I", 2**31 - 1), b"\x01"))
        out[at : at + len(new)] = new
    return bytes(out)


# ---------------------------------------------------------------- Tables


def _shape(random: Random, data: bytes, _: list[bytes]) -> bytes:
    """A number of a header: type, dimensions, count of arrays."""
    out, at, places = bytearray(data), len(MAGIC), [len(MAGIC), len(MAGIC) + 8]
    try:
        (count,) = struct.unpack_from("<Q", data, at + 8)
        at += 16
        for _k in range(min(count, 200)):
            kind, dimensions = struct.unpack_from("<QQ", data, at + 24)
            shape = struct.unpack_from(f"<{min(dimensions, 6)}Q", data, at + 40)
            places += [at, at + 24, at + 32, *(at + 40 + 8 * k for k in range(len(shape)))]
            size = 8 if kind == ord("d") else 4
            for n in shape:
                size *= n
            at += 40 + 8 * len(shape) + size
    except (struct.error, OverflowError):  # damaged before
        pass
    places = [p for p in places if p + 8 <= len(data)]
    if not places:
        return data
    where = random.choice(places)
    old = struct.unpack_from("<Q", data, where)[0]
    new = random.choice(
        (0, 1, 2, old + 1, old - 1, 2 * old, 2**30, 2**31, 2**32, 2**62, 2**64 - 1, ord("i"))
    )
    struct.pack_into("<Q", out, where, new % 2**64)
    return bytes(out)


def _double(random: Random, data: bytes, _: list[bytes]) -> bytes:
    """A double or an int32 of an array, which may lie at any fourth byte."""
    if len(data) < 16:
        return data
    out, at = bytearray(data), 4 * random.randrange(len(data) // 4 - 1)
    if random.random() < 0.5:
        value = random.choice((0.0, -1.0, 1e308, -1e308, 1e-308, 5.0, 100.0, 1e-7, 1e18, 1e200,
                               float("nan"), float("inf")))  # fmt: skip
        struct.pack_into("<d", out, at, value)
    else:
        number = random.choice((0, 1, 2, 3, 5, -1, 12, 13, 255, 1 << 20, 2**31 - 1, -(2**31)))
        struct.pack_into("<i", out, at, number)
    return bytes(out)


_OF_KIND: dict[str, list[Mutation]] = {
    "yace": [*_TEXT, _yaml, _yaml, _laughs],
    "ace": _TEXT,
    "ace1": [*_TEXT, _json, _json, _json, _json],
    "tables": [*_BYTES, _shape, _shape, _double, _double, _double],
    "acepot": [*_BYTES, _zip, _zip, _repaired, _repaired, _repaired, _repaired],
}
