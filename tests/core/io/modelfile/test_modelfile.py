"""The model file: the same model back bit for bit, and nothing hostile gets far."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import signal
import subprocess
import sys
import threading
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acepot import Model, load, save
from acepot.basis.choices import ChosenFunction, Pair, resolve
from acepot.basis.envelope import PolynomialEnvelope, RepulsiveEnvelope
from acepot.basis.explicit import ExplicitBasis, ExplicitProduct
from acepot.basis.pace_family import ChebExpCos, SBessel
from acepot.basis.pace_radial import BesselRadial, ChebyshevRadial
from acepot.basis.radial import Legendre, Orthonormal
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.basis.transform import Agnesi, Morse
from acepot.errors import InputError, ModelFileError
from acepot.io import modelfile
from acepot.lowering import lower
from acepot.schema import to_mapping

GOLDEN = Path(__file__).parents[3] / "golden" / "data"
Header = dict[str, Any]
#: No small file may need more than this, however it was made: reading a good one takes 0.5 MB.
MEMORY = 64 * 2**20
#: Watchdog of the whole call in seconds; every refusal here takes well below a second.
PATIENCE = 20


def make(committee: int = 2, **fields: object) -> Model:
    """A model with random numbers."""
    basis = {"elements": ("Si", "O"), "order": 2, "degree": 5.0, "cutoff": 4.0}
    spec = resolve(BasisSpec(**(basis | fields)))
    rng = np.random.default_rng(11)
    size = basis_size(spec)["total"]
    members = rng.normal(size=(committee, size))
    e0 = rng.normal(size=len(spec.elements))
    c = np.vstack([rng.normal(size=size), members])[:, None]
    return Model(spec, c, e0, provenance={"note": "ü", "x": [1, 2.5, {"y": -1}]})


def explicit() -> Model:
    """Every kind of radial function that a file can hold, products up to order three."""
    x, r = PolynomialEnvelope(2, 2), RepulsiveEnvelope(2)
    kinds = (
        Orthonormal(Agnesi(2.0, 4.0), x).functions(3, 0.5, 1.9, 3.2),
        ChebyshevRadial("cheb_exp_cos", 4, 2.3, 0.3, 3.4),
        ChebyshevRadial("cheb_pow", 3, 2.0, 0.0, 3.6),
        BesselRadial(5, 3.8),
    )
    pair = Legendre(Morse(1.2), r).functions(2, 0.0, 1.9, 3.4)
    products = (
        ExplicitProduct(0, ((1, 2, 0, 0),)),
        ExplicitProduct(1, ((0, 1, 1, 1), (1, 3, 2, -2))),
        ExplicitProduct(1, ((0, 1, 0, 0), (1, 1, 1, 0), (1, 2, 1, -1))),
    )
    basis = ExplicitBasis((8, 14), (kinds[:2], kinds[2:]), products, ((pair, pair), (pair, pair)))
    rng = np.random.default_rng(12)
    first, e0, others = (rng.normal(size=shape) for shape in (3 + 2 * 3, 2, (3, 9)))
    return Model(basis, np.vstack([first, others])[:, None], e0)


MODELS: dict[str, Callable[[], Model]] = {
    "two elements": make,
    "no committee": lambda: make(0),
    "sbessel": lambda: make(radial=SBessel(), elements=("Si",)),
    "chebyshev": lambda: make(radial=ChebExpCos(exponent=2.5), pair=Pair(degree=2)),
    "per pair": lambda: make(cutoff={"Si-O": 3.1, "default": 4.0}, inner={"O-O": 0.4, "Si-Si": 0.0,
                                                                          "default": 0.0}),
    "caps": lambda: make(degree=(6.0, 5.0), max_l=1, max_n=(4, 3)),
    "canonical": lambda: make(formulation="canonical", extend_lower_orders=True, degree=4.0),
    "own list": lambda: make(
        functions=(ChosenFunction("Si", ("O", "Si"), (1, 3), (2, 2)),), pair=Pair(degree=0)
    ),
    "explicit": explicit,
}  # fmt: skip


# ------------------------------------------------------------------ taking files apart


def members_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # duplicate names are what some tests are about
        with zipfile.ZipFile(out, "w", method) as archive:
            for name, content in members:
                archive.writestr(name, content)
    return out.getvalue()


def with_header(data: bytes, edit: Callable[[Header], object]) -> bytes:
    """A valid zip with another header; digests stay true unless the edit breaks them."""
    members = members_of(data)
    header = json.loads(members["header.json"])
    edit(header)
    members["header.json"] = json.dumps(header).encode()
    return packed(list(members.items()))


def with_array(data: bytes, name: str, array: np.ndarray) -> bytes:
    """Another array under its true digest."""
    members = members_of(data)
    header = json.loads(members["header.json"])
    raw = array.tobytes()
    digest = hashlib.sha256(raw).hexdigest()
    header["arrays"][name] = {
        "dtype": array.dtype.str, "shape": list(array.shape), "sha256": digest
    }  # fmt: skip
    members |= {f"{name}.bin": raw, "header.json": json.dumps(header).encode()}
    return packed(list(members.items()))


@contextmanager
def bounded() -> Iterator[None]:
    """Stops a call that takes forever, fails one that takes much memory."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"still busy after {PATIENCE} s")

    can_stop = threading.current_thread() is threading.main_thread()
    if can_stop:
        before = signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
        assert peak < MEMORY, f"{peak / 2**20:.0f} MiB"
    finally:
        tracemalloc.stop()
        if can_stop:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def refused(data: bytes, match: str | None = None) -> None:
    with bounded(), pytest.raises(ModelFileError, match=match) as caught:
        modelfile.load(data)
    assert len(str(caught.value)) < 2000, "a message is for people"


