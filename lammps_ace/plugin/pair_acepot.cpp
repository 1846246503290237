// SPDX-License-Identifier: GPL-2.0-only
#include "pair_acepot.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "trial_moves.h"
#include "update.h"

using namespace LAMMPS_NS;

PairACEPot::PairACEPot(LAMMPS *lmp) : Pair(lmp) {
    single_enable = 0;
    restartinfo = 0;
    one_coeff = 1;
    manybody_flag = 1;
    // The kernel's virials are complete without sums over positions of ghosts.
    no_virial_fdotr_compute = 1;
    // Virials of atoms belong to the atom whose energy changes, centroid virials to the atom that
    // moves: only these give heat fluxes.
    centroidstressflag = CENTROID_AVAIL;
    unit_convert_flag = utils::get_supported_conversions(utils::ENERGY);
}

PairACEPot::~PairACEPot() {
    if (copymode || !allocated) return;
    memory->destroy(setflag);
    memory->destroy(cutsq);
}

// Of both directions, because one list serves both atoms of a pair.
double PairACEPot::init_one(int i, int j) {
    const auto cutoff = [&](int a, int b) {
        return ace_pair_cutoff(evaluator.get(), map[a], map[b]);
    };
    return std::max(cutoff(i, j), cutoff(j, i));
}

void PairACEPot::compute(int eflag, int vflag) {
    ev_init(eflag, vflag);
    if (neighbor->ago == 0) renew_list();
    species.resize(points);
    for (int k = 0; k < points; k++) species[k] = std::max(map[atom->type[atom_of(k)]], 0);
    const int outputs = wants_uncertainty ? ace_outputs(evaluator.get()) : 1;
    energies.resize(static_cast<size_t>(outputs) * centres);
    forces.resize(3 * static_cast<size_t>(points));
    const bool by_centre = vflag_global || vflag_atom;
    if (by_centre) virials.resize(9 * static_cast<size_t>(centres));
    if (cvflag_atom) centroids.resize(9 * static_cast<size_t>(points));
    ace_results out{};
    out.size = sizeof out;
    out.forces = forces.data();
    if (eflag_either || wants_uncertainty) out.energies = energies.data();
    // Energies of all members, forces of the model: in one call.
    weights.assign(outputs, 0.0);
    weights[0] = 1;
    out.outputs = outputs;
    if (outputs > 1) out.weights = weights.data();
    if (by_centre) out.virials = virials.data();
    if (cvflag_atom) out.centroid_virials = centroids.data();
    if (!evaluate(out)) {
        eng_vdwl = acepot::refused_energy;
        return;
    }
    add_forces();
    if (eflag_either) add_energies();
    if (by_centre) add_virials();
    if (cvflag_atom) add_centroid_virials();
    if (wants_uncertainty) find_uncertainty(outputs);
}

// LAMMPS' list as one array, centres first.
void PairACEPot::renew_list() {
    choose_centres();
    std::vector<int32_t> place;
    if (!order.empty()) {
        place.assign(points, -1);
        for (int k = 0; k < centres; k++) place[order[k]] = k;
        for (int i = 0; i < points; i++)
            if (place[i] < 0) {
                place[i] = static_cast<int32_t>(order.size());
                order.push_back(i);
            }
    }
    first.resize(static_cast<size_t>(centres) + 1);
    first[0] = 0;
    for (int k = 0; k < centres; k++) first[k + 1] = first[k] + list->numneigh[atom_of(k)];
    neighbours.resize(first[centres]);
    for (int k = 0; k < centres; k++) {
        const int *from = list->firstneigh[atom_of(k)];
        int32_t *to = neighbours.data() + first[k];
        const int count = list->numneigh[atom_of(k)];
        for (int n = 0; n < count; n++) to[n] = from[n] & NEIGHMASK;
        if (!order.empty())
            for (int n = 0; n < count; n++) to[n] = place[to[n]];
    }
}

// All local atoms in LAMMPS' order, and `order` empty, unless a hybrid style gives some of them to
// others or some are excluded.
void PairACEPot::choose_centres() {
    const acepot::Exclusion exclusion(lmp);
    points = atom->nlocal + atom->nghost;
    order.clear();
    for (int k = 0; k < list->inum; k++)
        if (const int i = list->ilist[k]; !exclusion.takes(i)) order.push_back(i);
    centres = static_cast<int>(order.size());
    bool as_is = centres == atom->nlocal;
    for (int k = 0; k < centres && as_is; k++) as_is = order[k] == k;
    if (as_is) order.clear();
}

const double *PairACEPot::positions() {
    if (points == 0) return nullptr;
    if (order.empty()) return atom->x[0];
    packed.resize(3 * static_cast<size_t>(points));
    for (int k = 0; k < points; k++)
        std::copy_n(atom->x[order[k]], 3, packed.data() + 3 * static_cast<size_t>(k));
    return packed.data();
}

