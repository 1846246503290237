"""What mutants found in the readers, each as the smallest change that shows it."""

import json
import lzma
import re
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from seeds import seeds

import acepot
from acepot import Model
from acepot.basis.choices import ChosenFunction, Pair, resolve
from acepot.basis.explicit import ExplicitBasis
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.basis.species import SYMBOLS
from acepot.errors import InputError, ModelFileError
from acepot.friction.evaluator import FrictionEvaluator
from acepot.io import modelfile
from acepot.io.pace.read import read_pace
from acepot.lowering import lower


def _explicit(tmp_path: Path, **change: object) -> Path:
    """The explicit model with its polynomial radial functions changed."""
    model = modelfile.load(seeds()["acepot"]["explicit"])
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
        read_pace(tmp_path / "core.yace")


@pytest.mark.parametrize(
    "transform", [{"kind": "agnesi", "p": 1e200, "q": 1e200}, {"kind": "morse", "p": 51.0}]
)
def test_exponents_that_overflow_were_an_overflow_error(tmp_path, transform):
    import mutations

    members = mutations._members(seeds()["acepot"]["explicit"])
    header = json.loads(dict(members)["header.json"])
    header["basis"]["explicit"]["radial"][0]["transform"] = transform
    changed = [(n, json.dumps(header).encode() if n == "header.json" else c) for n, c in members]
    (tmp_path / "p.acepot").write_bytes(mutations._archive(changed))
    with pytest.raises(ModelFileError, match="transform.p: expected more than 0, up to 50"):
        acepot.load(tmp_path / "p.acepot")


def test_a_cutoff_where_tables_begin_was_a_negative_number_of_knots(tmp_path):
    path = _explicit(tmp_path, cutoff=0.05)
    with pytest.raises(ModelFileError, match="between the inner cut-off .* the cut-off 0.05 Å"):
        acepot.Potential(acepot.load(path))


def test_functions_that_overflow_were_a_warning(tmp_path):
    model = modelfile.load(seeds()["acepot"]["explicit"])
    recurrence = np.full_like(model.basis.radial[0][0].recurrence, 1e300)
    path = _explicit(tmp_path, recurrence=recurrence)
    with pytest.raises(ModelFileError, match="expected finite radial functions"):
        acepot.load(path)


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


def _one_species(base: int, cutoff: float, n: int) -> bytes:
    return (
        "elements: [Si]\nE0: [0]\ndeltaSplineBins: 0.001\nembeddings:\n"
        "  0: {ndensity: 1, FS_parameters: [1, 1], npoti: FinnisSinclair, rho_core_cutoff: 9, "
        "drho_core_cutoff: 1}\n"
        f"bonds:\n  [0, 0]: {{nradmax: 0, lmax: 0, nradbasemax: {base}, radbasename: ChebPow, "
        f"radparameters: [1], radcoefficients: [], prehc: 0, lambdahc: 1, rcut: {cutoff}, "
        "dcut: 0.01}\n"
        "functions:\n  0:\n    - {mu0: 0, rank: 1, ndensity: 1, num_ms_combs: 1, mus: [0], "
        f"ns: [{n}], ls: [0], ms_combs: [0], ctildes: [1]}}\n"
    ).encode()


def test_a_thousand_functions_to_fifty_angstrom_are_refused_before_they_are_tabulated(tmp_path):
    """A file of 600 bytes whose tables would take 4 GB."""
    path = tmp_path / "high.yace"
    path.write_bytes(_one_species(20, 5.0, 20))
    acepot.Potential(read_pace(path))
    path.write_bytes(_one_species(1000, 50.0, 1000))
    tracemalloc.start()
    with pytest.raises(InputError, match=r"radial functions: tables .* are too large"):
        acepot.Potential(read_pace(path))
    assert tracemalloc.get_traced_memory()[1] < 2**30
    tracemalloc.stop()


HELD = Path(__file__).with_name("data")


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("200-pair-functions-to-50-angstrom.acepot", 100e6),
        pytest.param("r0-of-0.006-angstrom.acepot", 600e6, marks=pytest.mark.slow),
        pytest.param("r0-of-33-angstrom.acepot", 600e6, marks=pytest.mark.slow),
    ],
)
def test_small_files_whose_tables_would_take_gigabytes_are_refused(name, most):
    """Of 7 to 13 kB; they once took 4 GB and half a minute, to be refused in the end."""
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"radial functions: tables .*(too large|still err)"):
            lower(acepot.load(HELD / name))
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def test_narrow_windows_ask_for_few_knots():
    """A file of 1.3 kB, 36 pairs to 50 Å, that once took 11 GB."""
    tracemalloc.start()
    try:
        tables = lower(acepot.load(HELD / "windows-of-0.001-angstrom.acepot.xz"))
        assert tracemalloc.get_traced_memory()[1] < 600e6
    finally:
        tracemalloc.stop()
    (table,) = tables.radial
    assert table.coefficients.nbytes < 150e6 and table.error <= 1e-8