@pytest.fixture(scope="module")
def good() -> bytes:
    return modelfile.model_bytes(make())


# ------------------------------------------------------------------ there and back


@pytest.mark.parametrize("name", MODELS)
def test_a_model_comes_back_bit_for_bit(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    save(model, tmp_path / "m.acepot")
    back = load(tmp_path / "m.acepot")
    for key in ("coefficients", "e0", "committee"):
        one, other = getattr(model, key), getattr(back, key)
        assert (one is None and other is None) or one.tobytes() == other.tobytes(), key
    assert back.provenance == model.provenance and back.numbers == model.numbers
    if isinstance(model.basis, BasisSpec):
        assert back.basis == model.basis
    assert lower(back).digest == lower(model).digest
    assert modelfile.model_bytes(back) == (tmp_path / "m.acepot").read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["m.acepot"]


OTHERS = {
    "own_rpipot_1_Si": "ace1",
    "own_rpipot_1_AlTi": "ace1",
    "ACEmd_TiAl": "ACEmd.jl",
}


@pytest.mark.parametrize("name", OTHERS)
def test_models_of_other_programs_come_back_bit_for_bit(name: str) -> None:
    same_bytes(GOLDEN / OTHERS[name] / f"{name}.json.xz")


@pytest.mark.parametrize("name", ["v07_2_Si", "v08_1_Si", "v08_2_Si", "v08_1_AlTi", "v08_2_AlTi"])
def test_models_of_earlier_programs_come_back_bit_for_bit(name: str, shared_data: Path) -> None:
    version, rest = name.split("_", 1)
    same_bytes(shared_data / "ace1_models" / f"{version}_compat_rpipot_{rest}.json.xz")


def same_bytes(path: Path) -> None:
    model = load(path)
    data = modelfile.model_bytes(model)
    again = modelfile.load(data)
    assert modelfile.model_bytes(again) == data
    assert again.coefficients.tobytes() == model.coefficients.tobytes()
    assert lower(again).digest == lower(model).digest


def test_equal_models_give_equal_bytes_and_digests_in_another_process() -> None:
    code = (
        "import hashlib, json, sys\nfrom acepot.basis.choices import *\n"
        "from acepot.basis.spec import *\nimport numpy as np\n"
        "from acepot import Model\nfrom acepot.io.modelfile import model_bytes\n"
        "spec = resolve(BasisSpec(('Si', 'O', 'H'), 2, 4.0, cutoff=4.0))\n"
        "from acepot.basis.selection import basis_size\n"
        "c = np.arange(basis_size(spec)['total']) / 7\n"
        "notes = {k: {j: 1 for j in {'x', 'y', 'z'}} for k in {'b', 'a', 'c', 'd'}}\n"
        "model = Model(spec, c, np.zeros(3), provenance=notes)\n"
        "from acepot.lowering import lower\n"
        "print(hashlib.sha256(model_bytes(model)).hexdigest(), lower(model).digest)\n"
    )
    found = set()
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[4])},
            capture_output=True,
            text=True,
            check=True,
        )
        found.add(done.stdout)
    assert len(found) == 1


