"""Coefficients of an energy are [member, output, k], however they were given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from acepot import Model, load
from acepot.basis.choices import resolve
from acepot.basis.embedding import Embedding, Nonlinear
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError, ModelFileError
from acepot.io import modelfile
from acepot.io.modelfile import energy
from acepot.lowering import lower

SPEC = resolve(BasisSpec(("Si",), order=2, degree=4.0, cutoff=4.0))
K = SPEC.expansion().size
E0 = np.array([-3.0])
TWO = Nonlinear((Embedding("FinnisSinclair", (1.0, 0.5), (1.0, 0.5)),))


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(8).normal(size=shape)


@pytest.mark.parametrize(
    ("shape", "stored", "nonlinear"),
    [
        ((K,), (1, 1, K), None),
        ((1, 1, K), (1, 1, K), None),
        ((3, 1, K), (3, 1, K), None),
        ((1, 2, K), (1, 2, K), TWO),
    ],
)
def test_what_is_stored(
    shape: tuple[int, ...], stored: tuple[int, ...], nonlinear: Nonlinear | None
) -> None:
    given = numbers(*shape)
    model = Model(SPEC, given, E0, nonlinear=nonlinear)
    c = model.coefficients
    assert c.shape == stored and c.dtype == np.float64 and not c.flags.writeable
    np.testing.assert_array_equal(c, given.reshape(stored))
    assert not np.shares_memory(c, given)
    if stored[0] == 1:
        assert model.committee is None
    else:
        assert model.committee is not None and not model.committee.flags.writeable
        np.testing.assert_array_equal(model.committee, given[1:, 0])
    tables = lower(model)
    assert (tables.members, tables.outputs) == (stored[0], (stored[1],))
    np.testing.assert_array_equal(
        tables.products[0].weights, tables.read_out(c).products[0].weights
    )


def test_a_vector_is_a_member_and_whole_numbers_become_floats() -> None:
    model = Model(SPEC, list(range(K)), E0)  # type: ignore[arg-type]
    assert model.coefficients[0, 0].tolist() == [float(k) for k in range(K)]
    assert replace(model, e0=E0 + 1).coefficients.shape == (1, 1, K)


@pytest.mark.parametrize(
    ("coefficients", "more", "match"),
    [
        (numbers(3, K), {}, r"expected \[member, output, k\] for each of 0e, got \[\(3, "),
        (numbers(K, 2), {"nonlinear": TWO}, r"expected \[member, output, k\]"),
        (np.array(1.0), {}, r"expected \[member, output, k\]"),
        (numbers(1, 1, 1, K), {}, r"expected \[member, output, k\]"),
        (numbers(0, 1, K), {}, "members"),
        (numbers(1, 2, K), {}, "outputs are densities: expected 1, got 2"),
        (numbers(K), {"nonlinear": TWO}, "outputs are densities: expected 2, got 1"),
        (numbers(3, 2, K), {"nonlinear": TWO}, "no committee: expected one member, got 3"),
        (np.where(np.arange(K) == 2, np.nan, 1.0), {}, "coefficients: expected finite numbers"),
        (np.array([[[1.0]], [[np.inf]]]), {}, "coefficients: expected finite numbers"),
        (numbers(K), {"e0": np.zeros((1, 1))}, "e0: expected 1-dimensional finite"),
        (numbers(K), {"e0": np.zeros(2)}, "e0: expected 1 energies, got 2"),
    ],
)
def test_what_is_refused(coefficients: np.ndarray, more: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=f"model.*{match}"):
        Model(SPEC, coefficients, **{"e0": E0} | more)


def test_another_number_of_functions_is_refused_by_its_own_tables() -> None:
    with pytest.raises(InputError, match=f"expected {K} coefficients for this basis, got {K - 1}"):
        lower(Model(SPEC, numbers(K - 1), E0))


def test_members_are_no_argument_of_their_own() -> None:
    """A committee handed over as a fourth argument must not be taken for something else."""
    with pytest.raises(TypeError):
        Model(SPEC, numbers(K), E0, numbers(3, K))  # type: ignore[misc]
    with pytest.raises(TypeError):
        Model(SPEC, numbers(K), E0, committee=numbers(3, K))  # type: ignore[call-arg]


def test_files_hold_a_vector_and_a_committee_or_a_column_for_each_density() -> None:
    c = numbers(3, 1, K)
    header, arrays = energy.encode(Model(SPEC, c, E0))
    assert set(arrays) == {"coefficients", "committee", "e0"}
    np.testing.assert_array_equal(arrays["coefficients"], c[0, 0])
    np.testing.assert_array_equal(arrays["committee"], c[1:, 0])
    np.testing.assert_array_equal(energy.decode(header, arrays, "f").coefficients, c)
    for bad in (arrays["committee"][:, 1:], arrays["committee"][None], c[0, 0]):
        with pytest.raises(ModelFileError, match=r"f: the array committee: expected shape"):
            energy.decode(header, arrays | {"committee": bad}, "f")

    densities = numbers(1, 2, K)
    header, arrays = energy.encode(Model(SPEC, densities, E0, nonlinear=TWO))
    assert set(arrays) == {"coefficients", "e0"}
    np.testing.assert_array_equal(arrays["coefficients"], densities[0].T)
    np.testing.assert_array_equal(energy.decode(header, arrays, "f").coefficients, densities)
    with pytest.raises(ModelFileError, match="of a linear model"):
        energy.decode(header, arrays | {"committee": numbers(3, K)}, "f")


def test_one_density_under_an_embedding_is_a_column_in_its_file(tmp_path: Any) -> None:
    one = Nonlinear((Embedding("FinnisSinclair", (1.0,), (0.5,)),))
    model = Model(SPEC, numbers(K), E0, nonlinear=one)
    header, arrays = energy.encode(model)
    assert arrays["coefficients"].shape == (K, 1)
    (tmp_path / "m.acepot").write_bytes(modelfile.model_bytes(model))
    again = load(tmp_path / "m.acepot")
    np.testing.assert_array_equal(again.coefficients, model.coefficients)
    with pytest.raises(InputError, match="no committee"):
        energy.decode(header, arrays | {"committee": numbers(3, K)}, "f")
