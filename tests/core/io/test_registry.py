"""Model files are known by their content: any name, any compression, clear errors."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from acepot import Model, load, save
from acepot.basis.choices import resolve
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError, ModelFileError
from acepot.io.pace import write_yace
from acepot.io.registry import identify
from acepot.lowering import lower

#: PACE's older text: one element, two g_k, one function of two factors.
ACE = """# a comment before anything else
nelements=1
elements: Cu

lmax=0

2 FS parameters:  1.000000 1.000000
core energy-cutoff parameters: 100000.0 250.0
E0: -0.5

radbasename=ChebExpCos
nradbase=2
nradmax=1
cutoffmax=5.0
deltaSplineBins=0.001
core repulsion parameters: 0.0 1.0
radparameter= 5.25
cutoff= 5.0
dcut= 0.01
crad= 1.0 0.25

rankmax=2
ndensitymax=1

num_c_tilde_max=2
num_ms_combinations_max=1
total_basis_size_rank1: 1
ctilde_basis_func: rank=1 ndens=1 mu0=0 mu=( 0 )
n=( 2 )
l=( 0 )
num_ms=1
< 0 >:  0.75
total_basis_size: 1
ctilde_basis_func: rank=2 ndens=1 mu0=0 mu=( 0 0 )
n=( 1 1 )
l=( 0 0 )
num_ms=1
< 0 0 >:  -0.125
"""

#: The start of ACE1's JSON; what it lacks is for its reader to say.
ACE1 = '{\n  "__id__": "JuLIP_SumIP",\n  "components": []\n}\n'


@pytest.fixture(scope="module")
def model() -> Model:
    spec = resolve(BasisSpec(("Si",), order=2, degree=5.0, cutoff=5.0))
    size = basis_size(spec)["total"]
    coefficients = np.random.default_rng(1).normal(size=size) / 50
    shortest = {"shortest distances": {"Si-Si": 2.0}}
    return Model(spec, coefficients, np.array([-5.0]), provenance=shortest)


@pytest.fixture
def files(model: Model, tmp_path: Path) -> dict[str, bytes]:
    save(model, tmp_path / "a")
    write_yace(model, tmp_path / "b")
    found = {"acepot": (tmp_path / "a").read_bytes(), "yace": (tmp_path / "b").read_bytes()}
    return found | {"ace": ACE.encode(), "ace1": ACE1.encode()}


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "xz": lzma.compress,
    "gz": gzip.compress,
    "bz2": bz2.compress,
}


@pytest.mark.parametrize("packer", PACKERS)
def test_the_content_tells_whatever_the_name(
    packer: str, files: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "model.txt"
    for kind, content in files.items():
        path.write_bytes(PACKERS[packer](content))
        assert identify(path) == kind
        if kind != "ace1":
            plain = tmp_path / "plain"
            plain.write_bytes(content)
            assert lower(load(path)).digest == lower(load(plain)).digest
        else:
            with pytest.raises(ModelFileError, match="found neither"):
                load(path)


def test_the_order_and_style_of_keys_does_not_matter(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    text = files["yace"].decode()
    head, bonds = text.split("bonds:\n")
    bonds, functions = bonds.split("functions:\n")
    path = tmp_path / "m"
    turned = f"functions:\n{functions}bonds:\n{bonds}{head}"
    for other in (turned, f"# a comment\n---\n{text}", f"# {'x' * 5000}\n{text}", "\ufeff" + text):
        path.write_text(other)
        assert identify(path) == "yace"
        assert lower(load(path)).digest == lower(load(tmp_path / "b")).digest
    path.write_text("{E0: [0], elements: [H]}")  # flow style
    assert identify(path) == "yace"
    path.write_text('{"OneBody": {"E0": {"Si": -1}}}')
    assert identify(path) == "ace1"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no model file"),
        (b"a model\n", "no model file"),
        (bytes(range(256)) * 20, "no model file"),
        (b"metadata:\n  a: b\nglobal:\n  x: 1\nspecies:\n  - y\n", "B-basis.* a speciesblock"),
        (b"8\nLattice=\"1 0 0\" Properties=species\n", "no model file"),
        (b"[data]\ntrain = 'x.xyz'\n", "no model file"),
    ],
)  # fmt: skip
def test_other_files_are_refused_with_a_reason(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "m.yace"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=message):
        load(path)


def test_a_model_goes_through_bytes(model: Model, tmp_path: Path) -> None:
    memory = io.BytesIO()
    save(model, memory)
    save(model, tmp_path / "model.acepot")
    assert memory.getvalue() == (tmp_path / "model.acepot").read_bytes()
    assert lower(load(memory.getvalue())).digest == lower(model).digest
    for wrong in (b"", ACE.encode(), memory.getvalue()[:-1]):
        with pytest.raises(ModelFileError):
            load(wrong)


def test_damaged_compression_is_an_error(files: dict[str, bytes], tmp_path: Path) -> None:
    for kind in ("acepot", "yace"):
        (tmp_path / "m").write_bytes(lzma.compress(files[kind])[:-40])
        with pytest.raises((InputError, ModelFileError), match="cannot be read"):
            load(tmp_path / "m")
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "absent")
