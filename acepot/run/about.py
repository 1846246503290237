"""What makes a run what it is, and what of it may differ when the run goes on."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acepot.errors import InputError
from acepot.run.checkpoint import ANOTHER_FOLDER, CannotGoOnError, Checkpoint

__all__ = ["About", "Change", "MayChange", "never", "read"]

_BACK = f"put it back, or {ANOTHER_FOLDER}"
#: Keys of run.json that are about its going on, and not about what it is.
_CHECKPOINT, _CHANGES = "has_checkpoint", "changes"


@dataclass(frozen=True)
class Change:
    """A setting that differs from what it was when the run was last here.

    Args:
        key: dotted, such as run.threads.
        was: before; None: it was not there.
        now: None: it is not there any more.
    """

    key: str
    was: object
    now: object

    def __str__(self) -> str:
        return f"{self.key} was {self.was!r} and is now {self.now!r}"


#: Whether a run may go on with a change from its last checkpoint (None: it has none).
MayChange = Callable[[Change, Checkpoint | None], bool]


def never(change: Change, last: Checkpoint | None) -> bool:
    """No run goes on with any change."""
    return False


@dataclass(frozen=True)
class About:
    """What run.json says.

    Args:
        what: what makes the run what it is beside its settings, by what it is called.
        has_checkpoint: whether there has been one.
        changes: with which changes it has gone on: the step, and before and after by key.
    """

    what: Mapping[str, str]
    has_checkpoint: bool = False
    changes: list[dict[str, Any]] = field(default_factory=list)

    def text(self) -> str:
        """As JSON."""
        table: dict[str, Any] = dict(self.what)
        if self.has_checkpoint:
            table[_CHECKPOINT] = True
        if self.changes:
            table[_CHANGES] = self.changes
        return json.dumps(table, indent=1)

    def gone_on(self, last: Checkpoint, changes: list[Change]) -> About:
        """The same run after it went on with changes, which may be none."""
        more = {change.key: [change.was, change.now] for change in changes}
        entries = [{"step": last.step, **more}] if more else []
        return About(self.what, True, [*self.changes, *entries])


def read(path: Path) -> About:
    """What a run.json says.

    Raises:
        CannotGoOnError: it is damaged.
    """
    try:
        table = dict(json.loads(path.read_text()))
        changes = list(table.pop(_CHANGES, []))
        has_checkpoint = bool(table.pop(_CHECKPOINT, False))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise CannotGoOnError(f"{path}: damaged ({error})", _BACK) from error
    return About(table, has_checkpoint, changes)


def changed(path: Path, settings: str) -> list[Change]:
    """What of the settings in a TOML file is no longer so.

    Args:
        path: of the file.
        settings: TOML of now.

    Raises:
        CannotGoOnError: it is damaged.
    """
    try:
        before = _flat(tomllib.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise CannotGoOnError(f"{path}: damaged ({error})", _BACK) from error
    now = _flat(tomllib.loads(settings))
    return [
        Change(key, before.get(key), now.get(key))
        for key in {**before, **now}
        if before.get(key) != now.get(key)
    ]


def require_same(
    folder: Path,
    settings: list[Change],
    old: About,
    about: Mapping[str, str],
    contents: Mapping[str, str],
) -> None:
    """Refuse to go on with another run.

    Args:
        folder: of the run.
        settings: those that have changed and may not.
        old: what the run's run.json says.
        about: what it should say beside digests of data.
        contents: digests that it should say.

    Raises:
        CannotGoOnError: it names everything that has changed.
    """
    reasons = [str(change) for change in settings]
    reasons += [
        f"the {key} was {old.what.get(key)} and is now {value}"
        for key, value in about.items()
        if old.what.get(key) != value
    ]
    reasons += [
        f"the contents of the {key} have changed"
        for key, value in contents.items()
        if old.what.get(key) != value
    ]
    if reasons:
        raise CannotGoOnError(
            f"{folder} belongs to another run: {'; '.join(reasons)}",
            "choose another folder with --out, or undo the change to go on",
        )


def missing(path: Path) -> CannotGoOnError:
    """The error for a file that a run needs and has lost."""
    return CannotGoOnError(
        f"{path.parent}: {path.name} is missing, without which this run cannot go on", _BACK
    )


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    """Values by dotted key."""
    flat: dict[str, object] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def require_free(folder: Path, names: tuple[str, ...]) -> None:
    """Refuse a folder with files that a run would overwrite and has not made.

    Raises:
        InputError: it names the file.
    """
    for name in names:
        if (folder / name).exists():
            raise InputError(
                f"{folder}: expected a folder without {name}, which the run would overwrite, "
                f"got one with a {name} that no run has made; choose another folder"
            )
