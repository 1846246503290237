"""`properties`: what a model says about materials, in a folder, and on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from acepot.errors import AceError
from acepot.properties.defect_steps import interstitial_step, surface_step, vacancy_step
from acepot.properties.force_constants import require_phonopy
from acepot.properties.melting import melting
from acepot.properties.members import open_model
from acepot.properties.results import FILES, written
from acepot.properties.settings import STEPS, PropertySettings
from acepot.properties.steps import (
    Case,
    elastic_step,
    expansion_step,
    lattice_step,
    phonon_step,
)
from acepot.properties.values import Finding, Value, read_references
from acepot.run.checkpoint import CannotGoOnError, Checkpoint
from acepot.run.folder import RunFolder, digest, run_folder
from acepot.run.progress import Progress
from acepot.run.signals import stop_request
from acepot.schema import to_mapping, to_toml

__all__ = ["SETTINGS", "Findings", "properties"]

SETTINGS = "properties.toml"
#: What was found, by structure and by property.
Findings = dict[str, dict[str, Finding]]
_FUNCTIONS: Mapping[str, Callable[[Case], Finding]] = {
    "lattice": lattice_step,
    "elastic": elastic_step,
    "phonons": phonon_step,
    "expansion": expansion_step,
    "surfaces": surface_step,
    "vacancies": vacancy_step,
    "interstitials": interstitial_step,
}
_MELTING = "melting"


def properties(
    model: str | Path,
    settings: PropertySettings,
    folder: str | Path,
    *,
    posterior: str | Path | None = None,
    reference: str | Path | None = None,
    say: Callable[[str], None],
) -> Findings:
    """Compute the properties of crystals, with errors by the model's members.

    Leaves properties.html, properties.json, properties.csv and properties.toml. However the process
    ends, the same call goes on after the last property.

    Args:
        model: file of the model.
        settings: which structures and properties.
        folder: for the results.
        posterior: file of the model's posterior; None: errors are those of its committee.
        reference: TOML file of values to compare with; it may change from call to call.
        say: takes lines for people.

    Raises:
        InputError: a file, structure or folder that is wrong.
        MissingDependency: phonons without phonopy.
        KeyboardInterrupt: stopped by Ctrl-C or SIGTERM, after a property.
    """
    if not {"phonons", "expansion"} <= set(settings.skip):
        require_phonopy()
    references = read_references(reference)
    contents = {"model": digest(model)}
    contents |= {name: digest(name) for name in settings.structures if Path(name).exists()}
    if posterior is not None:
        contents["posterior"] = digest(posterior)
    with run_folder(folder, SETTINGS, writes=FILES, say=say) as home:
        toml = to_toml(to_mapping(settings))
        last = home.begin(toml, {"kind": "properties"}, contents)
        run = _Run(Path(model), posterior, settings, home, last, say)
        try:
            run.go()
        finally:
            written(run.findings, run.source, references, home.path, Path(model).name)
    return run.findings


class _Run:
    """Properties one after another."""

    def __init__(
        self,
        model: Path,
        posterior: str | Path | None,
        settings: PropertySettings,
        home: RunFolder,
        last: Checkpoint | None,
        say: Callable[[str], None],
    ) -> None:
        self._model, self._settings, self._home, self._last = model, settings, home, last
        self._say = say
        self._members = open_model(model, posterior, settings.members, settings.seed)
        self.source = self._members.source
        self.findings: Findings = {name: {} for name in settings.structures}
        if last is not None:
            self.findings |= _restored(home.path / last.state)
            say(f"{home.path}: goes on after {last.step} properties")

    def go(self) -> None:
        """Compute what is left."""
        kinds = [one for one in STEPS if one not in self._settings.skip]
        kinds += [_MELTING] if self._settings.melting is not None else []
        tasks = [(name, kind) for name in self._settings.structures for kind in kinds]
        open_ = [(name, kind) for name, kind in tasks if kind not in self.findings[name]]
        cases = {name: Case(name, self._members, self._settings) for name, _ in open_}
        progress = Progress("properties", len(open_))
        with stop_request() as stop, progress.alive():
            for count, (name, kind) in enumerate(open_):
                if stop.is_set():
                    self._say("stopped; the same command goes on from here")
                    raise KeyboardInterrupt
                self._say(f"{name}: {kind}")
                self.findings[name][kind] = self._found(cases[name], kind)
                self._save()
                progress.update(count + 1)

    def _found(self, case: Case, kind: str) -> Finding:
        """What a property is, or why it could not be computed."""
        case.rest  # noqa: B018 - a crystal that is none ends the run, with its message
        try:
            if kind == _MELTING and self._settings.melting is not None:
                parts = self._home.path / f"melting {self._settings.structures.index(case.name)}"
                rest = case.rest.structure
                return melting(self._model, rest, self._settings.melting, parts, self._say)
            return _FUNCTIONS[kind](case)
        except AceError as error:
            self._say(f"{case.name}: {kind}: {error}")
            return Finding(notes=(f"{kind.capitalize()}: not computed: {error}",))

    def _save(self) -> None:
        state = {
            name: {kind: asdict(found) for kind, found in table.items()}
            for name, table in self.findings.items()
        }
        self._home.new_state(self._last).write_text(json.dumps(state), encoding="utf-8")
        done = sum(map(len, self.findings.values()))
        self._last = self._home.record(done, self._last)


def _restored(path: Path) -> Findings:
    """What a state holds."""
    try:
        state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: {
                kind: Finding(
                    tuple(Value(**value) for value in one["values"]),
                    tuple(one["notes"]),
                    one["curves"],
                )
                for kind, one in table.items()
            }
            for name, table in state.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CannotGoOnError(f"{path}: damaged ({error})") from error
