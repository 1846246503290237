"""Pictures: PNG files with the right content, the same bytes every time."""

from __future__ import annotations

import struct
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

import matplotlib  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.image import imread  # noqa: E402

from acepot import Model, Potential  # noqa: E402
from acepot.basis.choices import Pair, resolve
from acepot.basis.envelope import PolynomialEnvelope
from acepot.basis.radial import Orthonormal
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError, MissingDependency  # noqa: E402
from acepot.report.dimers import dimer_curves  # noqa: E402
from acepot.report.parity import ParityData, parity  # noqa: E402
from acepot.structure import Structure  # noqa: E402


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Every figure that is saved, without pyplot, whose windows and settings are the user's."""
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    figures: list[Figure] = []
    save = Figure.savefig

    def keep(figure: Figure, *args: object, **kwargs: object) -> None:
        figures.append(figure)
        save(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


def _check_picture(path: Path) -> None:
    raw = path.read_bytes()
    assert raw[:8] == b"\x89PNG\r\n\x1a\n"
    for stamp in (b"Software", b"tIME", b"Creation", b"Date"):
        assert stamp not in raw
    (per_metre,) = struct.unpack(">I", raw[raw.index(b"pHYs") + 4 :][:4])
    assert round(per_metre * 0.0254) == 150
    pixels = imread(path)
    assert min(pixels.shape[:2]) > 300 and pixels.std() > 0.05
    assert list(path.parent.iterdir()) == [path], "no temporary file may remain"


def _legend(axes_or_figure: object) -> list[str]:
    return [text.get_text() for text in axes_or_figure.get_legend().get_texts()]


# ------------------------------------------------------------------ parity


def _data(
    names: tuple[str, ...] = ("bulk", "surface"), splits: tuple[str, ...] = ("train", "test")
) -> list[ParityData]:
    rng = np.random.default_rng(6)
    out = []
    for split in splits:
        for k, name in enumerate(names):
            for quantity, size in (("energy", 12), ("forces", (40, 3)), ("virial", 30)):
                reference = rng.normal(size=size)
                error = 0.003 * (k + 1) * rng.normal(size=size)
                out.append(ParityData(quantity, split, name, reference, reference + error))
    return out


def test_parity_is_a_picture_with_errors_in_its_legends(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    data = _data()
    parity(tmp_path / "parity.png", data)
    _check_picture(tmp_path / "parity.png")
    mains, strips = drawn[0].axes[::2], drawn[0].axes[1::2]
    titles = [axes.get_title() for axes in mains]
    assert titles == [
        f"{q}, {s}" for q in ("Energy", "Forces", "Virial") for s in ("train", "test")
    ]
    for axes, strip in zip(mains, strips, strict=True):
        quantity, split = axes.get_title().lower().split(", ")
        here = [d for d in data if d.quantity == quantity and d.split == split]
        rmse = {d.config_type: np.sqrt(np.mean(d.error**2)) for d in here}
        rmse["all"] = np.sqrt(np.mean(np.concatenate([d.error for d in here]) ** 2))
        assert [line.split()[0] for line in _legend(axes)] == ["all", "surface", "bulk"]
        for line in _legend(axes):
            name, value = line.split()
            assert float(value) == pytest.approx(rmse[name], rel=0.01)
        unit = "eV/Å" if quantity == "forces" else "eV/atom"
        assert axes.get_legend().get_title().get_text() == f"RMSE (m{unit})"
        assert strip.get_xlabel() == f"reference ({unit})"
        assert axes.get_xlim() == axes.get_ylim() == strip.get_xlim()


def test_entries_of_one_group_are_joined_in_its_error(tmp_path: Path, drawn: list[Figure]) -> None:
    zero = np.zeros(4)
    pieces = [ParityData("energy", "train", "bulk", zero, zero + e) for e in (0.003, 0.004)]
    parity(tmp_path / "parity.png", pieces)
    assert _legend(drawn[0].axes[0]) == ["bulk  3.54"]


def test_many_groups_share_a_key_and_the_worst_are_named(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    names = tuple(f"a_rather_long_config_type_{k}" for k in range(11))
    parity(tmp_path / "parity.png", _data(names, ("train",)))
    _check_picture(tmp_path / "parity.png")
    (key,) = drawn[0].legends
    assert len(key.get_texts()) == 11
    assert len({tuple(handle.get_color()) for handle in key.legend_handles}) == 11
    worst = _legend(drawn[0].axes[2])
    assert len(worst) == 6 and worst[0].startswith("all")
    assert all(len(line) < 30 for line in worst)
    assert "worst of 11" in drawn[0].axes[2].get_legend().get_title().get_text()


def test_what_has_no_data_is_left_out(tmp_path: Path, drawn: list[Figure]) -> None:
    data = [
        d for d in _data() if d.quantity != "virial" and (d.split, d.quantity) != ("test", "energy")
    ]
    parity(tmp_path / "parity.png", data)
    titles = [axes.get_title() for axes in drawn[0].axes[::2]]
    assert titles == ["Energy, train", "Forces, train", "Forces, test"]


@pytest.mark.parametrize("values", [(0.0, 0.0), (-5.0, -5.0), (1e5, 1e5 + 1e-3), (0.0, 1e-9)])
def test_extreme_values_can_be_drawn(values: tuple[float, float], tmp_path: Path) -> None:
    reference, predicted = (np.array([v]) for v in values)
    parity(tmp_path / "p.png", [ParityData("energy", "train", "one", reference, predicted)])
    _check_picture(tmp_path / "p.png")


def test_parity_gives_the_same_bytes_whatever_the_user_has_set(tmp_path: Path) -> None:
    parity(tmp_path / "a.png", _data())
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "black", "savefig.dpi": 30}):
        before = dict(matplotlib.rcParams)
        parity(tmp_path / "b.png", _data())
        assert dict(matplotlib.rcParams) == before
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_wrong_parity_data_are_refused() -> None:
    ones = np.ones(3)
    with pytest.raises(
        InputError, match="quantity: expected one of 'energy', 'forces', 'virial', .*got 'heat'"
    ):
        ParityData("heat", "train", "bulk", ones, ones)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"forces of bulk \(test\): predicted: .* all finite"):
        ParityData("forces", "test", "bulk", ones, ones * np.nan)
    with pytest.raises(InputError, match="reference: expected at least one number"):
        ParityData("forces", "test", "bulk", ones[:0], ones[:0])
    with pytest.raises(InputError, match=r"equal shapes, got reference \(3,\) and predicted \(2,"):
        ParityData("forces", "test", "bulk", ones, ones[:2])


