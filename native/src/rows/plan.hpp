// What the row builder executes for one central species, compiled once from the Tables: products
// of A's as interior nodes, and the fixed pattern of B_k and dB_k/dA_v in them.
#pragma once
#include <cstdint>
#include <vector>

#include "ace/tables.hpp"

namespace ace {

// x[re] + i x[im] = (x[a_re] + i x[a_im]) (x[b_re] +- i x[b_im]); places that are -1 are zero.
struct Node {
    enum Kind { real, scaled, complex, conjugate, complex_re, conjugate_re };
    int kind, level, a_re, a_im, b_re, b_im, re, im;
};

struct NodeRange {
    int kind, begin, end;
};

// Sparse sums: result r = sum of coefficient[e] x[place[e]] over e from first[r] to first[r + 1].
struct Sums {
    std::vector<int> first{0}, place;
    std::vector<double> coefficient;
    int size() const { return static_cast<int>(first.size()) - 1; }
};

// One channel and l, its first A, and that one's number within its family.
struct Shell {
    int channel, l, v, column;
};

// The A's of one neighbour species and of radial tables that end at one distance.
struct Family {
    int begin, columns;  // `begin`: number of columns of the families before
    int lmax;
    std::vector<Shell> shells;
};
// By species, and for each by number of the distance.
std::vector<Family> families(const Tables& tables);

// The number of the distance at which each radial table ends, whatever the pair of species.
std::vector<int> reaches(const Tables& tables);

// A function's derivative in one family: a sum over columns, which are A's or derivatives of other
// functions. Others take theirs from it at once: `multiples` are w dB, `products` w dA + w' dB.
struct Result {
    int function;
    int place;  // the column that it is to later results, or -1
    int columns, multiples, products;
};

// The pairs (k, v) of one family, in the order of their weights: for every result its columns, its
// multiples, and two for each of its products.
struct Pattern {
    int begin = 0;    // columns and kept results of the families before
    int kept = 0;     // results that are columns, numbered from `columns` of the family on
    int weights = 0;  // number of the first weight
    int parents = 0;  // results that others are taken from or are kept; they come first
    std::vector<Result> results;
    std::vector<int> column;    // of each result, then of its products
    std::vector<int> function;  // of each result's multiples and products
};

struct RowPlan {
    RowPlan(const Tables& tables, const std::vector<Family>& families, int centre);

    int variables = 0;  // real A's in the order of the Tables, the constant 1, nodes
    int one = 0;        // place of the constant 1
    std::vector<Node> nodes;
    std::vector<NodeRange> ranges;
    std::vector<int> functions;      // those that this species has, ascending
    std::vector<int> number;         // of every function in `functions`
    Sums values;                     // B_k of `functions`
    std::vector<int> value_place;    // where B_k goes if others need it, or -1
    Sums slopes;                     // dB_k/dA_v, numbered through all patterns
    std::vector<Pattern> patterns;   // by family
};

// Internal order of atoms: by species, and close together in space within each run of `lanes`.
// Returns the caller's index of every place.
std::vector<int> compact_order(const double* positions, const double* cell, const int* pbc,
                               const int32_t* species, int atoms, int lanes);

}  // namespace ace
