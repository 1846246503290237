"""A D-optimal choice: exactly greedy, better than chance, the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot import Structure
from acepot.cli.main import main
from acepot.errors import InputError
from acepot.survey import selection
from acepot.survey.features import features
from acepot.survey.selection import greedy, select

ROOT = Path(__file__).parents[3]
Rows = list[np.ndarray]


@pytest.fixture(scope="module")
def pool() -> list[Structure]:
    every, _ = acepot.read_structures(ROOT / "examples" / "data" / "Si_train.extxyz.xz")
    return every[::4]


def random_rows(seed: int, atoms: tuple[int, int] = (1, 12)) -> Rows:
    rng = np.random.default_rng(seed)
    shape = rng.normal(size=(9, 9)) * np.logspace(0, -2, 9)
    sizes = rng.integers(*atoms, size=40)
    return [rng.normal(size=(n, 9)) @ shape * rng.lognormal() for n in sizes]


def information(rows: Rows, chosen: list[int]) -> float:
    total = selection._LEAST * np.eye(rows[0].shape[1])
    for k in chosen:
        total += rows[k].T @ rows[k]
    return float(np.linalg.slogdet(total)[1])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("by_atoms", [False, True])
def test_the_choice_is_that_of_looking_at_all(seed: int, by_atoms: bool) -> None:
    rows = random_rows(seed)
    sizes = np.array([float(len(r)) if by_atoms else 1.0 for r in rows])
    room = 60.0 if by_atoms else 10.0
    found, gains = greedy(rows, sizes, room)
    chosen: list[int] = []
    while True:
        left = room - sizes[chosen].sum()
        now = information(rows, chosen)
        worth = {
            k: (information(rows, [*chosen, k]) - now) / sizes[k]
            for k in range(len(rows))
            if k not in chosen and sizes[k] <= left
        }
        if not worth:
            break
        chosen.append(max(worth, key=lambda k: worth[k]))
    assert found == chosen
    steps = [information(rows, chosen[:k]) for k in range(len(chosen) + 1)]
    np.testing.assert_allclose(gains, np.diff(steps), atol=1e-8)


def test_what_is_there_already_is_not_chosen_again() -> None:
    rows = random_rows(5)
    first, _ = greedy(rows, np.ones(40), 6.0)
    further, gains = greedy(rows, np.ones(40), 6.0, [rows[k] for k in first], skip=first)
    assert not set(first) & set(further)
    both, _ = greedy(rows, np.ones(40), 12.0)
    assert both == [*first, *further] and (gains > 0).all()


def test_it_is_better_than_chance_and_the_same_every_time(pool: list[Structure]) -> None:
    found = select(pool, count=8)
    assert found.chosen == select(pool, count=8).chosen
    assert len(set(found.chosen)) == 8 and (np.diff(found.gains) <= 1e-9).all()
    rows = [row.astype(float) for row in features(pool, ("Si",)).rows]
    best = information(rows, list(found.chosen))
    rng = np.random.default_rng(0)
    drawn = [information(rows, rng.permutation(len(pool))[:8].tolist()) for _ in range(30)]
    assert best > max(drawn)
    assert 0 < found.information < 1
    whole = select([*pool, pool[3]], count=1000)
    assert whole.information > 0.99 and sorted(whole.chosen) == list(range(len(pool)))


def test_a_rotated_pool_gives_the_same_choice(pool: list[Structure]) -> None:
    rng = np.random.default_rng(2)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turned = [Structure(s.numbers, s.positions @ turn, s.cell @ turn, s.pbc) for s in pool]
    assert select(turned, count=5).chosen == select(pool, count=5).chosen


def test_single_atoms_come_first_and_atoms_are_counted(pool: list[Structure]) -> None:
    atom = Structure([14], [[0, 0, 0]], energy=-0.8)
    found = select([*pool, atom], count=4)
    assert found.chosen[0] == len(pool) and len(found.chosen) == 4 and found.first == 1
    few = select(pool, atoms=150)
    assert sum(len(pool[k]) for k in few.chosen) <= 150
    with pytest.raises(InputError, match="and not both"):
        select(pool, count=3, atoms=10)
    with pytest.raises(InputError, match="one structure or atom at least, got 0"):
        select(pool, count=0)


def test_rows_fit_into_the_memory(pool: list[Structure], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = features(pool, ("Si",))
    monkeypatch.setattr("acepot.survey.features._BYTES", 4 * 40 * sum(map(len, pool)))
    small = features(pool, ("Si",))
    assert len(small.scale) <= 40 < len(whole.scale)
    assert all(row.dtype == np.float32 for row in small.rows)
    monkeypatch.setattr("acepot.survey.features._BYTES", 1000)
    with pytest.raises(InputError, match=f"got {sum(map(len, pool))}"):
        features(pool, ("Si",))


def test_the_command_writes_them_in_order_with_labels(
    pool: list[Structure],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    acepot.write_structures("pool.xyz", pool)
    assert main(["data", "select", "pool.xyz", "--count", "6", "--out", "chosen.xyz"]) == 0
    said = capsys.readouterr().out
    assert f"6 of {len(pool)} structures" in said and "of the information about" in said
    written, _ = acepot.read_structures("chosen.xyz")
    expected = [pool[k] for k in select(pool, count=6).chosen]
    assert [s.energy for s in written] == [s.energy for s in expected]
    words = ["--count", "3", "--given", "chosen.xyz", "--out", "more.xyz"]
    assert main(["data-select", "pool.xyz", *words]) == 0
    more, _ = acepot.read_structures("more.xyz")
    assert not {s.energy for s in more} & {s.energy for s in written}
    assert main(["data-select", "pool.xyz", "--count", "3", "--out", "pool.xyz"]) == 1
    assert "--out: pool.xyz is one of the files to choose from" in capsys.readouterr().err
