#include "ace/edges.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "ace/errors.hpp"

namespace ace {
namespace {

// 4 GB of edges in both directions, with the half that they are made of.
constexpr size_t most_edges = 40000000;
// Atoms that are nearer than this are at the same point: coordinates of images are rounded.
constexpr double same_point = 1e-12;

}  // namespace

void EdgeList::build(int n, const double* positions, const int32_t* species, int kinds,
                     const double* cell, const int* pbc, const double* inverse,
                     const double* cutoff) {
    double largest = 0;
    squares_.assign(static_cast<size_t>(kinds) * kinds, 0.0);
    for (size_t k = 0; k < squares_.size(); k++) {
        squares_[k] = cutoff[k] * cutoff[k];
        largest = std::max(largest, cutoff[k]);
    }
    for (int i = 0; i < n; i++)
        if (species[i] < 0 || species[i] >= kinds)
            throw Error("species: expected 0 to " + std::to_string(kinds - 1) + ", got " +
                        std::to_string(species[i]));
    half_.clear();
    cells_.build(n, positions, cell, pbc, species, largest);
    for (int k = 0; k < cells_.atoms(); k++) {
        cells_.runs(k, runs_);
        find(cells_.original(k), cells_.place(k), positions, species, kinds, inverse,
             squares_.data());
    }
    both(n);
}

// Edges of atom i to atoms of higher number, and to images of itself in half of all directions:
// whether an edge is short enough is decided once for both of its ends.
void EdgeList::find(int i, int place, const double* positions, const int32_t* species, int kinds,
                    const double* inverse, const double* squares) {
    const double *x = cells_.x.data(), *y = cells_.y.data(), *z = cells_.z.data();
    const double* square = squares + static_cast<size_t>(species[i]) * kinds;
    for (const Run& run : runs_)
        for (int p = run.begin; p < run.end; p++) {
            const double v[3] = {x[p] - x[place], y[p] - y[place], z[p] - z[place]};
            const double r2 = v[0] * v[0] + v[1] * v[1] + v[2] * v[2];
            if (!(r2 < square[cells_.species[p]]) || p == place) continue;
            const int j = cells_.original(cells_.owner[p]);
            if (j < i) continue;
            Edge edge{i, j, {0, 0, 0}, {v[0], v[1], v[2]}, 0};
            for (int k = 0; k < 3; k++) {
                double turns = 0;
                for (int d = 0; d < 3; d++)
                    turns += (v[d] - (positions[3 * j + d] - positions[3 * i + d])) * inverse[3 * d + k];
                edge.shift[k] = static_cast<int32_t>(std::lround(turns));
            }
            const int32_t* s = edge.shift;
            if (i == j && (s[0] != 0 ? s[0] < 0 : s[1] != 0 ? s[1] < 0 : s[2] < 0)) continue;
            if (r2 <= same_point * same_point)
                throw Error("atoms # and # sit at the same point", i, j, Fault::too_close);
            if (half_.size() == most_edges / 2)
                throw Error("positions and cell: more than " + std::to_string(most_edges) +
                            " edges; has the cell collapsed, or is the cut-off too long?",
                            Fault::too_dense);
            half_.push_back(edge);
        }
}

// Both directions of every edge, in order.
void EdgeList::both(int n) {
    first_.assign(static_cast<size_t>(n) + 1, 0);
    for (const Edge& e : half_) {
        first_[e.centre + 1]++;
        first_[e.neighbour + 1]++;
    }
    for (int i = 0; i < n; i++) first_[i + 1] += first_[i];
    // Edge h is 2 h forwards and 2 h + 1 backwards.
    order_.resize(2 * half_.size());
    at_.assign(first_.begin(), first_.end());
    for (size_t h = 0; h < half_.size(); h++) {
        order_[at_[half_[h].centre]++] = static_cast<int64_t>(2 * h);
        order_[at_[half_[h].neighbour]++] = static_cast<int64_t>(2 * h + 1);
    }
    const auto seen = [this](int64_t code) {
        Edge edge = half_[code / 2];
        if (code % 2) {
            std::swap(edge.centre, edge.neighbour);
            for (int32_t& s : edge.shift) s = -s;
            for (double& v : edge.vector) v = -v;
        }
        edge.reverse = code;
        return edge;
    };
    const auto before = [](const Edge& a, const Edge& b) {
        if (a.neighbour != b.neighbour) return a.neighbour < b.neighbour;
        return std::lexicographical_compare(a.shift, a.shift + 3, b.shift, b.shift + 3);
    };
    edges_.resize(order_.size());
    at_.resize(order_.size());
    for (int i = 0; i < n; i++) {
        for (int64_t k = first_[i]; k < first_[i + 1]; k++) edges_[k] = seen(order_[k]);
        std::sort(edges_.begin() + first_[i], edges_.begin() + first_[i + 1], before);
        for (int64_t k = first_[i]; k < first_[i + 1]; k++) at_[edges_[k].reverse] = k;
    }
    for (Edge& e : edges_) e.reverse = at_[e.reverse ^ 1];
}

}  // namespace ace
