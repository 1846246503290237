"""Expansions kept between runs: equal to built ones, safe to lose, shared where they may be."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from acepot.basis import cache, seal
from acepot.basis.choices import Pair, resolve
from acepot.basis.expansion import Expansion, Labels, expand
from acepot.basis.pace_family import SBessel
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError

ROOT = Path(__file__).parents[2]
SPEC = resolve(BasisSpec(("O", "Si"), order=3, degree=5.0, cutoff=4.0))
OTHER = resolve(BasisSpec(("O", "Si"), order=2, degree=5.0, cutoff=4.0))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ACEPOT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BasisSpec]]:
    """The specifications that were really built."""
    calls: list[BasisSpec] = []

    def counted(spec: BasisSpec, *more: object) -> Expansion:
        calls.append(spec)
        return expand(spec, *more)

    monkeypatch.setattr(cache, "expand", counted)
    return calls


def entries(folder: Path) -> list[Path]:
    """What is kept, and anything else but the key."""
    return sorted(p for p in folder.iterdir() if p.name != "key") if folder.is_dir() else []


def assert_equal(one: Expansion, other: Expansion) -> None:
    assert (one.channels, one.irreps, one.sizes) == (other.channels, other.irreps, other.sizes)
    for name in ("block_species", "block_channel", "block_l"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for field in fields(Labels):
        np.testing.assert_array_equal(
            getattr(one.labels, field.name), getattr(other.labels, field.name)
        )
    for part in ("terms", "real", "imaginary"):
        assert len(getattr(one, part)) == len(getattr(other, part))
    for a, b in zip(one.terms, other.terms, strict=True):
        np.testing.assert_array_equal(a, b)
    for name in ("real", "imaginary"):
        for a, b in zip(getattr(one, name), getattr(other, name), strict=True):
            assert a.shape == b.shape and a.data.tobytes() == b.data.tobytes()
            np.testing.assert_array_equal(a.indices, b.indices)
            np.testing.assert_array_equal(a.indptr, b.indptr)


# ------------------------------------------------------------------ what is read is what was built


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"formulation": "canonical", "extend_lower_orders": True, "degree": (4.0, 4.0, 4.0)},
        {"total_l": 2, "pair": Pair(degree=0)},
        {"total_l": 1, "parity": -1, "pair": Pair(degree=0)},
        {"irreps": ("0e", "0o", "1o", "2e"), "constant": True},
        {"pair": Pair(degree=0)},
        {"elements": ("H", "O", "Si"), "order": 2, "degree": (4.0, 4.0)},
    ],
)
def test_the_cached_expansion_equals_the_built_one(
    folder: Path, built: list[BasisSpec], change: dict[str, object]
) -> None:
    plain = replace(SPEC, cutoff=4.0, inner=0.0, r0=None, pair=Pair())
    spec = resolve(replace(plain, **change))
    first = cache.cached_expansion(spec)
    second = cache.cached_expansion(spec)
    assert len(built) == 1 and len(entries(folder)) == 1
    assert_equal(first, second)
    assert_equal(first, expand(spec))


def test_distances_and_radial_families_share_an_entry_but_degrees_do_not(
    folder: Path, built: list[BasisSpec]
) -> None:
    cache.cached_expansion(SPEC)
    again = replace(SPEC, cutoff=5.0, inner=0.3, r0=2.0, pair=Pair(cutoff=6.0, inner=0.1))
    cache.cached_expansion(resolve(again))
    assert len(built) == 1 and len(entries(folder)) == 1
    changes: list[dict[str, object]] = [
        {"degree": (5.0, 5.0, 4.5)},
        {"max_l": (1, 1, 1)},
        {"wl": 2.0},
        {"formulation": "canonical"},
        {"pair": replace(SPEC.pair, degree=3)},
    ]
    for count, change in enumerate(changes, start=2):
        cache.cached_expansion(replace(SPEC, **change))
        assert len(built) == len(entries(folder)) == count, change


def test_products_of_another_radial_family_are_another_entry(
    folder: Path, built: list[BasisSpec]
) -> None:
    """Which lower orders complete a basis depends on whether its radials multiply to their kind."""
    spec = replace(SPEC, extend_lower_orders=True, degree=(4.0, 4.0, 4.0))
    polynomial = cache.cached_expansion(spec)
    bessel = cache.cached_expansion(replace(spec, radial=SBessel()))
    assert len(built) == 2 and polynomial.size != bessel.size


# ------------------------------------------------------------------ where it lies


def test_the_folder_is_honoured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ACEPOT_CACHE", str(tmp_path / "a" / "b"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    assert cache.cache_folder() == tmp_path / "a" / "b"
    cache.cached_expansion(SPEC)
    assert len(entries(tmp_path / "a" / "b")) == 1 and not (tmp_path / "c").exists()
    monkeypatch.delenv("ACEPOT_CACHE")
    assert cache.cache_folder() == tmp_path / "c" / "acepot"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache.cache_folder() == tmp_path / "home" / ".cache" / "acepot"


def test_a_folder_that_cannot_be_written_costs_only_time(
    folder: Path, built: list[BasisSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")  # as root, chmod would not stop us

    monkeypatch.setattr(cache.tempfile, "mkstemp", refuse)
    assert_equal(cache.cached_expansion(SPEC), cache.cached_expansion(SPEC))
    assert len(built) == 2 and entries(folder) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_read(folder: Path, built: list[BasisSpec]) -> None:
    cache.cached_expansion(SPEC)
    folder.chmod(0o500)
    try:
        cache.cached_expansion(SPEC)
        cache.cached_expansion(replace(SPEC, wl=2.0))
    finally:
        folder.chmod(0o700)
    assert len(built) == 2 and len(entries(folder)) == 1


def test_a_file_in_the_place_of_the_folder_costs_only_time(
    folder: Path, built: list[BasisSpec]
) -> None:
    folder.write_text("not a folder")
    assert_equal(cache.cached_expansion(SPEC), cache.cached_expansion(SPEC))
    assert len(built) == 2 and folder.read_text() == "not a folder"


def test_a_disk_that_fills_up_leaves_nothing_behind(
    folder: Path, built: list[BasisSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.np, "savez", full)
    cache.cached_expansion(SPEC)
    assert entries(folder) == []


def test_an_interrupted_write_leaves_nothing_behind(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cache.np, "savez", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cache.cached_expansion(SPEC)
    assert entries(folder) == []


# ------------------------------------------------------------------ damage


@pytest.mark.parametrize("content", [b"", b"PK", b"\x93NUMPY", b"junk" * 50])
def test_junk_in_the_cache_is_built_anew(
    folder: Path, built: list[BasisSpec], content: bytes
) -> None:
    cache.cached_expansion(SPEC)
    (entry,) = entries(folder)
    good = entry.read_bytes()
    entry.write_bytes(content)
    assert_equal(cache.cached_expansion(SPEC), expand(SPEC))
    assert len(built) == 2 and entries(folder) == [entry]
    assert len(entry.read_bytes()) == len(good)
    cache.cached_expansion(SPEC)
    assert len(built) == 2


def test_a_truncated_entry_is_built_anew(folder: Path, built: list[BasisSpec]) -> None:
    cache.cached_expansion(SPEC)
    (entry,) = entries(folder)
    good = entry.read_bytes()
    ends = np.linspace(0, len(good) - 1, 12).astype(int)
    for count, end in enumerate(ends, start=2):
        entry.write_bytes(good[:end])
        cache.cached_expansion(SPEC)
        assert len(built) == count, f"{end} of {len(good)} bytes were read"


def test_a_flipped_bit_never_gives_another_basis(folder: Path) -> None:
    spec = resolve(BasisSpec(("O", "Si"), order=2, degree=3.0, cutoff=4.0))
    expected = cache.cached_expansion(spec)
    (entry,) = entries(folder)
    good = entry.read_bytes()
    rng = np.random.default_rng(5)
    for place in rng.integers(8 * len(good), size=150):
        data = bytearray(good)
        data[place // 8] ^= 1 << (place % 8)
        entry.write_bytes(data)
        assert_equal(cache.cached_expansion(spec), expected)


# ------------------------------------------------------------------ trust


def _rewritten(entry: Path, sign: Callable[[bytes], bytes], **change: object) -> None:
    """The entry with other arrays; None leaves one out."""
    with np.load(io.BytesIO(entry.read_bytes()[32:])) as kept:
        arrays = {**kept, **change}
    content = io.BytesIO()
    np.savez(content, **{k: v for k, v in arrays.items() if v is not None})
    entry.write_bytes(sign(content.getvalue()))


def _poisons(entry: Path) -> dict[str, dict[str, object]]:
    with np.load(io.BytesIO(entry.read_bytes()[32:])) as kept:
        z = dict(kept)
    huge, far, other = z["real_0_indptr"].copy(), z["terms_0"].copy(), z["terms_0"].copy()
    huge[3], far[0, 0], other[0] = 10**9, 10**6, -5
    return {
        "an index out of range": {"terms_0": far},
        "a negative index": {"terms_0": other},
        "columns out of range": {"real_0_indices": z["real_0_indices"] + 10**6},
        "rows that fall": {"real_0_indptr": z["real_0_indptr"][::-1].copy()},
        "rows beyond the end": {"real_0_indptr": huge},
        "l too large": {"block_l": z["block_l"] + 300},
        "l negative": {"block_l": -z["block_l"] - 1},
        "channels of another kind": {"channels": np.array('[[1, 2], "x"]')},
        "channels as a table": {"channels": np.array('{"a": 1}')},
        "no label": {"label_n": None},
        "terms that are no integers": {"terms_0": z["terms_0"] * 1.5},
        "terms of one dimension": {"terms_0": z["terms_0"].ravel()},
        "couplings that are no numbers": {"real_0_data": z["real_0_data"] * np.nan},
    }


def test_what_this_user_did_not_seal_is_built_anew(folder: Path, built: list[BasisSpec]) -> None:
    """A right digest without the key is not enough: couplings x 1.1 would give other energies."""
    expected = cache.cached_expansion(SPEC)
    (entry,) = entries(folder)
    data = np.load(io.BytesIO(entry.read_bytes()[32:]))["real_0_data"]
    _rewritten(entry, lambda x: hashlib.sha256(x).digest() + x, real_0_data=data * 1.1)
    assert_equal(cache.cached_expansion(SPEC), expected)
    assert len(built) == 2
    assert_equal(cache.cached_expansion(SPEC), expected)
    assert len(built) == 2, "the entry is replaced"
    good = entry.read_bytes()
    cache.cached_expansion(OTHER)
    (other,) = (e for e in entries(folder) if e != entry)
    other.write_bytes(good)
    assert_equal(cache.cached_expansion(OTHER), expand(OTHER))


def test_what_cannot_be_this_basis_is_built_anew_even_if_it_is_sealed(
    folder: Path, built: list[BasisSpec]
) -> None:
    expected = cache.cached_expansion(SPEC)
    (entry,) = entries(folder)
    for count, (name, change) in enumerate(_poisons(entry).items(), start=2):
        _rewritten(entry, lambda x: seal.sealed(x, entry.name, folder), **change)
        assert_equal(cache.cached_expansion(SPEC), expected)
        assert len(built) == count, name


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_fifo_or_folder_in_the_place_of_an_entry_is_not_waited_for(
    folder: Path, built: list[BasisSpec]
) -> None:
    expected = cache.cached_expansion(SPEC)
    (entry,) = entries(folder)
    entry.unlink()
    os.mkfifo(entry)
    assert_equal(cache.cached_expansion(SPEC), expected)
    assert entry.is_file() and len(built) == 2, "it is replaced"
    entry.unlink()
    entry.mkdir()
    assert_equal(cache.cached_expansion(SPEC), expected)
    (folder / "key").unlink()
    os.mkfifo(folder / "key")
    assert_equal(cache.cached_expansion(SPEC), expected)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owners here")
def test_files_that_others_can_write_to_are_not_read(folder: Path, built: list[BasisSpec]) -> None:
    cache.cached_expansion(SPEC)
    (entry,) = entries(folder)
    assert entry.stat().st_mode & 0o777 == 0o600 and folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "key").stat().st_mode & 0o777 == 0o600
    entry.chmod(0o666)
    cache.cached_expansion(SPEC)
    assert len(built) == 2 and entry.stat().st_mode & 0o777 == 0o600


def test_without_a_home_nothing_is_kept(
    built: list[BasisSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("ACEPOT_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert_equal(cache.cached_expansion(SPEC), expand(SPEC))
    with pytest.raises(InputError, match="ACEPOT_CACHE"):
        cache.cache_folder()


# ------------------------------------------------------------------ several at once


def test_two_processes_may_build_the_same_basis_at_once(folder: Path) -> None:
    code = (
        "from acepot.basis.cache import cached_expansion\n"
        "from acepot.basis.choices import resolve\nfrom acepot.basis.spec import BasisSpec\n"
        "spec = resolve(BasisSpec(('O', 'Si'), order=3, degree=7.0, cutoff=4.0))\n"
        "print([cached_expansion(spec).size for _ in range(3)])\n"
    )
    environment = {**os.environ, "ACEPOT_CACHE": str(folder), "PYTHONPATH": str(ROOT)}
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    assert len(entries(folder)) == 1, "no temporary file may remain"


def test_a_link_is_not_followed(folder: Path, built: list[BasisSpec]) -> None:
    """An entry, or the key, that is a link to a file of the user's own is built anew."""
    for name in ("entry", "key"):
        cache.cached_expansion(SPEC)
        (entry,) = entries(folder)
        path = entry if name == "entry" else folder / "key"
        real = folder.parent / f"the-{name}"
        path.rename(real)
        path.symlink_to(real)
        built.clear()
        cache.cached_expansion(SPEC)
        assert built == [SPEC]
        for left in (path, entry):
            left.unlink(missing_ok=True)
