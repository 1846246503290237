// What one thread works with.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "engine/call.hpp"
#include "engine/search.hpp"
#include "engine/simd.hpp"
#include "engine/sums.hpp"

namespace ace::ACE_ISA {

// Vectors of neighbours that are far away: every table is zero there.
constexpr double far_away = 1e3;
// Where a vector of neighbours reads a table, and where the result goes.
template <class T>
struct Located {
    alignas(BYTES) T u[Simd<T>::W];        // places within the bins
    alignas(BYTES) int32_t at[Simd<T>::W];  // first coefficients of the bins
    typename Simd<T>::V *value, *slope;
};

// An atom of a batch, and its neighbours in vectors of T.
template <class T>
struct Neighbourhood {
    Piece* piece = nullptr;
    int index = 0;  // in the piece
    Scratch<T> x, y, z, inverse;
    Scratch<double> distance;
    Scratch<int32_t> neighbour, row;  // row: of its forces, where they are not by points
    Scratch<typename Simd<T>::V> radial, slope;
    // Of linear columns: the sum of slopes times adjoints, or the factor of every slope.
    Scratch<typename Simd<T>::V> linear;
    std::vector<int> groups;  // first neighbour vector of each species, and their end
    std::vector<int> ends;    // of each source and species: beyond, a narrow source is zero
    double folded[most_columns], core;
    double core_weight, nearest_weight;
    int nearest;

    // Exchanges what geometry() found, but not what is made of it.
    void exchange_geometry(Neighbourhood& other) {
        std::swap(piece, other.piece);
        std::swap(index, other.index);
        std::swap(x, other.x);
        std::swap(y, other.y);
        std::swap(z, other.z);
        std::swap(inverse, other.inverse);
        std::swap(distance, other.distance);
        std::swap(neighbour, other.neighbour);
        groups.swap(other.groups);
    }
};

// What one thread works with; nothing is allocated once it has grown. Neighbours are computed in
// T; the A's, what is made of them and their adjoints in A, for as many atoms as a vector of A has
// lanes.
template <class T, class A = T>
struct Workspace {
    using Atom = Neighbourhood<T>;
    using V = typename Simd<T>::V;
    using VA = typename Simd<A>::V;
    static constexpr int batch = Simd<A>::W;
    Atom atoms[batch];
    Located<T> located[batch];
    Found found, sorted;
    Scratch<int32_t> keys, places;
    std::vector<Run> runs;
    Scratch<V> harmonics, accumulator;
    Scratch<VA> variables, adjoints, rows, densities, slopes;
    Scratch<A> components, linear;
    Scratch<T> pulls, linear_pulls;
    Sums sums;
};

}  // namespace ace::ACE_ISA
