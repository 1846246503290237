"""Files that are none of ours are named by what is in them, with what their owner can do."""

import gzip
import io
import lzma
import os
import pickle
import re
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot.errors import InputError, ModelFileError
from acepot.io.structures.datasets import read_structures

ROOT = Path(__file__).parents[3]
SILICON = ROOT / "models" / "Si-mlearn" / "model.acepot"
CFG = Path(__file__).with_name("data") / "mtp.cfg"


def _zip(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, b"x" * 200_000)
    return out.getvalue()


def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.add(SILICON, "model.acepot")
    return out.getvalue()


FOREIGN = {
    "data.pckl.gzip": (gzip.compress(pickle.dumps({"energy": [1.0]})), r"pickle .*'gzip'"),
    "data.pkl": (pickle.dumps({"energy": [1.0]}, 2), r"pickle .* can run any code"),
    "train.cfg": (CFG.read_bytes(), "configurations of MTP"),
    "pot.mtp": (b"MTP\nversion = 1.1.0\npotential_name = MTP1m\n", "a potential of MTP"),
    "mace.model": (_zip("mace/data.pkl", "mace/version"), "a model of torch"),
    "nequip.pth": (_zip("m/code/a.py", "m/constants.pkl"), "a model of torch"),
    "data.npz": (_zip("E.npy", "F.npy"), "arrays of numpy"),
    "data.zip": (_zip("a.xyz"), "unpack it first"),
    "data.tar.gz": (gzip.compress(_tar()), "tar archive"),
    "page.html": (b"<!DOCTYPE html>\n<html><body>404</body></html>", "a web page"),
    "model.acepot": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
    "gap.xml": (b"<GAP_2020>\n  <Potential label='x' init_args='IP GAP'/>\n", "QUIP"),
    "Ta.snapparam": (b"# Ta\nrcutfac 4.67637\ntwojmax 6\n", "parameters of SNAP"),
    "Ta.snapcoeff": (b"# fit\n\n1 31\nTa 0.5 1\n-2.92477\n", "coefficients of SNAP"),
    "Cu.eam.alloy": (b"a\nb\nc\n1 Cu\n500 0.001 500 0.01 5.5\n", "EAM"),
    "in.lammps": (b"units metal\natom_style atomic\n", "an input of LAMMPS"),
    "data.h5": (b"\x89HDF\r\n\x1a\n" + bytes(500), "HDF5"),
    "paper.pdf": (b"%PDF-1.5\n", "PDF"),
    "twice.xyz.xz": (lzma.compress(lzma.compress(b"1\n\nSi 0 0 0\n")), "compressed twice"),
    "si.tables": (b"ACETABLE" + bytes(20), "Tables for LAMMPS"),
    "zeros": (bytes(5000), "nothing but zeros"),
    "noise": (b"\x01\x00\x02\x00" * 50, "a binary file"),
    "b.yaml": (b"species:\n  - block: Al\n", "pacemaker's B-basis"),
    "in.toml": (b"[data]\ntrain = 'x'\n", "TOML"),
}
#: Refused by ASE, in its own words.
BY_ASE = {"data.h5"}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_of_another_kind_is_named_where_a_model_is_expected(name, tmp_path):
    content, words = FOREIGN[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=f"(?s)no model file: it looks like .*{words}") as e:
        acepot.load(path)
    assert str(path) in str(e.value) and "acepot reads .acepot" in str(e.value)


@pytest.mark.parametrize("name", [n for n in FOREIGN if n not in BY_ASE])
def test_and_where_structures_are_expected(name, tmp_path):
    content, words = FOREIGN[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"(?s)no structures: it looks like .*{words}"):
        read_structures(path)


def test_our_own_files_are_none_of_them():
    kinds = [SILICON, *(ROOT / "tests" / "golden" / "data" / "pace").glob("*.yace")]
    assert len(kinds) > 5 and all(acepot.load(path) for path in kinds)


