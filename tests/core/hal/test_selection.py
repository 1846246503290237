"""What is most worth labelling: against a choice that looks at everything every time."""

import numpy as np
import pytest
from hal_cases import lennard_jones

import acepot
from acepot.cli.main import main
from acepot.errors import InputError
from acepot.fitting.recipe import Weights
from acepot.hal.selection import by_extrapolation, by_uncertainty
from acepot.io.structures.datasets import read_structures
from acepot.structure import Structure
from acepot.uncertainty.energies import UncertainPotential
from acepot.uncertainty.extrapolation import ActiveSet, SiteFunctions
from acepot.uncertainty.posterior import Posterior
from acepot.uncertainty.posterior_file import save_posterior


def crystal(random, width):
    places = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]) * 3.5
    moved = places + width * random.normal(size=(4, 3))
    return Structure([18] * 4, moved, 3.5 * np.eye(3), True)


@pytest.fixture(scope="module")
def fit():
    random = np.random.default_rng(0)
    data = [lennard_jones(crystal(random, 0.08)) for _ in range(4)]
    basis = {"order": 2, "degree": 6, "cutoff": 4.0}
    return acepot.fit(data, basis, threads=1, e0={"Ar": 0.0}, accept_labels=True)


@pytest.fixture(scope="module")
def pool():
    random = np.random.default_rng(1)
    several = [crystal(random, width) for width in np.linspace(0.02, 0.3, 14)]
    return [*several, several[-1].moved(several[-1].positions + 0.2)]  # the same once more


@pytest.fixture(scope="module")
def posterior(fit):
    """One in which labels tell something and not everything."""
    factor = 0.05 * np.random.default_rng(3).normal(size=(23, 23))
    return Posterior(fit.model, factor, 4.0)


def test_the_lazy_choice_is_that_of_looking_at_all(fit, pool, posterior):
    found = by_uncertainty(pool, posterior, 5, threads=1)
    left, taken = set(range(len(pool))), []
    for expected in found.grades:
        potential = UncertainPotential(posterior, 1)
        grades = {}
        for k in left:
            forces, _, spread = potential.moments([pool[k]])[0]
            own = np.linalg.norm(spread.reshape(-1, 3), axis=1)
            grades[k] = (own / (np.linalg.norm(forces.reshape(-1, 3), axis=1) + 0.2)).max()
        best = max(grades, key=grades.get)
        assert grades[best] == pytest.approx(expected, rel=1e-6)
        taken.append(best)
        left.remove(best)
        rows = potential.design.of(pool[best], ("energy", "forces"))
        rows[0] *= Weights().energy / 2.0
        inverse = np.linalg.inv(posterior.factor @ posterior.factor.T)
        covariance = np.linalg.inv(inverse + rows.T @ rows / posterior.noise)
        values, vectors = np.linalg.eigh(covariance)
        posterior = Posterior(fit.model, vectors * np.sqrt(values), posterior.noise)
    assert tuple(taken) == found.places


def test_a_structure_that_is_there_twice_is_taken_once(pool, posterior):
    few = [pool[-1], pool[-2], pool[0], pool[1]]
    found = by_uncertainty(few, posterior, 2, regularisation=1e3, threads=1)
    assert len({0, 1} & set(found.places)) == 1
    assert list(found.grades) == sorted(found.grades, reverse=True) and found.left < found.grades[1]


def test_grades_of_extrapolation_decide(fit, pool):
    functions = SiteFunctions.of_model(fit.model, threads=1)
    found = by_extrapolation(pool, functions, fit.train, 3)
    active = ActiveSet.chosen(functions, fit.train)
    every = [one.max() for one in active.grades(functions, pool)]
    assert found.grades == pytest.approx(sorted(every, reverse=True)[:3])
    assert found.left == pytest.approx(sorted(every, reverse=True)[3])
    with pytest.raises(InputError, match="count: expected one structure at least"):
        by_extrapolation(pool, functions, fit.train, 0)


@pytest.mark.parametrize("by", ["uncertainty", "extrapolation", "information"])
def test_the_command_writes_what_was_chosen(by, fit, pool, tmp_path, capsys):
    acepot.save(fit.model, tmp_path / "model.acepot")
    save_posterior(fit.posterior, tmp_path / "posterior.acepot")
    acepot.write_structures(tmp_path / "pool.xyz", pool)
    acepot.write_structures(tmp_path / "train.xyz", fit.train)
    words = ["select", str(tmp_path / "pool.xyz"), "--by", by, "--count", "3", "--threads", "1"]
    words += ["--out", str(tmp_path / "chosen.xyz"), "--given", str(tmp_path / "train.xyz")]
    if by != "information":
        words += ["--model", str(tmp_path / "model.acepot")]
        incomplete = words if by == "uncertainty" else words[:-2]
        assert main(incomplete) == 1
        assert "--posterior" in capsys.readouterr().err or by == "extrapolation"
    assert main([*words, "--posterior", str(tmp_path / "posterior.acepot")]) == 0
    chosen = read_structures(tmp_path / "chosen.xyz")[0]
    there = [s.positions.tolist() for s in pool]
    assert len(chosen) == 3 and all(s.positions.tolist() in there for s in chosen)
    assert "3 of 15 structures" in capsys.readouterr().out
