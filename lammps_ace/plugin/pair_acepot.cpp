// SPDX-License-Identifier: GPL-2.0-only
#include "pair_acepot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "update.h"

using namespace LAMMPS_NS;

namespace {

// By atomic number; the tables of a model know its elements as numbers.
const char *const symbols[] = {
    "X",  "H",  "He", "Li", "Be", "B",  "C",  "N",  "O",  "F",  "Ne", "Na", "Mg", "Al", "Si",
    "P",  "S",  "Cl", "Ar", "K",  "Ca", "Sc", "Ti", "V",  "Cr", "Mn", "Fe", "Co", "Ni", "Cu",
    "Zn", "Ga", "Ge", "As", "Se", "Br", "Kr", "Rb", "Sr", "Y",  "Zr", "Nb", "Mo", "Tc", "Ru",
    "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I",  "Xe", "Cs", "Ba", "La", "Ce", "Pr",
    "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W",
    "Re", "Os", "Ir", "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac",
    "Th", "Pa", "U",  "Np", "Pu", "Am", "Cm", "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr", "Rf",
    "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc", "Lv", "Ts", "Og"};
constexpr int most_numbers = sizeof symbols / sizeof *symbols;

const char *symbol(const ace_evaluator *e, int species) {
    const int number = ace_atomic_number(e, species);
    return number > 0 && number < most_numbers ? symbols[number] : "?";
}

}  // namespace

PairACEPot::PairACEPot(LAMMPS *lmp) : Pair(lmp) {
    single_enable = 0;
    restartinfo = 0;
    one_coeff = 1;
    manybody_flag = 1;
    // The kernel's virials are complete without sums over positions of ghosts.
    no_virial_fdotr_compute = 1;
    // Per-atom virials belong to the atom whose energy they change, which is not the partition
    // that heat fluxes need.
    centroidstressflag = CENTROID_NOTAVAIL;
}

PairACEPot::~PairACEPot() {
    if (copymode || !allocated) return;
    memory->destroy(setflag);
    memory->destroy(cutsq);
}

void PairACEPot::settings(int narg, char **) {
    if (narg != 0) error->all(FLERR, "pair_style acepot: expected no arguments, got {}", narg);
    if (std::strcmp(update->unit_style, "metal") != 0)
        error->all(FLERR, "pair_style acepot: expected units metal, got units {}",
                   update->unit_style);
}

void PairACEPot::coeff(int narg, char **arg) {
    const int types = atom->ntypes;
    if (narg != 3 + types)
        error->all(FLERR,
                   "pair_coeff of acepot: expected * * FILE and an element or NULL for each of "
                   "{} atom types, got {} arguments",
                   types, narg);
    read_model(arg[2]);
    if (!allocated) {
        allocated = 1;
        memory->create(setflag, types + 1, types + 1, "pair:setflag");
        memory->create(cutsq, types + 1, types + 1, "pair:cutsq");
        map = new int[types + 1];
    }
    std::string known;
    const int count = ace_species(evaluator.get());
    for (int s = 0; s < count; s++) known += std::string(" ") + symbol(evaluator.get(), s);
    for (int t = 1; t <= types; t++) {
        map[t] = -1;
        const char *name = arg[2 + t];
        if (std::strcmp(name, "NULL") == 0) continue;
        for (int s = 0; s < count; s++)
            if (std::strcmp(name, symbol(evaluator.get(), s)) == 0) map[t] = s;
        if (map[t] < 0)
            error->all(FLERR, "pair_coeff of acepot: {} has the elements{}, not {} (atom type {})",
                       arg[2], known, name, t);
    }
    int set = 0;
    for (int i = 1; i <= types; i++)
        for (int j = 1; j <= types; j++) {
            setflag[i][j] = j >= i && map[i] >= 0 && map[j] >= 0;
            set += setflag[i][j];
        }
    if (set == 0) error->all(FLERR, "pair_coeff of acepot: every atom type is NULL");
}

// One rank reads, so that a file system sees one reader and not thousands.
std::string PairACEPot::file_bytes(const char *name) {
    std::string bytes;
    bigint size = -1;
    if (comm->me == 0) {
        if (std::FILE *file = std::fopen(name, "rb")) {
            if (std::fseek(file, 0, SEEK_END) == 0) size = std::ftell(file);
            std::rewind(file);
            if (size > MAXSMALLINT) size = -2;
            if (size >= 0) {
                bytes.resize(size);
                if (std::fread(&bytes[0], 1, bytes.size(), file) != bytes.size()) size = -1;
            }
            std::fclose(file);
        }
    }
    MPI_Bcast(&size, 1, MPI_LMP_BIGINT, 0, world);
    if (size == -1) error->all(FLERR, "pair_coeff of acepot: {} cannot be read", name);
    if (size == -2) error->all(FLERR, "pair_coeff of acepot: {} has more than 2 GB", name);
    bytes.resize(size);
    MPI_Bcast(&bytes[0], static_cast<int>(size), MPI_CHAR, 0, world);
    return bytes;
}

void PairACEPot::read_model(const char *name) {
    const std::string bytes = file_bytes(name);
    evaluator.reset(ace_create(reinterpret_cast<const unsigned char *>(bytes.data()), bytes.size(),
                               nullptr));
    // Not all may fail: memory is short on one node, say.
    int good = evaluator != nullptr, all = 0;
    MPI_Allreduce(&good, &all, 1, MPI_INT, MPI_MIN, world);
    if (!good)
        error->one(FLERR, "pair_coeff of acepot: {}: {}; acepot export MODEL FILE makes such files",
                   name, ace_last_error());
    if (!all) error->all(FLERR, "pair_coeff of acepot: {} failed on another rank", name);
}

