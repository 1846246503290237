// Invariants of two to four shells, as couplings of pairs. Used by coupling.cpp only.
#pragma once
#include <array>
#include <map>
#include <vector>

namespace ace {

// <l1 m1 l2 m2 | l m>; exact to rounding for l1 + l2 up to 60.
double clebsch_gordan(int l1, int m1, int l2, int m2, int l, int m);

using Numbers = std::vector<int>;  // a magnetic number for each shell

// The least of the equivalent magnetic numbers: shells of one `kind` may be exchanged (equal kinds
// are neighbours), and all signs be turned, which conjugates.
Numbers canonical(const std::vector<int>& kinds, const Numbers& m);

// Choices of m that sum to zero.
double combinations(const std::vector<int>& l);

// Linearly independent invariants, each a sum over products of one A of every shell:
// two shells   a . b
// three        (a b)_L . c, L = l of c
// four         (a b)_L . (c d)_L, every L
// where . is the dot product of shells as Coupling has them.
struct Trees {
    std::vector<int> couplings;                 // L of every invariant (0 for two shells)
    std::vector<Numbers> products;              // canonical, sorted
    std::vector<std::vector<double>> weights;   // [invariant][product]
    std::vector<std::vector<double>> inverse;   // [invariant][product]: weights -> coefficients

    // l and kinds of the shells; a, b, c, d are shells order[0], order[1], ...
    Trees(const std::vector<int>& l, const std::vector<int>& kinds,
          const std::array<int, 4>& order);

  private:
    using Sum = std::map<Numbers, double>;
    void keep_independent(const std::vector<int>& candidates, const std::vector<Sum>& sums);
};

}  // namespace ace