def test_whole_numbers_and_their_floats_are_one_file() -> None:
    assert modelfile.model_bytes(make(wl=2, cutoff=4)) == modelfile.model_bytes(make(wl=2.0))


def test_the_order_of_provenance_does_not_show(good: bytes) -> None:
    model = make()
    turned = dict(reversed(model.provenance.items()))
    assert modelfile.model_bytes(replace(model, provenance=turned)) == good


def test_a_thousand_functions_with_thirty_two_members_stay_below_a_megabyte() -> None:
    model = make(32, order=3, degree=10.5)
    assert 1000 <= model.coefficients.shape[2] < 3000
    assert len(modelfile.model_bytes(model)) < 2**20


def test_nothing_in_a_file_is_pickled_or_compressed(good: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        assert {i.compress_type for i in archive.infolist()} == {zipfile.ZIP_STORED}
        assert sorted(archive.namelist()) == [
            "coefficients.bin", "committee.bin", "e0.bin", "header.json"
        ]  # fmt: skip
    header = json.loads(members_of(good)["header.json"])
    assert header["format"] == "acepot" and header["version"] == 1  # the oldest that holds it
    assert header["units"] == {"length": "angstrom", "energy": "eV"}
    members = members_of(good)
    assert members["coefficients.bin"] == make().coefficients[0, 0].tobytes()


def test_an_older_file_stays_when_a_model_cannot_be_saved(tmp_path: Path) -> None:
    path = tmp_path / "m.acepot"
    path.write_bytes(b"precious")
    spec = BasisSpec(("Si",), cutoff=4.0)
    unresolved = Model(spec, np.zeros(3), np.zeros(1))
    deep: Any = 1
    for _ in range(2000):
        deep = [deep]
    for bad, match in (
        (unresolved, "resolved"),
        (replace(make(), provenance={"x": float("nan")}), "provenance"),
        (replace(make(), provenance={"x": object()}), "provenance"),
        (replace(make(), provenance={"x": deep}), "provenance"),
    ):
        with pytest.raises(InputError, match=match):
            save(bad, path)
    assert path.read_bytes() == b"precious" and len(list(tmp_path.iterdir())) == 1


def test_names_no_encoding_knows_survive() -> None:
    odd = {"train": ["a\udcff.xyz", "Å\x00.xyz"]}  # as os.listdir gives undecodable bytes
    assert modelfile.load(modelfile.model_bytes(replace(make(), provenance=odd))).provenance == odd


def test_what_lies_before_or_after_the_name_does_not_matter(tmp_path: Path, good: bytes) -> None:
    path = tmp_path / "renamed.zip"
    path.write_bytes(good)
    assert load(path).numbers == (8, 14)
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "absent.acepot")
    with pytest.raises(InputError, match="got a folder"):
        load(tmp_path)


# ------------------------------------------------------------------ damage


def test_a_truncated_file_is_refused_wherever_it_ends(good: bytes) -> None:
    for end in (*range(0, len(good), 100), len(good) - 1):
        with pytest.raises(ModelFileError):
            modelfile.load(good[:end])
            pytest.fail(f"{end} of {len(good)} bytes were accepted")


