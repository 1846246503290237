// What the input says: pair_style, pair_coeff and the file of the model.
// SPDX-License-Identifier: GPL-2.0-only
#include <cmath>
#include <cstdio>
#include <cstring>

#include "atom.h"
#include "comm.h"
#include "compute.h"
#include "elements.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "modify.h"
#include "neighbor.h"
#include "pair_acepot.h"
#include "platform.h"
#include "update.h"

using namespace LAMMPS_NS;

namespace {

const char *symbol(const ace_evaluator *e, int species) {
    const int number = ace_atomic_number(e, species);
    return number > 0 && number < acepot::most_numbers ? acepot::elements[number].symbol : "?";
}

// Parts by which the mass of an atom type may differ from its element's, and from another's that it
// is taken for.
constexpr double wrong_mass = 0.1, same_mass = 0.02;

}  // namespace

void PairACEPot::settings(int narg, char **arg) {
    if (narg != 0 && (narg != 2 || std::strcmp(arg[0], "e0") != 0))
        error->all(FLERR, "pair_style acepot: expected no arguments or e0 no, got {}",
                   utils::join_words(std::vector<std::string>(arg, arg + narg), " "));
    with_e0 = narg == 0 || utils::logical(FLERR, arg[1], false, lmp);
    set_unit();
}

// LAMMPS' own number for a kcal/mol, as its other potentials of units metal take it.
void PairACEPot::set_unit() {
    const std::string units = update->unit_style;
    if (units != "metal" && units != "real")
        error->all(FLERR,
                   "pair_style acepot: expected units metal (eV, A) or real (kcal/mol, A), got "
                   "units {}; write one of these, and the input's numbers in its units",
                   units);
    unit = utils::get_conversion_factor(utils::ENERGY,
                                        units == "real" ? utils::METAL2REAL : utils::NOCONVERT);
}

void PairACEPot::coeff(int narg, char **arg) {
    const int types = atom->ntypes;
    if (narg != 3 + types)
        error->all(FLERR,
                   "pair_coeff of acepot: expected * * FILE and an element or NULL for each of "
                   "{} atom types, got {} arguments",
                   types, narg);
    read_model(arg[2]);
    masses_checked = false;
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
    if (comm->me == 0 && platform::path_is_directory(name)) {
        size = -3;
    } else if (comm->me == 0) {
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
    if (size == -3) error->all(FLERR, "pair_coeff of acepot: {} is a folder, not a file", name);
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
    if (!masses_checked) check_masses();
    masses_checked = true;
    check_heat_flux();
    neighbor->add_request(this, NeighConst::REQ_FULL);
}

// The virials of stress/atom belong to the atom whose energy changes, which gives another flux and
// no error. LAMMPS does not say which of the two a flux takes.
void PairACEPot::check_heat_flux() {
    bool flux = false, stress = false, centroid = false;
    for (const Compute *compute : modify->get_compute_list()) {
        flux = flux || std::strcmp(compute->style, "heat/flux") == 0;
        stress = stress || compute->pressatomflag == 1;
        centroid = centroid || compute->pressatomflag == 2;
    }
    if (!flux || !stress) return;
    static const char told[] =
        "of a many-body potential is wrong with stress/atom; give it a compute "
        "centroid/stress/atom NULL virial";
    if (!centroid) error->all(FLERR, "pair_style acepot: the compute heat/flux {}", told);
    if (comm->me == 0)
        error->warning(FLERR, "pair_style acepot: a compute heat/flux {}, as the input has one",
                       told);
}

// Elements in another order than the atom types give wrong numbers and no error; masses tell.
void PairACEPot::check_masses() {
    if (comm->me != 0 || !atom->mass) return;
    for (int t = 1; t <= atom->ntypes; t++) {
        if (map[t] < 0 || !atom->mass_setflag[t]) continue;
        const int number = ace_atomic_number(evaluator.get(), map[t]);
        if (number < 1 || number >= acepot::most_numbers) continue;
        const auto differs = [&](int z) {
            return std::abs(atom->mass[t] / acepot::elements[z].mass - 1);
        };
        if (differs(number) <= wrong_mass) continue;
        std::string other;
        for (int s = 0; s < ace_species(evaluator.get()); s++) {
            const int z = ace_atomic_number(evaluator.get(), s);
            if (z > 0 && z < acepot::most_numbers && differs(z) <= same_mass)
                other = fmt::format(", as {} has", acepot::elements[z].symbol);
        }
        error->warning(FLERR,
                       "pair_coeff of acepot: atom type {} is {} ({} amu), but its mass is {}{}; "
                       "are the elements in the order of the atom types?",
                       t, acepot::elements[number].symbol, acepot::elements[number].mass,
                       atom->mass[t], other);
    }
}
