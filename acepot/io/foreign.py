"""What a file is that is none of ours: its kind in words, and what its owner can do about it."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

#: What acepot reads, for messages.
MODELS = "acepot reads .acepot, PACE's .yace and .ace, and ACE1's JSON"
DATA = "acepot reads (extended) XYZ, and with ASE its traj, db, VASP's OUTCAR and vasprun.xml, …"

_PICKLE = (
    "a Python pickle (data of pacemaker?), which is not opened because it can run any code. If you "
    "trust its origin, this writes extended XYZ of pacemaker's: python -c \"import numpy, "
    "pandas, ase.io; d = pandas.read_pickle('{name}', compression='{packed}'); [(a.info.update("
    "REF_energy=e), a.set_array('REF_forces', numpy.array(f))) for a, e, f in zip(d.ase_atoms, "
    "d.energy_corrected, d.forces)]; ase.io.write('{stem}.extxyz', list(d.ase_atoms))\" - "
    "energy_corrected is without the energies of isolated atoms, so E0 is 0 (docs/reading.md)"
)
_CFG = (
    "the configurations of MTP (mlip-2, mlip-3), whose types have no elements; docs/reading.md has "
    "a few lines of Python that write extended XYZ of them"
)
_TORCH = "a model of torch (MACE, NequIP, Allegro, …), which only its own program evaluates"

#: Kinds that their first bytes give away.
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89HDF", "HDF5"),
    (b"CDF", "NetCDF, a trajectory perhaps"),
    (b"SQLite format 3", "an SQLite database, such as ASE's .db"),
    (b"- of Ulm", "a trajectory of ASE"),
    (b"\x93NUMPY", "an array of numpy"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x7fELF", "a compiled program or library"),
    (b"PAR1", "a Parquet table; write extended XYZ of it with Python"),
    (b"ACETABLE", "acepot's Tables for LAMMPS; give the model file that they were exported from"),
    (b"\xfd7zXZ", "compressed twice; unpack it once"),
    (b"\x1f\x8b", "compressed twice; unpack it once"),
    (b"7z\xbc\xaf", "a 7-Zip archive; unpack it first"),
    (b"(\xb5/\xfd", "compressed with zstd, which is not read; unpack it first: zstd -d"),
)
#: Kinds that their text gives away, at the start of a line within the first 64 kB. Blanks never
#: run over the end of a line, where two parts of a pattern could share them: trying all ways of
#: sharing a hundred empty lines has no end.
_TEXT: tuple[tuple[str, str], ...] = (
    (r"[ \t]*BEGIN_CFG\b", _CFG),
    (r"\AMTP[ \t\r]*\n\s*version",
     "a potential of MTP (mlip), which only its own program evaluates"),
    (r"version https://git-lfs", "a pointer of git LFS, not the file itself: git lfs pull"),
    (r"\A\s*<(!DOCTYPE html|html)", "a web page; download the file itself (its raw form)"),
    (r"[ \t]*<(GAP_params|Potential|gpSparse)\b",
     "a potential of QUIP (GAP), which only QUIP runs"),
    (r"[ \t]*<modeling>", "VASP's vasprun.xml, a set of structures"),
    (r"[ \t]*(rcutfac|twojmax)[ \t]+[\d.]", "parameters of SNAP, which only LAMMPS evaluates"),
    (r"\A(?:[ \t\r]*(?:#.*)?\n)*+[ \t]*\d+[ \t]+\d+[ \t\r]*\n"
     r"[A-Z][a-z]?[ \t]+0?\.\d+[ \t]+[\d.]+[ \t\r]*\n",
     "coefficients of SNAP, which only LAMMPS evaluates"),
    (r"symfunction_short\b", "the input of n2p2, a neural network"),
    (r"[ \t]*(pair_style|pair_coeff|units[ \t]+(metal|real|lj))\b", "an input of LAMMPS"),
    (r"ITEM: TIMESTEP", "a dump of LAMMPS, which holds no labels"),
    (r"\A(?:.*\n){3}[ \t]*\d+(?:[ \t]+[A-Z][a-z]?)+[ \t\r]*\n"
     r"[ \t]*\d+[ \t]+[\d.eE+-]+[ \t]+\d+",
     "an EAM potential (setfl), which LAMMPS evaluates"),
    (r"[ \t]*(species|global|metadata)[ \t]*:",
     "pacemaker's B-basis, which is a potential if it has a speciesblock"),
    (r"\[(data|basis|solver|structure|ensemble)\]", "a TOML file of settings"),
)  # fmt: skip


def kind_of(start: bytes, path: str | Path) -> str | None:
    """What a file looks like that is none of ours, and what to do; None: no idea.

    Args:
        start: its first bytes, out of its compression; of a zip all of them say more.
        path: its name, for commands in the answer.
    """
    if start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05":
        packed = "gzip" if Path(path).suffix in (".gz", ".gzip") else "infer"
        stem = Path(path).name.partition(".")[0]
        return _PICKLE.format(name=path, packed=packed, stem=stem)
    if start.startswith(b"PK"):
        return _zip(start)
    if start[257:262] == b"ustar":
        return "a tar archive; unpack it first: tar -xf"
    for magic, kind in _MAGIC:
        if start.startswith(magic):
            return kind
    if not start.strip(b"\0"):
        return "nothing but zeros: a damaged or unfinished copy" if start else "an empty file"
    text = start[:65536].decode("utf-8-sig", "replace")
    for pattern, kind in _TEXT:
        if re.search(pattern if pattern.startswith(r"\A") else f"^{pattern}", text, re.MULTILINE):
            return kind
    return "no text: a binary file of a kind that is not known here" if b"\0" in start else None


def _zip(data: bytes) -> str | None:
    """What is in a zip."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        names = re.findall(r"[\w./-]{3,200}", data[:65536].decode("latin-1"))
        if not any(name.endswith("data.pkl") for name in names):
            return None
    if "header.json" in names:
        return None
    if any(name.endswith(("/data.pkl", "constants.pkl")) for name in names):
        return _TORCH
    if names and all(name.endswith(".npy") for name in names):
        return "arrays of numpy (.npz); write extended XYZ of them with Python"
    return "a zip archive that is no model; unpack it first"
