"""`study`: a study of defects in its folder, on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from acepot.defects.reference import Calculator, Kept
from acepot.defects.results import FILES, PAGE, Profile, advice, written
from acepot.defects.settings import DefectSettings, dump_config
from acepot.defects.study import Outcome, Study, Trial, Variant, variants
from acepot.errors import AceError, InputError
from acepot.io.files import replaced
from acepot.io.modelfile import save
from acepot.io.registry import load
from acepot.io.structures.extxyz import write_structures
from acepot.potential import Potential
from acepot.properties.relaxation import Computes
from acepot.run.checkpoint import CannotGoOnError, Checkpoint
from acepot.run.folder import RunFolder, digest, run_folder
from acepot.run.progress import Progress
from acepot.run.signals import stop_request

__all__ = ["CALCULATIONS", "PAGE", "SETTINGS", "study"]

SETTINGS, CALCULATIONS = "defects.toml", "calculations.txt"


def study(
    config: DefectSettings,
    folder: str | Path,
    *,
    reference: Computes | None = None,
    say: Callable[[str], None],
) -> list[Outcome]:
    """How well models trained on small cells do in a large one.

    Leaves defects.html, defects.json, defects.csv, every cell at rest in cells/, every model in
    models/, and what the reference computed in calculations.txt. However the process ends, the same
    call goes on: no calculation is made twice and no fit.

    Args:
        config: of the study.
        folder: for the results.
        reference: computes energies, forces and virials; None: what the configuration names.
        say: takes lines for people.

    Raises:
        InputError: wrong settings or folder, or calculations that gave nothing.
        ConvergenceError: the reference does not come to rest.
        KeyboardInterrupt: stopped by Ctrl-C or SIGTERM, after a model.
    """
    contents = {} if config.model is None else {"model": digest(config.model)}
    if ":" not in config.crystal:
        contents["crystal"] = digest(config.crystal)
    writes = (*FILES, CALCULATIONS)
    with run_folder(folder, SETTINGS, writes=writes, say=say) as home:
        toml = dump_config(config, home.path.resolve())
        last = home.begin(toml, {"kind": "defects"}, contents)
        computes = _reference(config, home.path) if reference is None else reference
        try:
            kept = Kept(computes, home.path / CALCULATIONS)
            return _Run(Study(config, kept), home, last, say).go()
        finally:
            if isinstance(computes, Calculator):
                computes.close()


def _reference(config: DefectSettings, folder: Path) -> Computes:
    if config.reference is not None:
        return Calculator(config.reference, folder / "reference")
    if config.model is None:
        raise InputError(
            "model: expected a file whose model is the reference, or a table reference with a "
            "calculator, got neither"
        )
    return Potential(load(config.model))


class _Run:
    """Variants one after another."""

    def __init__(
        self, work: Study, home: RunFolder, last: Checkpoint | None, say: Callable[[str], None]
    ) -> None:
        self._work, self._home, self._last, self._say = work, home, last, say
        self._outcomes: list[Outcome] = []
        if last is not None:
            self._outcomes = _restored(home.path / last.state)
            say(f"{home.path}: goes on after {last.step} models")

    def go(self) -> list[Outcome]:
        """Everything that is left."""
        config = self._work.config
        done = {one.variant for one in self._outcomes}
        left = [one for one in variants(config) if one not in done]
        cells = [(d, n) for d in config.defects for n in (*sorted(config.sizes), config.size)]
        progress = Progress("defects", len(cells) + len(left))
        with stop_request() as stop, progress.alive():
            for count, (defect, size) in enumerate(cells, start=1):
                self._relaxed(defect, size)
                progress.update(count)
                if stop.is_set():
                    raise self._stopped()
            for count, variant in enumerate(left, start=len(cells) + 1):
                self._tried(variant)
                progress.update(count)
                if stop.is_set() and variant != left[-1]:
                    raise self._stopped()
        self._write(ended=True)
        for defect in config.defects:
            norm = self._profile(defect).norm
            self._say(advice(self._outcomes, defect, norm, config.target))
        return self._outcomes

    def _stopped(self) -> KeyboardInterrupt:
        self._say("stopped; the same command goes on from there")
        return KeyboardInterrupt()

    def _relaxed(self, defect: str, size: int) -> None:
        one = self._work.relaxation(defect, size)
        folder = self._home.path / "cells"
        folder.mkdir(exist_ok=True)
        path = folder / f"{defect.replace(' ', '-')}_{size}.extxyz"
        if not path.exists():
            write_structures(path, [one.rest.labelled(energy=one.energy)])
        norm = one.cell.norm(one.displacements)
        self._say(
            f"{defect}, {size}³ cells, {len(one.rest)} atoms: E_f {one.formation:.4f} eV, "
            f"‖Du‖ {norm:.4f} Å"
        )

    def _tried(self, variant: Variant) -> None:
        try:
            outcome, made = self._work.outcome(variant)
        except AceError as error:
            raise type(error)(f"{variant}: {error}") from error
        folder = self._home.path / "models"
        folder.mkdir(exist_ok=True)
        name = f"L{variant.size}_rattles{variant.rattles}_constants{variant.constants:g}.acepot"
        save(made.model, folder / name)
        self._outcomes.append(outcome)
        state = [asdict(one) for one in self._outcomes]
        self._home.new_state(self._last).write_text(json.dumps(state), encoding="utf-8")
        self._last = self._home.record(len(self._outcomes), self._last)
        for trial in outcome.trials:
            self._say(f"{variant}: {trial.defect}: {_line(trial)}")
        self._write(ended=False)

    def _write(self, *, ended: bool) -> None:
        config = self._work.config
        profiles = {d: self._profile(d) for d in config.defects}
        written(self._outcomes, profiles, config, self._home.path, ended=ended)
        with replaced(self._home.path / "displacements.csv") as file:
            file.write("defect,distance,strain\n")
            for defect, one in profiles.items():
                for r, d in zip(one.distances.tolist(), one.strains.tolist(), strict=True):
                    file.write(f"{defect},{r:.6g},{d:.6g}\n")

    def _profile(self, defect: str) -> Profile:
        one = self._work.relaxation(defect, self._work.config.size)
        distances, strains = one.cell.profile(one.displacements)
        norm = one.cell.norm(one.displacements)
        return Profile(np.asarray(distances), np.asarray(strains), norm, one.formation)


def _line(trial: Trial) -> str:
    if trial.geometry is None or trial.error is None:
        return f"‖∇E(u)‖ {trial.gradient:.2e} eV/Å; left the basin: {trial.note}"
    return (
        f"geometry {trial.geometry:.2e} Å, E_f off by {trial.error * 1e3:+.1f} meV, "
        f"limited by {trial.limit}"
    )


def _restored(path: Path) -> list[Outcome]:
    try:
        state: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        return [
            Outcome(
                **{
                    **one,
                    "variant": Variant(**one["variant"]),
                    "trials": tuple(Trial(**trial) for trial in one["trials"]),
                }
            )
            for one in state
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise CannotGoOnError(f"{path}: damaged ({error})") from error
