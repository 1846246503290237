"""The container: what goes in comes out, nothing else gets in; new kinds are a row in a table."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from acepot.basis.choices import resolve
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError, ModelFileError
from acepot.io.modelfile import basis, kinds, load, model_bytes
from acepot.io.modelfile.container import Arrays, Header, pack, unpack, untrusted
from acepot.io.modelfile.radial import Mixing
from acepot.model import Model

ARRAYS: Arrays = {
    "b": np.arange(6.0).reshape(2, 3) / 7,
    "a": np.array([3, -1, 2**31 - 1]),
    "none": np.zeros((0, 4)),
}
HEADER: Header = {"x": [1, 2.5, None], "ü": {"deep": True}}


def read(data: bytes, *names: str) -> tuple[Header, Arrays]:
    return unpack(data, "f.acepot", lambda header: names or tuple(ARRAYS))


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(content: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return out.getvalue()


def test_header_and_arrays_come_back_bit_for_bit() -> None:
    header, arrays = read(pack(HEADER, ARRAYS))
    assert {key: header[key] for key in HEADER} == HEADER
    assert list(arrays) == sorted(ARRAYS)  # JSON's keys are sorted
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array, strict=True)


def test_equal_content_gives_equal_bytes() -> None:
    turned = dict(reversed(list(HEADER.items())))
    fortran = {name: np.asfortranarray(array) for name, array in ARRAYS.items()}
    assert pack(turned, fortran) == pack(HEADER, ARRAYS)
    assert list(members(pack(HEADER, ARRAYS))) == ["header.json", "b.bin", "a.bin", "none.bin"]


def test_a_header_that_json_cannot_hold_is_refused() -> None:
    for value in (np.inf, {1, 2}, b"bytes"):
        with pytest.raises(InputError, match="expected what JSON can hold"):
            pack({"x": value}, {})


def test_arrays_that_nobody_expects_are_refused() -> None:
    with pytest.raises(ModelFileError, match=r"f.acepot: its members are not those"):
        read(pack(HEADER, ARRAYS), "a", "b")


def test_members_without_a_description_are_refused_and_so_are_missing_ones() -> None:
    content = members(pack(HEADER, ARRAYS))
    for changed in (
        content | {"more.bin": b""},
        {k: v for k, v in content.items() if k != "a.bin"},
    ):
        with pytest.raises(ModelFileError, match="its members are not those"):
            read(zipped(changed))
    assert read(zipped(content))[0]["x"] == HEADER["x"]


def test_the_header_is_judged_before_any_array_is_read() -> None:
    content = members(pack(HEADER, ARRAYS)) | {"a.bin": b"damage"}

    def refuse(header: Header) -> tuple[str, ...]:
        raise ModelFileError(f"of another time, {header['x']}")

    with pytest.raises(ModelFileError, match="of another time, .1, 2.5, None"):
        unpack(zipped(content), "f.acepot", refuse)
    with pytest.raises(ModelFileError, match="the array a is damaged"):
        read(zipped(content))


@pytest.mark.parametrize("error", [KeyError("k"), ValueError("v"), OverflowError("o")])
def test_what_decoding_raises_becomes_an_error_of_the_file(error: Exception) -> None:
    with pytest.raises(ModelFileError, match=r"f.acepot: damaged or not an acepot model file"):
        with untrusted("f.acepot"):
            raise error
    with pytest.raises(ModelFileError, match="f.acepot: degree: expected 1"), untrusted("f.acepot"):
        raise InputError("degree: expected 1")


# ---------------------------------------------------------------- kinds


@dataclass(frozen=True)
class Charges:
    """A model of another kind: as many coefficients as its basis has functions."""

    basis: Any
    hardness: tuple[float, ...]
    coefficients: np.ndarray[Any, Any]


def encode(model: Charges) -> tuple[Header, Arrays]:
    _, described, arrays = basis.encode(model.basis, Mixing())
    header = {"version": 2, "basis": described, "hardness": list(model.hardness)}
    return header, {"coefficients": model.coefficients} | arrays


def decode(header: Header, arrays: Arrays, name: str) -> Charges:
    found = basis.decode(
        header, arrays, len(arrays["coefficients"]), Mixing(), name, lambda basis: None
    )
    return Charges(found, tuple(header["hardness"]), arrays["coefficients"])


CHARGES = kinds.ModelKind(
    Charges,
    encode,
    decode,
    lambda header, name: ("coefficients", *basis.arrays_of(header, name)),
    {"length": "angstrom", "charge": "e"},
    ("basis", "hardness"),
)


def test_a_new_kind_of_model_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = resolve(BasisSpec(("Si",), order=1, degree=3.0, cutoff=4.0))
    from acepot.basis.selection import basis_size

    model: Any = Charges(spec, (0.5,), np.arange(float(basis_size(spec)["total"])))
    with pytest.raises(InputError, match="model: expected a model, got Charges"):
        model_bytes(model)
    monkeypatch.setitem(kinds.KINDS, "dipoles", CHARGES)
    data = model_bytes(model)
    back: Any = load(data)
    assert type(back) is Charges and back.basis == spec and back.hardness == (0.5,)
    assert model_bytes(back) == data
    monkeypatch.undo()
    with pytest.raises(
        ModelFileError,
        match=r"expected a model of a known kind \(energy, tensor, .* friction, charges\)",
    ):
        load(data)


def test_other_units_than_those_of_the_kind_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kinds.KINDS, "dipoles", CHARGES)
    header = {"version": 2, "rules": 1, "kind": "dipoles"}
    data = pack(header | {"units": {"length": "angstrom", "energy": "eV"}}, {})
    with pytest.raises(ModelFileError, match="expected the units .*charge"):
        load(data)


@pytest.mark.parametrize("found", [{}, {"other": {}}, {"explicit": {}, "specification": {}}])
def test_a_basis_is_of_one_known_kind(found: Header) -> None:
    with pytest.raises(ModelFileError, match="expected a basis of one kind: specification or expl"):
        basis.decode({"basis": found}, {}, 1, Mixing(), "f.acepot", lambda basis: None)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"\0" + data,
        lambda data: data + b"\0",
        lambda data: data + data,
        lambda data: data[:-2] + b"\1\0x",
        lambda data: b"#!/bin/sh\n" + data,
    ],
    ids=["before", "after", "twice", "comment", "script"],
)
def test_a_file_is_one_archive_and_nothing_else(change: Callable[[bytes], bytes]) -> None:
    data = pack({"version": 1}, {"a": np.ones(3)})
    assert unpack(data, "f", lambda header: ["a"])[1]["a"].sum() == 3
    with pytest.raises(ModelFileError, match="f: "):
        unpack(change(data), "f", lambda header: ["a"])


def _with_header(text: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("header.json"), text)
    return out.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        b'{"format": "acepot", "arrays": {}, "arrays": {}}',
        b'{"format": "acepot", "arrays": {}, "basis": {"a": 1, "a": 2}}',
        '{"format": "acepot", "arrays": {}}'.encode("utf-16"),
        b'\xef\xbb\xbf{"format": "acepot", "arrays": {}}',
    ],
    ids=["twice", "twice below", "UTF-16", "byte order mark"],
)
def test_a_header_is_plain_json_without_a_key_twice(text: bytes) -> None:
    plain = _with_header(b'{"format": "acepot", "arrays": {}}')
    assert unpack(plain, "f", lambda header: [])[1] == {}
    with pytest.raises(ModelFileError, match="f: "):
        unpack(_with_header(text), "f", lambda header: [])


def test_a_key_that_no_model_of_the_kind_has_is_refused() -> None:
    spec = resolve(BasisSpec(("Si",), order=1, degree=3.0, cutoff=4.0))
    data = model_bytes(Model(spec, np.ones(spec.expansion().size), np.zeros(1)))
    header, arrays = unpack(data, "f", lambda header: list(header["arrays"]))
    again = pack({key: header[key] for key in header if key != "arrays"}, arrays)
    assert load(again, "f").numbers == (14,)
    more = {key: header[key] for key in header if key != "arrays"} | {"couplings": []}
    with pytest.raises(ModelFileError, match="f: the header has a key 'couplings'"):
        load(pack(more, arrays), "f")
