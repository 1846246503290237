"""The documentation is true: its code runs, its settings load, its lists are complete."""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from acepot.basis.choices import BOND_LENGTHS, resolve
from acepot.basis.species import SYMBOLS
from acepot.defects import settings as defects
from acepot.fitting.charges import config as charges
from acepot.fitting.config import FitConfig, load_config
from acepot.fitting.observables import Observable
from acepot.fitting.solvers import Solver
from acepot.friction import config as friction
from acepot.friction.coarse import config as coarse
from acepot.hal import config as hal
from acepot.hamiltonian import config as hamiltonian
from acepot.md import config as md
from acepot.sampling import config as ns
from acepot.schema import Kind, _start, to_toml
from acepot.search.settings import SearchSettings, load_search

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md")) + [
    p for p in [ROOT / "README.md", ROOT / "ase_ace" / "README.md"] if p.exists()
]
PACKAGES = ("acepot", "ase_ace", "openmm_ace", "ipi_driver", "lammps_ace", "torch_ace", "kim_ace")
#: Every page of the repository, for its links.
ALL_PAGES = sorted({*PAGES, *ROOT.glob("*/README.md"), *ROOT.glob("*/*/README.md")})
FIT_TOML, MD_TOML, NS_TOML, HAL_TOML, HAMILTONIAN_TOML = (
    ROOT / "docs" / f"{n}_toml.md" for n in ("fit", "md", "ns", "hal", "hamiltonian")
)
#: Tables of hal.toml that fit.toml has too, and whose page describes them.
OF_FITS = ("fit.basis.", "fit.weights", "fit.prior.", "fit.solver.", "fit.restraint.")
#: Likewise of hamiltonian.toml.
OF_BASES = tuple(
    f"hamiltonian.{name}."
    for name in (
        "onsite", "hopping", "onsite_solver", "hopping_solver", "bonds.radial", "overlap.radial",
    )
)  # fmt: skip
FRONT, FRICTION = ROOT / "docs" / "front.md", ROOT / "docs" / "friction.md"
DEFECTS, CHARGES = ROOT / "docs" / "defects.md", ROOT / "docs" / "charges.md"
#: Directly above a block: it is shown, not run.
NOT_RUN = re.compile(r"<!-- not run: \S.* -->")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page and the number of the line before its first, from 1."""

    page: Path
    line: int
    text: str


def blocks(page: Path, language: str) -> list[Block]:
    """The blocks of one language that are to be run."""
    found = []
    lines = page.read_text(encoding="utf-8").splitlines()
    start, opened = 0, False
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        opened = not opened
        if opened:
            start = number
        elif lines[start] == f"```{language}" and not NOT_RUN.fullmatch(lines[start - 1]):
            found.append(Block(page, start + 1, "\n".join(lines[start + 1 : number]) + "\n"))
    assert not opened, f"{page.name}: the block that begins in line {start + 1} is not closed"
    return found


def pages_with(language: str) -> list[Any]:
    return [pytest.param(p, id=str(p.relative_to(ROOT))) for p in PAGES if blocks(p, language)]


# ------------------------------------------------------------------ code


@pytest.mark.parametrize("page", pages_with("python"))
def test_python_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page share their names and a folder with the example data and a model."""
    shutil.copytree(ROOT / "examples" / "data", tmp_path, dirs_exist_ok=True)
    shutil.copy(ROOT / "models" / "Si-mlearn" / "model.acepot", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Solver, "kinds", dict(Solver.kinds))  # what a page adds is gone after it
    monkeypatch.setattr(Observable, "known", dict(Observable.known))
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks(page, "python"):
        # Empty lines in front, so that a traceback shows the line of the page.
        text = "\n" * block.line + block.text
        exec(compile(text, str(page), "exec", dont_inherit=True), names)