@pytest.mark.parametrize(
    ("l", "formulation"),
    [((5,) * 6, ""), ((6,) * 6, ""), ((12,) * 5, ""), ((32,) * 4, ""), ((10,) * 4, "canonical")],
)
def test_one_function_of_huge_couplings_is_refused_before_it_is_built(l, formulation):  # noqa: E741
    """As a file of 2.4 kB may list it; six factors of l = 5 once took 9 GB and more."""
    order = len(l)
    chosen = (ChosenFunction("Si", ("Si",) * order, (1,) * order, l),)
    spec = resolve(
        BasisSpec(
            ("Si",), order=order, functions=chosen, cutoff=5.0, r0=2.3, pair=Pair(degree=0),
            formulation=formulation or "self-interaction",
        )
    )  # fmt: skip
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"lower max_l or the order"):
            spec.expansion()
        assert tracemalloc.get_traced_memory()[1] < 500e6
    finally:
        tracemalloc.stop()


def test_a_hundred_elements_are_refused_before_they_are_tabulated():
    """Their ordered pairs alone would take hundreds of GB."""
    elements = tuple(SYMBOLS[1:101])
    chosen = (ChosenFunction("H", ("H",), (1,), (0,)),)
    spec = resolve(
        BasisSpec(elements, order=1, functions=chosen, cutoff=50.0, r0=2.0, pair=Pair(degree=0))
    )
    size = basis_size(spec)["total"]
    with pytest.raises(InputError, match=r"of 10000 pairs .* are too large"):
        lower(Model(spec, np.ones(size), np.zeros(100)))


def test_a_compressed_file_holds_at_most_so_many_times_its_size(tmp_path):
    path = tmp_path / "bomb.yace"
    path.write_bytes(lzma.compress(b"a: [" + b"1, " * 20_000_000 + b"1]"))
    assert path.stat().st_size < 20_000
    with pytest.raises(ModelFileError, match="characters, got more"):
        read_pace(path)
    plain = seeds()["yace"]["density"]
    path.write_bytes(lzma.compress(plain))
    assert read_pace(path).numbers == (8, 14)


@pytest.mark.parametrize("evaluator", ["native", "reference"])
def test_energies_whose_sum_would_overflow_are_an_error(evaluator):
    """Each was finite, so that the total was infinite without a word."""
    model = modelfile.load(seeds()["acepot"]["linear"])
    huge = replace(model, e0=np.full(len(model.e0), 1.6e308))
    numbers = np.resize(model.numbers, 2)
    pair = acepot.Structure(numbers, [[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    with pytest.raises(InputError, match="finite"):
        acepot.Potential(huge, evaluator).compute(pair)
    fine = replace(model, e0=np.full(len(model.e0), 1e290))
    assert acepot.Potential(fine, evaluator).compute(pair).energy == pytest.approx(2e290)


def test_friction_that_overflows_is_an_error():
    """The noise of an atom was finite, and its square was not."""
    model = modelfile.load(seeds()["models"]["friction"])
    part = next(one for one in model.parts if one.sites is not None)
    c = tuple(1e200 * np.asarray(one) for one in part.sites.coefficients)
    huge = replace(model, parts=(replace(part, sites=replace(part.sites, coefficients=c)),))
    places = [[0.0, 0.0, 0.0], [0.0, 0.3, 2.0], [1.8, 0.2, 0.1]]
    one = acepot.Structure(np.resize(model.numbers, 3), places)
    assert np.isfinite(FrictionEvaluator(model, threads=1).gamma(one)).all()
    with pytest.raises(InputError, match="its numbers are not finite"):
        FrictionEvaluator(huge, threads=1).gamma(one)


@pytest.mark.parametrize("word", ["0_0", "+0", "\uff10", "0x0", "0.0", "0" * 30, "\u0660"])
def test_whole_numbers_of_yace_are_plain_decimal_digits(tmp_path, word):
    text = seeds()["yace"]["density"].decode()
    changed = re.sub(r"ls: \[\s*0\b", f"ls: [{word}", text, count=1)
    assert changed != text
    (tmp_path / "m.yace").write_text(changed, encoding="utf-8")
    with pytest.raises(ModelFileError, match=r"ls\[0\]: expected an integer"):
        read_pace(tmp_path / "m.yace")


@pytest.mark.parametrize("word", ["1_0.5", "\uff11.5", "1.\u0665"])
def test_numbers_of_yace_are_ascii(tmp_path, word):
    text = seeds()["yace"]["density"].decode()
    changed = re.sub(r"ctildes: \[[^,\]]+", f"ctildes: [{word}", text, count=1)
    assert changed != text
    (tmp_path / "m.yace").write_text(changed, encoding="utf-8")
    with pytest.raises(ModelFileError, match=r"ctildes\[0\]: expected a"):
        read_pace(tmp_path / "m.yace")