// False: a trial move of a Monte Carlo fix that puts atoms where the model has no energy.
bool PairACEPot::evaluate(const ace_results &out) {
    ace_neighbours in{};
    in.size = sizeof in;
    in.atoms = centres;
    in.points = points;
    in.species = species.data();
    in.first = first.data();
    in.neighbours = neighbours.data();
    in.positions = positions();
    in.threads = comm->nthreads;
    if (ace_evaluate_neighbours(evaluator.get(), &in, &out) == ACE_OK) return true;
    int64_t at[2];
    const int concerned = ace_last_atoms(at);
    if (concerned > 0 && acepot::trial_move(lmp)) return false;
    error->one(FLERR, "pair_style acepot, rank {}, step {}: {}", comm->me, update->ntimestep,
               failure(concerned, at));
}

// The kernel's message with LAMMPS' numbers of atoms.
std::string PairACEPot::failure(int concerned, const int64_t *points_concerned) {
    if (concerned == 0) return ace_last_error();
    if (!atom->tag_enable) return fmt::format("{} (these atoms have no IDs)", ace_last_error());
    tagint id[2] = {0, 0};
    for (int k = 0; k < concerned; k++) id[k] = atom->tag[atom_of(points_concerned[k])];
    return fmt::format("{} (numbers are atom IDs)", ace_last_error_of(id[0], id[1]));
}

void PairACEPot::add_forces() {
    for (int k = 0; k < points; k++)
        for (int d = 0; d < 3; d++)
            atom->f[atom_of(k)][d] += unit * forces[3 * static_cast<size_t>(k) + d];
}

void PairACEPot::add_energies() {
    for (int k = 0; k < centres; k++) {
        const double e0 = with_e0 ? 0.0 : ace_isolated_energy(evaluator.get(), species[k]);
        if (eflag_global) eng_vdwl += unit * (energies[k] - e0);
        if (eflag_atom) eatom[atom_of(k)] += unit * (energies[k] - e0);
    }
}

void PairACEPot::add_virials() {
    // LAMMPS' order: xx, yy, zz, xy, xz, yz.
    constexpr int component[6] = {0, 4, 8, 1, 2, 5};
    for (int k = 0; k < centres; k++)
        for (int c = 0; c < 6; c++) {
            const double w = unit * virials[9 * static_cast<size_t>(k) + component[c]];
            if (vflag_global) virial[c] += w;
            if (vflag_atom) vatom[atom_of(k)][c] += w;
        }
}

// Ghosts have theirs too, which LAMMPS adds to those of their atoms.
void PairACEPot::add_centroid_virials() {
    // LAMMPS' order: xx, yy, zz, xy, xz, yz, yx, zx, zy; the first is that of the distance.
    constexpr int component[9] = {0, 4, 8, 1, 2, 5, 3, 6, 7};
    for (int k = 0; k < points; k++)
        for (int c = 0; c < 9; c++)
            cvatom[atom_of(k)][c] += unit * centroids[9 * static_cast<size_t>(k) + component[c]];
}

// sqrt(mean over members of (E_im - E_i)^2): the deviation that ase_ace gives for the sum.
void PairACEPot::find_uncertainty(int outputs) {
    uncertainty.assign(atom->nmax, 0.0);
    for (int k = 0; k < centres; k++) {
        double sum = 0;
        for (int m = 1; m < outputs; m++)
            sum += std::pow(energies[static_cast<size_t>(m) * centres + k] - energies[k], 2);
        uncertainty[atom_of(k)] = unit * std::sqrt(sum / (outputs - 1));
    }
}

void *PairACEPot::extract(const char *name, int &dimension) {
    dimension = 0;
    const bool has = evaluator && ace_outputs(evaluator.get()) > 1;
    return has && std::strcmp(name, "ace_uncertainty_flag") == 0 ? &wants_uncertainty : nullptr;
}

void *PairACEPot::extract_peratom(const char *name, int &columns) {
    const bool has = evaluator && ace_outputs(evaluator.get()) > 1;
    if (!has || std::strcmp(name, "ace_uncertainty") != 0) return nullptr;
    columns = 0;
    // fix pair looks for the name before the first step.
    if (uncertainty.empty()) uncertainty.assign(std::max(atom->nmax, 1), 0.0);
    return uncertainty.data();
}

double PairACEPot::memory_usage() {
    const auto bytes = [](const auto &v) {
        return static_cast<double>(v.capacity()) * sizeof *v.data();
    };
    return Pair::memory_usage() + bytes(order) + bytes(neighbours) + bytes(first) + bytes(species) +
           bytes(packed) + bytes(energies) + bytes(forces) + bytes(virials) + bytes(centroids) +
           bytes(weights) + bytes(uncertainty);
}