void PairACEPot::init_style() {
    if (force->newton_pair == 0)
        error->all(FLERR, "pair_style acepot: expected newton on, got newton off for pairs");
    // LAMMPS drops pairs with both factors zero from the list that is given to every pair style.
    if (atom->molecular != Atom::ATOMIC && comm->me == 0)
        for (int k = 1; k < 4; k++)
            if (force->special_lj[k] == 0.0 && force->special_coul[k] == 0.0) {
                error->warning(FLERR,
                               "pair_style acepot does not see 1-{} neighbours of bonded atoms; if "
                               "these have an ACE energy use special_bonds lj/coul 1e-50 1e-50 1e-50",
                               k + 1);
                break;
            }
    neighbor->add_request(this, NeighConst::REQ_FULL);
}

double PairACEPot::init_one(int, int) { return ace_cutoff(evaluator.get()); }

void PairACEPot::compute(int eflag, int vflag) {
    ev_init(eflag, vflag);
    if (neighbor->ago == 0) renew_list();
    species.resize(points);
    for (int k = 0; k < points; k++) species[k] = std::max(map[atom->type[atom_of(k)]], 0);
    energies.resize(centres);
    forces.resize(3 * static_cast<size_t>(points));
    if (vflag_either) virials.resize(9 * static_cast<size_t>(centres));
    evaluate(1, eflag_either ? energies.data() : nullptr, forces.data(),
             vflag_either ? virials.data() : nullptr);
    add_forces();
    if (eflag_either) add_energies();
    if (vflag_either) add_virials();
    if (wants_uncertainty) find_uncertainty();
}

// LAMMPS' list as one array, centres first. All local atoms are centres and nothing moves, unless
// a hybrid style gives some of them to others.
void PairACEPot::renew_list() {
    const int local = atom->nlocal;
    centres = list->inum;
    points = local + atom->nghost;
    bool as_is = centres == local;
    for (int k = 0; k < centres && as_is; k++) as_is = list->ilist[k] == k;
    order.clear();
    std::vector<int32_t> place;
    if (!as_is) {
        place.assign(points, -1);
        for (int k = 0; k < centres; k++) {
            order.push_back(list->ilist[k]);
            place[list->ilist[k]] = k;
        }
        for (int i = 0; i < points; i++)
            if (place[i] < 0) {
                place[i] = static_cast<int32_t>(order.size());
                order.push_back(i);
            }
    }
    first.resize(static_cast<size_t>(centres) + 1);
    first[0] = 0;
    for (int k = 0; k < centres; k++) first[k + 1] = first[k] + list->numneigh[list->ilist[k]];
    neighbours.resize(first[centres]);
    for (int k = 0; k < centres; k++) {
        const int *from = list->firstneigh[list->ilist[k]];
        int32_t *to = neighbours.data() + first[k];
        const int count = list->numneigh[list->ilist[k]];
        for (int n = 0; n < count; n++) to[n] = from[n] & NEIGHMASK;
        if (!as_is)
            for (int n = 0; n < count; n++) to[n] = place[to[n]];
    }
}

const double *PairACEPot::positions() {
    if (points == 0) return nullptr;
    if (order.empty()) return atom->x[0];
    packed.resize(3 * static_cast<size_t>(points));
    for (int k = 0; k < points; k++)
        std::copy_n(atom->x[order[k]], 3, packed.data() + 3 * static_cast<size_t>(k));
    return packed.data();
}

void PairACEPot::evaluate(int outputs, double *e, double *f, double *w) {
    if (ace_evaluate_list(evaluator.get(), centres, points, positions(), species.data(),
                          first.data(), neighbours.data(), comm->nthreads, outputs, e, f, w) != 0)
        error->one(FLERR, "pair_style acepot, rank {}, step {}: {}", comm->me, update->ntimestep,
                   ace_last_error());
}

void PairACEPot::add_forces() {
    for (int k = 0; k < points; k++)
        for (int d = 0; d < 3; d++)
            atom->f[atom_of(k)][d] += forces[3 * static_cast<size_t>(k) + d];
}

void PairACEPot::add_energies() {
    for (int k = 0; k < centres; k++) {
        if (eflag_global) eng_vdwl += energies[k];
        if (eflag_atom) eatom[atom_of(k)] += energies[k];
    }
}

void PairACEPot::add_virials() {
    // LAMMPS' order: xx, yy, zz, xy, xz, yz.
    constexpr int component[6] = {0, 4, 8, 1, 2, 5};
    for (int k = 0; k < centres; k++)
        for (int c = 0; c < 6; c++) {
            const double w = virials[9 * static_cast<size_t>(k) + component[c]];
            if (vflag_global) virial[c] += w;
            if (vflag_atom) vatom[atom_of(k)][c] += w;
        }
}

// sqrt(mean over members of (E_im - E_i)^2): the deviation that ase_ace gives for the sum.
void PairACEPot::find_uncertainty() {
    const int outputs = ace_outputs(evaluator.get());
    members.resize(static_cast<size_t>(outputs) * centres);
    evaluate(outputs, members.data(), nullptr, nullptr);
    uncertainty.assign(atom->nmax, 0.0);
    for (int k = 0; k < centres; k++) {
        double sum = 0;
        for (int m = 1; m < outputs; m++)
            sum += std::pow(members[static_cast<size_t>(m) * centres + k] - members[k], 2);
        uncertainty[atom_of(k)] = std::sqrt(sum / (outputs - 1));
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
           bytes(packed) + bytes(energies) + bytes(forces) + bytes(virials) + bytes(members) +
           bytes(uncertainty);
}
