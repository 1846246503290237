"""The C interface as other languages load it, against the oracle in numpy."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from acepot.basis.choices import resolve
from acepot.basis.spec import BasisSpec
from acepot.evaluate.native import instruction_sets
from acepot.evaluate.protocol import require
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.evaluate.tablebytes import table_bytes
from acepot.lowering import lower
from acepot.neighbours import Edges, build
from acepot.structure import Structure
from acepot.tables import Tables

Open = Callable[..., ctypes.c_void_p]
#: Two elements with four cut-offs, and a committee.
NAME = "two-elements"


class Batch:
    """Structures one after another, as the interface takes them, and room for results."""

    def __init__(self, case: Any, structures: Sequence[Structure], outputs: int = 1) -> None:
        self.structures = structures
        lengths = [len(s) for s in structures]
        self.first = np.cumsum([0, *lengths], dtype=np.int64)
        self.positions = np.concatenate([s.positions for s in structures])
        self.species = np.concatenate([case.species(s) for s in structures]).astype(np.int32)
        self.cells = np.stack([s.cell for s in structures])
        self.pbc = np.stack([s.pbc for s in structures]).astype(np.int32)
        count, n, o = len(structures), int(self.first[-1]), outputs
        self.results = {
            "energy": np.empty((o, count)),
            "energies": np.empty((o, n)),
            "forces": np.empty((o, n, 3)),
            "virial": np.empty((o, count, 3, 3)),
            "virials": np.empty((o, n, 3, 3)),
        }

    def evaluate(self, ace: Any, model: ctypes.c_void_p, threads: int = 1, **more: Any) -> int:
        arrays = ("first", "positions", "species", "cells", "pbc")
        given = ace.struct(
            "ace_structures",
            structures=len(self.structures),
            threads=threads,
            **{name: getattr(self, name) for name in arrays},
        )
        outputs = len(self.results["energy"])
        out = ace.struct("ace_results", outputs=outputs, **self.results, **more)
        status = ace["ace_evaluate_structures"](model, ctypes.byref(given), ctypes.byref(out))
        return int(status)


@pytest.fixture
def case(case_named: Callable[[str], Any]) -> Any:
    return case_named(NAME)


@pytest.mark.parametrize("name", instruction_sets())
def test_structures_are_those_of_the_oracle(ace: Any, opened: Open, case: Any, name: str) -> None:
    structures = list(case.structures.values())
    members = case.tables.members
    batch = Batch(case, structures, members)
    model = opened(case.tables, instruction_set=name.encode())
    assert ace["ace_instruction_set"](model).decode() == name
    assert ace["ace_outputs"](model) == members > 1
    for threads in (1, 2):
        assert batch.evaluate(ace, model, threads) == 0, ace.error()
        for s, (begin, end) in enumerate(pairwise(batch.first)):
            expected = case.compute(structures[s], committee=True)
            some = {key: a[:, begin:end] for key, a in batch.results.items() if len(key) > 6}
            close = {"atol": 1e-10, "rtol": 1e-11}
            np.testing.assert_allclose(some["energies"][0], expected.energies, **close)
            np.testing.assert_allclose(
                batch.results["forces"][0, begin:end], expected.forces, **close
            )
            np.testing.assert_allclose(some["virials"][0], expected.virials, **close)
            np.testing.assert_allclose(batch.results["virial"][0, s], expected.virial, **close)
            np.testing.assert_allclose(batch.results["energy"][0, s], expected.energy, **close)
            np.testing.assert_allclose(
                batch.results["energy"][1:, s], expected.committee.energies, **close
            )
            np.testing.assert_allclose(
                batch.results["virial"][1:, s], expected.committee.virials, **close
            )


def _list(
    case: Any, structure: Structure, cutoff: float, as_vectors: bool
) -> tuple[dict[str, Any], Edges]:
    """Members of ace_neighbours, and the edges: every neighbour is a ghost, or a vector."""
    edges, n = build(structure, cutoff), len(structure)
    species = case.species(structure).astype(np.int32)
    first = np.searchsorted(edges.centre, np.arange(n + 1)).astype(np.int64)
    names: dict[str, Any] = {"atoms": n, "points": n, "first": first}
    if as_vectors:
        names |= {"species": species, "vectors": np.ascontiguousarray(edges.vector)}
        names |= {"neighbours": edges.neighbour.astype(np.int32)}
    else:
        ghosts = structure.positions[edges.centre] + edges.vector
        names |= {"points": n + len(ghosts)}
        names |= {"neighbours": np.arange(n, n + len(ghosts), dtype=np.int32)}
        names |= {"positions": np.concatenate([structure.positions, ghosts])}
        names |= {"species": np.concatenate([species, species[edges.neighbour]])}
    return names, edges


@pytest.mark.parametrize("as_vectors", [False, True])
def test_a_list_is_the_structure(ace: Any, opened: Open, case: Any, as_vectors: bool) -> None:
    """Images are ghosts with positions; with vectors nobody needs ghosts."""
    structure = case.structures["triclinic"]
    n = len(structure)
    names, edges = _list(case, structure, float(case.tables.cutoff.max()), as_vectors)
    forces, virial = np.empty((names["points"], 3)), np.empty((3, 3))
    given = ace.struct("ace_neighbours", **names)
    out = ace.struct("ace_results", forces=forces, virial=virial)
    model = opened(case.tables)
    assert ace["ace_evaluate_neighbours"](model, ctypes.byref(given), ctypes.byref(out)) == 0
    if not as_vectors:
        np.add.at(forces, edges.neighbour, forces[n:])
    expected = case.compute(structure)
    np.testing.assert_allclose(forces[:n], expected.forces, atol=1e-10)
    np.testing.assert_allclose(virial, expected.virial, atol=1e-10)


def test_cutoffs_of_pairs_are_those_of_the_model(ace: Any, opened: Open, case: Any) -> None:
    model = opened(case.tables)
    count = ace["ace_species"](model)
    found = [[ace["ace_pair_cutoff"](model, i, j) for j in range(count)] for i in range(count)]
    assert len(np.unique(found)) > 2
    np.testing.assert_array_equal(found, case.tables.cutoff)


def test_an_atom_beyond_its_cutoff_feels_nothing(ace: Any, opened: Open, case: Any) -> None:
    """A host may leave out of its list what is beyond the cut-off of its pair, and nothing else."""
    model = opened(case.tables)
    for i, j in np.ndindex(2, 2):
        end = ace["ace_pair_cutoff"](model, i, j)
        numbers = [case.model.numbers[k] for k in (i, j)]
        at = [
            Structure(numbers, [[0.1, 0.2, 0.3], [0.1, 0.2, 0.3 + r]])
            for r in (end * (1 + 1e-9), end * 0.97)
        ]
        batch = Batch(case, at)
        assert batch.evaluate(ace, model) == 0
        alone = ace["ace_isolated_energy"](model, int(i))
        beyond, within = batch.results["energies"][0].reshape(2, 2)[:, 0]
        assert beyond == alone != within


def test_rows_times_coefficients_are_the_model(ace: Any, opened: Open, case: Any) -> None:
    structures = list(case.structures.values())
    model = opened(case.tables)
    batch = Batch(case, structures)
    heights = [3 * len(s) + 7 for s in structures]
    begin = np.cumsum([0, *heights], dtype=np.int64)
    total, functions = int(begin[-1]), ace["ace_functions"](model)
    data = np.empty((total, functions), order="F")
    given = ace.struct(
        "ace_structures",
        structures=len(structures),
        first=batch.first,
        threads=2,
        positions=batch.positions,
        species=batch.species,
        cells=batch.cells,
        pbc=batch.pbc,
    )
    where = {"energy": begin[:-1], "forces": begin[:-1] + 1, "virial": begin[1:] - 6}
    rows = ace.struct("ace_rows", data=data, stride=total, **where)
    assert ace["ace_fill_rows"](model, ctypes.byref(given), ctypes.byref(rows)) == 0, ace.error()
    predicted = data @ case.model.coefficients[0, 0]
    for s, structure in enumerate(structures):
        here = predicted[begin[s] : begin[s + 1]]
        expected = case.compute(structure)
        e0 = case.model.e0[case.species(structure)].sum()
        np.testing.assert_allclose(here[0], expected.energy - e0, atol=1e-9)
        np.testing.assert_allclose(here[1:-6].reshape(-1, 3), expected.forces, atol=1e-9)
        six = expected.virial[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        np.testing.assert_allclose(here[-6:], six, atol=1e-9)


def test_threads_share_an_evaluator_and_have_failures_of_their_own(
    ace: Any, opened: Open, case: Any
) -> None:
    structures = list(case.structures.values())
    model = opened(case.tables)
    expected = Batch(case, structures)
    expected.evaluate(ace, model)

    def work(number: int) -> None:
        for turn in range(20):
            batch = Batch(case, structures)
            if number % 2:
                batch.species[number] = 100 + number
                assert batch.evaluate(ace, model) == 1
                assert f"structure 0: species: atom {number} has" in ace.error()
            else:
                assert batch.evaluate(ace, model, threads=1 + turn % 2) == 0
                np.testing.assert_allclose(
                    batch.results["forces"], expected.results["forces"], atol=1e-12
                )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


# ------------------------------------------------------------------ values of sites


@cache
def _tensors(kind: str) -> Tables:
    """Two elements, four irreps: a basis, or a model of 1 to 3 outputs and a member."""
    spec = BasisSpec(
        elements=("O", "Si"), irreps=("0e", "1o", "2e", "1e"), order=3, degree=4.0, wl=0.6,
        r0={"default": 2.0}, cutoff={"default": 3.6},
    )  # fmt: skip
    basis, rng = lower(resolve(spec)), np.random.default_rng(3)
    shapes = [(2, 1 + k % 3, n) for k, n in enumerate(basis.sizes)]
    return basis if kind == "basis" else basis.read_out([rng.normal(size=s) for s in shapes])


def sites_of(ace: Any, batch: Batch, model: ctypes.c_void_p, **wanted: Any) -> int:
    arrays = ("first", "positions", "species", "cells", "pbc")
    given = ace.struct(
        "ace_structures",
        structures=len(batch.structures),
        threads=2,
        **{name: getattr(batch, name) for name in arrays},
    )
    out = ace.struct("ace_sites", **wanted)
    return int(ace["ace_evaluate_sites"](model, ctypes.byref(given), ctypes.byref(out)))


def flat(tables: Tables, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Values of each irrep (n, width, 2L + 1) as the interface has them, (n, V)."""
    n = len(arrays[0])
    return np.concatenate([a.reshape(n, -1) for a in arrays], axis=1)