@pytest.mark.parametrize("page", pages_with("toml"))
def test_toml_of_a_page_loads(page: Path, tmp_path: Path) -> None:
    for block in blocks(page, "toml"):
        text = block.text
        if page in (MD_TOML, NS_TOML):
            path = tmp_path / "run.toml"
            path.write_text(text, encoding="utf-8")
            assert {MD_TOML: md, NS_TOML: ns}[page].load_config(path).model.endswith(".acepot")
            continue
        if page == FRICTION:
            path = tmp_path / "friction.toml"
            path.write_text(text, encoding="utf-8")
            (coarse if "fine" in tomllib.loads(text) else friction).load_config(path)
            continue
        if page == FRONT:
            path = tmp_path / "search.toml"
            path.write_text(text, encoding="utf-8")
            assert set(load_search(path).recipes()) > {"plain"}
            continue
        if page == DEFECTS:
            path = tmp_path / "study.toml"
            path.write_text(text, encoding="utf-8")
            assert defects.load_config(path).size >= 8
            continue
        if page == CHARGES:
            path = tmp_path / "charges.toml"
            path.write_text(text, encoding="utf-8")
            assert charges.load_config(path).data.train
            continue
        if page == HAL_TOML:
            path = tmp_path / "hal.toml"
            path.write_text(text, encoding="utf-8")
            assert hal.load_config(path).motion.temperature > 0
            continue
        if page == HAMILTONIAN_TOML:
            path = tmp_path / "hamiltonian.toml"
            path.write_text(text, encoding="utf-8")
            assert hamiltonian.load_config(path).data.train
            continue
        if "data" not in tomllib.loads(text):  # the one table that has no default
            text = f'data.train = "train.xyz"\n{text}'
        path = tmp_path / f"{page.stem}_line_{block.line}.toml"
        path.write_text(text, encoding="utf-8")
        config = load_config(path)
        if config.basis.elements:
            resolve(config.basis)


def test_lines_are_short_and_links_lead_somewhere() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        long = [i for i, line in enumerate(text.splitlines(), start=1) if len(line) > 100]
        assert page.name == "README.md" or not long, f"{page.name}: longer than 100: lines {long}"
    for page in ALL_PAGES:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (page.parent / target).exists(), f"{page.name}: no such page: {target}"


# ------------------------------------------------------------------ pages of settings


@dataclass(frozen=True)
class Key:
    """One key of the configuration: its dotted name, default (MISSING: none) and choices."""

    name: str
    default: Any
    choices: tuple[Any, ...]


def keys(cls: Any, base: object = None, prefix: str = "") -> Iterator[Key]:
    """Every key that a table of this class may have, with the keys of its sub-tables."""
    if not (issubclass(cls, Kind) and "kind" not in vars(cls)):
        yield from keys_of_fields(cls, base, prefix)
        return
    listed = prefix.endswith("[].")  # tables of kinds, none of which is there by itself
    assert listed or isinstance(base, cls), f"{prefix[:-1]} has no default"
    yield Key(f"{prefix}{cls.tag}", MISSING if listed else base.kind, tuple(cls.kinds))
    found: dict[str, Key] = {}
    for kind in cls.kinds.values():
        for key in keys_of_fields(kind, base, prefix):
            same = found.setdefault(key.name, key).default == key.default
            found[key.name] = key if same else replace(key, default=None)  # the page lists them
    yield from found.values()


def keys_of_fields(cls: Any, base: object, prefix: str) -> Iterator[Key]:
    """The keys of one class, but those that are known only when a file is read."""
    hints = get_type_hints(cls)
    for field in fields(cls):
        if "further" in field.metadata:
            continue
        name, hint = f"{prefix}{field.name}", hints[field.name]
        default = _start(cls, field.name, base)
        args = get_args(hint)
        if isinstance(hint, type) and (is_dataclass(hint) or issubclass(hint, Kind)):
            yield from keys(hint, None if default is MISSING else default, f"{name}.")
            continue
        yield Key(name, default, tuple(choices(hint)))
        for arm in args:  # a table that may be left out
            if default is None and is_dataclass(arm):
                yield from keys(arm, None, f"{name}.")
        listed = get_origin(hint) is tuple and args[0]
        if is_dataclass(listed) or listed in Kind.__subclasses__():
            yield from keys(args[0], None, f"{name}[].")
        if get_origin(hint) is dict and is_dataclass(args[1]):
            yield from keys(args[1], None, f"{name}.NAME.")


def choices(hint: Any) -> Iterator[Any]:
    if get_origin(hint) is Literal:
        yield from get_args(hint)
    else:
        for arm in get_args(hint):
            yield from choices(arm)


