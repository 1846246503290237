"""The best model for a budget: from a configuration to the front, and to one of its models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from pathlib import Path

from acepot.evaluate.native import processors
from acepot.fitting.config import dump_config
from acepot.fitting.folder import fit_to_folder
from acepot.fitting.labels.examination import trusted
from acepot.fitting.pipeline import read
from acepot.fitting.recipe import Recipe
from acepot.fitting.resume import digest
from acepot.run.figure import require_matplotlib
from acepot.run.folder import RunFolder, run_folder
from acepot.search import results
from acepot.search.fits import Data
from acepot.search.outcome import Outcome, best, front
from acepot.search.plan import Plan, plan
from acepot.search.search import Search
from acepot.search.settings import SearchConfig

__all__ = ["BEST", "SETTINGS", "pareto"]

SETTINGS, BEST = "search.toml", "best"


def pareto(
    config: SearchConfig,
    folder: str | Path,
    *,
    say: Callable[[str], None],
    budget: float | None = None,
    threads: int | None = None,
    plots: bool = True,
) -> list[Outcome]:
    """Search for the models that are better than all that cost as much or less.

    Leaves `front.csv`, the page `front.html`, the picture `front.png`, `search.toml` (every default
    written out) and in `fits` the settings of each fit on the front; with a budget also the folder
    `best` of a fit. However the process ends, the same call goes on from the last model. Ctrl-C and
    SIGTERM let the fit under way end.

    Args:
        config: of the search.
        folder: of the search.
        say: called with lines for people.
        budget: µs for an atom that a model may cost, which is then fitted; None: none is.
        threads: structures handled at once; None: one per processor. Costs are of one thread.
        plots: draw pictures, which needs matplotlib.

    Returns:
        The front, by cost.

    Raises:
        InputError: data, configuration or folder are wrong, or all models cost more.
        MissingDependency: plots without matplotlib.
        KeyboardInterrupt: stopped by Ctrl-C or SIGTERM, after a checkpoint.
    """
    if plots:
        require_matplotlib(", or do without: --no-plots")
    threads = threads or processors()
    train, test, notes = read(config.fit, say)
    data = Data(train, test, config.search.folds, threads)
    planned = plan(config, train, test, threads)
    accept = config.fit.data.accept_labels
    trusted(planned.choice, train, test, notes, say, accept=accept, threads=threads)
    say(f"default: {planned.choice.basis_line or 'as given'}")
    say(f"up to {len(planned.candidates)} models, {config.search.folds + 1} fits each")
    writes = (results.TABLE, results.PAGE, results.PICTURE)
    with run_folder(folder, SETTINGS, writes=writes, say=say) as home:
        recipes = {one.name: one.recipe for one in planned.candidates}
        found = _searched(config, planned, data, home, say, inf if budget is None else budget)
        best_ones = front(found, config.search)
        _write(found, config, recipes, home.path, ended=True)
        if plots:
            results.draw(found, config.search, home.path / results.PICTURE)
        for line in results.verdicts(found, config.search):
            say(line)
        if budget is not None:
            one = best(found, config.search, budget)
            say(f"best for {budget:g} µs/atom: {one.name}, {one.cost:.2f} µs/atom")
            chosen = results.fit_of(config.fit, recipes[one.name])
            fit_to_folder(chosen, home.path / BEST, say=say, threads=threads, plots=plots)
    return best_ones


def _searched(
    config: SearchConfig,
    planned: Plan,
    data: Data,
    home: RunFolder,
    say: Callable[[str], None],
    budget: float,
) -> list[Outcome]:
    """The outcome of every model that was worth a trial."""
    contents = {"training data": digest(data.train), "test data": digest(data.test)}
    text = config.text(dump_config(config.fit, home.path.resolve()))
    last = home.begin(text, {"kind": "pareto"}, contents)
    aim, recipes = config.search, {one.name: one.recipe for one in planned.candidates}
    search = Search(planned.candidates, data, aim, aim.slack, home, last, say, budget)
    search.run(lambda: _write([*search.outcomes.values()], config, recipes, home.path, ended=False))
    return list(search.outcomes.values())


def _write(
    found: list[Outcome],
    config: SearchConfig,
    recipes: Mapping[str, Recipe],
    folder: Path,
    *,
    ended: bool,
) -> None:
    """What is known so far, but the picture."""
    results.write(found, config.search, folder, ended=ended)
    results.write_fits(found, config.search, recipes.__getitem__, config.fit, folder)