@pytest.mark.parametrize("kind", ["basis", "model"])
def test_values_of_sites_are_those_of_the_oracle(
    ace: Any, opened: Open, case: Any, kind: str
) -> None:
    tables, structures = _tensors(kind), list(case.structures.values())
    oracle, model, rng = ReferenceEvaluator(tables), opened(tables), np.random.default_rng(11)
    batch = Batch(case, structures)
    n, count, width = len(batch.species), len(structures), ace["ace_site_values"](model)
    u, strains = rng.normal(size=(n, 3)), rng.normal(size=(count, 3, 3))
    adjoints = rng.normal(size=(n, width))
    found = {
        "values": np.empty((n, width)), "derivatives": np.empty((n, width)),
        "forces": np.empty((n, 3)), "virial": np.empty((count, 3, 3)),
        "virials": np.empty((n, 3, 3)),
    }  # fmt: skip
    status = sites_of(
        ace, batch, model, displacements=u, strains=strains, adjoints=adjoints, **found
    )
    assert status == 0, ace.error()
    parts = list(pairwise(batch.first))
    moved = oracle.jvp(structures, [u[a:b] for a, b in parts], list(strains))
    ends = np.cumsum([w * i.dim for w, i in zip(tables.widths, tables.irreps, strict=True)])
    assert ends[-1] == width
    for s, (a, b) in enumerate(parts):
        close = {"atol": 1e-10, "rtol": 1e-10}
        (sites,) = require(oracle.values([structures[s]]))
        np.testing.assert_allclose(found["values"][a:b], flat(tables, sites.values), **close)
        np.testing.assert_allclose(
            found["derivatives"][a:b], flat(tables, moved[s].values), **close
        )
        each = [
            part.reshape(b - a, w, i.dim)
            for part, w, i in zip(
                np.split(adjoints[a:b], ends[:-1], axis=1),
                tables.widths,
                tables.irreps,
                strict=True,
            )
        ]
        (pull,) = require(oracle.pullback([structures[s]], [each]))
        np.testing.assert_allclose(found["forces"][a:b], pull.forces, **close)
        np.testing.assert_allclose(found["virials"][a:b], pull.virials, **close)
        np.testing.assert_allclose(found["virial"][s], pull.virial, **close)


