"""Models of tensors in files: everything comes back, nothing foreign gets in."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile

import numpy as np
import pytest

import acepot
from acepot.basis.bond import BondSpec, resolve_bonds
from acepot.basis.choices import ChosenFunction, Pair, resolve
from acepot.basis.irrep import Irrep
from acepot.basis.selection import irrep_sizes
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError, ModelFileError
from acepot.evaluate.bond_coupling import BondCoupling
from acepot.io.modelfile.kinds import model_bytes
from acepot.lowering import lower
from acepot.model import BondModel, Model, TensorModel

SITES = resolve(
    BasisSpec(
        ("O", "Si"), order=2, degree=4.0, wl=1.0, cutoff=3.6,
        irreps=("0e", "1o", "2e"), constant=True, pair=Pair(degree=2),
    )
)  # fmt: skip
BONDS = resolve_bonds(BondSpec(degree=2, max_l=2), SITES)


def tensors() -> TensorModel:
    """Charges, a dipole and a quadrupole; with a committee."""
    rng = np.random.default_rng(1)
    outputs = (2, 1, 1)
    sizes = lower(SITES).sizes
    c = tuple(rng.normal(size=(3, o, n)) for o, n in zip(outputs, sizes, strict=True))
    names = (("charge", "χ"), ("dipole",), ("quadrupole",))
    return TensorModel(SITES, c, names, "e", {"made by": "a test"})


def bonds() -> BondModel:
    """One scalar and one axial vector of every bond."""
    rng = np.random.default_rng(2)
    irreps = (Irrep(0, 1), Irrep(1, 1))
    sizes = [BondCoupling(lower(SITES), BONDS, irrep).size for irrep in irreps]
    c = tuple(rng.normal(size=(1, 1, n)) for n in sizes)
    return BondModel(SITES, BONDS, irreps, c, unit="eV")


@pytest.mark.parametrize("make", [tensors, bonds])
def test_everything_comes_back_and_the_same_model_gives_the_same_bytes(tmp_path, make):
    model = make()
    acepot.save(model, tmp_path / "model.acepot")
    again = acepot.load(tmp_path / "model.acepot", type(model))
    assert again.basis == model.basis and again.names == model.names and again.unit == model.unit
    assert again.irreps == model.irreps and again.provenance == model.provenance
    for one, other in zip(again.coefficients, model.coefficients, strict=True):
        np.testing.assert_array_equal(one, other)
    assert model_bytes(again) == model_bytes(model)
    if isinstance(model, BondModel):
        assert again.bonds == model.bonds


@pytest.mark.parametrize("make", [tensors, bonds])
def test_engines_refuse_what_is_no_energy(tmp_path, make):
    path = tmp_path / "model.acepot"
    acepot.save(make(), path)
    name = type(make()).__name__
    with pytest.raises(ModelFileError, match=f"expected a Model, got a {name}; read it with"):
        acepot.load(path)
    energy = Model(resolve(BasisSpec(("Si",), order=1, degree=3.0)), np.ones(6), np.zeros(1))
    acepot.save(energy, path)
    with pytest.raises(ModelFileError, match=f"expected a {name}, got a Model"):
        acepot.load(path, type(make()))


def changed(data: bytes, change, members: dict[str, bytes] | None = None) -> bytes:
    """The file with another header, and other arrays where they are given."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    header = json.loads(parts.pop("header.json"))
    change(header)
    parts = {"header.json": json.dumps(header).encode(), **(parts if members is None else members)}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return out.getvalue()


def _set(path: str, value: object):
    def change(header: dict) -> None:
        *parents, last = path.split("/")
        for key in parents:
            header = header[int(key) if isinstance(header, list) else key]
        header[last] = value

    return change


SPEC = "basis/specification"
DAMAGE = {
    "another irrep": (_set("read out/outputs/1/irrep", "3o"), "members"),
    "an irrep twice": (_set("read out/outputs/1/irrep", "0e"), "each once"),
    "no irrep": (_set("read out/outputs/0/irrep", "x"), "expected L from 0"),
    "no outputs": (_set("read out/outputs", []), "no outputs|members"),
    "names that are too few": (_set("read out/outputs/0/names", []), "names of"),
    "a larger basis": (_set(f"{SPEC}/degree", [9.0, 9.0]), "functions|more"),
    "a smaller basis": (_set(f"{SPEC}/degree", [3.0, 3.0]), "functions|fit"),
    "another parity": (_set(f"{SPEC}/irreps", ["0e", "1e", "2e"]), "fit|not those|functions"),
    "another kind": (_set("kind", "spin"), "known kind"),
    "a huge basis": (_set(f"{SPEC}/degree", [30.0, 30.0]), "more than|functions"),
}


@pytest.mark.parametrize("name", DAMAGE)
@pytest.mark.parametrize("make", [tensors, bonds])
def test_headers_that_do_not_fit_are_refused(make, name):
    change, message = DAMAGE[name]
    with pytest.raises(ModelFileError, match=message):
        acepot.load(changed(model_bytes(make()), change), type(make()))


