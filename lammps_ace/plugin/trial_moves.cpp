// SPDX-License-Identifier: GPL-2.0-only
#include "trial_moves.h"

#include <cstring>

#include "atom.h"
#include "fix.h"
#include "group.h"
#include "lammps.h"
#include "modify.h"
#include "neighbor.h"
#include "update.h"

namespace acepot {

using LAMMPS_NS::LAMMPS;

Exclusion::Exclusion(LAMMPS *lmp) : masks(lmp->atom->mask), types(lmp->atom->type) {
    const LAMMPS_NS::Neighbor &neighbor = *lmp->neighbor;
    for (int m = 0; m < neighbor.nex_group; m++) {  // group all is the first one
        const int one = neighbor.ex1_group[m], other = neighbor.ex2_group[m];
        if (one == 0) groups |= lmp->group->bitmask[other];
        if (other == 0) groups |= lmp->group->bitmask[one];
    }
    if (neighbor.nex_type == 0) return;
    const int count = lmp->atom->ntypes;
    const auto excluded = [&](int i, int j) {
        for (int m = 0; m < neighbor.nex_type; m++)
            if ((neighbor.ex1_type[m] == i && neighbor.ex2_type[m] == j) ||
                (neighbor.ex1_type[m] == j && neighbor.ex2_type[m] == i))
                return true;
        return false;
    };
    type.assign(count + 1, 0);
    for (int i = 1; i <= count; i++) {
        type[i] = 1;
        for (int j = 1; j <= count; j++) type[i] = type[i] && excluded(i, j);
    }
}

bool Exclusion::takes(int i) const {
    return (masks[i] & groups) || (!type.empty() && type[types[i]]);
}

// These fixes try their moves before the atoms of the step are exchanged between ranks, and set the
// next step of theirs when they have done so; the forces of the step itself come later.
bool trial_move(LAMMPS *lmp) {
    static const char *const styles[] = {"gcmc",     "widom",         "atom/swap",
                                         "mol/swap", "neighbor/swap", "charge/regulation"};
    constexpr int dynamics = 1;
    if (lmp->update->whichflag != dynamics) return false;
    for (const LAMMPS_NS::Fix *fix : lmp->modify->get_fix_list()) {
        if (fix->next_reneighbor != lmp->update->ntimestep) continue;
        for (const char *style : styles)
            if (std::strcmp(fix->style, style) == 0) return true;
    }
    return false;
}

}  // namespace acepot
