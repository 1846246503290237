"""ACE1's JSON files: stored energies, forces and basis values, and what must be refused.

The numbers come from the files themselves. Those named own_ are in data/ace1, with numbers that
data/make_ace1.py found from the formulas alone; the alloy of ACEmd.jl is in data/ACEmd.jl. Those of
ACEData were written by SHIPs.jl 0.7, ACE.jl 0.8 and ACE1.jl 0.11; they have no licence and lie
beside the repository.
"""

from __future__ import annotations

import copy
import functools
import json
import lzma
from collections.abc import Callable
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ace1_bases import ReferenceValues, read_ace1_basis, read_ace1_references
from scipy.special import sph_harm_y

from acepot.basis.species import SYMBOLS
from acepot.errors import InputError, ModelFileError
from acepot.evaluate.protocol import Result, require
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.io.ace1 import read_ace1
from acepot.lowering import lower
from acepot.model import Model
from acepot.structure import Structure

OWN = Path(__file__).parent / "data"
SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "ace1_models"


def place(name: str) -> Path:
    """A file of the repository, or one beside it that it may not hold."""
    for folder in (OWN / "ace1", OWN / "ACEmd.jl", SHARED):
        if (folder / name).exists():
            return folder / name
    pytest.skip(f"{name} has no licence and is not in the repository; it is looked for in {SHARED}")


POTENTIALS = [
    "own_rpipot_1_Si",
    "own_rpipot_1_AlTi",
    "v07_compat_rpipot_2_Si",
    *(f"v08_compat_rpipot_{n}_{of}" for n in (1, 2, 3, 4) for of in ("Si", "AlTi")),
    "v08_compat_rpipot_5_AlTi",
    "v08_compat_rpipot_6_Si",
]
BASES = [
    "v07_compat_rpibasis_2_Si",
    *(f"v08_compat_rpibasis_{n}_{of}" for n in (1, 2, 3, 4) for of in ("Si", "AlTi")),
    "v08_compat_rpibasis_5_AlTi",
    "v08_compat_rpibasis_6_Si",
]
ALLOY, SILICON = "ACEmd_TiAl.json.xz", "Si_model_acepotentials06.json"
SMALL, SMALL_BASIS = "own_rpipot_1_Si.json.xz", "own_rpibasis_1_Si.json.xz"
#: Measured: energies differ by at most 4e-14, forces by 2e-10 with tables this fine. Finer ones
#: have worse slopes (4e-10 at 1e-14), because the difference of two knots loses digits.
TOLERANCE = 1e-11

Document = dict[str, Any]


def evaluate(model: Model, structure: Structure) -> Result:
    tables = lower(model, tolerance=TOLERANCE)
    return require(ReferenceEvaluator(tables).evaluate([structure]))[0]


@functools.cache
def text_of(name: str) -> str:
    path = place(name)
    data = path.read_bytes()
    return (lzma.decompress(data) if path.suffix == ".xz" else data).decode()


def document(name: str) -> Document:
    return json.loads(text_of(name))


def write(folder: Path, content: Document | str | bytes, name: str = "file.json") -> Path:
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def alloy_cell() -> Structure:
    """The 1024 atoms of the extended XYZ file, read without the package's own reader."""
    lines = text_of("ACEmd_TiAl-big.xyz.xz").splitlines()
    cell = np.array(lines[1].split('Lattice="')[1].split('"')[0].split(), dtype=float)
    words = [line.split() for line in lines[2 : 2 + int(lines[0])]]
    numbers = [SYMBOLS.index(w[0]) for w in words]
    positions = np.array([w[1:4] for w in words], dtype=float)
    return Structure(numbers, positions, cell.reshape(3, 3), True, name="ACEmd_TiAl-big")


def cluster(structure: Structure, count: int) -> Structure:
    """The atoms nearest to the first one, without a cell."""
    distance = np.linalg.norm(structure.positions - structure.positions[0], axis=1)
    near = np.argsort(distance)[:count]
    return Structure(structure.numbers[near], structure.positions[near])


# ------------------------------------------------------------------ potentials


