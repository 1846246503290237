"""The C interface as other languages load it, against the oracle in numpy."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from acepot.evaluate.native import instruction_sets
from acepot.evaluate.tablebytes import table_bytes
from acepot.neighbours import build
from acepot.structure import Structure

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


@pytest.mark.parametrize("as_vectors", [False, True])
def test_a_list_is_the_structure(ace: Any, opened: Open, case: Any, as_vectors: bool) -> None:
    """Images are ghosts with positions; with vectors nobody needs ghosts."""
    structure = case.structures["triclinic"]
    edges = build(structure, float(case.tables.cutoff.max()))
    n = len(structure)
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
    "ace_rows": "size data stride energy forces virial status messages message_size",
}


def test_structs_grow_at_their_end_alone(ace: Any) -> None:
    found = {name: [m for m, _ in s._fields_] for name, s in ace.structs.items()}
    assert found.keys() >= PUBLISHED.keys()
    for name, members in PUBLISHED.items():
        known = members.split()
        assert found[name][: len(known)] == known
