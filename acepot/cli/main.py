"""`acepot VERB ...`: parse, call one library function, print."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from acepot import __version__
from acepot.cli.terminal import complain, forget_output, prepare, show
from acepot.errors import AceError

#: What `acepot --help` says of every verb, a module of this package each, with _ for -.
VERBS = {
    "data": "look at data before they are fitted: labels, units, duplicates, outliers",
    "data-select": "choose the structures of a pool that determine a model best",
    "fit": "fit a model to energies and forces (and virials)",
    "pareto": "the best model for a budget: errors and cost of many models",
    "converge": "errors against cut-off, order, degree and prior",
    "eval": "errors of a model on labelled data, and its predictions",
    "info": "what is in a model file, how large a configured basis is, what runs a model here",
    "check": "test a model against the laws every potential obeys",
    "properties": "lattice, elasticity, phonons, surfaces, defects, melting on one page",
    "defects": "how far small training cells with a defect carry, with force constants or not",
    "chain": "one report of errors from the reference to the quantities asked for",
    "plot": "draw dimer curves and, with data, parity plots",
    "convert": "write a model file in another format: .acepot, PACE's .yace or tables",
    "md": "molecular dynamics in ASE, OpenMM, i-PI or LAMMPS",
    "hal": "hyperactive learning: a model from a few structures and a reference",
    "select": "choose the structures of a pool that are most worth labelling",
    "friction-fit": "fit a model of friction to friction tensors",
    "friction-eval": "errors of a model of friction, or its tensors for structures",
    "friction-coarse": "a coarse model with friction, from fine trajectories",
    "charges-fit": "fit a model with long-range charges",
    "charges-eval": "charges, dipoles and Born charges of structures, or errors",
    "ns": "nested sampling: phases of a model at constant pressure",
    "ns-analyse": "thermodynamics, transitions and phases from nested sampling runs",
    "hamiltonian-convert": "matrices of another program in one file, tested",
    "hamiltonian-check": "what is in files with matrices, and whether it can be right",
    "hamiltonian-pyscf": "H and S of structures, calculated by PySCF",
    "hamiltonian-fit": "fit a Hamiltonian in atomic orbitals to matrices of a program",
    "hamiltonian-predict": "H and S of structures, in a file",
    "hamiltonian-bands": "bands and density of states of a structure",
    "hamiltonian-repulsion": "make a Hamiltonian a tight-binding model with energies and forces",
    "models": "small models that come with acepot",
    "export": "write a model in the form that an engine reads",
    "build": "compile what an engine loads",
    "completion": "words that the shell completes",
}
_EPILOG = """examples:
  acepot data train.xyz --out data.html                what the data hold, and what is strange
  acepot data-select pool.xyz --count 200 --out train.xyz  the 200 that tell most
  acepot fit train.xyz --test test.xyz --out Si        fit with the defaults
  acepot fit fit.toml --out Si                         fit as a file says
  acepot pareto train.xyz --out front --budget 3       the best model for 3 µs/atom
  acepot converge fit.toml --sweep cutoff 4 5 6 --out sweeps  errors against the cut-off
  acepot eval Si/model.acepot test.xyz --report r.json errors on labelled data
  acepot info Si/model.acepot                          what is in a model file
  acepot check Si/model.acepot                         test it against the laws it must obey
  acepot properties Si/model.acepot Si:diamond         what silicon is by this model
  acepot defects tungsten.toml --out W-defects         which cells to compute for defects
  acepot chain silicon.toml --out Si-chain             what each level adds to the error
  acepot plot Si/model.acepot test.xyz --out plots     parity plots and dimer curves
  acepot convert Si/model.acepot Si.yace               the model for LAMMPS' pair_style pace
  acepot md silicon.toml --engine ase --out run        molecular dynamics
  acepot hal silicon.toml --out run                    learn from a reference, actively
  acepot select md.xyz --model run/model.acepot --posterior run/posterior.acepot --count 50 \
      --out chosen.extxyz                              most worth labelling
  acepot friction fit friction.toml --out friction     a model of friction
  acepot charges fit nacl.toml --out nacl              energies with long-range charges
  acepot ns silicon.toml --out run                     nested sampling
  acepot ns-analyse run-1 run-2 run-3 --out analysis   what nested sampling runs say
  acepot hamiltonian fit silicon.npz --out SiH         a Hamiltonian in atomic orbitals
  acepot hamiltonian bands SiH/model.acepot diamond.xyz --out bands.png  its bands
  acepot models W --out W.acepot                       a model that comes with acepot
  acepot export Si/model.acepot Si.tables              the model for LAMMPS' pair_style acepot
  acepot build lammps                                  compile pair_style acepot
"""


class Parser(argparse.ArgumentParser):
    """Raw help texts, so that examples keep their lines."""

    def __init__(self, **options: object) -> None:
        super().__init__(
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            **options,  # type: ignore[arg-type]
        )


def parser(words: Sequence[str] | None = None) -> argparse.ArgumentParser:
    """The command line.

    Args:
        words: of a command: only the verb among them gets its options, which imports what it
            runs. None: all verbs do.
    """
    top = Parser(prog="acepot", epilog=_EPILOG)
    top.description = "The Atomic Cluster Expansion: fit potentials and try them."
    top.add_argument("--version", action="version", version=f"acepot {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)
    chosen = VERBS if words is None else [word for word in words if word in VERBS][:1]
    for name, summary in VERBS.items():
        verb = verbs.add_parser(name, help=summary, description=summary)
        if name in chosen:
            module = import_module(f"acepot.cli.{name.replace('-', '_')}")
            module.add_to(verb)
            verb.add_argument("--debug", action="store_true", help="show the traceback of an error")
            verb.set_defaults(run=module.run)
    return top


def _joined(words: Sequence[str]) -> Sequence[str]:
    """`data select` is the verb data-select, and so are others of two words."""
    joined = "-".join(words[:2])
    return [joined, *words[2:]] if joined in VERBS and len(words) > 1 else words


def _verbs_of(words: Sequence[str]) -> str:
    """What there is of verbs of two words, where the second is missing or unknown; "": nothing."""
    if not words or words[0] in VERBS or words[0].startswith("-"):
        return ""
    found = {name: text for name, text in VERBS.items() if name.startswith(f"{words[0]}-")}
    lines = [f"  acepot {name.replace('-', ' ', 1):28s}{text}" for name, text in found.items()]
    return "\n".join([f"usage: acepot {words[0]} VERB ...", "", *lines]) if lines else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        arguments: words after `acepot`; None: those of this process.

    Returns:
        Exit status: 0 done, 1 an error or a failed check, 2 wrong usage, 130 interrupted.
    """
    prepare()
    words = _joined(sys.argv[1:] if arguments is None else arguments)
    if several := _verbs_of(words):
        asked = len(words) == 1 or words[1] in ("-h", "--help")
        (show if asked else complain)(several)
        return 0 if asked else 2
    options = parser(words).parse_args(words)
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        complain("stopped; files that were not complete are as they were", after="\n")
        return 130
    except BrokenPipeError:
        forget_output()
        return 1
    except (AceError, OSError) as error:  # OSError: a full disk, say
        if options.debug:
            raise
        text = str(error)
        if isinstance(error, OSError) and error.filename is not None and error.strerror:
            text = f"{error.filename}: {error.strerror}"
        complain(f"error: {text}")
        return 1
    except Exception as error:
        if options.debug:
            raise
        complain(
            f"unexpected {type(error).__name__}: {error} (--debug shows where; please report it)"
        )
        return 1