@pytest.mark.parametrize("kind", ["basis", "model"])
@pytest.mark.parametrize("as_vectors", [False, True])
def test_values_of_sites_with_a_list_are_those_of_the_oracle(
    ace: Any, opened: Open, case: Any, kind: str, as_vectors: bool
) -> None:
    """Images are ghosts that move as their atoms do, or vectors between atoms."""
    tables, structure = _tensors(kind), case.structures["triclinic"]
    oracle, model, rng = ReferenceEvaluator(tables), opened(tables), np.random.default_rng(12)
    names, edges = _list(case, structure, float(tables.cutoff.max()), as_vectors)
    n, points, width = len(structure), names["points"], ace["ace_site_values"](model)
    u, strain, adjoints = (rng.normal(size=s) for s in ((n, 3), (3, 3), (n, width)))
    moves = u if as_vectors else np.concatenate([u, u[edges.neighbour]])
    found = {
        "values": np.empty((n, width)), "derivatives": np.empty((n, width)),
        "forces": np.empty((points, 3)), "virial": np.empty((3, 3)), "virials": np.empty((n, 3, 3)),
    }  # fmt: skip
    given = ace.struct("ace_neighbours", threads=2, **names)
    out = ace.struct("ace_sites", displacements=moves, strains=strain, adjoints=adjoints, **found)
    status = ace["ace_evaluate_neighbour_sites"](model, ctypes.byref(given), ctypes.byref(out))
    assert status == 0, ace.error()
    if not as_vectors:
        np.add.at(found["forces"], edges.neighbour, found["forces"][n:])
    ends = np.cumsum([w * i.dim for w, i in zip(tables.widths, tables.irreps, strict=True)])
    each = [
        part.reshape(n, w, i.dim)
        for part, w, i in zip(
            np.split(adjoints, ends[:-1], axis=1), tables.widths, tables.irreps, strict=True
        )
    ]
    close = {"atol": 1e-10, "rtol": 1e-10}
    (sites,), (moved,) = oracle.values([structure]), oracle.jvp([structure], [u], [strain])
    (pull,) = require(oracle.pullback([structure], [each]))
    np.testing.assert_allclose(found["values"], flat(tables, sites.values), **close)
    np.testing.assert_allclose(found["derivatives"], flat(tables, moved.values), **close)
    np.testing.assert_allclose(found["forces"][:n], pull.forces, **close)
    np.testing.assert_allclose(found["virials"], pull.virials, **close)
    np.testing.assert_allclose(found["virial"], pull.virial, **close)


