"""What opening a file may take: every refusal names the one way to allow more, which works."""

from __future__ import annotations

import lzma
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot.basis.coupling import couplings
from acepot.budget import MORE, allowed
from acepot.errors import AceError, InputError
from acepot.hamiltonian.formats.arrays import read_arrays
from acepot.io.ace1 import objects
from acepot.io.files import content, opened
from acepot.io.pace import read as pace
from acepot.lowering import lower

SILICON = Path(__file__).parents[2] / "models" / "Si-mlearn" / "model.acepot"


def test_a_limit_is_multiplied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACEPOT_BUDGET", raising=False)
    assert allowed(7) == 7
    monkeypatch.setenv("ACEPOT_BUDGET", " 2.5 ")
    assert allowed(100) == 250


@pytest.mark.parametrize("text", ["0.5", "-1", "nan", "inf", "1e7", "much", "1e999"])
def test_what_is_no_factor_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACEPOT_BUDGET", text)
    with pytest.raises(
        InputError, match=r"^ACEPOT_BUDGET: expected a number from 1 to 1e\+06, got"
    ):
        allowed(1)


def _packed_structures(folder: Path) -> None:
    path = folder / "s.xyz.xz"
    path.write_bytes(lzma.compress(b" " * 30_000_000, preset=0))
    with opened(path) as text:
        while text.read(1_000_000):
            pass


def _packed_model(folder: Path) -> None:
    path = folder / "m.acepot.xz"
    path.write_bytes(lzma.compress(bytes(9_000_000)))
    content(path, 2**29, 100)


def _packed_yace(folder: Path) -> None:
    path = folder / "m.yace"
    path.write_bytes(lzma.compress(b"# " + b" " * 9_000_000 + b"\nelements: [Si]\n"))
    pace.read_text(path, 100_000_000, 100)


def _many_frames(folder: Path) -> None:
    path = folder / "many.xyz.xz"
    path.write_bytes(lzma.compress(b"1\nx\nH 0 0 0\n" * 400, preset=1))
    assert len(acepot.read_structures(path)[0]) == 400


def _arrays(folder: Path) -> None:
    path = folder / "a.npz"
    np.savez_compressed(path, a=np.zeros(20_000_000))
    assert len(read_arrays(path)["a"]) == 20_000_000


def _coupling(_: Path) -> None:
    couplings((8, 8, 8, 8), (1, 1, 1, 1), 0)


def _long_json(_: Path) -> None:
    objects.parsed("{" + " " * 60 + "}", "x.json")


def _tables(_: Path) -> None:
    lower(acepot.load(SILICON))


SMALLER = {
    _many_frames: ("acepot.io.structures.extxyz._FRAMES", 300),
    _coupling: ("acepot.basis.coupling._MAX_TENSOR", 300_000),
    _long_json: ("acepot.io.ace1.objects.CHARACTERS", 40),
    _tables: ("acepot.tabulation._VALUES", 3_000),
}


@pytest.mark.parametrize(
    "take",
    [
        _packed_structures,
        _packed_model,
        _packed_yace,
        _many_frames,
        _arrays,
        _coupling,
        _long_json,
        _tables,
    ],
)
def test_every_limit_says_how_to_allow_more_and_allows_it(
    take, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if take in SMALLER:
        monkeypatch.setattr(*SMALLER[take])
    with pytest.raises(AceError, match="ACEPOT_BUDGET") as refused:
        take(tmp_path)
    assert str(refused.value).endswith(MORE)
    monkeypatch.setenv("ACEPOT_BUDGET", "10")
    take(tmp_path)


def test_a_large_frame_takes_little_more_memory_than_its_numbers(tmp_path: Path) -> None:
    """Its words at once would take 100 MB."""
    path, count = tmp_path / "large.xyz", 200_000
    path.write_text(f"{count}\nx\n" + "".join(f"H {k} 0.5 1\n" for k in range(count)))
    tracemalloc.start()
    try:
        (one,), _ = acepot.read_structures(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40e6
    assert len(one) == count and one.positions[123_456].tolist() == [123_456.0, 0.5, 1.0]


def test_lines_that_miss_and_lines_that_are_wrong_in_a_large_frame(tmp_path: Path) -> None:
    path = tmp_path / "large.xyz"
    lines = [f"H {k} 0.5 1" for k in range(50_000)]
    lines[45_000] = "H 1 2 x"
    path.write_text("\n".join(["50000", "Properties=species:S:1:pos:R:3", *lines]))
    with pytest.raises(
        InputError, match=r"frame 0 \(line 45003\): pos: expected a number, got 'x'"
    ):
        acepot.read_structures(path)
    path.write_text("\n".join(["50001", "Properties=species:S:1:pos:R:3", *lines]))
    with pytest.raises(InputError, match=r"frame 0 \(line 1\): .* ends after 50000 atom lines"):
        acepot.read_structures(path)


def test_the_page_of_files_names_it() -> None:
    page = (Path(__file__).parents[2] / "docs" / "file_format.md").read_text(encoding="utf-8")
    assert "ACEPOT_BUDGET" in page