def test_a_flipped_bit_is_refused_or_changes_nothing(good: bytes) -> None:
    rng = np.random.default_rng(7)
    for place in rng.integers(8 * len(good), size=1500):
        data = bytearray(good)
        data[place // 8] ^= 1 << (place % 8)
        try:
            model = modelfile.load(bytes(data))
        except ModelFileError:
            continue
        assert modelfile.model_bytes(model) == good, f"bit {place}"


def test_flipped_bytes_of_an_explicit_model_are_refused_or_change_nothing() -> None:
    good = modelfile.model_bytes(explicit())
    rng = np.random.default_rng(8)
    for place, value in zip(rng.integers(len(good), size=700), rng.bytes(700), strict=True):
        data = bytearray(good)
        data[place] = value
        try:
            model = modelfile.load(bytes(data))
        except ModelFileError:
            continue
        assert modelfile.model_bytes(model) == good, f"byte {place}"


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x03\x04" + bytes(50), b"\x80\x04K\x01."])
def test_other_files_are_refused(data: bytes) -> None:
    refused(data, "damaged or not an acepot model file")


# ------------------------------------------------------------------ hostile headers


def spec_of(header: Header) -> Header:
    return header["basis"]["specification"]


def array_of(header: Header, **values: object) -> None:
    header["arrays"]["coefficients"].update(values)


def chosen(n: list[int], l: list[int]) -> list[Header]:
    return [{"centre": "Si", "elements": ["Si"] * len(n), "n": n, "l": l}]


EDITS: dict[str, Callable[[Header], object]] = {
    "huge shape": lambda h: array_of(h, shape=[2**39]),
    "huge product of shapes": lambda h: array_of(h, shape=[2**39] * 4),
    "shape beyond integers": lambda h: array_of(h, shape=[2**70]),
    "negative shape": lambda h: array_of(h, shape=[-1]),
    "two negative shapes": lambda h: array_of(h, shape=[-1, -1]),
    "empty times huge": lambda h: array_of(h, shape=[0, 2**39]),
    "no shape": lambda h: array_of(h, shape=[]),
    "shape true": lambda h: array_of(h, shape=[True]),
    "shape of floats": lambda h: array_of(h, shape=[3.0]),
    "nested shape": lambda h: array_of(h, shape=[[3]]),
    "too many dimensions": lambda h: array_of(h, shape=[1] * 64),
    "objects": lambda h: array_of(h, dtype="|O"),
    "big-endian": lambda h: array_of(h, dtype=">f8"),
    "structured": lambda h: array_of(h, dtype=[["a", "<f8"]]),
    "no type": lambda h: array_of(h, dtype=None),
    "another digest": lambda h: array_of(h, sha256="0" * 64),
    "digest a list": lambda h: array_of(h, sha256=[]),
    "array a number": lambda h: h["arrays"].update(coefficients=3),
    "array missing": lambda h: h["arrays"].pop("e0"),
    "arrays a list": lambda h: h.update(arrays=[]),
    "path out of the folder": lambda h: h["arrays"].update({"../../x": h["arrays"]["e0"]}),
    "absolute path": lambda h: h["arrays"].update({"/etc/passwd": h["arrays"]["e0"]}),
    "array nobody knows": lambda h: h["arrays"].update(extra=h["arrays"]["e0"]),
    "products without explicit basis": lambda h: h["arrays"].update(
        product_centres=h["arrays"]["e0"]
    ),
    "other format": lambda h: h.update(format="ace"),
    "version a string": lambda h: h.update(version="1"),
    "version true": lambda h: h.update(version=True),
    "version a float": lambda h: h.update(version=1.0),
    "version zero": lambda h: h.update(version=0),
    "no version": lambda h: h.pop("version"),
    "other units": lambda h: h.update(units={"length": "bohr", "energy": "hartree"}),
    "no basis": lambda h: h.pop("basis"),
    "basis a string": lambda h: h.update(basis="x"),
    "explicit junk": lambda h: h.update(basis={"explicit": {"numbers": [[[]]]}}),
    "explicit a list": lambda h: h.update(basis={"explicit": []}),
    "both bases": lambda h: h["basis"].update(explicit={}),
    "provenance a list": lambda h: h.update(provenance=[]),
    "degree 1e9": lambda h: spec_of(h).update(degree=[1e9, 1e9]),
    "order six, degree 200": lambda h: spec_of(h).update(
        order=6, degree=[200.0] * 6, max_l=[40] * 6
    ),
    "order 10^300": lambda h: spec_of(h).update(order=10**300),
    "order zero": lambda h: spec_of(h).update(order=0, degree=[]),
    "cutoff 1e9": lambda h: spec_of(h)["cutoff"].update({"Si-Si": 1e9}),
    "cutoff negative": lambda h: spec_of(h)["cutoff"].update({"Si-Si": -4.0}),
    "nodes 1e12": lambda h: spec_of(h)["radial"].update(nodes=10**12),
    "powers 1e9": lambda h: (
        spec_of(h).update(extend_lower_orders=True),
        spec_of(h)["radial"]["envelope"].update(outer=10**9),
    ),
    "wl zero": lambda h: spec_of(h).update(wl=0.0),
    "wl negative": lambda h: spec_of(h).update(wl=-1e9, max_l=[40, 40]),
    "wl tiny": lambda h: spec_of(h).update(wl=1e-300),
    "wl tiny, l up to 10^9": lambda h: spec_of(h).update(wl=1e-300, max_l=[10**9] * 2),
    "no elements": lambda h: spec_of(h).update(elements=[]),
    "elements unsorted": lambda h: spec_of(h).update(elements=["Si", "O"]),
    "element twice": lambda h: spec_of(h).update(elements=["O", "O"]),
    "100 000 elements": lambda h: spec_of(h).update(elements=["Si"] * 100_000),
    "elements a number": lambda h: spec_of(h).update(elements=14),
    "unknown key": lambda h: spec_of(h).update(spline=True),
    "total L out of reach": lambda h: spec_of(h).update(total_l=10**6, order=6, degree=[30.0] * 6),
    "odd parity": lambda h: spec_of(h).update(
        parity=-1, degree=[200.0] * 2, max_l=[40] * 2, pair={**spec_of(h)["pair"], "degree": 0}
    ),
    "functions with l 10^6": lambda h: spec_of(h).update(functions=chosen([1, 1], [10**6] * 2)),
    "functions with n 10^12": lambda h: spec_of(h).update(functions=chosen([10**12], [0])),
    "functions of a foreign element": lambda h: spec_of(h).update(
        functions=[{"centre": "U", "elements": ["U"], "n": [1], "l": [0]}]
    ),
    "fewer functions than coefficients": lambda h: spec_of(h).update(degree=[5.0, 3.0]),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_a_hostile_header_is_refused(name: str, good: bytes) -> None:
    refused(with_header(good, EDITS[name]))


@pytest.mark.parametrize(
    "text", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 5000, "[" * 100_000]
)
def test_numbers_that_json_has_not_are_refused(text: str, good: bytes) -> None:
    members = members_of(good)
    assert b"2.5" in members["header.json"]
    members["header.json"] = members["header.json"].replace(b"2.5", text.encode())
    refused(packed(list(members.items())))


@pytest.mark.parametrize(
    "raw", [b"{" * 10, b'{"a":' * 100_000, b"[]", b"null", b"\xff\xfe", b"", b'{"format":"acepot"}']
)
def test_headers_that_are_none_are_refused(raw: bytes, good: bytes) -> None:
    refused(packed(list((members_of(good) | {"header.json": raw}).items())))


def test_a_newer_version_says_how_to_upgrade(good: bytes) -> None:
    for key in ("version", "rules"):
        refused(with_header(good, lambda h, k=key: h.update({k: 99})), "pip install --upgrade")


def test_members_that_are_there_twice_are_refused(good: bytes) -> None:
    members = list(members_of(good).items())
    for twice in members:
        refused(packed([*members, twice]), "members")


@pytest.mark.parametrize("name", ["../../evil", "/etc/passwd", "notes.txt", "sub/header.json"])
def test_members_nobody_asked_for_are_refused(name: str, good: bytes) -> None:
    refused(packed([*members_of(good).items(), (name, b"x")]), "members")


def test_compressed_members_are_refused_before_they_are_unpacked(good: bytes) -> None:
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        refused(packed(list(members_of(good).items()), method), "uncompressed")
    bomb = packed([("header.json", b" " * (64 * 2**20))], zipfile.ZIP_DEFLATED)
    assert len(bomb) < 2**20
    refused(bomb, "uncompressed")


def test_sizes_that_lie_are_refused(good: bytes) -> None:
    """The directory at the end of a zip may promise any size."""
    entry = good.index(b"PK\x01\x02")
    for size in (0, 1, 2**31, 2**32 - 2):
        data = bytearray(good)
        data[entry + 20 : entry + 28] = 2 * size.to_bytes(4, "little")
        refused(bytes(data))


def test_numbers_that_are_not_finite_are_refused(good: bytes) -> None:
    c = np.array(make().coefficients[0, 0])
    for bad in (np.nan, np.inf):
        c[3] = bad
        refused(with_array(good, "coefficients", c), "not finite")


def test_arrays_that_do_not_fit_together_are_refused(good: bytes) -> None:
    c = make().coefficients[0, 0]
    refused(with_array(good, "coefficients", c[:-1]))
    refused(with_array(good, "coefficients", c[:0]))
    refused(with_array(good, "coefficients", c[None]))
    refused(with_array(good, "e0", np.zeros(3)))
    refused(with_array(good, "committee", np.zeros((2, 5))))
    refused(with_array(good, "committee", c))


# ------------------------------------------------------------------ hostile explicit bases


def entry_of(header: Header, k: int = 0) -> Header:
    return header["basis"]["explicit"]["radial"][k]


EXPLICIT_EDITS: dict[str, Callable[[Header], object]] = {
    "no elements": lambda h: h["basis"]["explicit"].update(numbers=[]),
    "element 119": lambda h: h["basis"]["explicit"].update(numbers=[8, 119]),
    "unsorted": lambda h: h["basis"]["explicit"].update(numbers=[14, 8]),
    "too few radials": lambda h: h["basis"]["explicit"]["radial"].pop(),
    "too few pairs": lambda h: h["basis"]["explicit"]["pair"].pop(),
    "pairs gone": lambda h: h["basis"]["explicit"].update(pair=[]),
    "pair counts differ": lambda h: h["basis"]["explicit"]["pair"][0].update(
        count=1, recurrence=[[1.0]] * 3
    ),
    "kind": lambda h: entry_of(h).update(kind="python"),
    "count 10^9": lambda h: entry_of(h, 3).update(count=10**9),
    "count zero": lambda h: entry_of(h, 3).update(count=0),
    "cutoff 1e9": lambda h: entry_of(h, 3).update(cutoff=1e9),
    "inner beyond cutoff": lambda h: entry_of(h).update(inner=3.3),
    "recurrence short": lambda h: entry_of(h).update(recurrence=[[1.0]] * 3),
    "recurrence ragged": lambda h: entry_of(h).update(
        recurrence=[[1.0, 1.0, 1.0], [1.0], [1.0, 1.0]]
    ),
    "powers": lambda h: entry_of(h)["envelope"].update(outer=10**9),
    "negative power": lambda h: entry_of(h)["envelope"].update(inner=-5),
    "r0": lambda h: entry_of(h).update(r0=0.0),
    "family": lambda h: entry_of(h, 1).update(family="chebyshev"),
    "exponent": lambda h: entry_of(h, 1).update(exponent=0.0),
    "window that makes 10^9 knots": lambda h: entry_of(h, 1).update(smoothing=1e-9),
    "window beyond cutoff": lambda h: entry_of(h, 1).update(smoothing=10.0),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPLICIT_EDITS)
def test_a_hostile_explicit_basis_is_refused(name: str) -> None:
    data = modelfile.model_bytes(explicit())
    refused(with_header(data, EXPLICIT_EDITS[name]))


@pytest.mark.parametrize(
    "factor",
    [(2, 1, 0, 0), (-1, 1, 0, 0), (0, 9, 0, 0), (0, 1, 41, 0), (0, 1, 1, 2), (0, 1, -1, 0)],
)
def test_impossible_products_are_refused(factor: tuple[int, int, int, int]) -> None:
    data = modelfile.model_bytes(explicit())
    factors = np.frombuffer(members_of(data)["product_factors.bin"], "<i4").reshape(3, -1, 4).copy()
    factors[0, 0] = factor
    refused(with_array(data, "product_factors", factors), "impossible indices")


def test_products_and_coefficients_must_be_as_many() -> None:
    data = modelfile.model_bytes(explicit())
    factors = np.frombuffer(members_of(data)["product_factors.bin"], "<i4").reshape(3, -1, 4)
    centres = np.zeros(2, "<i4")
    refused(with_array(data, "product_centres", centres), "9 coefficients|wrong shapes")
    shorter = with_array(data, "product_factors", factors[:2])
    refused(with_array(shorter, "product_centres", centres), "8 functions")


def test_a_specification_given_as_it_was_typed_is_refused(good: bytes) -> None:
    """A file must not depend on the defaults of a later version."""
    plain = to_mapping(BasisSpec(("O", "Si"), order=2, degree=5.0, cutoff=4.0))
    refused(with_header(good, lambda h: h["basis"].update(specification=plain)), "resolved")


def test_every_edit_above_starts_from_a_file_that_is_accepted(good: bytes) -> None:
    for data in (good, modelfile.model_bytes(explicit())):
        same = with_header(data, lambda h: copy.deepcopy(h))
        assert modelfile.model_bytes(modelfile.load(same)) == data
