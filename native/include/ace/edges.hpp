// A full list of directed edges, each with the number of its reverse, for what works on edges
// outside of the engine.
#pragma once
#include <cstdint>
#include <vector>

#include "ace/cells.hpp"

namespace ace {

// Structures follow one another in one object: its memory stays.
class EdgeList {
  public:
    // All edges of n atoms of species 0 ... kinds - 1 that are shorter than `cutoff`
    // [kinds][kinds], symmetric, A; 0: none. Rows of `cell` along directions that are not periodic
    // are ignored. `inverse` is that of the cell, whose rows that do not repeat may be any others.
    // Throws Error as Cells does, on atoms at one point, and on more than forty million edges.
    void build(int n, const double* positions, const int32_t* species, int kinds,
               const double* cell, const int* pbc, const double* inverse, const double* cutoff);

    // Sorted by centre, neighbour and shift.
    size_t count() const { return edges_.size(); }
    int64_t centre(size_t e) const { return edges_[e].centre; }
    int64_t neighbour(size_t e) const { return edges_[e].neighbour; }
    int64_t reverse(size_t e) const { return edges_[e].reverse; }
    const int32_t* shift(size_t e) const { return edges_[e].shift; }
    // From the centre to the neighbour; that of the reverse is its opposite to the last bit.
    const double* vector(size_t e) const { return edges_[e].vector; }

  private:
    struct Edge {
        int32_t centre, neighbour, shift[3];
        double vector[3];
        int64_t reverse;
    };
    void find(int i, int place, const double* positions, const int32_t* species, int kinds,
              const double* inverse, const double* squares);
    void both(int n);

    Cells cells_;
    std::vector<Run> runs_;
    std::vector<double> squares_;
    std::vector<Edge> half_, edges_;  // one of two directions, and all
    std::vector<int64_t> first_, order_, at_;
};

}  // namespace ace