KEYS = {
    FIT_TOML: {key.name: key for key in keys(FitConfig)},
    MD_TOML: {key.name: key for key in keys(md.MDConfig)},
    NS_TOML: {key.name: key for key in keys(ns.NestedConfig)},
    FRONT: {key.name: key for key in keys(SearchSettings, prefix="search.")},
    DEFECTS: {
        key.name: key for key in keys(defects.DefectSettings) if not key.name.startswith(OF_FITS)
    },
    CHARGES: {
        key.name: key
        for key in keys(charges.ChargeConfig)
        if not key.name.startswith(("fit.basis.", "fit.prior."))
    },
    HAL_TOML: {key.name: key for key in keys(hal.HalConfig) if not key.name.startswith(OF_FITS)},
    HAMILTONIAN_TOML: {
        key.name: key
        for key in keys(hamiltonian.HamiltonianConfig)
        if not key.name.startswith(OF_BASES)
    },
}
SETTINGS = pytest.mark.parametrize("page", KEYS, ids=lambda page: page.name)


def described(page: Path) -> dict[str, str]:
    """What the page says about each key, by its name."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"^- `([^`]+)` (\(.*?)(?=\n- |\n\n|\n#)", text, re.MULTILINE | re.DOTALL)
    assert len({name for name, _ in found}) == len(found), "a key is described twice"
    return {name: " ".join(about.split()) for name, about in found}


@SETTINGS
def test_a_page_of_settings_describes_every_key_and_no_other(page: Path) -> None:
    assert set(described(page)) == set(KEYS[page])


@pytest.mark.parametrize(
    ("page", "name"), [pytest.param(p, n, id=f"{p.stem}-{n}") for p in KEYS for n in KEYS[p]]
)
def test_a_page_of_settings_tells_the_default_and_the_choices(page: Path, name: str) -> None:
    key, about = KEYS[page][name], described(page)[name]
    if key.default is MISSING:
        assert "required)" in about
    elif key.default is None or key.default == () or key.default == {}:
        assert "not set)" in about
    else:
        value = to_toml({"x": key.default}).removeprefix("x = ").strip()
        assert f"default `{value}`)" in about
    if "as `" in about.partition(",")[0]:  # the choices stand at the other key
        about = described(page)[about.split("`")[1]]
    missing = [c for c in key.choices if f"`{to_toml({'x': c})[4:].strip()}`" not in about]
    assert not missing, f"{name}: the choices {missing} are not on the page"


@SETTINGS
def test_a_page_of_settings_shows_every_key_in_an_example(page: Path) -> None:
    shown = {n for block in blocks(page, "toml") for n in flat(tomllib.loads(block.text))}
    assert set(KEYS[page]) - shown == set()


def flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted names of all keys in a TOML table, written as `keys` writes them."""
    for key, value in table.items():
        name = f"{prefix}{key}"
        if prefix in ("weights.", "embedding."):
            name = f"{prefix}NAME"
        yield name
        if isinstance(value, Mapping):
            yield from flat(value, f"{name}.")
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, Mapping):
                    yield from flat(item, f"{name}[].")


# ------------------------------------------------------------------ lists of facts


def test_conventions_lists_the_bond_lengths() -> None:
    text = (ROOT / "docs" / "conventions.md").read_text(encoding="utf-8")
    table = re.split(r"<!-- bond lengths -->\n|\n\n", text[text.index("<!-- bond lengths") :])[1]
    words = table.split()
    listed = dict(zip(words[::2], map(float, words[1::2]), strict=True))
    assert listed == {SYMBOLS[z]: length for z, length in BOND_LENGTHS.items()}


def test_design_has_a_sentence_for_every_file() -> None:
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `([\w/]+(?:\.py|/))` \|", text, re.MULTILINE))
    ghosts = [name for name in named if not (ROOT / name).exists()]
    assert not ghosts, f"docs/design.md names what does not exist: {ghosts}"
    folders = tuple(name for name in named if name.endswith("/"))
    there = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if path.name not in ("__init__.py", "__main__.py")
    }
    lacking = sorted(f for f in there - named if not f.startswith(folders))
    assert not lacking, f"docs/design.md needs a sentence for {lacking}"


def test_every_error_is_on_its_page() -> None:
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert len(set(listed)) == len(listed)
    ours = {"AceError"}
    classes = re.compile(r"^class (\w+)\(([^)]*)\)", re.MULTILINE)
    found = [
        (name, set(re.findall(r"\w+", bases)))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for name, bases in classes.findall(path.read_text(encoding="utf-8"))
    ]
    while more := {name for name, bases in found if bases & ours} - ours:
        ours |= more
    assert set(listed) == ours
