"""Models of friction in files: everything comes back, and no change of a header gets in."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from friction_cases import FORMS, model, structure

import acepot
from acepot.errors import AceError, ModelFileError
from acepot.friction.evaluator import FrictionEvaluator
from acepot.io.modelfile.kinds import model_bytes


def changed(data: bytes, change) -> bytes:
    """The file with another header."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    header = json.loads(members["header.json"])
    change(header)
    members["header.json"] = json.dumps(header).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)
    return out.getvalue()


def test_everything_comes_back_and_the_same_model_gives_the_same_bytes(tmp_path):
    whole = model(*FORMS)
    acepot.save(whole, tmp_path / "friction.acepot")
    again = acepot.load(tmp_path / "friction.acepot", acepot.FrictionModel)
    assert model_bytes(again) == model_bytes(whole)
    assert [p.coupling for p in again.parts] == [f[0] for f in FORMS]
    atoms = structure()
    np.testing.assert_array_equal(
        FrictionEvaluator(again).gamma(atoms), FrictionEvaluator(whole).gamma(atoms)
    )
    with pytest.raises(ModelFileError, match="expected a Model, got a FrictionModel"):
        acepot.load(tmp_path / "friction.acepot")


@pytest.mark.parametrize("form", FORMS)
def test_another_momentum_or_coupling_in_a_header_is_refused(form):
    data = model_bytes(model(form))
    other = "free" if form[2] == "conserved" else "conserved"
    with pytest.raises(ModelFileError):
        acepot.load(changed(data, lambda h: h["couplings"][0].update(momentum=other)), object)
    for coupling in {"on-site", "column-wise", "pair-wise"} - {form[0]}:
        wrong = changed(data, lambda h, c=coupling: h["couplings"][0].update(coupling=c))
        with pytest.raises(ModelFileError):
            acepot.load(wrong, object)


def test_changed_numbers_are_refused():
    data = bytearray(model_bytes(model(FORMS[6])))
    place = bytes(data).index(b"0_bonds_coefficients") + 60
    data[place] ^= 1
    with pytest.raises(AceError):
        acepot.load(bytes(data), object)


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h.update(couplings=[]),
        lambda h: h.update(couplings={}),
        lambda h: h.update(couplings=[1]),
        lambda h: h["couplings"].append(h["couplings"][0]),
        lambda h: h["couplings"][0].update(acts_on=["Au"]),
        lambda h: h["couplings"][0].update(extra=1),
        lambda h: h["couplings"][0].pop("bonds"),
        lambda h: h.update(version=99),
        lambda h: h.update(units={}),
        lambda h: h["couplings"][0]["bonds"]["read out"]["outputs"][0].update(names=["a", "b"]),
        lambda h: h["couplings"][0]["bonds"]["read out"]["outputs"][0].update(irrep="1e"),
    ],
)
def test_headers_that_do_not_fit_are_refused(change):
    with pytest.raises(ModelFileError):
        acepot.load(changed(model_bytes(model(FORMS[6])), change), object)
