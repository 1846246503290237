// Tables: a lowered model as flat arrays, and the reader of their bounded byte form.
// The meaning of every array is written down in docs/conventions.md, "Tables".
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ace {

// Quintic tables on one grid per ordered pair of species:
// f(r) = sum_k c[centre][neighbour][bin][k][channel] u^k, t = (r - begin)/spacing, u = t - knot,
// where bin is the last one that begins at or before t; knot = bin where there are no `knots`.
struct RadialTable {
    int species = 0, bins = 0, channels = 0;
    std::vector<double> begin, spacing;  // [centre * species + neighbour]
    std::vector<int32_t> count;          // bins of each pair, at most `bins`
    std::vector<int32_t> zero_inside;    // below begin: zero, or refused
    std::vector<double> coefficients;    // [pair][bin][6][channel]
    std::vector<double> knots;           // t where bins begin: [pair][bins + 1]; empty: equidistant

    bool same_grid(const RadialTable& other) const {
        return begin == other.begin && spacing == other.spacing && count == other.count &&
               zero_inside == other.zero_inside && knots == other.knots;
    }

    // t of the knot where a bin begins, or the last one ends.
    double knot(int pair, int bin) const;
    // The last knot in A.
    double end(int pair) const;

    const double* row(int pair, int bin) const {
        return coefficients.data() + (static_cast<size_t>(pair) * bins + bin) * 6 * channels;
    }
};

// Which bin of one pair a distance lies in, where knots are not equidistant.
struct Knots {
    std::vector<double> at;      // where bins begin, then the last end, then beyond all
    std::vector<int32_t> first;  // of every whole t, the bin it lies in

    Knots() = default;
    Knots(const RadialTable& table, int pair);
    bool empty() const { return at.empty(); }

    // Of a t from 0 to the last knot, where it is the number of bins. Always inline, as code for
    // one processor must not be linked into that for another.
    __attribute__((always_inline)) int bin(double t) const {
        int here = first[static_cast<size_t>(t)];
        while (t >= at[here + 1]) here++;
        return here;
    }
};

// The products of one central species; factors are padded with the number of one-particle
// functions, and nothing else is the constant 1. All but nonlinear models also say which functions
// they are summed into.
struct Products {
    int terms = 0, order = 0;
    std::vector<int32_t> factors;  // [term][order]
    std::vector<double> weights;   // [output][density][term]
    std::vector<double> weights_imaginary;  // the same, or empty: zero
    std::vector<int32_t> function, term;    // of every coefficient; empty if not given
    std::vector<double> coefficient, imaginary;  // the latter empty: zero
};

// Functions, or outputs, of one L and parity (1 or -1).
struct Irrep {
    int l, parity;
    int functions, outputs;  // the latter of one member
    int dim() const { return 2 * l + 1; }
};

struct Embeddings {
    bool present = false;
    int mode = 0;  // of the core repulsion: 0 none, 1 density or distance, 2 zbl
    std::vector<int32_t> shifted;                           // [species]
    std::vector<double> weight, exponent;                   // [species][density]
    std::vector<double> core_limit, core_width, inner;      // [species], [species], [pair][2]
};

struct Tables {
    // outputs: the model and its committee, or 0 for a basis; densities: values of a site in each
    // of them, those of tensors component by component.
    int species = 0, outputs = 1, densities = 1, lmax = 0;
    int functions = 0;  // component by component; 0 if the functions are not given
    bool tensors = false;  // or anything else that is no model of true scalars
    std::vector<Irrep> irreps;
    std::vector<int32_t> numbers;
    std::vector<double> cutoff, e0;
    std::vector<RadialTable> radial;
    std::vector<int32_t> a_species, a_channel, a_l, a_m;
    // Whether factors of products are sums over neighbours of all species (a_species -1); then those
    // of one species are products by themselves, with l = 0.
    bool together = false;
    std::vector<Products> products;
    Embeddings embeddings;
    std::vector<RadialTable> core;  // none or one

    double longest_cutoff() const;
    // Whether energies can be made of them: of one density, or of several in an embedding.
    bool is_energy() const;
    // Values of a site: over irreps, in each over outputs of all members (of a basis: over
    // functions), in each over M.
    int rows() const;
    // What they hold, for messages: "a basis of 0e, 1o", "a model of 2e".
    std::string description() const;
    // Reads the byte form; throws Error on anything that does not fit together.
    static Tables read(const unsigned char* data, size_t size);
};

}  // namespace ace
