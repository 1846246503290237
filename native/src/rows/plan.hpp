// What the row builder executes for one central species, compiled once from the Tables.
//
// The derivative of a function B in the A's of one shell (one radial function, one l) is 2l + 1
// numbers, made of the other factors of its products: a *rest*. Functions that differ only in the
// radial function of that shell have it in common, so everything that depends on m is done once for
// all of them: with the numbers w of a rest, a neighbour at r u with radial function R feels
//   dB/dr = R/r t + (R' - l R/r)/l (t.u) u,   t = sum_m w_m grad(r^l Y_m) where r = 1
// (for l = 0 it is R' w Y_00 u) summed over the function's shells (its *terms*). Where many images
// of one neighbour are in reach, dA/dr is summed over them first, and then
//   dB/dr = sum_v (dB/dA_v) dA_v/dr
// over the function's *entries*, which are more, but are there once for all images.
#pragma once
#include <cstdint>
#include <vector>

#include "ace/tables.hpp"
#include "rows/families.hpp"
#include "rows/nodes.hpp"

namespace ace::rows {

// Sparse sums: result r = sum of coefficient[e] x[place[e]] over e from first[r] to first[r + 1].
struct Sums {
    std::vector<int> first{0}, place;
    std::vector<double> coefficient;
    int size() const { return static_cast<int>(first.size()) - 1; }
    void add(int at, double c) {
        place.push_back(at);
        coefficient.push_back(c);
    }
    void end() { first.push_back(static_cast<int>(place.size())); }
};

// The first of 2l + 1 weights, and the first of the numbers kept of it for neighbours.
struct Rest {
    int l, weight, kept;
};

// One shell of a function: its rest, numbered within the chunk, and its channel and slope, numbered
// within the program.
struct Term {
    int rest, channel, slope;
};

// A number dB/dA_v of a function and the column of A_v.
struct Entry {
    int weight, column;
};

// The radial factor of what is along u: (R' - l R/r)/l of a channel, R' for l = 0.
struct Slope {
    int channel, l;
};

// The derivative of one function: the sum of its terms, those with l = 0 last. If the function is
// an A with l = 0 times another, its parent, it is weight[0] dB_parent + weight[1] dA instead;
// where one of the two does not depend on the neighbours in question, parent or slope is -1.
struct Result {
    int function;
    int terms, radial_terms;  // how many of the next terms; the latter have l = 0
    int entries;              // how many of the next entries
    int slot, parent;         // where it is kept for others, and where theirs is; or -1
    int slope, column;        // of dA
    int weight, kept;         // the first weight, and the first kept number
    int leaves;               // how many of the next are taken from it, and no others from them
};

// Functions that share rests come together, so that these stay in the nearest cache.
struct Chunk {
    int first_rest, end_rest, first_result, end_result;
    int first_term, first_entry, first_position;
};

// The derivatives in the A's of one family.
struct Program {
    int begin = 0;  // columns of the families before
    int columns = 0, lmax = 0;
    int slots = 0, most_rests = 0;
    std::vector<int> channels;  // those of shells with l > 0
    std::vector<Slope> slopes;
    std::vector<Chunk> chunks;
    std::vector<Rest> rests;  // of every chunk, by l
    std::vector<Term> terms;
    std::vector<Entry> entries;
    std::vector<Result> results;
    // Multiplications for a vector of neighbours: by terms; by entries, whatever the images; and of
    // dA/dr, for each image.
    int by_terms = 0, by_entries = 0, by_image = 0;
    // Force rows hold the results in their order, and begin each chunk at a whole vector of any
    // instruction set: the function of every position, or -1.
    std::vector<int> positions;
};

struct RowPlan {
    RowPlan(const Tables& tables, const std::vector<Family>& families, int centre);

    int variables = 0;  // real A's in the order of the Tables, the constant 1, nodes
    int one = 0;        // place of the constant 1
    std::vector<Node> nodes;
    std::vector<NodeRange> ranges;
    std::vector<int> functions;     // those that this species has, ascending
    std::vector<int> number;        // of every function in `functions`
    Sums values;                    // B_k of `functions`
    std::vector<int> value_place;   // where B_k goes if others need it, or -1
    Sums weights;
    int kept = 0;                   // how many numbers are kept of an atom for its neighbours
    std::vector<Program> programs;  // by family
};

}  // namespace ace::rows