def test_irreps_are_those_of_the_tables(ace: Any, opened: Open) -> None:
    for kind in ("basis", "model"):
        tables = _tensors(kind)
        model = opened(tables)
        numbers = (ctypes.c_int * 3)()
        places = [ctypes.byref(numbers, 4 * k) for k in range(3)]
        for k, irrep in enumerate(tables.irreps):
            assert ace["ace_irrep"](model, k, *places) == 0
            assert list(numbers) == [irrep.l, irrep.parity, tables.widths[k]]
        assert ace["ace_irreps"](model) == len(tables.irreps)
        assert ace["ace_irrep"](model, len(tables.irreps), None, None, None) == 1
        assert ace["ace_functions"](model) == 0


def test_a_bad_structure_has_no_values_and_tensors_no_energies(
    ace: Any, opened: Open, case: Any
) -> None:
    tables, structures = _tensors("model"), list(case.structures.values())[:3]
    model, batch = opened(tables), Batch(case, structures)
    values = np.empty((len(batch.species), ace["ace_site_values"](model)))
    status = np.empty(3, np.int32)
    batch.positions[batch.first[1]] = np.nan
    assert sites_of(ace, batch, model, values=values, status=status) == 10
    np.testing.assert_array_equal(status, [0, 4, 0])
    bad = np.isnan(values).any(axis=1)
    assert bad[batch.first[1] : batch.first[2]].all() and bad.sum() == len(structures[1])
    assert sites_of(ace, batch, model, values=values) == 4
    assert "structure 1: positions: atom 0 is not at a finite position" in ace.error()
    assert sites_of(ace, batch, model, forces=np.empty((len(values), 3))) == 1
    assert "sites.adjoints: expected an array" in ace.error()
    assert batch.evaluate(ace, model) == 1 and "only models of true scalars" in ace.error()
    assert batch.evaluate(ace, opened(_tensors("basis"))) == 1
    assert "a basis has no energies" in ace.error()


# ------------------------------------------------------------------ hosts that err


@pytest.mark.parametrize("bad", ["cut", "flip"])
def test_damaged_tables_are_refused(ace: Any, case: Any, bad: str) -> None:
    data = table_bytes(case.tables)
    rng = np.random.default_rng(5)
    for at in [0, *rng.integers(8, len(data), 40)]:
        wrong = bytearray(data[:at] if bad == "cut" else data)
        if bad == "flip":
            wrong[at] ^= 1 << rng.integers(8)
        model = ctypes.c_void_p(1)
        status = ace["ace_open"](
            bytes(wrong), ctypes.c_size_t(len(wrong)), None, ctypes.byref(model)
        )
        assert status == 2 and model.value is None, at
        assert "tables" in ace.error()


#: Members of the structs as programs have been compiled with them.
PUBLISHED = {
    "ace_options": "size instruction_set precision",
    "ace_results": "size outputs energy energies forces virial virials edge_forces status messages "
    "message_size centroid_virials weights site_weights",
    "ace_structures": "size structures first positions species cells pbc threads stop stop_context",
    "ace_neighbours": "size atoms points species first neighbours positions vectors threads stop "
    "stop_context",
    "ace_sites": "size values displacements strains derivatives adjoints forces virial virials "
    "status messages message_size edge_displacements edge_forces",
    "ace_rows": "size data stride energy forces virial status messages message_size",
}


def test_structs_grow_at_their_end_alone(ace: Any) -> None:
    found = {name: [m for m, _ in s._fields_] for name, s in ace.structs.items()}
    assert found.keys() >= PUBLISHED.keys()
    for name, members in PUBLISHED.items():
        known = members.split()
        assert found[name][: len(known)] == known
