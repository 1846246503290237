"""`acepot ns`: phases of a model by nested sampling at constant pressure."""

from __future__ import annotations

import argparse
from pathlib import Path

from acepot.cli.terminal import show
from acepot.sampling.config import load_config

_EPILOG = """\
DIR then holds ns.toml (every default written out), log.csv (enthalpy, volume, temperature,
acceptance), for each pressure k the culled enthalpies Pk.energies in pymatnest's format, culled
configurations Pk.culled.extxyz and at the end the live ones Pk.live, the last checkpoint as HDF5,
and ns.png. The same command again goes on from the checkpoint, however the first one ended; with a
lower stop.temperature the run is made longer. acepot ns-analyse DIR then makes curves of it.
docs/ns_toml.md has all keys, docs/nested_sampling.md says how to choose them.

examples:
  acepot ns silicon.toml --out run --watch
  acepot ns silicon.toml --out run --dask tcp://node1:8786
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("config", metavar="CONFIG.toml", help="the run")
    verb.add_argument("--out", required=True, metavar="DIR", help="folder of the run")
    verb.add_argument("--watch", action="store_true", help="keep a page with the curves so far")
    verb.add_argument("--dask", metavar="ADDRESS", help="walk on the workers of a Dask scheduler")
    verb.add_argument("--no-plots", action="store_true", help="draw nothing")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    config = load_config(options.config)
    # Here, so that the other verbs do not need h5py.
    from acepot.sampling.run import sample

    sample(
        config,
        options.out,
        say=show,
        plots=not options.no_plots,
        watch=options.watch,
        dask=options.dask,
    )
    show(f"written  {Path(options.out)}")
    return 0
