"""Code for one instruction set stays where only processors that have it go.

The standard library's templates are compiled into every object under one name, and a linker keeps
any of them: one that was compiled for AVX-512 would stop other processors in code that all share.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from acepot.compilation import native_library
from acepot.evaluate.native import built_instruction_sets

#: The only names of an instruction set's object: functions ace::make_...
FACTORY = re.compile(r"_ZN3ace\d\d?make_")
#: What x86 processors without AVX do not know: every instruction with the prefix of AVX begins so.
VEX = re.compile(r"^\s*[0-9a-f]+:\s+(v[a-z]|.*%[yz]mm)")
ORDERS = {"alphabetical": False, "reverse": True}


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """What a program of binutils prints."""
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"{command[0]} of binutils is not installed; it comes with every GCC")
    return subprocess.check_output(command, text=True, cwd=cwd)


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The objects of libace.a by their names without an ending; a second one as plan.2."""
    archive, folder = native_library().archive, tmp_path_factory.mktemp("members")
    found: dict[str, Path] = {}
    for member, count in Counter(run("ar", "t", archive).split()).items():
        for k in range(1, count + 1):
            stem = member.split(".")[0] + (f".{k}" if k > 1 else "")
            run("ar", "xN", str(k), archive, member, cwd=folder)
            found[stem] = (folder / member).rename(folder / f"{stem}.o")
    return found


@pytest.fixture(scope="module")
def sets(members: dict[str, Path]) -> dict[str, Path]:
    """Those of instruction sets."""
    names = ["baseline" if name == "neon" else name for name in built_instruction_sets()]
    return {name: members[name] for name in names}


def visible(file: Path) -> set[str]:
    """The names that a linker sees."""
    # Small letters are local, but for weak (v, w) and unique names (u).
    return {name for name, kind in symbols(file) if kind.isupper() or kind in "uvw"}


def symbols(file: Path) -> Iterator[tuple[str, str]]:
    """Names that are defined and their kinds."""
    for line in run("nm", "--defined-only", file).splitlines():
        _, kind, name = line.split(maxsplit=2)
        yield name, kind


def with_its_locals_renamed(file: Path) -> Path:
    """The same object, whose local functions cannot be mistaken for others' of these names."""
    # Two files of an instruction set may each have a local function of one name.
    pairs = {f"{name} {file.stem}:{name}\n" for name, kind in symbols(file) if kind == "t"}
    names, renamed = file.with_suffix(".names"), file.with_suffix(".renamed")
    names.write_text("".join(pairs), encoding="utf-8")
    run("objcopy", f"--redefine-syms={names}", file, renamed)
    return renamed


def vex_functions(file: Path) -> Iterator[str]:
    """Functions with instructions of AVX."""
    name = ""
    for line in run("objdump", "-d", "--no-show-raw-insn", file).splitlines():
        if line.endswith(">:"):
            name = line.partition("<")[2].removesuffix(">:")
        elif name and VEX.match(line):
            yield name
            name = ""


# ------------------------------------------------------------------ the objects


def test_an_instruction_set_shows_nothing_but_its_factories(sets: dict[str, Path]) -> None:
    for name, file in sets.items():
        others = [symbol for symbol in visible(file) if not FACTORY.match(symbol)]
        assert not others, f"{name}: {len(others)} names can be linked, such as {others[:3]}"
        assert visible(file), f"{name} has no factory"


def test_an_instruction_set_is_in_no_group_of_which_a_linker_keeps_one(
    sets: dict[str, Path],
) -> None:
    for file in sets.values():
        assert "no section groups" in run("readelf", "--section-groups", "--wide", file)


def test_shared_code_is_for_every_processor(
    members: dict[str, Path], sets: dict[str, Path]
) -> None:
    if "avx2" not in sets:
        pytest.skip("this processor's family has one instruction set")
    for name in members.keys() - sets.keys():
        assert not list(vex_functions(members[name])), name
    assert list(vex_functions(sets["avx2"])), "AVX is not recognised"


def test_a_type_is_described_in_one_object(members: dict[str, Path]) -> None:
    """An exception is caught by its description: two of them need not be the same."""
    for name in ("5Error", "9Evaluator", "10RowBuilder"):
        holders = [m for m, file in members.items() if f"_ZTIN3ace{name}E" in visible(file)]
        assert len(holders) == 1, f"{name}: {holders}"


# ------------------------------------------------------------------ linked


@pytest.mark.slow
@pytest.mark.parametrize("order", list(ORDERS))
def test_no_order_of_members_brings_avx_into_shared_functions(
    members: dict[str, Path], sets: dict[str, Path], tmp_path: Path, order: str
) -> None:
    if "avx2" not in sets:
        pytest.skip("this processor's family has one instruction set")
    names = sorted(members, reverse=ORDERS[order])
    files = [with_its_locals_renamed(members[name]) for name in names]
    linked = tmp_path / "linked.o"
    run("ld", "-r", "-o", linked, *files)
    shared = visible(linked)
    mixed = [f for f in vex_functions(linked) if f in shared and not FACTORY.match(f)]
    assert not mixed


# ------------------------------------------------------------------ the shared library


def test_the_shared_library_shows_the_functions_of_the_header_alone() -> None:
    library = native_library()
    header = (library.headers / "ace" / "c_api.h").read_text(encoding="utf-8")
    declared = set(re.findall(r"^ACE_API .*?\b(ace_\w+)\(", header, re.MULTILINE))
    lines = run("nm", "--dynamic", "--defined-only", library.shared).splitlines()
    names = {line.split()[-1].partition("@")[0] for line in lines}
    assert declared and names - {"ace_1"} == declared