def test_the_command_that_is_shown_converts_the_data_of_pacemaker(tmp_path):
    """With a stand-in for pandas, which gives the columns that pacemaker's tables have."""
    pytest.importorskip("ase")
    (tmp_path / "pandas.py").write_text(
        "import ase, types\n"
        "def read_pickle(path, compression):\n"
        "    assert (path, compression) == ('train.pckl.gzip', 'gzip')\n"
        "    atoms = ase.Atoms('Si2', [[0, 0, 0], [2.3, 0, 0]], cell=[9, 9, 9], pbc=True)\n"
        "    return types.SimpleNamespace(ase_atoms=[atoms], energy_corrected=[-1.5],\n"
        "                                 forces=[[[1, 0, 0], [-1, 0, 0]]])\n"
    )
    (tmp_path / "train.pckl.gzip").write_bytes(FOREIGN["data.pckl.gzip"][0])
    found = subprocess.run(
        [sys.executable, "-m", "acepot", "fit", "train.pckl.gzip", "--out", "out"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert found.returncode == 1
    code = re.search(r'python -c "(.*)" - ', found.stderr).group(1)
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    (structure,), _ = read_structures(tmp_path / "train.extxyz")
    assert structure.energy == -1.5
    np.testing.assert_array_equal(structure.forces, [[1, 0, 0], [-1, 0, 0]])


def test_a_model_given_as_structures_is_named():
    with pytest.raises(InputError, match=r"it looks like an \.acepot model"):
        read_structures(SILICON)


def test_the_lines_of_the_page_convert_the_data_of_mtp(tmp_path, monkeypatch):
    page = (ROOT / "docs" / "reading.md").read_text(encoding="utf-8")
    (code,) = (b for b in re.findall("```python\n(.*?)```", page, re.DOTALL) if "BEGIN_CFG" in b)
    (tmp_path / "train.cfg").write_bytes(CFG.read_bytes() * 2)
    monkeypatch.chdir(tmp_path)
    exec(compile(code.replace('open("train.cfg").read()', "TEXT"), "page", "exec"),
         {"TEXT": (tmp_path / "train.cfg").read_text()})  # fmt: skip
    structures, _ = read_structures("train.extxyz")
    assert len(structures) == 2
    assert structures[1].energy == -3.0 and structures[1].numbers.tolist() == [22, 22]
    np.testing.assert_allclose(structures[1].forces, [[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]])
    np.testing.assert_allclose(structures[1].cell, 4 * np.eye(3))


# ------------------------------------------------------------------ what has no end


def test_a_compressed_model_holds_at_most_so_many_times_its_size(tmp_path):
    path = tmp_path / "bomb.acepot.xz"
    path.write_bytes(lzma.compress(SILICON.read_bytes() + bytes(30_000_000)))
    with pytest.raises(ModelFileError, match="bytes inside a compressed file .* ACEPOT_BUDGET"):
        acepot.load(path)
    path.write_bytes(lzma.compress(SILICON.read_bytes()))
    assert acepot.load(path).elements == ("Si",)


def test_compressed_structures_are_not_read_without_end(tmp_path):
    path = tmp_path / "line.xyz.xz"
    packer = lzma.LZMACompressor(preset=0)
    with path.open("wb") as file:
        for _ in range(9):
            file.write(packer.compress(b"1" + b" " * 2**24))
        file.write(packer.flush())
    with pytest.raises(InputError, match="bytes inside a compressed file .* ACEPOT_BUDGET"):
        read_structures(path)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no devices here")
def test_devices_are_refused():
    for read in (acepot.load, read_structures):
        with pytest.raises(InputError, match="/dev/zero: expected a file, got a device"):
            read("/dev/zero")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
@pytest.mark.parametrize("name", ["Si.acepot", "density.yace", "density.ace", "Si.acepot.xz"])
def test_a_model_is_read_from_a_pipe(name, tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    pace = ROOT / "tests" / "golden" / "data" / "pace"
    content = SILICON.read_bytes() if "Si" in name else (pace / name).read_bytes()
    content = lzma.compress(content) if name.endswith(".xz") else content
    writer = threading.Thread(target=path.write_bytes, args=(content,))
    writer.start()
    model = acepot.load(path)
    writer.join()
    assert model.elements
    with pytest.raises(InputError, match="got a pipe, which cannot be read twice"):
        read_structures(path)  # at once: nobody writes


_LONG = """
import itertools, sys
from pathlib import Path
import acepot
units = ["\\n", " ", "\\r\\n", "#", "#\\n", "1", "1 ", "A ", " \\n", "{", "{\\n", "- ",
         "species\\n", "a: ", "1 1\\n", "'", '"', "Lattice="]
heads = ["", "MTP", "1\\n", "x\\ny\\nz\\n", "1 1\\nA ", "species", "elements", "x\\ny\\nz\\n2 A B"]
path = Path(sys.argv[1])
for head, unit in itertools.product(heads, units):
    path.write_text(head + unit * (65536 // len(unit)), newline="")
    for read in (acepot.load, acepot.read_structures):
        try:
            read(path)
        except acepot.AceError:
            pass
"""


def test_no_text_takes_for_ever_to_be_known(tmp_path):
    """Of a hundred empty lines all ways to be shared by two parts of a pattern were tried."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", _LONG, tmp_path / "x"],
                          timeout=120, check=False, capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
