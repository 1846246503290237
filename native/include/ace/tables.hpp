// Tables: a lowered model as flat arrays, and the reader of their bounded byte form.
// The meaning of every array is written down in docs/conventions.md, "Tables".
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ace {

// Quintic tables on one grid per ordered pair of species:
// f(r) = sum_k c[centre][neighbour][bin][k][channel] u^k, t = (r - begin)/spacing, u = t - bin.
struct RadialTable {
    int species = 0, bins = 0, channels = 0;
    std::vector<double> begin, spacing;  // [centre * species + neighbour]
    std::vector<int32_t> count;          // bins of each pair, at most `bins`
    std::vector<int32_t> zero_inside;    // below begin: zero, or refused
    std::vector<double> coefficients;    // [pair][bin][6][channel]

    bool same_grid(const RadialTable& other) const {
        return begin == other.begin && spacing == other.spacing && count == other.count &&
               zero_inside == other.zero_inside;
    }

    const double* row(int pair, int bin) const {
        return coefficients.data() + (static_cast<size_t>(pair) * bins + bin) * 6 * channels;
    }
};

// The products of one central species; factors are padded with the number of one-particle
// functions. Linear models also say which functions they are summed into, for the row builder.
struct Products {
    int terms = 0, order = 0;
    std::vector<int32_t> factors;  // [term][order]
    std::vector<double> weights;   // [output][density][term]
    std::vector<int32_t> function, term;  // of every coefficient; empty if not given
    std::vector<double> coefficient;
};

struct Embeddings {
    bool present = false;
    int mode = 0;  // of the core repulsion: 0 none, 1 density or distance, 2 zbl
    std::vector<int32_t> shifted;                           // [species]
    std::vector<double> weight, exponent;                   // [species][density]
    std::vector<double> core_limit, core_width, inner;      // [species], [species], [pair][2]
};

struct Tables {
    int species = 0, outputs = 1, densities = 1, lmax = 0;
    int functions = 0;  // 0 if the functions are not given
    std::vector<int32_t> numbers;
    std::vector<double> cutoff, e0;
    std::vector<RadialTable> radial;
    std::vector<int32_t> a_species, a_channel, a_l, a_m;
    std::vector<Products> products;
    Embeddings embeddings;
    std::vector<RadialTable> core;  // none or one

    double longest_cutoff() const;
    // Reads the byte form; throws Error on anything that does not fit together.
    static Tables read(const unsigned char* data, size_t size);
};

}  // namespace ace
