"""Model files of nonlinear models and of models read from PACE: all of them, bit for bit."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acepot import Model
from acepot.basis.choices import resolve
from acepot.basis.embedding import Embedding, Nonlinear
from acepot.basis.envelope import PolynomialEnvelope
from acepot.basis.explicit import ExplicitBasis, ExplicitProduct
from acepot.basis.pace_radial import (
    BesselRadial,
    ChebyshevRadial,
    CoreRadial,
    InnerCutRadial,
    MixedRadial,
    SplicedRadial,
    ZblRadial,
)
from acepot.basis.radial import Orthonormal
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.basis.transform import PolynomialTransform
from acepot.errors import InputError, ModelFileError
from acepot.io import modelfile
from acepot.io.pace import read_pace
from acepot.lowering import lower

OWN = Path(__file__).parents[3] / "golden" / "data" / "pace"
RNG = np.random.default_rng
EMBEDDINGS = (
    Embedding("FinnisSinclair", (1.0, -0.3), (1.0, 0.5), 300.0, 20.0),
    Embedding("FinnisSinclairShiftedScaled", (0.7,), (2.0,), 1e5, 250.0),
)
PRODUCTS = (
    ExplicitProduct(0, ((1, 2, 0, 0),)),
    ExplicitProduct(0, ((1, 6, 1, 1), (0, 5, 1, -1))),
    ExplicitProduct(1, ((0, 5, 0, 0), (1, 7, 2, 1), (1, 7, 2, -1))),
)


def _radial(inner: bool) -> tuple[tuple[MixedRadial, ...], ...]:
    """Four g_k and four mixtures for every pair, with switched families if asked for."""
    rng = RNG(3)
    plain = (
        ChebyshevRadial("cheb_exp_cos", 4, 5.25, 0.01, 3.9),
        BesselRadial(4, 4.1),
        ChebyshevRadial("cheb_pow", 4, 2.0, 0.0, 4.2),
        ChebyshevRadial("cheb_linear", 4, 1.0, 0.0, 4.0),
    )
    families = [InnerCutRadial(f, 0.9, 0.25) if inner else f for f in plain]
    mixed = [MixedRadial(f, rng.normal(size=(4, 4))) for f in families]
    return (tuple(mixed[:2]), tuple(mixed[2:]))


def pace(mode: str) -> Model:
    """A nonlinear model with one mode of core repulsion."""
    basis = ExplicitBasis((13, 28), _radial(mode == "distance"), PRODUCTS, None, 1e-3)
    core: Any = None
    inner = None
    ends = np.array([[3.9, 4.1], [4.2, 4.0]])
    pairs = [(a, b) for a in (0, 1) for b in (0, 1)]
    if mode == "density":
        core = [CoreRadial(50.0, 1.3, ends[p]) for p in pairs]
    if mode == "distance":
        core = [CoreRadial(50.0 + p[0], 1.3, ends[p], 0.9, 0.25) for p in pairs]
    if mode == "zbl":
        core = [ZblRadial(1.1, ((13, 28)[a], (13, 28)[b]), ends[a, b], 0.4) for a, b in pairs]
        inner = RNG(5).uniform(0.3, 0.9, (2, 2, 2))
    rows = None if core is None else (tuple(core[:2]), tuple(core[2:]))
    coefficients = RNG(4).normal(size=(3, 2))
    nonlinear = Nonlinear(EMBEDDINGS, mode, rows, inner)  # type: ignore[arg-type]
    return Model(
        basis, coefficients.T[None], np.array([-1.0, 0.3]), provenance={"x": 1}, nonlinear=nonlinear
    )


def spliced() -> Model:
    """Polynomials of ACE.jl with a pair function that has a repulsive core."""
    many = Orthonormal(PolynomialTransform(2.0), PolynomialEnvelope(2, 2))
    pair = Orthonormal(PolynomialTransform(2.0), PolynomialEnvelope(0, 1))
    f = SplicedRadial(
        pair.functions(3, 0.0, 2.3, 5.0), RNG(6).normal(size=3), (1.6, -0.2, 4.0, 2.5)
    )
    basis = ExplicitBasis(
        (14,),
        ((many.functions(4, 1.2, 2.3, 4.5),),),
        (ExplicitProduct(0, ((0, 4, 1, 1), (0, 2, 1, -1))),),
        ((f,),),
    )
    return Model(basis, np.array([0.5, 1.0]), np.array([-158.0]))


def finnis_sinclair() -> Model:
    """Our own basis with two densities."""
    spec = resolve(BasisSpec(("O", "Si"), order=2, degree=4.0, cutoff=4.0))
    size = basis_size(spec)["total"]
    coefficients = RNG(7).normal(size=(size, 2))
    return Model(spec, coefficients.T[None], np.zeros(2), nonlinear=Nonlinear(EMBEDDINGS))


MODELS: dict[str, Callable[[], Model]] = {
    **{mode: lambda mode=mode: pace(mode) for mode in ("none", "density", "distance", "zbl")},
    "spliced": spliced,
    "finnis-sinclair": finnis_sinclair,
}


def same(model: Model) -> None:
    """The same model comes back: equal tables (also in its own knots), equal bytes."""
    data = modelfile.model_bytes(model)
    back = modelfile.load(data)
    assert lower(back).digest == lower(model).digest
    assert modelfile.model_bytes(back) == data
    assert back.coefficients.tobytes() == model.coefficients.tobytes()
    assert back.provenance == model.provenance
    if isinstance(model.basis, ExplicitBasis) and model.basis.knots is not None:
        assert lower(back, own_knots=True).digest == lower(model, own_knots=True).digest


@pytest.mark.parametrize("name", MODELS)
def test_a_model_comes_back_bit_for_bit(name: str) -> None:
    same(MODELS[name]())


def test_our_own_pace_files_come_back_bit_for_bit() -> None:
    paths = sorted(p for p in OWN.iterdir() if "reference" not in p.name)
    assert len(paths) == 11
    for path in paths:
        same(read_pace(path))


def test_every_potential_of_pace_comes_back_bit_for_bit(shared_data) -> None:
    folders = [shared_data / name for name in ("pace_potentials", "ta_fitsnap")]
    paths = sorted(p for f in folders for p in f.rglob("*") if p.suffix in (".ace", ".yace"))
    assert len(paths) >= 18
    for path in paths:
        same(read_pace(path))


def test_the_version_is_that_of_the_oldest_reader_that_understands() -> None:
    spec = resolve(BasisSpec(("Si",), order=2, degree=4.0, cutoff=4.0))
    linear = Model(spec, np.ones(basis_size(spec)["total"]), np.zeros(1))
    assert _header(modelfile.model_bytes(linear))["version"] == 1
    assert _header(modelfile.model_bytes(finnis_sinclair()))["version"] == 2
    assert _header(modelfile.model_bytes(pace("none")))["version"] == 2


# ------------------------------------------------------------------ hostile files


def _header(data: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        header: dict[str, Any] = json.loads(archive.read("header.json"))
        return header


def _edited(data: bytes, edit: Callable[[dict[str, Any]], object]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    header = json.loads(members["header.json"])
    edit(header)
    members["header.json"] = json.dumps(header).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def _radial_of(header: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = header["basis"]["explicit"]["radial"][0]
    return found


def _nest(header: dict[str, Any]) -> None:
    entry = _radial_of(header)
    for _ in range(50):
        entry = entry.setdefault("functions", {}) if "functions" not in entry else entry
        entry["functions"] = json.loads(json.dumps(entry))
        entry = entry["functions"]


EDITS: dict[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
    "more rows than numbers": ("zbl", lambda h: _radial_of(h).update(count=3000)),
    "more rows than memory": ("zbl", lambda h: _radial_of(h).update(count=10**12)),
    "fewer rows": ("zbl", lambda h: _radial_of(h).update(count=7)),
    "negative rows": ("zbl", lambda h: _radial_of(h).update(count=1)),
    "another cut-off outside": ("zbl", lambda h: _radial_of(h).update(cutoff=3.0)),
    "no family inside": ("zbl", lambda h: _radial_of(h).pop("functions")),
    "nested": ("distance", _nest),
    "switch beyond reason": (
        "distance",
        lambda h: _radial_of(h)["functions"].update(end=1e9),
    ),
    "switch too narrow": ("distance", lambda h: _radial_of(h)["functions"].update(width=1e-9)),
    "knots": ("none", lambda h: h["basis"]["explicit"].update(knots=1e-9)),
    "mode": ("zbl", lambda h: h["nonlinear"].update(mode="wall")),
    "mode without core": ("none", lambda h: h["nonlinear"].update(mode="density")),
    "zbl without inner": ("zbl", lambda h: h["nonlinear"].update(inner=[])),
    "zbl width": ("zbl", lambda h: h["nonlinear"]["core"][0].update(width=0.0)),
    "zbl elements": ("zbl", lambda h: h["nonlinear"]["core"][0].update(numbers=[0, 999])),
    "core infinite": ("density", lambda h: h["nonlinear"]["core"][0].update(prefactor=1e300)),
    "core beyond": ("density", lambda h: h["nonlinear"]["core"][0].update(cutoff=1e9)),
    "core missing": ("density", lambda h: h["nonlinear"]["core"].pop()),
    "core of many": (
        "density",
        lambda h: h["nonlinear"]["core"].__setitem__(
            0, {"kind": "bessel", "count": 2, "cutoff": 3.9}
        ),
    ),
    "embedding missing": ("none", lambda h: h["nonlinear"]["embeddings"].pop()),
    "exponent": (
        "none",
        lambda h: h["nonlinear"]["embeddings"][0].update(exponents=[1.0, 1e9]),
    ),
    "seventeen densities": (
        "none",
        lambda h: h["nonlinear"]["embeddings"][0].update(weights=[1.0] * 17, exponents=[1.0] * 17),
    ),
    "densities not those of the coefficients": (
        "none",
        lambda h: h["nonlinear"]["embeddings"][0].update(weights=[1.0], exponents=[1.0]),
    ),
    "no embedding": ("none", lambda h: h.pop("nonlinear")),
    "a list": ("none", lambda h: h.update(nonlinear=[])),
    "spliced short": ("spliced", lambda h: _pair_of(h).update(coefficients=[1.0])),
    "spliced core": ("spliced", lambda h: _pair_of(h).update(core=[9.0, 0.0, 1.0, 1.0])),
    "spliced core of five": ("spliced", lambda h: _pair_of(h).update(core=[1.0] * 5)),
}


def _pair_of(header: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = header["basis"]["explicit"]["pair"][0]
    return found


@pytest.mark.parametrize("name", EDITS)
def test_a_hostile_file_is_refused(name: str) -> None:
    model, edit = EDITS[name]
    data = modelfile.model_bytes(MODELS[model]())
    assert modelfile.load(_edited(data, lambda h: None)).numbers
    with pytest.raises(ModelFileError) as caught:
        modelfile.load(_edited(data, edit))
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("name", MODELS)
def test_a_flipped_bit_is_refused_or_changes_nothing(name: str) -> None:
    good = modelfile.model_bytes(MODELS[name]())
    rng = RNG(9)
    for place in rng.integers(8 * len(good), size=400):
        data = bytearray(good)
        data[place // 8] ^= 1 << (place % 8)
        try:
            model = modelfile.load(bytes(data))
        except ModelFileError:
            continue
        assert modelfile.model_bytes(model) == good, f"bit {place}"


def test_functions_that_overflow_between_the_points_looked_at_are_refused_later() -> None:
    """A core of infinite steepness passes a look at 64 distances, but not the making of tables."""
    data = _edited(modelfile.model_bytes(spliced()), lambda h: _pair_of(h).update(core=SPIKE))
    with pytest.raises(InputError, match="tables"):
        lower(modelfile.load(data))


#: Ends before the first of those distances, where it is 1e300 exp(1e3).
SPIKE = [0.11, 0.0, 1e4, 1e300]
