"""Laws of evaluators, formats and runs: ours obey them, broken ones are found."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import verlet_engine

import acepot
from acepot.evaluate.native import NativeEvaluator
from acepot.evaluate.protocol import Result
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.io.pace.write import write_yace
from acepot.md.simulation import simulate
from acepot.suites.engines import EngineLaws
from acepot.suites.evaluators import EvaluatorLaws
from acepot.suites.formats import FormatLaws
from acepot.suites.runs import RunLaws

SILICON = Path(__file__).parents[2] / "models" / "Si-mlearn" / "model.acepot"


class TestNative(EvaluatorLaws):
    """The compiled one."""

    evaluator = staticmethod(NativeEvaluator)


class TestReference(EvaluatorLaws):
    """The oracle itself: laws of physics are no comparison with it."""

    evaluator = staticmethod(ReferenceEvaluator)


class TestTorch(EvaluatorLaws):
    """The one of graphics cards, here on the processor."""

    @pytest.fixture(autouse=True)
    def _torch(self) -> None:
        pytest.importorskip("torch")
        from acepot.evaluate.torch.evaluator import TorchEvaluator

        type(self).evaluator = staticmethod(TorchEvaluator)


class TestOwnFormat(FormatLaws):
    """.acepot, to the last bit."""

    write, read = staticmethod(acepot.save), staticmethod(acepot.load)


class TestYace(FormatLaws):
    """PACE's text, of functions expanded in its own."""

    write, read = staticmethod(write_yace), staticmethod(acepot.load)
    exact, knows_its_end = 1e-7, False


class TestDynamics(RunLaws):
    """`acepot md` with an engine of ten lines."""

    def work(self, folder: Path) -> None:
        """Two hundred steps of silicon."""
        config = EngineLaws().config(folder.parent / "input", 200)
        simulate(config, folder, verlet_engine.ENGINE, say=lambda _: None, plots=False)


# ------------------------------------------------------------------ broken ones


class Lame(ReferenceEvaluator):
    """Forces a tenth too large, every atom's energy shifted."""

    def evaluate(self, structures: Any, *, committee: bool = False) -> list[Result]:
        found = super().evaluate(structures, committee=committee)
        return [replace(one, forces=1.1 * one.forces, energies=one.energies + 1) for one in found]


@pytest.mark.parametrize(
    ("law", "words"),
    [
        ("test_numbers_are_those_of_the_oracle", "energies are .* off"),
        ("test_forces_and_virial_are_derivatives_of_the_energy", "forces: .* differences"),
        ("test_an_atom_alone_has_its_own_energy", "eV, not"),
    ],
)
def test_an_evaluator_that_errs_is_found(law: str, words: str) -> None:
    class Laws(EvaluatorLaws):
        evaluator = staticmethod(Lame)

    with pytest.raises(AssertionError, match=words):
        getattr(Laws(), law)()


def _padded(model: acepot.Model, path: Path) -> None:
    """Writes in place, a random number first, and a file beside it."""
    acepot.save(model, path)
    path.with_suffix(".old").touch()
    path.write_bytes(os.urandom(8) + path.read_bytes())


def _loose(path: Path) -> acepot.Model:
    data = path.read_bytes()[8:] if path.exists() else b""
    try:
        model = acepot.load(data)
    except acepot.AceError:
        model = acepot.load(SILICON)
    return replace(model, e0=model.e0 + 1e-6)


@pytest.mark.parametrize(
    ("law", "words"),
    [
        ("test_a_model_that_is_read_has_the_same_numbers", "energies are .* off"),
        ("test_the_same_model_makes_the_same_bytes", "the files differ"),
        ("test_an_older_file_stays_until_the_new_one_is_complete", "left over"),
        ("test_a_file_that_is_cut_off_is_refused", "bytes were read as a model"),
        ("test_a_file_that_is_not_there_is_named", "was read"),
    ],
)
def test_a_format_that_errs_is_found(law: str, words: str, tmp_path: Path) -> None:
    class Laws(FormatLaws):
        write, read = staticmethod(_padded), staticmethod(_loose)

    with pytest.raises(AssertionError, match=words):
        getattr(Laws(), law)(tmp_path)


class Forgetful(RunLaws):
    """Adds a line for every call, with the number of the process."""

    def work(self, folder: Path) -> None:
        """Begin or go on."""
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "log").open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()} {np.random.default_rng().random()}\n")


@pytest.mark.parametrize(
    ("law", "words"),
    [
        ("test_two_runs_are_the_same", "log differ"),
        ("test_a_run_that_is_complete_stays_as_it_is", "it changed"),
        ("test_a_run_that_is_killed_goes_on_to_the_same_bytes", "log differ"),
        ("test_a_folder_has_one_run_at_a_time", "log differ"),
    ],
)
def test_a_run_that_errs_is_found(law: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=words):
        getattr(Forgetful(), law)(tmp_path)
