// What the engine executes for one central species, compiled once from the Tables: where radial
// functions and one-particle functions lie, and the products as interior nodes (pairs of A's
// coupled to L, or plain products) and a real sparse bilinear form in A's and nodes.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "ace/tables.hpp"

namespace ace {

// Where a column of a source takes its values from: one channel of a table, or a sum over the
// rank-one products of one output and density ("folded"), or the core density.
struct Column {
    enum Kind { channel, folded, core };
    Kind kind;
    int table, index;  // radial table and channel; output * densities + density; nothing
};

// Radial tables on one grid, as contiguous columns: interpolated a vector of columns at a time and
// padded to a multiple of the SIMD width, or, a core density by itself, as the one column it is.
struct Source {
    int grid;                     // table that has the grid; -1 is the core's
    bool narrow, committee;       // committee: needed by its members only
    std::vector<Column> columns;  // without padding
    int first = 0, padded = 0;    // first column in the stored R; number with padding
    bool linear = false;          // of Plan::linears
};

// A column that enters the energy directly: its source, and its place in the stored R.
struct Direct {
    int source, place;
    Column column;
};

// Columns whose sums over neighbours enter values of sites by themselves only, so that values need
// no slopes of them and derivatives nothing else: `count` from column `place` on. Their sums over
// the neighbours of a species follow each other from `at` on, with padding.
struct Linear {
    int place, count, padded, at;
};

// A rank-one product with l = 0: adds weight times a channel to the folded columns.
struct Fold {
    int table, channel, species;
    std::vector<double> weight;  // [output * densities + density]
};

// A's of one l: sums over neighbours of `radials` columns from `column` on times `width` real
// components (m = 0, then cosine and sine of m = 1, 2, ...), the first being the `place`-th of all
// l. They are stored at `offset`, [radial][component]; tiles follow one another there.
struct Tile {
    int column, radials, place, width, offset;
};

// What the force stage multiplies with the adjoints of a tile of components of one l: `count`
// columns from `column` on. The tile's first component is the `place`-th of all l; its last part
// says so.
struct Pull {
    int place, column, count;
    bool last;
};

// x[out] = x[a] x[b] on variables given by the places of their real and imaginary parts.
struct Op {
    enum Kind { real_real, real_complex, product, mixed, product_real, mixed_real, kinds };
    int kind, level, a_re, a_im, b_re, b_im, out_re, out_im;
};
// `last`: no other operation needs what these make.
struct OpRange {
    int kind, begin, end;
    bool last;
};

// Shells a and b of A's coupled to up to most_coupled L of one parity, L descending: x[place] on is
// sum CG x_a x_b for M = 0, then cosine and sine of M = 1, 2, ... (all of norm one together).
// With l_a + l_b + L odd it is that times i.
constexpr int most_coupled = 4;
struct Coupled {
    int l, place;
};
struct Coupling {
    int a, b, la, lb;
    bool same, odd;
    int count, first;  // in Plan::coupled
    int coefficient;   // in Plan::clebsch_gordan: [M][product][L], as couple.hpp walks through them
};

// Up to four rows that share their columns, each a shell of `width` consecutive variables:
// rho += sum c x_row . x_column.
struct Block {
    int width, rows, row, columns, column;
    size_t coefficient;  // of the first entry, in units of densities
};

// Lanes of a SIMD vector; most radial functions and components of a tile of A's, most components
// of one of adjoints.
struct Widths {
    int lanes, tile_radials, tile_components, pull_components;
};

class Plan {
  public:
    Plan() = default;
    // Of energies.
    Plan(const Tables& tables, int centre, const Widths& widths);

    std::vector<Source> sources;
    std::vector<Fold> folds;
    std::vector<Direct> directs;
    std::vector<Linear> linears;
    int linear = 0;        // sums of all of them for one species
    int linear_first = 0;  // the first of them, times Y_00, among the variables: [species][sum]
    int columns = 0;  // of all sources, with padding
    std::vector<Tile> tiles;
    int lmax = 0;
    int used = 0;               // real components of A for one neighbour species
    int components = 0;         // with padding
    int apart = 1;  // how many times: for neighbours of each species, or once for those of all
    // The first variable of the components that neighbours of a species add to.
    int first_of(int species) const { return apart == 1 ? 0 : species * components; }
    std::vector<double> norms;  // of the components of one species: N_lm, times sqrt 2 if m > 0
    std::vector<int> places;    // of the components, among the variables of one species
    std::vector<Pull> pulls;      // the widest tiles first
    std::vector<int> pull_first;  // [width]: up to pull_first[width - 1]
    std::vector<int> pull_order;  // variables of the adjoints, [tile][part][n][component], padded
    std::vector<double> pull_norms;
    int variables = 0;          // A's of all species or of their sum, the constant 1, nodes
    int one = 0;                // place of the constant 1
    std::vector<Op> ops;
    std::vector<OpRange> op_ranges;
    std::vector<Coupling> couplings;
    std::vector<Coupled> coupled;
    std::vector<double> clebsch_gordan;
    std::vector<Block> blocks;
    std::vector<int> row_places, column_places;
    std::vector<std::vector<double>> coefficients;  // [output]: [entry][row][density]
    size_t kept = 0;  // variables of the rows of all blocks together
};

// The dot product of `width` consecutive variables from `left` and from `right` on: the variable
// `out`, or times a coefficient the value of a site in row `out`.
struct DotProduct {
    int width, left, right, out;
};

// Up to most_summed values of a site that are sums over the same variables:
// y[row] = sum over columns of c x[column].
constexpr int most_summed = 8;
struct SumBlock {
    int rows, row, columns, column;  // where they begin in SitePlan::rows and SitePlan::columns
    size_t coefficient;              // of the first entry; [column][row]
};

// What the engine executes for the values of sites (Tables::rows) of one central species: the plan
// without a bilinear form, then dot products, then sums. Of rows over the same variables, a sum may
// have coefficients that are zero.
class SitePlan {
  public:
    SitePlan(const Tables& tables, int centre, const Widths& widths);

    Plan plan;
    std::vector<DotProduct> dots;    // variables
    std::vector<DotProduct> values;  // values that are nothing but one dot product
    std::vector<double> value_coefficients;
    std::vector<SumBlock> sums;
    std::vector<int> rows, columns;
    std::vector<double> coefficients;
};

}  // namespace ace
