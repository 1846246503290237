// The terms by their shells, and the ways of writing them as dot products of coupled pairs. Used by
// coupling.cpp only.
#pragma once
#include <map>
#include <tuple>
#include <vector>

#include "plan/terms.hpp"
#include "plan/trees.hpp"

namespace ace {

// A shell is all A's of one species, channel and l, by the number of the first.

// Shells a <= b coupled to L; a shell alone has b = -1.
struct Node {
    int a, b, l;
    bool alone() const { return b < 0; }
    bool operator<(const Node& o) const {
        return std::tie(a, b, l) < std::tie(o.a, o.b, o.l);
    }
};

// rho += weight left . right
struct Dot {
    Node left, right;
    std::vector<double> weight;
};

// The terms of the same two to four shells.
struct Set {
    std::vector<int> shells;  // sorted
    std::map<Numbers, const Term*> terms;
    std::vector<std::vector<Dot>> ways;  // of writing it; none if it is no invariant
};

// Terms that are in no set are added to `rest`. Those of the same shells have as many weights, each
// for an output and density, or whatever they are summed into.
std::vector<Set> sets_of(const Tables& tables, const std::vector<Term>& terms,
                         std::vector<const Term*>& rest);

}  // namespace ace
