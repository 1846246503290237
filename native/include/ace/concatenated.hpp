// Structures in arrays in which they follow one another, without an object for each.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "ace/evaluator.hpp"

namespace ace {

struct Concatenated {
    size_t count = 0;
    const int64_t* first = nullptr;     // [count + 1]: the first atom of each, and the end
    const double* positions = nullptr;  // [atoms][3], A
    const int32_t* species = nullptr;   // [atoms]
    const double* cells = nullptr;      // [count][3][3], or null: nothing repeats
    const int32_t* pbc = nullptr;       // [count][3], or null: nothing repeats
};

// Structures and results for an evaluator. The arrays of `all` hold those of all structures:
// [output][atoms of all] and so on. Throws Error where `first` does not ascend from 0.
void split(const Concatenated& in, const Results& all, std::vector<Structure>& structures,
           std::vector<Results>& results);

}  // namespace ace
