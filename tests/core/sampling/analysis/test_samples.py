"""Files of samples: pymatnest's grammar, ours, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from acepot.errors import InputError
from acepot.sampling.analysis.folder import read_pressures, read_run
from acepot.sampling.analysis.frames import chosen, read_frames
from acepot.sampling.analysis.samples import Samples, read_energies, read_live
from acepot.sampling.analysis.thermodynamics import Sums
from acepot.units import GIGAPASCAL

ROWS = "0 1000000000.5 5.0e+02\n1 3.25 4e2\n1 3.25 300\n2 -1.75 20.5\n"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("20 1 0 False 8", (20, 1, 0, False, 8)),
        ("20 2 24 True 8", (20, 2, 24, True, 8)),
        (" 20  2  24  t  8 ", (20, 2, 24, True, 8)),
        ("20 1 24", (20, 1, 24, False, 0)),
    ],
)
def test_every_header_of_pymatnest_is_read(tmp_path, header, expected) -> None:
    path = tmp_path / "a.energies"
    path.write_text(f"{header}\n{ROWS}")
    found = read_energies(path)
    assert (found.walkers, found.at_once, found.extra, found.flat, found.atoms) == expected
    np.testing.assert_array_equal(found.enthalpy, [1000000000.5, 3.25, 3.25, -1.75])
    np.testing.assert_array_equal(found.volume, [500.0, 400.0, 300.0, 20.5])
    assert found.culled == 4 and found.pressure is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected \"K n_cull n_extra_DOF flat_V N\", got ''"),
        ("20 1 0 perhaps 8\n" + ROWS, "line 1: expected"),
        ("20 1 0 False\n" + ROWS, "line 1: expected"),
        ("20.5 1 0 False 8\n" + ROWS, "line 1: expected"),
        ("1 1 0 False 8\n" + ROWS, "walkers: expected 2 or more, got 1"),
        ("20 20 0 False 8\n" + ROWS, "at_once: expected fewer than the 20 walkers, got 20"),
        ("20 1 0 True 0\n" + ROWS, "atoms: a flat prior needs their number, got 0"),
        ("20 1 0 False 8\n", "expected lines of 3 numbers, got none"),
        ("20 1 0 False 8\n0 1.0\n", "line 2: expected 3 numbers, got '0 1.0'"),
        ("20 1 0 False 8\n0 1.0 x\n", "line 2: expected 3 numbers, got '0 1.0 x'"),
        ("20 1 0 False 8\n0 nan 3\n", "expected finite enthalpies"),
        ("20 1 0 False 8\n0 1.0 0\n", "expected volumes above 0, got 0"),
        ("20 1 0 False 8\n0 1.0 3\n1 1.5 3\n", "line 3: expected an enthalpy of at most 1.0"),
    ],
)
def test_what_is_no_such_file_is_refused_with_the_place(tmp_path, text, message) -> None:
    path = tmp_path / "a.energies"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_energies(path)
    assert message in str(error.value) and str(path) in str(error.value)


def test_a_run_that_is_written_is_read_back_bit_by_bit(kit, tmp_path) -> None:
    runs = [kit.run(kit.TwoPhases(p * GIGAPASCAL), 20, 40, seed=1) for p in (0.0, 0.7)]
    kit.write(tmp_path / "run", runs)
    found = read_run(tmp_path / "run")
    for one, run in zip(found, runs, strict=True):
        np.testing.assert_array_equal(one.samples.enthalpy, run.enthalpy)
        np.testing.assert_array_equal(one.samples.volume, run.volume)
        assert one.samples.pressure == pytest.approx(run.pressure, rel=1e-15)
        assert (one.samples.walkers, one.samples.culled) == (20, run.culled)


def test_live_points_of_an_earlier_moment_are_refused(kit, tmp_path) -> None:
    run = kit.run(kit.Harmonic(), 20, 5, seed=1)
    kit.write(tmp_path / "run", [run])
    live, volumes = read_live(tmp_path / "run" / "P0.live")
    assert len(live) == 20
    with pytest.raises(InputError, match="they are of an earlier moment"):
        run.with_live(live + 1e6, volumes)
    with pytest.raises(InputError, match=r"expected 20 live points, got shape \(19,\)"):
        run.with_live(live[1:], volumes[1:])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[ensemble]\npressure = 1\n", "ensemble.pressures: expected a list"),
        ("[ensemble]\npressures = []\n", "got \\[\\]"),
        ("[ensemble]\npressures = ['1']\n", "expected a list of pressures in GPa"),
        ("[ensemble\n", "damaged"),
    ],
)
def test_settings_without_pressures_are_refused(tmp_path, text, message) -> None:
    (tmp_path / "ns.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_pressures(tmp_path)


def test_a_folder_without_a_run_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"expected the folder of a run with a ns\.toml in it"):
        read_run(tmp_path)


def _frames(path, enthalpies) -> None:
    lines = [
        f'1\nLattice="5 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3 iteration={i} '
        f"enthalpy={h!r} energy=-1.0 volume=125.0 birth_enthalpy=1e9\nSi 0 0 0\n"
        for i, h in enumerate(enthalpies)
    ]
    path.write_text("".join(lines))


def test_frames_are_found_by_their_enthalpy_and_chosen_by_their_weight(kit, tmp_path) -> None:
    run = kit.run(kit.Harmonic(), 20, 45, seed=1)
    rows = np.arange(5, run.culled, 10)
    path = tmp_path / "P0.culled.extxyz"
    _frames(path, run.enthalpy[rows].tolist())
    frames = read_frames(path, run)
    np.testing.assert_array_equal(frames.rows, rows)
    sums = Sums(run, np.array([1.0]), boltzmann=1.0)
    picked = chosen(frames, sums, 0, 1000)
    assert sum(share for _, share in picked) == pytest.approx(1.0)
    p = np.exp(sums.log_weights[rows] - run.enthalpy[rows])
    p /= p.sum()
    places = {id(structure): i for i, structure in enumerate(frames.structures)}
    for structure, share in picked:
        assert abs(share - p[places[id(structure)]]) <= 1e-3


def test_a_frame_of_another_run_is_refused(kit, tmp_path) -> None:
    run = kit.run(kit.Harmonic(), 20, 45, seed=1)
    path = tmp_path / "P0.culled.extxyz"
    _frames(path, [float(run.enthalpy[5]), float(run.enthalpy[6]) * (1 + 1e-8)])
    with pytest.raises(InputError, match="frame 1: expected the enthalpy of a culled"):
        read_frames(path, run)


def test_samples_at_another_pressure_need_the_pressure(kit) -> None:
    run = kit.run(kit.Harmonic(), 20, 5, seed=1, pressure=None)
    with pytest.raises(InputError, match="the pressure they were sampled at is not known"):
        run.at_pressure(1.0)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="expected as many volumes as enthalpies"):
        Samples(np.zeros(3), np.ones(2), 3, 5)
