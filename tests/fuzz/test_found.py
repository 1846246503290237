"""What mutants found in the readers, each as the smallest change that shows it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from seeds import seeds

import acepot
from acepot.basis.explicit import ExplicitBasis
from acepot.basis.spec import Transform
from acepot.errors import InputError, ModelFileError
from acepot.io import acefile
from acepot.io.pace.read import read_yace


def _explicit(tmp_path: Path, **change: object) -> Path:
    """The explicit model with its polynomial radial functions changed."""
    model = acefile.load(seeds()["acepot"]["explicit"])
    assert isinstance(model.basis, ExplicitBasis)
    first = replace(model.basis.radial[0][0], **change)
    radial = ((first, model.basis.radial[0][1]), model.basis.radial[1])
    path = tmp_path / "changed.acepot"
    acepot.save(replace(model, basis=replace(model.basis, radial=radial)), path)
    return path


def test_a_core_that_ends_at_zero_was_a_division_by_zero(tmp_path):
    text = seeds()["yace"]["julia"].replace(b"ri: 1.2", b"ri: 0")
    (tmp_path / "core.yace").write_bytes(text)
    with pytest.raises(ModelFileError, match=r"ri: expected a number from 0.001"):
        read_yace(tmp_path / "core.yace")


@pytest.mark.parametrize("transform", [Transform("agnesi", 1e200, 1e200), Transform("morse", 51.0)])
def test_exponents_that_overflow_were_an_overflow_error(tmp_path, transform):
    with pytest.raises((ModelFileError, InputError), match="p, q and offset up to 50"):
        acepot.load(_explicit(tmp_path, transform=transform))


def test_a_cutoff_where_tables_begin_was_a_negative_number_of_knots(tmp_path):
    path = _explicit(tmp_path, cutoff=0.05)
    with pytest.raises(InputError, match=r"expected a cut-off above 0.12 Å.* got 0.05 Å"):
        acepot.Potential(acepot.load(path))


def test_functions_that_overflow_were_a_warning(tmp_path):
    model = acefile.load(seeds()["acepot"]["explicit"])
    recurrence = np.full_like(model.basis.radial[0][0].recurrence, 1e300)
    path = _explicit(tmp_path, recurrence=recurrence)
    with pytest.raises(InputError, match="radial functions: expected finite numbers"):
        acepot.Potential(acepot.load(path))


def test_a_typical_distance_that_overflows_was_a_warning(tmp_path):
    """In the specification of a model whose header says r0 = 1e-30 Å."""
    import mutations

    members = mutations._members(seeds()["acepot"]["linear"])
    header = json.loads(dict(members)["header.json"])
    specification = header["basis"]["specification"]
    specification["r0"] = dict.fromkeys(specification["r0"], 1e-30)
    specification["radial"]["transform"] = {"kind": "agnesi", "p": 2.0, "q": 50.0}
    changed = [(n, json.dumps(header).encode() if n == "header.json" else c) for n, c in members]
    (tmp_path / "r0.acepot").write_bytes(mutations._archive(changed))
    with pytest.raises((InputError, ModelFileError), match="coordinate that tells"):
        acepot.Potential(acepot.load(tmp_path / "r0.acepot"))
