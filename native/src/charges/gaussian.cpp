#include "charges/gaussian.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "ace/cells.hpp"
#include "ace/charges.hpp"
#include "ace/errors.hpp"
#include "ace/evaluator.hpp"

namespace ace {
namespace {

const double root_of_pi = std::sqrt(std::acos(-1.0));
// Atoms of a side of the square of pairs that is filled at once: it stays in the cache.
constexpr int side = 64;

[[noreturn]] void one_place(int i, int j) {
    throw Error("positions: expected points at different places, atoms # and # are at one", i, j,
                Fault::too_close);
}

// Atoms by their coordinates.
class Places {
  public:
    Places(int n, const double* positions) : count_(static_cast<size_t>(n)), at_(3 * count_) {
        check_positions(n, positions);
        for (size_t i = 0; i < count_; i++)
            for (size_t d = 0; d < 3; d++) at_[d * count_ + i] = positions[3 * i + d];
    }
    Columns3 from(size_t i) const {
        return {at_.data() + i, at_.data() + count_ + i, at_.data() + 2 * count_ + i};
    }

  private:
    size_t count_;
    std::vector<double> at_;
};

// All pairs once, first < second, square by square: work(i, first j, how many, values, slopes).
template <class F>
void all_pairs(int n, const Places& places, const double* widths, F&& work) {
    const PairLoops& loops = pair_loops();
    double square[side], inverse[side], value[side], slope[side];
    for (int a = 0; a < n; a += side)
        for (int b = a; b < n; b += side)
            for (int i = a; i < std::min(a + side, n); i++) {
                const int begin = std::max(b, i + 1), count = std::min(b + side, n) - begin;
                if (count <= 0) continue;
                const Columns3 own = places.from(i);
                const double at[3] = {*own.x, *own.y, *own.z}, wide = widths[i] * widths[i];
                loops.squares(count, at, places.from(begin), square);
                for (int k = 0; k < count; k++) {
                    const double squares = wide + widths[begin + k] * widths[begin + k];
                    inverse[k] = inverse_width(squares);
                    if (!(square[k] + squares > 0)) one_place(i, begin + k);
                }
                loops.interactions(count, square, inverse, value, slope);
                work(static_cast<size_t>(i), static_cast<size_t>(begin), count, value, slope);
            }
}

}  // namespace

// F_m(u) = e^-u sum_i (2u)^i / ((2m + 1)(2m + 3) ... (2m + 2i + 1)), and downwards
// F_m = (2u F_m+1 + e^-u)/(2m + 1).
BoysTable::BoysTable() {
    for (int k = 0; k < intervals; k++) {
        const double u = (k + 0.5) / per_unit, bell = std::exp(-u);
        double f[degree + 1], term = 1.0 / (2 * degree + 1), sum = term;
        for (int i = 1; term > 1e-18 * sum; i++) {
            term *= 2 * u / (2 * (degree + i) + 1);
            sum += term;
        }
        f[degree] = bell * sum;
        for (int m = degree - 1; m >= 0; m--) f[m] = (2 * u * f[m + 1] + bell) / (2 * m + 1);
        double factor = 2 / root_of_pi;
        for (int m = 0; m <= degree; m++) {
            coefficients[k][m] = factor * f[m];
            factor *= -1.0 / (m + 1);
        }
    }
}

const BoysTable boys;

PairLoops make_pair_loops_avx512();
PairLoops make_pair_loops_avx2();
PairLoops make_pair_loops_baseline();

const PairLoops& pair_loops() {
    static const PairLoops best = [] {
        const std::string name = best_instruction_set();
#if defined(ACE_WITH_AVX512)
        if (name == "avx512") return make_pair_loops_avx512();
#endif
#if defined(ACE_WITH_AVX2)
        if (name == "avx2") return make_pair_loops_avx2();
#endif
        return make_pair_loops_baseline();
    }();
    return best;
}

void gaussian_matrix(int n, const double* positions, const double* widths, double* matrix) {
    const size_t width = static_cast<size_t>(n);
    for (size_t i = 0; i < width; i++)
        matrix[i * width + i] = widths[i] > 0 ? 1 / (widths[i] * root_of_pi) : 0.0;
    all_pairs(n, Places(n, positions), widths,
              [=](size_t i, size_t j, int count, const double* value, const double*) {
                  for (size_t k = 0; k < static_cast<size_t>(count); k++)
                      matrix[i * width + j + k] = matrix[(j + k) * width + i] = value[k];
              });
}

void gaussian_slopes(int n, const double* positions, const double* widths, double* slopes) {
    const size_t width = static_cast<size_t>(n);
    for (size_t i = 0; i < width; i++) slopes[i * width + i] = 0;
    all_pairs(n, Places(n, positions), widths,
              [=](size_t i, size_t j, int count, const double*, const double* slope) {
                  for (size_t k = 0; k < static_cast<size_t>(count); k++)
                      slopes[i * width + j + k] = slopes[(j + k) * width + i] = slope[k];
              });
}

void gaussian_pull(int n, const double* positions, const double* widths, const double* left,
                   const double* right, double* forces, double* virial) {
    const size_t width = static_cast<size_t>(n);
    const Places places(n, positions);
    std::vector<double> pulled(3 * width, 0.0);
    double strained[6] = {};
    all_pairs(n, places, widths,
              [&](size_t i, size_t j, int count, const double*, const double* slope) {
                  double* const to[3] = {pulled.data() + j, pulled.data() + width + j,
                                         pulled.data() + 2 * width + j};
                  double sums[9] = {};
                  pair_loops().pull(count, slope, positions + 3 * i, places.from(j), left[i],
                                    right[i], left + j, right + j, to, sums);
                  for (size_t d = 0; d < 3; d++) pulled[d * width + i] -= sums[d];
                  for (size_t c = 0; c < 6; c++) strained[c] -= sums[3 + c];
              });
    for (size_t i = 0; i < width; i++)
        for (size_t d = 0; d < 3; d++) forces[3 * i + d] = pulled[d * width + i];
    constexpr int component[9] = {0, 5, 4, 5, 1, 3, 4, 3, 2};
    for (size_t k = 0; k < 9; k++) virial[k] = strained[component[k]];
}

}  // namespace ace