def test_a_symmetry_that_nothing_couples_to_cannot_cost_more_than_its_file():
    """Counting the pseudoscalars of degree 200 takes minutes and finds none."""
    header = {"degree": [200.0, 200.0], "irreps": ["0o"], "constant": False, "max_l": [40, 40]}

    def change(given: dict) -> None:
        given["basis"]["specification"].update(header)
        given["basis"]["specification"]["pair"]["degree"] = 0
        given["read out"]["outputs"] = [{"irrep": "0o", "names": []}]
        for key in ("coefficients_0e", "coefficients_1o", "coefficients_2e"):
            given["arrays"].pop(key, None)
        given["arrays"]["coefficients_0o"] = {
            "dtype": "<f8", "shape": [1, 0, 0], "sha256": hashlib.sha256(b"").hexdigest(),
        }  # fmt: skip

    data = changed(model_bytes(tensors()), change, {"coefficients_0o.bin": b""})
    with pytest.raises(ModelFileError, match="claim more than the 0 numbers"):
        acepot.load(data, TensorModel)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"0e": (1, 0, 2**35), "1o": (1, 0, 5), "2e": (1, 0, 5)}, "claim more than the 0 numbers"),
        ({"0e": (2**33, 0, 3), "1o": (2**33, 1, 0), "2e": (1, 0, 0)}, "claim more than the 0"),
    ],
)
def test_arrays_without_numbers_cannot_ask_for_any(shapes, message):
    digest = hashlib.sha256(b"").hexdigest()

    def change(given: dict) -> None:
        for irrep, shape in shapes.items():
            entry = {"dtype": "<f8", "shape": list(shape), "sha256": digest}
            given["arrays"][f"coefficients_{irrep}"] = entry

    members = {f"coefficients_{irrep}.bin": b"" for irrep in shapes}
    with pytest.raises(ModelFileError, match=message):
        acepot.load(changed(model_bytes(tensors()), change, members), TensorModel)


def test_a_list_of_functions_of_several_irreps_comes_back():
    """Each function is one of some irrep; none has to be one of all."""
    for ls, sizes in (((0, 1), (2, 2)), ((1,), (0, 2))):
        chosen = tuple(ChosenFunction("Si", ("Si",), (n,), (l,)) for n in (1, 2) for l in ls)
        fields = {"order": 1, "cutoff": 4.0, "functions": chosen, "pair": Pair(degree=0)}
        spec = resolve(BasisSpec(("Si",), **fields, irreps=("0e", "1o")))
        assert irrep_sizes(spec) == lower(spec).sizes == sizes
        model = TensorModel(spec, tuple(np.ones((1, min(n, 1), n)) for n in sizes))
        again = acepot.load(model_bytes(model), TensorModel)
        assert again.basis == spec and model_bytes(again) == model_bytes(model)


def test_what_could_not_be_loaded_is_not_saved():
    sizes = lower(SITES).sizes
    with pytest.raises(InputError, match="functions, got shape"):
        model_bytes(TensorModel(SITES, tuple(np.ones((1, 1, n + 1)) for n in sizes)))
    with pytest.raises(InputError, match="expected one output or more"):
        model_bytes(
            TensorModel(
                SITES, tuple(np.ones((1, o, n)) for o, n in zip((1, 1, 0), sizes, strict=True))
            )
        )
    small = resolve_bonds(BondSpec(degree=1, max_l=0), SITES)
    coupling = BondCoupling(lower(SITES), small, Irrep(0, 1))
    c = np.ones((1, 1, coupling.size))
    with pytest.raises(InputError, match="no output couples to 1o, 2e of the sites"):
        model_bytes(BondModel(SITES, small, (Irrep(0, 1),), (c,)))


def test_numbers_that_nobody_takes_are_refused():
    for make in (tensors, bonds):
        data = model_bytes(make())
        raw = np.ones(3).tobytes()

        def change(given: dict, raw: bytes = raw) -> None:
            digest = hashlib.sha256(raw).hexdigest()
            given["arrays"]["mixing"] = {"dtype": "<f8", "shape": [3], "sha256": digest}

        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {n: archive.read(n) for n in archive.namelist() if n != "header.json"}
        with pytest.raises(ModelFileError, match="the array mixing has"):
            acepot.load(changed(data, change, members | {"mixing.bin": raw}), type(make()))


@pytest.mark.parametrize(
    ("path", "value"),
    [("bonds/degree", 3), ("bonds/max_l", 1), ("bonds/cutoff", {"Si-Si": 3.0}), ("bonds", {})],
)
def test_bonds_that_do_not_fit_are_refused(path, value):
    with pytest.raises(ModelFileError):
        acepot.load(changed(model_bytes(bonds()), _set(path, value)), BondModel)


@pytest.mark.parametrize("make", [tensors, bonds])
def test_flipped_bits_are_refused_or_change_the_provenance_alone(make):
    whole = make()
    data = model_bytes(whole)
    rng = np.random.default_rng(3)
    for _ in range(150):
        damaged = bytearray(data)
        damaged[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        try:
            found = acepot.load(bytes(damaged), type(whole))
        except ModelFileError:
            continue
        for one, other in zip(found.coefficients, whole.coefficients, strict=True):
            np.testing.assert_array_equal(one, other)
