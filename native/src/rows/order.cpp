#include "rows/order.hpp"

#include <algorithm>
#include <utility>

#include "ace/lattice.hpp"

namespace ace::rows {
namespace {

// Positions moved into the cell along periodic directions.
std::vector<double> folded(const double* positions, const double* cell, const int* pbc, int atoms) {
    const Lattice lattice(cell, pbc);
    std::vector<double> out(static_cast<size_t>(3) * atoms);
    double fraction[3];
    for (size_t i = 0; i < static_cast<size_t>(atoms); i++)
        lattice.fold(positions + 3 * i, &out[3 * i], fraction);
    return out;
}

// Halves the places begin ... end along their longest extent, at multiples of `lanes`.
void bisect(const std::vector<double>& at, std::vector<int>& order, int begin, int end, int lanes) {
    const int middle = (begin + end) / 2 / lanes * lanes;
    const int cut = middle > begin ? middle : (begin / lanes + 1) * lanes;
    if (cut >= end) return;
    double low[3] = {1e300, 1e300, 1e300}, high[3] = {-1e300, -1e300, -1e300};
    for (int p = begin; p < end; p++)
        for (int d = 0; d < 3; d++) {
            const double x = at[static_cast<size_t>(3) * order[p] + d];
            low[d] = std::min(low[d], x);
            high[d] = std::max(high[d], x);
        }
    int axis = 0;
    for (int d = 1; d < 3; d++)
        if (high[d] - low[d] > high[axis] - low[axis]) axis = d;
    const auto first = order.begin();
    std::nth_element(first + begin, first + cut, first + end, [&](int a, int b) {
        return std::make_pair(at[static_cast<size_t>(3) * a + axis], a) <
               std::make_pair(at[static_cast<size_t>(3) * b + axis], b);
    });
    bisect(at, order, begin, cut, lanes);
    bisect(at, order, cut, end, lanes);
}

}  // namespace

std::vector<int> compact_order(const double* positions, const double* cell, const int* pbc,
                               const int32_t* species, int atoms, int run) {
    std::vector<int> order(atoms);
    for (int i = 0; i < atoms; i++) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](int a, int b) { return species[a] < species[b]; });
    const std::vector<double> at = folded(positions, cell, pbc, atoms);
    for (int begin = 0; begin < atoms;) {
        int end = begin;
        while (end < atoms && species[order[end]] == species[order[begin]]) end++;
        bisect(at, order, begin, end, run);
        begin = end;
    }
    return order;
}

}  // namespace ace::rows
