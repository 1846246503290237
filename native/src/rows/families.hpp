// The one-particle functions A of a central atom, by the kind of neighbour that they are sums over.
#pragma once
#include <vector>

#include "ace/tables.hpp"

namespace ace::rows {

// One channel and l, its first A, and that one's number within its family.
struct Shell {
    int channel, l, v, column;
};

// The A's that neighbours of one species add to, of radial tables that end at one distance. Those
// that are sums over all species are in the families of each.
struct Family {
    int begin, columns;  // `begin`: number of columns of the families before
    int lmax;
    std::vector<Shell> shells;
    std::vector<std::vector<Shell>> by_l;
};

// By species, and for each by number of the distance.
std::vector<Family> families(const Tables& tables);

// The number of the distance at which each radial table ends, whatever the pair of species.
std::vector<int> reaches(const Tables& tables);

}  // namespace ace::rows
