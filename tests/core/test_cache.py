"""Expansions kept between runs: equal to built ones, safe to lose, shared where they may be."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from acepot.basis import cache
from acepot.basis.choices import Pair, resolve
from acepot.basis.expansion import Expansion, Labels, expand
from acepot.basis.pace_family import SBessel
from acepot.basis.spec import BasisSpec

ROOT = Path(__file__).parents[2]
SPEC = resolve(BasisSpec(("O", "Si"), order=3, degree=5.0, cutoff=4.0))


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
    return sorted(folder.iterdir()) if folder.is_dir() else []


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
