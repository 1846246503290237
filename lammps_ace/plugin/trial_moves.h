// What Monte Carlo fixes ask of a pair style: atoms that count as deleted, and moves that overlap.
// SPDX-License-Identifier: GPL-2.0-only
#ifndef ACEPOT_TRIAL_MOVES_H
#define ACEPOT_TRIAL_MOVES_H

#include <vector>

namespace LAMMPS_NS {
class LAMMPS;
}

namespace acepot {

// Atoms that `neigh_modify exclude` takes all pairs of: those in a group excluded from group all,
// where fix gcmc puts the atoms whose deletion it tries, or of a type excluded from every type.
// They have no energy, not even that of an isolated atom, as if they were not there.
class Exclusion {
  public:
    explicit Exclusion(LAMMPS_NS::LAMMPS *);
    bool takes(int atom) const;

  private:
    const int *masks, *types;
    int groups = 0;          // bits
    std::vector<char> type;  // [type], empty if there is none
};

// Whether a Monte Carlo fix is trying a move now, whose energy alone it will look at.
bool trial_move(LAMMPS_NS::LAMMPS *);

// The energy of a move that cannot be, eV. The fixes refuse every move above 1e50 or, at any
// temperature, by its Boltzmann factor.
constexpr double refused_energy = 1e100;

}  // namespace acepot
#endif