def test_no_data_is_an_error_and_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="panels: expected at least one ParityData"):
        parity(tmp_path / "p.png", [])
    assert not list(tmp_path.iterdir())


def test_a_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        parity(tmp_path / "nowhere" / "p.png", _data())


@pytest.mark.parametrize("name", ["parity", "dimers"])
def test_without_matplotlib_the_error_says_what_to_install(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    potential = _potential(("Si",))
    for module in ("matplotlib", "matplotlib.style", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependency, match=r"pip install acepot\[plot\]"):
        if name == "parity":
            parity(tmp_path / "p.png", _data())
        else:
            dimer_curves(tmp_path / "p.png", potential)


# ------------------------------------------------------------------ dimers


def _potential(
    elements: tuple[str, ...], repulsion: float = 2.0, many: float = 0.2, **fields: object
) -> Potential:
    fields = {"order": 2, "degree": 4, "cutoff": 4.5, "pair": Pair(degree=2)} | fields
    basis = resolve(BasisSpec(elements, **fields))  # type: ignore[arg-type]
    labels = basis.expansion().labels
    rng = np.random.default_rng(9)
    coefficients = many * rng.normal(size=len(labels.order))
    coefficients[labels.order == 0] = 0.0
    coefficients[(labels.order == 0) & (labels.n[:, 0] == 1)] = repulsion
    return Potential(Model(basis, coefficients, -np.arange(1.0, len(elements) + 1)))


def test_dimer_curves_are_energies_of_two_atoms(tmp_path: Path, drawn: list[Figure]) -> None:
    potential = _potential(("Si", "O"), cutoff={"Si-Si": 4.5, "O-O": 3.5, "O-Si": 4.0})
    dimer_curves(tmp_path / "dimers.png", potential, shortest={"Si-O": 1.4})
    _check_picture(tmp_path / "dimers.png")
    pairs = {"O-O": (8, 8), "O-Si": (8, 14), "Si-Si": (14, 14)}
    assert [axes.get_title() for axes in drawn[0].axes] == list(pairs)
    e0 = {8: -1.0, 14: -2.0}
    ends = []
    for axes, (a, b) in zip(drawn[0].axes, pairs.values(), strict=True):
        lines = {line.get_label(): line for line in axes.get_lines()}
        r, energy = lines["model"].get_data()
        assert r[0] == 0.5 and energy[-1] == pytest.approx(0.0, abs=1e-9)
        ends.append(r[-1])
        for k in (0, 57, 200, 399):
            one = potential.compute(Structure([a, b], [[0, 0, 0], [0, 0, r[k]]])).energy
            assert energy[k] == pytest.approx(one - e0[a] - e0[b], abs=1e-9)
        assert "pair part" in lines
    assert ends == [3.5, 4.0, 4.5]
    assert _legend(drawn[0].axes[1]) == ["model", "pair part", "cut-off", "no training data"]


def test_the_pair_part_is_that_of_the_model_without_many_body_terms(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    dimer_curves(tmp_path / "a.png", _potential(("Si",)))
    dimer_curves(tmp_path / "b.png", _potential(("Si",), many=0.0))
    pair, model = (
        next(line for line in figure.axes[0].get_lines() if line.get_label() == label)
        for figure, label in zip(drawn, ("pair part", "model"), strict=True)
    )
    np.testing.assert_allclose(pair.get_ydata(), model.get_ydata(), atol=1e-12)


@pytest.mark.parametrize("repulsion", [2.0, 0.01, 0.0, -0.02, -0.3, -50.0])
def test_the_energy_axis_stays_readable(
    repulsion: float, tmp_path: Path, drawn: list[Figure]
) -> None:
    dimer_curves(tmp_path / "d.png", _potential(("Si",), repulsion, many=0.0))
    low, high = drawn[0].axes[0].get_ylim()
    energy = drawn[0].axes[0].get_lines()[1].get_ydata()
    assert -20.0 < low < 0.0 < high <= 20.0
    assert low <= energy.min() or low == -5.0
    words = [text.get_text() for text in drawn[0].axes[0].texts]
    assert words == ([f"hole: −{-energy.min():.3g} eV at 0.50 Å"] if energy.min() < -15 else [])


def test_curves_begin_where_the_tables_do(tmp_path: Path, drawn: list[Figure]) -> None:
    plain = _potential(("Si",))
    late = replace(plain.tables.radial[0], begin=plain.tables.radial[0].begin + 0.9)
    plain.tables = replace(plain.tables, radial=(late, *plain.tables.radial[1:]))
    dimer_curves(tmp_path / "a.png", plain)
    inner = Orthonormal(envelope=PolynomialEnvelope(2, 2))
    core = _potential(("Si",), inner=1.2, radial=inner, pair=Pair(degree=2, inner=0.0))
    dimer_curves(tmp_path / "b.png", core)
    begins = [figure.axes[0].get_lines()[1].get_xdata()[0] for figure in drawn]
    assert begins == pytest.approx([1.0, 0.5])


def test_a_model_without_a_pair_part_has_one_curve(tmp_path: Path, drawn: list[Figure]) -> None:
    dimer_curves(tmp_path / "d.png", _potential(("Si",), pair=Pair(degree=0)))
    assert _legend(drawn[0].axes[0]) == ["model", "cut-off"]


def test_many_elements_have_a_panel_for_every_pair(tmp_path: Path, drawn: list[Figure]) -> None:
    dimer_curves(tmp_path / "d.png", _potential(("H", "C", "N", "O"), degree=2, order=1))
    titles = [axes.get_title() for axes in drawn[0].axes if axes.axison]
    assert titles == ["H-H", "H-C", "H-N", "H-O", "C-C", "C-N", "C-O", "N-N", "N-O", "O-O"]
    _check_picture(tmp_path / "d.png")


def test_dimer_curves_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        dimer_curves(tmp_path / name, _potential(("O", "Si")), shortest={"O-Si": 1.5})
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
