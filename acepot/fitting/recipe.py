"""What is fitted and how, whatever the data are: settings that check themselves."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from acepot.basis.choices import MAX_DEGREE
from acepot.basis.embedding import Embedding
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.fitting.bounds import LARGEST, at_least
from acepot.fitting.newton_cg import NewtonCG
from acepot.fitting.observables import Observable
from acepot.fitting.priors import Algebraic, Prior
from acepot.fitting.solvers import BLR, Solver
from acepot.fitting.weighting import FACTORS, Uniform, Weighting
from acepot.schema import LATER, Settings, further
from acepot.structure import Structure

__all__ = [
    "AUTOMATIC",
    "TRIED",
    "Committee",
    "Densities",
    "LearnedRadials",
    "Recipe",
    "Restraint",
    "Weights",
    "check_observables",
]

#: What is fitted unless something else is asked for, and what beside it if it is consistent.
AUTOMATIC, TRIED = ("energy", "forces"), ("virial",)
#: What the native evaluator can hold beside the model.
_MEMBERS = 255


def check_observables(where: str, names: tuple[str, ...]) -> None:
    """Check the names of what is to be fitted.

    Raises:
        InputError: none, an unknown one, or one twice; the message begins with `where`.
    """
    for i, name in enumerate(names):
        Observable.named(name, f"{where}[{i}]")
    if not names or len(set(names)) < len(names):
        known = ", ".join(Observable.known)
        raise InputError(f"{where}: expected one or more of {known}, each once, got {list(names)}")


@dataclass(frozen=True)
class Weights(Settings):
    """Weights of the rows of one config type, multiplied in once when rows are assembled.

    Args:
        energy: of the energy row, which is also divided by √n (n atoms).
        forces: of each force component.
        virial: of each of six virial components, which are also divided by √n.
        others: of further observables by name; those that are not named have their own default.
    """

    energy: float = 30.0
    forces: float = 1.0
    virial: float = 1.0
    others: dict[str, float] = further(lambda: Observable.known)

    def check(self) -> None:
        """All must be 0 or more, and of observables that there are."""
        for name in ("energy", "forces", "virial"):
            at_least(name, getattr(self, name))
        for name, value in self.others.items():
            Observable.named(name, "others")
            at_least(name, value)

    def of(self, observable: Observable) -> float:
        """The weight of an observable."""
        own = {"energy": self.energy, "forces": self.forces, "virial": self.virial, **self.others}
        return own.get(observable.name, observable.weight)


#: Å; an envelope r^-12 at a smaller distance would overflow in squares of weighted rows.
_NEAREST = 1e-4
#: Most artificial cells.
_CELLS = 100_000


@dataclass(frozen=True)
class Restraint(Settings):
    """Artificial energies that make a model repulsive at short distance.

    Args:
        weight: of the row of each dimer, for the pair potential; 0: none.
        distance: of the two atoms in Å, 0.0001 or more.
        cells: how many squeezed cells with the energies of screened nuclei, for the whole model.
    """

    weight: float = 0.01
    distance: float = 0.01
    cells: int = field(default=0, metadata=LATER)

    def check(self) -> None:
        """The weight may not be negative, the distance not tiny."""
        at_least("cells", self.cells, most=_CELLS)
        at_least("weight", self.weight)
        at_least("distance", self.distance, _NEAREST)


@dataclass(frozen=True)
class Committee(Settings):
    """Models drawn from the posterior to measure the uncertainty.

    Args:
        size: how many are stored with the model, up to 255; 0: none.
        seed: of the generator that draws them.
        calibrate: scale standard deviations on structures left out, and keep the posterior.
    """

    size: int = 0
    seed: int = 0
    calibrate: bool = field(default=False, metadata=LATER)

    def check(self) -> None:
        """What a generator and the native evaluator take."""
        at_least("size", self.size, most=_MEMBERS)
        at_least("seed", self.seed)


@dataclass(frozen=True)
class Densities(Settings):
    """E_i = E0 + Σ_p w_p F_{m_p}(ρ_ip) of P densities; the first is linear.

    Args:
        kind: the function F, as `acepot.basis.embedding.Embedding` has it.
        weights: w_p.
        exponents: m_p; that of the first density is 1.
    """

    kind: Literal["FinnisSinclair", "FinnisSinclairShiftedScaled"] = "FinnisSinclairShiftedScaled"
    weights: tuple[float, ...] = (1.0, 1.0)
    exponents: tuple[float, ...] = (1.0, 0.5)

    def check(self) -> None:
        """What an embedding takes, with a first density that the linear fit can begin."""
        self.embedding  # noqa: B018 - refuses other lengths and signs
        if self.weights[0] == 0 or self.exponents[0] != 1:
            raise InputError(
                "exponents: the first density is linear: expected a weight that is not 0 and the "
                f"exponent 1, got {self.weights[0]:g} and {self.exponents[0]:g}"
            )

    @property
    def embedding(self) -> Embedding:
        """The same for an evaluator."""
        return Embedding(self.kind, self.weights, self.exponents)


@dataclass(frozen=True)
class LearnedRadials(Settings):
    """Radial functions that are combinations of many, R_n = Σ_k w_nk g_k, w learned from the data.

    Args:
        functions: how many g_k are combined for each pair of elements.
        by_l: learn functions of every l by themselves.
        steps: at most so many improvements of w.
        atoms: w is learned from structures with about so many atoms in all, of every config type
            its part.
        held_out: part of these that only decides when to end; 0: none.
        strength: standard deviation that the prior gives to the change of w_n1; that of w_nk is
            smaller by k^smoothness.
        smoothness: how fast it falls.
        seed: of the generator that draws the structures.
    """

    functions: int = 16
    by_l: bool = False
    steps: int = 12
    atoms: int = 6000
    held_out: float = 0.1
    strength: float = 1.0
    smoothness: float = 2.0
    seed: int = 0

    def check(self) -> None:
        """Numbers that can be."""
        at_least("functions", self.functions, 2, most=MAX_DEGREE)
        at_least("steps", self.steps)
        at_least("atoms", self.atoms, 1)
        at_least("strength", self.strength, above=True)
        at_least("smoothness", self.smoothness)
        at_least("seed", self.seed)
        if not 0 <= self.held_out < 1:
            raise InputError(f"held_out: expected a part from 0 to below 1, got {self.held_out}")


@dataclass(frozen=True)
class Recipe(Settings):
    """What is fitted and how, whatever the data are.

    Args:
        basis: the basis functions.
        observables: what enters the fit.
        tried: what also enters if its labels are consistent with the others: virials or nothing.
        e0: energy of each isolated atom in eV by symbol; None: from the isolated atoms in the
            training data, else by least squares.
        weights: by config type; "default" (30, 1, 1 if absent) holds for all others.
        prior: smoothness.
        solver: of the linear problem.
        restraint: of the pair potential at short distance, where its envelope is repulsive.
        committee: of the posterior.
        embedding: makes the model nonlinear: densities by element, "default" for all others.
        nonlinear: how such a model is fitted.
        learned: radial functions that are learned; None: those of the basis as they are.
        weighting: what multiplies the weights of each structure.
    """

    basis: BasisSpec = field(default_factory=BasisSpec)
    observables: tuple[str, ...] = AUTOMATIC
    tried: tuple[str, ...] = field(default=(), metadata=LATER)
    e0: dict[str, float] | None = None
    weights: dict[str, Weights] = field(default_factory=dict)
    prior: Prior = field(default_factory=Algebraic)
    solver: Solver = field(default_factory=BLR)
    restraint: Restraint = field(default_factory=Restraint)
    committee: Committee = field(default_factory=Committee)
    embedding: dict[str, Densities] = field(default_factory=dict, metadata=LATER)
    nonlinear: NewtonCG = field(default_factory=NewtonCG, metadata=LATER)
    learned: LearnedRadials | None = field(default=None, metadata=LATER)
    weighting: Weighting = field(default_factory=Uniform, metadata=LATER)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "weights", {"default": Weights(), **self.weights})

    def check(self) -> None:
        """There must be something to fit."""
        check_observables("observables", self.observables)
        for symbol, energy in (self.e0 or {}).items():
            at_least(f"e0.{symbol}", energy, -LARGEST)
        if self.tried not in ((), TRIED) or set(self.tried) & set(self.observables):
            raise InputError(f"tried: expected {list(TRIED)} or nothing, got {list(self.tried)}")
        if self.embedding and (self.committee.size or self.committee.calibrate):
            raise InputError(
                "committee: nonlinear models have none: expected size = 0 and calibrate = false "
                f"beside embedding, got {self.committee.size} and {self.committee.calibrate}"
            )
        if self.learned is not None and self.basis.bonds_once:
            raise InputError(
                "basis.bonds_once: expected false beside learned, whose radial functions of A-B "
                "and B-A differ, got true"
            )
        if self.learned is not None and self.basis.formulation != "self-interaction":
            raise InputError(
                'learned: expected basis.formulation = "self-interaction", got '
                f"{self.basis.formulation!r}, whose products have radial functions of their own"
            )
        nonlinear = self.embedding or self.learned is not None
        if nonlinear and (strange := set(self.observables) - {*AUTOMATIC, *TRIED}):
            raise InputError(
                f"observables: nonlinear models are fitted to {', '.join((*AUTOMATIC, *TRIED))}, "
                f"got {min(strange)!r}"
            )

    def embeddings(self) -> tuple[Embedding, ...]:
        """Of every element of the resolved basis; none for a linear model.

        Raises:
            InputError: of one there is none, or there is one of another.
        """
        if not self.embedding:
            return ()
        elements, given = self.basis.elements, self.embedding
        if strange := set(given) - {"default", *elements}:
            raise InputError(f"embedding.{min(strange)}: expected {', '.join(elements)} or default")
        if missing := [e for e in elements if e not in given and "default" not in given]:
            raise InputError(f"embedding: {missing[0]} has none; give one, or embedding.default")
        return tuple((given.get(one) or given["default"]).embedding for one in elements)

    def weights_of(self, structure: Structure) -> Weights:
        """The weights of a structure: of its config type, else the default, times its own factors.

        Args:
            structure: as `Weighting.weighed` gives it, or any.
        """
        found = self.weights.get(structure.config_type, self.weights["default"])
        factors = structure.labels.get(FACTORS)
        if factors is None:
            return found
        energy, forces, virial = factors.tolist()
        return replace(
            found,
            energy=found.energy * energy,
            forces=found.forces * forces,
            virial=found.virial * virial,
        )