@pytest.mark.parametrize("name", POTENTIALS)
def test_energies_and_forces_are_those_stored_in_the_file(name: str) -> None:
    """Energies relative to max(1, |E|), forces relative to the largest force."""
    path = place(f"{name}.json.xz")
    model, tests = read_ace1(path), read_ace1_references(path)
    assert len(tests) == 3
    tables = lower(model, tolerance=TOLERANCE)
    evaluator = ReferenceEvaluator(tables)
    for index, test in enumerate(tests):
        structure = test.structure
        (result,) = require(evaluator.evaluate([structure]))
        (energy,), forces = test.energy, test.forces
        assert abs(result.energy - energy) <= 1e-9 * max(1.0, abs(energy)), f"structure {index}"
        error = np.abs(result.forces - forces).max() / np.abs(forces).max()
        assert error <= 1e-9, f"structure {index}: forces differ by {error:.1e}"


def direct_energy(content: Document, structure: Structure) -> float:
    """The energy of an isolated cluster as the formulas of the format say, term by term."""
    one, pair, many = (content["IP"]["components"][i] for i in range(3))
    zs = pair["basis"]["zlist"]["list"]
    basis = many["pibasis"]["basis1p"]
    position = {tuple(f["nlmz"][:3]): i for i, f in enumerate(basis["spec"])}

    def transform(trans: Document, r: float) -> float:
        if trans["__id__"] == "ACE1_AffineT":
            x1, x2, y1, y2 = trans["xy"]
            return y1 + (transform(trans["t"], r) - x1) * (y2 - y1) / (x2 - x1)
        s = (r - trans["rin"]) / (trans["r0"] - trans["rin"])
        p, q = trans["p"], trans["q"]
        return 1 / (1 + trans["a"] * s**q / (1 + s ** (q - p)))

    def polynomials(node: Document, t: float, r: float) -> list[float]:
        j, outside = node["J"], r >= node["ru"]
        values = [j["A"][0] * (t - j["tl"]) ** j["pl"] * (t - j["tr"]) ** j["pr"]]
        for n in range(1, len(j["A"])):
            last = j["C"][n] * values[n - 2] if n > 1 else 0.0
            values.append((j["A"][n] * t + j["B"][n]) * values[-1] + last)
        envelope = 1.0
        if node["envelope"]["__id__"] == "ACE1_PolyEnvelope":
            p, r0 = node["envelope"]["p"], node["envelope"]["r0"]
            s, end = r / r0, node["envelope"]["rcut"] / r0
            envelope = s**-p - end**-p + p * end ** (-p - 1) * (s - end)
        return [0.0 if outside else v * envelope for v in values]

    def factor(fcn: Document) -> tuple[int, ...]:
        n, l, m, z = fcn["nlmz"]
        return zs.index(z), position[n, l, m], n, l, m

    total = 0.0
    for i, (z0, origin) in enumerate(zip(structure.numbers, structure.positions, strict=True)):
        centre = zs.index(z0)
        total += one["E0"][SYMBOLS[z0]]
        a: dict[tuple[int, int, int, int], complex] = {}
        for j, (z, end) in enumerate(zip(structure.numbers, structure.positions, strict=True)):
            if i == j:
                continue
            vector, neighbour = end - origin, zs.index(z)
            r = float(np.linalg.norm(vector))
            low, high = sorted((centre, neighbour))
            node = pair["basis"]["Pr"][centre * len(zs) + neighbour]
            count = len(node["J"]["A"])
            start = (low * len(zs) - low * (low - 1) // 2 + high - low) * count
            values = polynomials(node, transform(node["trans"], r), r)
            total += 0.5 * np.dot(pair["coeffs"][start : start + count], values)
            trans = basis["J"]["trans"]["transforms"][centre * len(zs) + neighbour]
            radial = polynomials(basis["J"], transform(trans, r), r)
            theta, phi = np.arccos(vector[2] / r), np.arctan2(vector[1], vector[0])
            for n, l, m in position:
                key = (neighbour, n, l, m)
                if n <= len(radial):
                    y = sph_harm_y(l, m, theta, phi)
                    a[key] = a.get(key, 0.0) + radial[n - 1] * y
        functions = sorted(
            (sorted(factor(f) for f in fcn["oneps"]) for fcn in many["pibasis"]["inner"][centre]),
            key=lambda f: (len(f), f),
        )
        for c, f in zip(many["coeffs"][centre]["real"], functions, strict=True):
            total += c * prod((a[z, n, l, m] for z, _, n, l, m in f), start=1.0 + 0j).real
    return total


def test_a_fitted_alloy_equals_the_formulas_term_by_term() -> None:
    """Nothing is stored for this file; the sum is written out a second time."""
    structure = cluster(alloy_cell(), 9)
    model = read_ace1(place(ALLOY))
    expected = direct_energy(document(ALLOY), structure)
    reference = sum(model.e0[model.numbers.index(z)] for z in structure.numbers)
    found = evaluate(replace(model, e0=np.zeros(2)), structure).energy
    assert abs(found - (expected - reference)) < 1e-9
    assert evaluate(model, structure).energy == pytest.approx(expected, rel=1e-14)


def test_forces_of_a_fitted_alloy_are_the_slope_of_its_energy() -> None:
    """1024 atoms, without E0 so that the difference keeps its digits."""
    model = replace(read_ace1(place(ALLOY)), e0=np.zeros(2))
    structure = alloy_cell()
    tables = lower(model)
    evaluator = ReferenceEvaluator(tables)

    def run(positions: np.ndarray) -> Result:
        moved = replace(structure, positions=positions)
        return require(evaluator.evaluate([moved]))[0]

    result = run(structure.positions)
    assert np.isfinite(result.energies).all()
    step = 1e-3
    for atom, axis in ((0, 0), (517, 2)):
        energies = []
        for times in (-2, -1, 1, 2):
            positions = np.array(structure.positions)
            positions[atom, axis] += times * step
            energies.append(run(positions).energy)
        slope = (energies[0] - 8 * energies[1] + 8 * energies[2] - energies[3]) / (12 * step)
        assert slope == pytest.approx(-result.forces[atom, axis], abs=1e-6)
    order = np.random.default_rng(3).permutation(len(structure))
    permuted = replace(
        structure, numbers=structure.numbers[order], positions=structure.positions[order]
    )
    (again,) = require(evaluator.evaluate([permuted]))
    np.testing.assert_allclose(again.energies, result.energies[order], rtol=0, atol=1e-10)
    np.testing.assert_allclose(again.forces, result.forces[order], rtol=0, atol=1e-10)


def test_the_pair_part_is_the_table_that_was_exported_from_it() -> None:
    """5000 rows of r, V, -dV/dr from 0.001 to 5 Å."""
    text = text_of("Si_model_acepotentials06_pairpot.table.xz")
    rows = [line.split() for line in text.splitlines()]
    _, r, energy, force = np.array([w for w in rows if len(w) == 4 and w[0].isdigit()], float).T
    model = read_ace1(place(SILICON))
    pair = model.basis.pair[0][0]
    c = model.coefficients[0, 0, -pair.count :]
    jet = pair.evaluate(r)
    np.testing.assert_allclose(c @ jet.value, energy, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(-(c @ jet.first), force, rtol=1e-11, atol=1e-12)
    # and through the evaluator, pairs alone
    alone = replace(model, basis=replace(model.basis, products=()), coefficients=c, e0=np.zeros(1))
    for row in (1499, 2351, 4000):
        dimer = Structure([14, 14], [[0, 0, 0], [0, 0.6 * r[row], 0.8 * r[row]]])
        result = evaluate(alone, dimer)
        assert result.energy == pytest.approx(energy[row], rel=1e-9)
        assert result.forces[1, 1] == pytest.approx(0.6 * force[row], rel=1e-8)


# ------------------------------------------------------------------ bases


@pytest.mark.parametrize("name", BASES)
def test_basis_values_are_those_stored_in_the_file(name: str) -> None:
    """Norms of the groups, relative to the largest: rotations within a group are free."""
    read = read_ace1_basis(place(f"{name}.json.xz"))
    tests: tuple[ReferenceValues, ...] = read.tests
    assert len(tests) == 3 and set(read.params["species"]) == {
        SYMBOLS[z] for z in read.basis.numbers
    }
    evaluator = ReferenceEvaluator(lower(read.basis, tolerance=TOLERANCE))
    for test in tests if len(read.basis.products) < 5000 else tests[:1]:
        (sites,) = require(evaluator.values([test.structure]))
        ours = read.functions @ sites.values[0].sum(axis=0)[:, 0]
        assert len(ours) == len(test.energy)
        norms, stored = (
            np.sqrt(np.bincount(read.group, values**2)) for values in (ours, test.energy)
        )
        assert np.abs(norms - stored).max() <= 1e-9 * stored.max()


# ------------------------------------------------------------------ variants of the format


def test_elements_may_come_in_any_order(tmp_path: Path) -> None:
    name = "own_rpipot_1_AlTi.json.xz"
    swapped = document(name)
    inner = swapped["pibasis"]
    inner["basis1p"]["zlist"]["list"].reverse()
    inner["inner"].reverse()
    swapped["coeffs"].reverse()
    for own in swapped["coeffs"]:  # order 1: the neighbours' elements are two halves
        half = len(own["real"]) // 2
        own["real"] = own["real"][half:] + own["real"][:half]
    structure = read_ace1_references(place(name))[0].structure
    energies = [
        evaluate(read_ace1(path), structure).energy
        for path in (place(name), write(tmp_path, swapped))
    ]
    assert energies[0] == energies[1]


def test_pairs_may_come_in_any_order_and_with_fewer_functions(tmp_path: Path) -> None:
    content = document(ALLOY)
    del content["IP"]["components"][2]
    pair = content["IP"]["components"][1]
    for node in pair["basis"]["Pr"][1:3]:  # both directions of Al-Ti
        node["J"]["A"], node["J"]["B"], node["J"]["C"] = (
            node["J"][key][:4] for key in ("A", "B", "C")
        )
    blocks = [pair["coeffs"][:6], pair["coeffs"][6:10], pair["coeffs"][12:]]
    pair["coeffs"] = sum(blocks, [])
    swapped = copy.deepcopy(content)
    own = swapped["IP"]["components"][1]
    own["basis"]["zlist"]["list"].reverse()
    own["basis"]["Pr"].reverse()
    own["coeffs"] = sum(reversed(blocks), [])
    models = [read_ace1(write(tmp_path, one)) for one in (content, swapped)]
    assert models[0].coefficients.tolist() == models[1].coefficients.tolist()
    structure = cluster(alloy_cell(), 12)
    assert evaluate(models[0], structure).energy == evaluate(models[1], structure).energy
    full = document(ALLOY)
    del full["IP"]["components"][2]
    full["IP"]["components"][1]["coeffs"][10:12] = [0.0, 0.0]
    expected = evaluate(read_ace1(write(tmp_path, full)), structure).energy
    assert evaluate(models[0], structure).energy == pytest.approx(expected, rel=1e-14)


def test_a_committee_is_read_with_its_model(tmp_path: Path) -> None:
    content = {"potential": document(ALLOY)["IP"], "meta": {}}
    _, pair, many = content["potential"]["components"]
    first = np.array(pair["coeffs"])
    pair["committee"] = {
        "__id__": "ACE_ArrayOfNumber",
        "size": [len(first), 2],
        "real": np.concatenate((first, 2 * first)).tolist(),
    }
    many["committee"] = [[[c, 2 * c] for c in own["real"]] for own in many["coeffs"]]
    model = read_ace1(write(tmp_path, content))
    c = model.coefficients[0, 0]
    np.testing.assert_array_equal(model.committee, [c, 2 * c])
    many["committee"] = "nothing"
    with pytest.raises(ModelFileError, match="committees of one size"):
        read_ace1(write(tmp_path, content))


def test_each_pair_may_have_its_own_cutoff(tmp_path: Path) -> None:
    content = document(ALLOY)
    trans = content["IP"]["components"][2]["pibasis"]["basis1p"]["J"]["trans"]["transforms"]
    s = 4.5 / 2.88
    end = 1 / (1 + trans[1]["t"]["a"] * s**4 / (1 + s**2))
    for one in trans[1:3]:
        one["xy"][1] = end
    radial = read_ace1(write(tmp_path, content)).basis.radial
    assert radial[0][0].cutoff == pytest.approx(5.5, abs=1e-12)
    assert radial[0][1].cutoff == pytest.approx(4.5, abs=1e-12)
    value = np.abs(radial[0][1].evaluate(np.array([4.0, 4.5 - 1e-6, 4.6])).value)
    assert value[:, 0].min() > 1e-2 and value[:, 1].max() < 1e-8 and not value[:, 2].any()


def test_other_transforms_mean_what_they_say(tmp_path: Path) -> None:
    """AgnesiTransform is 1/(1 + a s^p); a PolyTransform may have an offset of its own."""
    r = np.array([1.0, 2.3, 4.1])
    s = r / 2.88
    cases = {
        "Agnesi": ({"p": 3, "a": 0.5, "rin": 0.0}, 1 / (1 + 0.5 * s**3)),
        "Poly": ({"p": 2, "a": 0.3}, ((0.3 + 2.88) / (0.3 + r)) ** 2),
    }
    for name, (fields, t) in cases.items():
        content = document(ALLOY)
        del content["IP"]["components"][2]
        for node in content["IP"]["components"][1]["basis"]["Pr"]:
            node["trans"] = {"__id__": f"ACE1_{name}Transform", "r0": 2.88, **fields}
            node["J"] |= {"A": [1.0, 1.0], "B": [0.0, 0.0], "C": [0.0, 0.0]}
        content["IP"]["components"][1]["coeffs"] = [1.0] * 6
        value = read_ace1(write(tmp_path, content)).basis.pair[0][0].evaluate(r).value
        np.testing.assert_allclose(value[1] / value[0], t, rtol=1e-13)


def test_plain_and_compressed_files_give_the_same_model(tmp_path: Path) -> None:
    plain = read_ace1(write(tmp_path, text_of(SMALL)))
    packed = read_ace1(place(SMALL))
    assert lower(plain).digest == lower(packed).digest


# ------------------------------------------------------------------ refusals


def test_other_kinds_of_files_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"found 'SHIPs_SHIP_v2' \(written by SHIPs.jl bef"):
        read_ace1(write(tmp_path, {"__id__": "SHIPs_SHIP_v2", "SH_maxL": 2}))
    with pytest.raises(ModelFileError, match=r"found 'ACE_RPIBasis' \(a basis without coeff"):
        read_ace1(place(SMALL_BASIS))
    with pytest.raises(ModelFileError, match=r"found 'ACE_PIPotential' \(a potential, for read"):
        read_ace1_basis(place(SMALL))
    with pytest.raises(InputError, match="no such file"):
        read_ace1(tmp_path / "absent.json")


def edit(*keys: str | int, to: Any) -> Callable[[Document], None]:
    """Put a value at a place."""

    def change(content: Document) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = to

    return change


def drop(*keys: str | int) -> Callable[[Document], None]:
    """Take a value away."""

    def change(content: Document) -> None:
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return change


ONE = ("pibasis", "basis1p")
FCN = ("pibasis", "inner", 0, 0)
J = (*ONE, "J", "J")
ORDER_7 = [{"__id__": "ACE_PSH1pBasisFcn", "nlmz": [1, 0, 0, 14]}] * 7
DAMAGE = {
    "unknown id": (edit("__id__", to="ACE1_Mystery"), "found 'ACE1_Mystery'"),
    "id of another kind": (edit("__id__", to=3), "found 3"),
    "missing key": (drop(*J, "tl"), "expected the key 'tl'"),
    "no potential": (drop("__id__"), "expected '__id__', 'IP' or 'potential'"),
    "text for a number": (edit(*J, "tl", to="0.2"), "J.J.tl: expected a number"),
    "true for a number": (edit(*J, "pl", to=True), "expected an integer from 0 to 12, got True"),
    "table for a list": (edit(*J, "A", to={}), "expected a list, got {}"),
    "infinite": (edit("coeffs", 0, "real", 3, to=10**400), r"coeffs\[0\].real\[3\]: expected a n"),
    "too few coefficients": (edit("coeffs", 0, "real", to=[1.0]), "expected 15 coefficients, got"),
    "complex": (edit("coeffs", 0, "imag", to=[1.0] * 15), "expected real numbers"),
    "huge l": (edit(*ONE, "spec", 0, "nlmz", to=[1, 10**9, 0, 0]), "integer from 0 to 30"),
    "huge maxL": (edit(*ONE, "SH", "maxL", to=10**12), "integer from 0 to 30"),
    "real harmonics": (edit(*ONE, "SH", "__id__", to="ACE1_RSHBasis"), "expected SHBasis, found"),
    "m beyond l": (edit(*ONE, "spec", 0, "nlmz", to=[1, 1, 2, 0]), "integer from -1 to 1"),
    "n beyond the radials": (edit(*ONE, "spec", 0, "nlmz", to=[16, 0, 0, 0]), "n <= 15"),
    "function twice": (edit(*ONE, "spec", 0, "nlmz", to=[2, 0, 0, 0]), r"\(2, 0, 0\) again"),
    "seven factors": (edit(*FCN, "oneps", to=ORDER_7), "list of 1 to 6 entries, got 7"),
    "no factor": (edit(*FCN, "oneps", to=[]), "list of 1 to 6 entries, got 0"),
    "factor of another element": (edit(*FCN, "oneps", 0, "nlmz", 3, to=13), "of the basis, got"),
    "centre of another element": (edit(*FCN, "z0", "z", to=13), "z0.z: expected 14, got 13"),
    "element 0": (edit(*ONE, "zlist", "list", to=[0]), "integer from 1 to 118, got 0"),
    "element twice": (edit(*ONE, "zlist", "list", to=[14, 14]), "every element once"),
    "huge power": (edit(*J, "pl", to=10**6), "integer from 0 to 12, got 1000000"),
    "endless cut-off": (edit(*ONE, "J", "ru", to=1e6), "number from 0 to 50"),
    "jump at the cut-off": (edit(*J, "pl", to=0), "functions that vanish at ru"),
    "wrong cut-off": (edit(*ONE, "J", "ru", to=5.0), "functions that vanish at ru = 5.0"),
    "inner cut-off elsewhere": (
        lambda d: (edit(*J, "pr", to=2)(d), edit(*ONE, "J", "rl", to=0.5)(d)),
        "functions that begin at rl",
    ),
    "blow-up": (edit(*J, "A", to=[1e100] * 15), "finite radial functions"),
    "other envelope": (
        edit(*ONE, "J", "envelope", to={"__id__": "ACE1_TwoSidedEnvelope"}),
        "expected OneEnvelope or PolyEnvelope, found",
    ),
    "other transform": (
        edit(*ONE, "J", "trans", to={"__id__": "ACE1_AnalyticTransform", "f": "r -> exit()"}),
        "found 'ACE1_AnalyticTransform'",
    ),
    "other steepness": (
        edit(
            *ONE,
            "J",
            "trans",
            to={"__id__": "ACE1_AgnesiTransform", "p": 2, "a": 0.4, "r0": 2.3, "rin": 0.0},
        ),
        "expected a = 0.333",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named(name: str, tmp_path: Path) -> None:
    change, message = DAMAGE[name]
    content = document(SMALL)
    change(content)
    with pytest.raises(ModelFileError, match=message) as caught:
        read_ace1(write(tmp_path, content))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300 + len(str(tmp_path))


def sum_of(*components: Document) -> Document:
    return {"IP": {"__id__": "JuLIP_SumIP", "components": list(components)}}


def test_sums_are_read_whole_or_not_at_all(tmp_path: Path) -> None:
    body = document(SMALL)
    core = {"__id__": "ACE1_RepulsiveCore", "Vout": {}, "Vin": []}
    other = document(ALLOY)["IP"]["components"][1]
    nested: Document = body
    for _ in range(10):
        nested = sum_of(nested)["IP"]
    cases = {
        "RepulsiveCore' .its inner core": sum_of(body, core),
        "expected one PIPotential in a potential, found two": sum_of(body, body),
        r"same elements, got \(14,\) and \(13, 22\)": sum_of(body, other),
        "expected the key 'Si'": sum_of(body, {"__id__": "JuLIP_OneBody", "E0": {"Al": 1.0}}),
        "found neither": sum_of({"__id__": "JuLIP_OneBody", "E0": {"Si": 1.0}}),
        "at most 8 nested": nested,
    }
    for message, content in cases.items():
        with pytest.raises(ModelFileError, match=message):
            read_ace1(write(tmp_path, content))


def test_couplings_that_would_not_fit_in_memory_are_refused(tmp_path: Path) -> None:
    content = document(SMALL_BASIS)
    one = content["pibasis"]["basis1p"]
    one["SH"]["maxL"] = 30
    kind = one["spec"][0]["__id__"]
    one["spec"] = [{"__id__": kind, "nlmz": [n, 30, 0, 0]} for n in range(1, 7)]
    function = content["pibasis"]["inner"][0][0]
    function["oneps"] = [{"__id__": kind, "nlmz": [n, 30, 0, 14]} for n in range(1, 7)]
    content["pibasis"]["inner"][0] = [function]
    with pytest.raises(ModelFileError, match="expected lower angular momenta"):
        read_ace1_basis(write(tmp_path, content))


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "3", "[" * 100_000, '{"__id__": NaN}', b"\xff\xfe", "not JSON", b"PK"],
)
def test_what_is_not_such_a_file_is_a_model_file_error(
    content: str | bytes, tmp_path: Path
) -> None:
    path = write(tmp_path, content)
    for read in (read_ace1, read_ace1_basis, read_ace1_references):
        with pytest.raises(ModelFileError):
            read(path)


def test_random_damage_never_raises_anything_else(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    plain, packed = text_of(SMALL).encode(), place(SMALL).read_bytes()
    refused = 0
    for trial in range(160):
        data = bytearray((plain, packed)[trial % 2])
        if trial % 4 < 2:
            data = data[: rng.integers(len(data))]
        else:
            for _ in range(1 + trial % 3):
                data[rng.integers(len(data))] = rng.integers(256)
        path = write(tmp_path, bytes(data))
        for read in (read_ace1, read_ace1_references):
            try:
                read(path)
            except ModelFileError:
                refused += 1
    assert refused > 200
