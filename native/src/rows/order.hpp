// The internal order of the atoms of a structure.
#pragma once
#include <cstdint>
#include <vector>

namespace ace::rows {

// Atoms by species, and close together in space within each run of a few.
struct Order {
    std::vector<int> original, species;  // by place
    std::vector<int> place;              // by the cell list's number
    std::vector<int> sorted;             // by place, that number
    int atoms() const { return static_cast<int>(original.size()); }
};

// The caller's number of every place, compact in each run of `run` atoms.
std::vector<int> compact_order(const double* positions, const double* cell, const int* pbc,
                               const int32_t* species, int atoms, int run);

}  // namespace ace::rows
