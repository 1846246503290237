"""Damaged and dishonest files of Hamiltonians are refused, whatever is wrong with them."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import acepot
from acepot.errors import AceError
from acepot.io.modelfile import hamiltonian
from acepot.io.modelfile.container import pack
from acepot.io.modelfile.kinds import KINDS, model_bytes


@pytest.fixture(scope="module")
def parts(hamiltonian_model, lean):
    model = hamiltonian_model({"O": "s", "Si": "sp"}, 51, settings=lean)
    header, arrays = hamiltonian.encode(model)
    header |= {"rules": 1, "units": KINDS["hamiltonian"].units, "kind": "hamiltonian"}
    return model, header, arrays


def read(header, arrays):
    return acepot.load(pack(header, arrays), acepot.HamiltonianModel)


def test_a_file_put_together_by_hand_is_read(parts):
    _, header, arrays = parts
    assert read(header, arrays).orbitals.shells == {"O": "s", "Si": "sp"}


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("orbitals", "shells"), {"O": "s"}, "onsite: expected the elements of the orbitals|memb"),
        (("orbitals", "shells"), {"O": "p", "Si": "sp"}, "onsite: outputs of|misshapen"),
        (("orbitals", "shells"), {"O": "s", "Si": "sz"}, "letters out of spdfg"),
        (("orbitals", "shells"), {"O": "s" * 40, "Si": "sp"}, "1 to 32 letters"),
        (("orbitals", "electrons"), {"O": -1.0, "Si": 4.0}, "electrons: expected finite"),
        (("orbitals", "filling", "temperature"), -3.0, "temperature: expected above 0"),
        (("hopping", "bonds", "degree"), 9, "coefficients of"),
        (("hopping", "bonds", "cutoff"), {"Si-Si": 3.0}, "no value for the pair"),
        (("onsite", "basis", "specification", "degree"), [9.0, 9.0], "selects more than"),
        (("onsite",), {}, "basis|read out|missing"),
    ],
)
def test_what_does_not_fit_is_refused(parts, where, value, message):
    _, header, arrays = parts
    header = copy.deepcopy(header)
    table = header
    for key in where[:-1]:
        table = table[key]
    table[where[-1]] = value
    with pytest.raises(AceError, match=message):
        read(header, arrays)


def test_parts_that_are_missing_are_named(parts):
    _, header, arrays = parts
    for part in ("onsite", "hopping"):
        less = {key: value for key, value in header.items() if key != part}
        kept = {key: a for key, a in arrays.items() if not key.startswith(f"{part}_co")}
        with pytest.raises(AceError, match=f"no {part} part|members"):
            read(less, kept)
    for name in arrays:
        with pytest.raises(AceError):
            read(header, {key: a for key, a in arrays.items() if key != name})
        wrong = np.concatenate([arrays[name].ravel(), [1.0]])
        with pytest.raises(AceError):
            read(header, {**arrays, name: wrong})


def test_changed_bytes_never_do_anything_else(parts):
    model, _, _ = parts
    data, rng = model_bytes(model), np.random.default_rng(52)
    for _ in range(300):
        changed = bytearray(data)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            changed[place] = rng.integers(256)
        cut = bytes(changed[: rng.integers(1, len(data))] if rng.uniform() < 0.2 else changed)
        try:
            acepot.load(cut, acepot.HamiltonianModel)
        except AceError:
            continue
