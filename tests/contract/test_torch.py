"""The torch evaluator is held to the oracle, eager and scripted, and to finite differences."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot.basis.choices import resolve
from acepot.basis.embedding import Embedding, Nonlinear
from acepot.basis.spec import BasisSpec
from acepot.basis.species import species_indices
from acepot.errors import InputError
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.lowering import lower
from acepot.model import Model
from acepot.neighbours import build
from acepot.structure import Structure
from acepot.tables import Tables

torch = pytest.importorskip("torch", reason="needs acepot[torch]")
torch.set_num_threads(1)

from acepot.evaluate.torch.edges import forces_and_virials  # noqa: E402
from acepot.evaluate.torch.evaluator import TorchEvaluator  # noqa: E402
from acepot.evaluate.torch.module import AceModule  # noqa: E402

SILICON = Path(__file__).parents[2] / "models" / "Si-mlearn" / "model.acepot"
GOLDEN = Path(__file__).parents[1] / "golden" / "data" / "pace"
OWN = ("density.yace", "distance.yace", "zbl.yace", "bessel.yace", "density.ace")
PACE = ("Al-Ni_opt_all.yace", "Cu-I.converted.yace", "ZBL_rep.converted.yace",
        "ethanol.converted.yace", "multispecies_AlNiCu.converted.yace",
        "Al.pbe.rhocore.ace")  # fmt: skip


def _assert_agree(tables: Tables, structures: list[Structure], what: str):
    """Energies to 1e-11, forces and virials to 1e-9 of 1 eV/Å or of the largest, members too."""
    committee = tables.members > 1
    found = TorchEvaluator(tables).evaluate(structures, committee=committee)
    slow = ReferenceEvaluator(tables).evaluate(structures, committee=committee)
    for structure, one, other in zip(structures, found, slow, strict=True):
        scale = max(np.abs(other.energies).max(), np.abs(other.forces).max(), 1.0)
        for name, limit in (("energies", 1e-11), ("forces", 1e-11), ("virials", 1e-11)):
            error = np.abs(getattr(one, name) - getattr(other, name)).max() / scale
            assert error < limit, f"{what}, {structure.name}: {name} differ by {error:.1e}"
            if committee:
                gap = np.abs(getattr(one.committee, name) - getattr(other.committee, name)).max()
                assert gap / scale < 1e-9, f"{what}: committee {name} differ by {gap:.1e}"


def _arguments(tables: Tables, structure: Structure) -> list[torch.Tensor]:
    numbers = tuple(int(z) for z in tables.numbers)
    edges = build(structure, float(tables.cutoff.max()))
    species = species_indices(numbers, structure.numbers)
    return [torch.from_numpy(a) for a in (species, edges.centre, edges.neighbour, edges.vector)]


def _crystal(tables: Tables, rng: np.random.Generator, bond: float) -> Structure:
    """A triclinic, perturbed crystal of 27 atoms of all elements."""
    sites = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    cell = bond * (np.eye(3) + 0.1 * rng.normal(size=(3, 3)))
    positions = sites @ cell + rng.normal(scale=0.05 * bond, size=sites.shape)
    return Structure(rng.choice(tables.numbers, len(sites)), positions, 3 * cell, True)


def _small(order: int = 3, degree: float = 5.0) -> Model:
    spec = resolve(
        BasisSpec(
            ("O", "Si"), order=order, degree=degree, r0={"default": 2.0}, cutoff={"default": 3.9}
        )
    )
    rng = np.random.default_rng(5)
    size = spec.expansion().size
    first, e0, others = (rng.normal(size=shape) for shape in ((1, size), 2, (3, size)))
    return Model(spec, np.concatenate((first, others))[:, None], e0)


def test_torch_equals_the_oracle_on_every_path(any_case):
    _assert_agree(any_case.tables, list(any_case.structures.values()), any_case.name)


def test_torch_equals_the_oracle_for_the_shipped_model(structures_of):
    model = acepot.load(SILICON)
    stretched = [
        replace(s, positions=1.25 * s.positions, cell=1.25 * s.cell, forces=None)
        for s in structures_of(model.numbers).values()
    ]
    _assert_agree(lower(model), stretched, "silicon")


@pytest.mark.parametrize("file", OWN)
def test_torch_equals_the_oracle_for_our_own_pace_files(file):
    _hold_pace_file(GOLDEN / file)


@pytest.mark.parametrize("file", PACE)
def test_torch_equals_the_oracle_for_pace_files(shared_data, file):
    _hold_pace_file(shared_data / "pace_potentials" / "pacemaker_tests" / file)


def _hold_pace_file(path):
    """Embeddings of both kinds and core repulsion in all modes, atoms inside the core too."""
    tables = lower(acepot.load(path))
    rng = np.random.default_rng(3)
    cutoff = float(tables.cutoff.max())
    structures = [_crystal(tables, rng, cutoff * part) for part in (0.2, 0.3, 0.45)]
    _assert_agree(tables, structures, path.name)


@pytest.mark.parametrize("kind", ["FinnisSinclair", "FinnisSinclairShiftedScaled"])
def test_any_number_of_densities(kind):
    linear, rng = _small(), np.random.default_rng(2)
    for densities in (1, 5):
        exponents = tuple(rng.choice([1.0, 0.5, 0.8, 2.0], densities))
        embedding = Embedding(kind, tuple(rng.normal(size=densities)), exponents)
        coefficients = 0.05 * rng.normal(size=(linear.coefficients.shape[2], densities))
        how = Nonlinear((embedding, embedding))
        tables = lower(Model(linear.basis, coefficients.T[None], linear.e0, nonlinear=how))
        _assert_agree(tables, [_crystal(tables, rng, 2.2)], f"{densities} densities")


def test_scripted_saved_and_loaded_gives_the_same_numbers():
    tables = lower(_small())
    module = AceModule(tables)
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(module), buffer)
    buffer.seek(0)
    scripted = torch.jit.load(buffer)
    reduced = torch.jit.script(forces_and_virials)
    rng = np.random.default_rng(6)
    for bond in (2.1, 2.3, 2.5):
        arguments = _arguments(tables, _crystal(tables, rng, bond))
        for one, other in zip(module(*arguments), scripted(*arguments), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
        gradient = scripted(*arguments)[1]
        for one, other in zip(reduced(gradient, *arguments[1:], 27),
                              forces_and_virials(gradient, *arguments[1:], 27),
                              strict=True):  # fmt: skip
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
        energies = module.energies(*arguments), scripted.energies(*arguments)
        torch.testing.assert_close(*energies, rtol=1e-12, atol=1e-12)


def test_order_of_pairs_far_pairs_and_blocks_change_nothing():
    tables = lower(_small())
    module = AceModule(tables)
    structure = _crystal(tables, np.random.default_rng(7), 2.2)
    expected = module(*_arguments(tables, structure))
    module.block = 1
    blocked = module(*_arguments(tables, structure))
    torch.testing.assert_close(blocked, expected, rtol=1e-12, atol=1e-11)
    species = torch.from_numpy(species_indices((8, 14), structure.numbers))
    edges = build(structure, module.cutoff + 1.5)
    order = np.random.default_rng(1).permutation(len(edges.centre))
    centre, neighbour, vector = (
        torch.from_numpy(a[order]) for a in (edges.centre, edges.neighbour, edges.vector)
    )
    energies, gradient = module(species, centre, neighbour, vector)
    torch.testing.assert_close(energies, expected[0], rtol=1e-12, atol=1e-11)
    far = torch.linalg.vector_norm(vector, dim=1) >= module.cutoff
    assert far.any() and not gradient[far].any()


@pytest.mark.parametrize("nonlinear", [False, True])
def test_autograd_agrees_with_the_backward_pass_and_with_finite_differences(nonlinear):
    model = _small(order=2, degree=4.0)
    if nonlinear:
        embedding = Embedding("FinnisSinclairShiftedScaled", (1.0, 0.3), (1.0, 0.5))
        coefficients = 0.1 * np.random.default_rng(1).normal(size=(model.coefficients.shape[2], 2))
        how = Nonlinear((embedding, embedding))
        model = Model(model.basis, coefficients.T[None], model.e0, nonlinear=how)
    tables = lower(model)
    module = AceModule(tables)
    *lists, vector = _arguments(tables, _crystal(tables, np.random.default_rng(9), 2.2))
    vector = vector.requires_grad_()
    (first,) = torch.autograd.grad(module.energies(*lists, vector).sum(), vector, create_graph=True)
    by_hand = module(*lists, vector)[1]
    torch.testing.assert_close(first.detach(), by_hand, rtol=1e-11, atol=1e-11)
    direction = torch.from_numpy(np.random.default_rng(4).normal(size=vector.shape))
    (second,) = torch.autograd.grad((first * direction).sum(), vector)
    step = 1e-5 * direction
    with torch.no_grad():
        gap = module(*lists, vector + step)[1] - module(*lists, vector - step)[1]
    torch.testing.assert_close(second, gap / 2e-5, rtol=1e-5, atol=1e-5 * float(second.abs().max()))


def test_weights_can_be_differentiated():
    tables = lower(_small())
    module = AceModule(tables)
    arguments = _arguments(tables, _crystal(tables, np.random.default_rng(2), 2.2))
    weights = module.sites[0].weights.requires_grad_()
    (slope,) = torch.autograd.grad(module.energies(*arguments).sum(), weights)
    change = torch.from_numpy(np.random.default_rng(3).normal(size=weights.shape))
    before = module(*arguments)[0].sum()
    with torch.no_grad():
        weights += change
    # A linear model: the difference is exact.
    expected = float((slope * change).sum())
    assert float(module(*arguments)[0].sum() - before) == pytest.approx(expected, rel=1e-9)


def test_every_tensor_is_made_where_its_inputs_are():
    """On a default device that holds no numbers, whatever is made without a device fails."""
    tables = lower(_small())
    module, arguments = AceModule(tables), _arguments(tables, _crystal(
        tables, np.random.default_rng(2), 2.2))  # fmt: skip
    expected = module(*arguments)
    with torch.device("meta"):
        torch.testing.assert_close(module(*arguments), expected)
        module.energies(*arguments)
        forces_and_virials(expected[1], *arguments[1:], 27)


def test_single_precision_keeps_to_its_stated_error(caplog):
    model = acepot.load(SILICON)
    single = acepot.Potential(model, "torch", precision="single")
    stated = single.single_error
    assert str(stated) in caplog.text
    structure = _crystal(single.tables, np.random.default_rng(8), 2.3)
    exact, rounded = acepot.Potential(model, "torch").compute(structure), single.compute(structure)
    error = np.sqrt(np.mean((exact.forces - rounded.forces) ** 2))
    scale = np.sqrt(np.mean(exact.forces**2))
    assert 0 < error < 5 * stated.forces * max(1, scale / stated.scale)
    assert abs(exact.energy - rounded.energy) / 27 < 5 * stated.energy


def test_what_cannot_be_evaluated_is_refused():
    tables = lower(_small())
    potential = acepot.Potential(_small(), "torch")
    module = AceModule(tables)
    with pytest.raises(InputError, match="are 0.05 Å apart; this model's tables begin at 0.1"):
        potential.compute(Structure([8, 8], [[0, 0, 0], [0, 0, 0.05]]))
    with pytest.raises(InputError, match="same point"):
        potential.compute(Structure([8, 8], np.zeros((2, 3))))
    with pytest.raises(InputError, match="device: torch cannot use 'nowhere'"):
        acepot.Potential(_small(), "torch", device="nowhere")
    one, pair = torch.zeros(2, dtype=torch.int64), torch.tensor([0, 1])
    for length, message in ((np.nan, "finite"), (np.inf, "finite"), (0.05, "atoms 0 and 1")):
        vector = torch.tensor([[0, 0, length], [0, 0, -length]], dtype=torch.float64)
        for call in (module, module.energies):
            with pytest.raises(ValueError, match=message):
                call(one, pair, pair.flip(0), vector)
    alone = module(one, pair[:0], pair[:0], torch.zeros((0, 3), dtype=torch.float64))
    np.testing.assert_allclose(alone[0].numpy(), tables.e0[0])
