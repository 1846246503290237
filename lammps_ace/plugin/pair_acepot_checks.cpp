// What a run is checked for before it begins.
// SPDX-License-Identifier: GPL-2.0-only
#include <cmath>
#include <cstring>

#include "atom.h"
#include "comm.h"
#include "compute.h"
#include "elements.h"
#include "error.h"
#include "force.h"
#include "modify.h"
#include "neighbor.h"
#include "pair_acepot.h"

using namespace LAMMPS_NS;

namespace {

// Parts by which the mass of an atom type may differ from its element's, and from another's that it
// is taken for.
constexpr double wrong_mass = 0.1, same_mass = 0.02;

}  // namespace

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
