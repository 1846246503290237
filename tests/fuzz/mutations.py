"""Damage done to files: to bytes, to text, to YAML, to JSON, to archives, to Tables."""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import yaml

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


def _lines_of_numbers(random: Random, data: bytes, _: list[bytes]) -> bytes:
    """A count and what it counts: a whole number and the length of a line of numbers together."""
    lines = data.split(b"\n")
    rows = [k for k, line in enumerate(lines) if len(line.split()) > 1]
    if not rows:
        return data
    at = random.choice(rows)
    words = lines[at].split()
    old, new = len(words), _other_size(random, len(words))
    lines[at] = b" ".join(words[k % old] for k in range(new))
    text = b"\n".join(lines)
    return re.sub(
        rb"(?<![\w.])%d(?![\w.])" % old, b"%d" % new, text, count=random.choice((0, 1, 2))
    )


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


# ---------------------------------------------------------------- consistent sizes


def _other_size(random: Random, size: int) -> int:
    """Another length of an axis or a list, small enough to be written out."""
    return random.choice(
        (0, 1, size + 1, max(size - 1, 0), 2 * size, size + 7, 13, 97, random.randrange(200))
    )


def _resized(random: Random, data: bytes, _: list[bytes]) -> bytes:
    """One length changed wherever it stands: in shapes, arrays and, often, the settings."""
    contents = dict(_members(data))
    try:
        header = json.loads(contents["header.json"])
        shapes = {key: entry["shape"] for key, entry in header["arrays"].items()}
        lengths = sorted({n for shape in shapes.values() for n in shape})
        old = random.choice(lengths)
        new = _other_size(random, old)
        for key, shape in shapes.items():
            kind = np.dtype(header["arrays"][key]["dtype"])
            array = np.frombuffer(contents[f"{key}.bin"], kind).reshape(shape)
            for axis, n in enumerate(shape):
                if n == old and array.size:
                    array = np.take(array, np.arange(new) % n, axis=axis)
            if array.size > _LARGEST:
                return data
            header["arrays"][key]["shape"] = list(array.shape)
            contents[f"{key}.bin"] = array.tobytes()
        if random.random() < 0.5:
            plain = {key: header[key] for key in header if key != "arrays"}
            header.update(_renumbered(plain, old, new))
        contents["header.json"] = json.dumps(header).encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, IndexError):
        return data
    return _archive(_digested(list(contents.items())))


def _renumbered(node: Any, old: int, new: int) -> Any:
    """A tree with one whole number in place of another."""
    if isinstance(node, dict):
        return {key: _renumbered(value, old, new) for key, value in node.items()}
    if isinstance(node, list):
        return [_renumbered(value, old, new) for value in node]
    return new if type(node) is int and node == old else node


def _count(node: Any, old: int, new: int) -> float:
    """How many nodes a tree has when lists of one length have another."""
    if isinstance(node, dict):
        return 1 + sum(_count(value, old, new) for value in node.values())
    if isinstance(node, list):
        grown = new / old if len(node) == old else 1
        return 1 + grown * sum(_count(value, old, new) for value in node)
    return 1


def _settings(random: Random, data: bytes, _: list[bytes]) -> bytes:
    """A larger or smaller basis: order, degrees, cut-offs, elements, as users might choose them."""
    contents = dict(_members(data))
    try:
        header = json.loads(contents["header.json"])
        places: list[tuple[Any, Any]] = []
        waiting = [header[key] for key in header if key not in ("arrays", "provenance")]
        while waiting:
            node = waiting.pop()
            keys: Any = node if isinstance(node, dict) else range(len(node))
            for key in keys:
                if isinstance(node[key], (dict, list)):
                    waiting.append(node[key])
                elif isinstance(node[key], (int, float)) and not isinstance(node[key], bool):
                    places.append((node, key))
        for _k in range(random.choice((1, 1, 2, 4))):
            node, key = random.choice(places)
            old = node[key]
            node[key] = random.choice(
                (old + 1, old - 1, 2 * old, 10 * old, old / 2, 0, 1, 6, 12, 40, 50.0, 1e-3, 200)
            )
        contents["header.json"] = json.dumps(header).encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, IndexError):
        return data
    return _archive(_digested(list(contents.items())))


def _lists(random: Random, data: bytes, _: list[bytes]) -> bytes:
    """All lists of one length made longer or shorter, in JSON and in the YAML of PACE."""
    if b"*a" in data or b"[[[[[[[[[[" in data:  # aliases of aliases, or nested too deeply to copy
        return data
    try:
        root = json.loads(data) if data[:1] == b"{" else yaml.load(data, _LOADER)
    except (ValueError, RecursionError, yaml.YAMLError):
        return data
    lists: list[list[Any]] = []
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            lists.append(node)
        if isinstance(node, (dict, list)):
            waiting += list(node.values()) if isinstance(node, dict) else node
    lengths = sorted({len(one) for one in lists if one})
    if not lengths:
        return data
    old = random.choice(lengths)
    new = _other_size(random, old)
    try:
        if _count(root, old, new) > _LARGEST:
            return data
    except RecursionError:
        return data
    for one in lists:
        if len(one) == old:
            one[:] = [one[k % old] for k in range(new)]
    if random.random() < 0.5:
        root = _renumbered(root, old, new)
    if data[:1] == b"{":
        return json.dumps(root).encode()
    return yaml.dump(root, default_flow_style=None, sort_keys=False, width=10**9).encode()


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _axes(random: Random, data: bytes, _: list[bytes]) -> bytes:
    """One length changed in every array of Tables that has it, the arrays resized with it."""
    try:
        start = len(MAGIC)
        version, count = struct.unpack_from("<QQ", data, start)
        at, arrays = start + 16, []
        if version > 1 or count > 200:
            return data
        for _k in range(count):
            name = data[at : at + 24]
            kind, dimensions = struct.unpack_from("<QQ", data, at + 24)
            shape = struct.unpack_from(f"<{min(dimensions, 6)}Q", data, at + 40)
            at += 40 + 8 * len(shape)
            dtype = np.dtype("<f8") if kind == ord("d") else np.dtype("<i4")
            size = int(np.prod(shape, dtype=float)) * dtype.itemsize
            arrays.append((name, kind, np.frombuffer(data[at : at + size], dtype).reshape(shape)))
            at += size
        lengths = sorted({n for _, _, array in arrays for n in array.shape if n})
        old = random.choice(lengths)
        new = _other_size(random, old)
        out = data[:start] + struct.pack("<QQ", version, count)
        for name, kind, array in arrays:
            if math.prod(new if n == old else max(n, 1) for n in array.shape) > _LARGEST:
                return data
            for axis, n in enumerate(array.shape):
                if n == old:
                    array = np.take(array, np.arange(new) % n, axis=axis)
            out += name + struct.pack(f"<{2 + array.ndim}Q", kind, array.ndim, *array.shape)
            out += array.tobytes()
        return out + data[at:]
    except (struct.error, ValueError, OverflowError, IndexError):
        return data


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
    "yace": [*_TEXT, _yaml, _yaml, _laughs, _lists, _lists, _lists],
    "ace": [*_TEXT, _lines_of_numbers, _lines_of_numbers],
    "ace1": [*_TEXT, _json, _json, _json, _json, _lists, _lists, _lists],
    "tables": [*_BYTES, _shape, _shape, _double, _double, _double, _axes, _axes, _axes],
    "acepot": [*_BYTES, _zip, _zip, *[_repaired] * 4, *[_resized] * 3, *[_settings] * 3],
    "models": [*_BYTES, _zip, *[_repaired] * 4, *[_resized] * 3, *[_settings] * 3],
}
