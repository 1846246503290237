#include <algorithm>
#include <cmath>
#include <string>

#include "ace/cells.hpp"
#include "ace/charges.hpp"
#include "ace/errors.hpp"
#include "charges/gaussian.hpp"

namespace ace {
namespace {

constexpr size_t most_pairs = 40000000;  // 2 GB
constexpr double same_point = 1e-12;

// Whether an image of an atom is in the half of all lattice vectors that counts.
bool counts(const double* vector, const double* inverse) {
    for (int k = 0; k < 3; k++) {
        double turns = 0;
        for (int d = 0; d < 3; d++) turns += vector[d] * inverse[3 * d + k];
        if (const long whole = std::lround(turns); whole != 0) return whole > 0;
    }
    return false;
}

}  // namespace

ScreenedPairs::ScreenedPairs(int n, const double* positions, const int32_t* kinds, int count,
                             const double* widths, const double* cell, const double* inverse,
                             const double* reach, double sigma)
    : n_(n) {
    const size_t side = static_cast<size_t>(count);
    double longest = 0;
    std::vector<double> squares(side * side), inverses(side * side);
    for (size_t a = 0; a < side; a++)
        for (size_t b = 0; b < side; b++) {
            squares[a * side + b] = reach[a * side + b] * reach[a * side + b];
            inverses[a * side + b] =
                inverse_width(widths[a] * widths[a] + widths[b] * widths[b]);
            longest = std::max(longest, reach[a * side + b]);
        }
    for (int i = 0; i < n; i++)
        if (kinds[i] < 0 || kinds[i] >= count)
            throw Error("kinds: expected 0 to " + std::to_string(count - 1) + ", got " +
                        std::to_string(kinds[i]));
    const int everywhere[3] = {1, 1, 1};
    const double smeared = 1 / (4 * sigma * sigma);
    Cells cells;
    cells.build(n, positions, cell, everywhere, kinds, longest);
    std::vector<Run> runs;
    std::vector<double> square, inverse_widths, smooth_widths, smooth, smooth_slope;
    const auto evaluate = pair_loops().interactions;
    for (int k = 0; k < cells.atoms(); k++) {
        cells.runs(k, runs);
        const int i = cells.original(k), place = cells.place(k);
        const size_t row = static_cast<size_t>(kinds[i]) * side;
        square.clear();
        inverse_widths.clear();
        for (const Run& run : runs)
            for (int p = run.begin; p < run.end; p++) {
                const double v[3] = {cells.x[p] - cells.x[place], cells.y[p] - cells.y[place],
                                     cells.z[p] - cells.z[place]};
                const double r2 = v[0] * v[0] + v[1] * v[1] + v[2] * v[2];
                const size_t kind = row + static_cast<size_t>(cells.species[p]);
                if (!(r2 < squares[kind]) || p == place) continue;
                const int j = cells.original(cells.owner[p]);
                if (j < i || (j == i && !counts(v, inverse))) continue;
                if (r2 <= same_point * same_point)
                    throw Error("atoms # and # sit at the same point", i, j, Fault::too_close);
                second_.push_back(j);
                vector_.insert(vector_.end(), v, v + 3);
                square.push_back(r2);
                inverse_widths.push_back(inverses[kind]);
            }
        if (second_.size() > most_pairs)
            throw Error("positions and cell: more than " + std::to_string(most_pairs) +
                            " pairs; has the cell collapsed?",
                        Fault::too_dense);
        const size_t before = value_.size(), found = square.size();
        value_.resize(before + found);
        slope_.resize(before + found);
        smooth_widths.assign(found, smeared);
        smooth.resize(found);
        smooth_slope.resize(found);
        const int many = static_cast<int>(found);
        evaluate(many, square.data(), inverse_widths.data(), value_.data() + before,
                 slope_.data() + before);
        evaluate(many, square.data(), smooth_widths.data(), smooth.data(), smooth_slope.data());
        for (size_t e = 0; e < found; e++) {
            value_[before + e] -= smooth[e];
            slope_[before + e] -= smooth_slope[e];
        }
        row_.push_back(i);
        begin_.push_back(second_.size());
    }
}

ScreenedPairs ScreenedPairs::within(double distance) const {
    ScreenedPairs near(n_);
    for (size_t k = 0; k < rows(); k++) {
        for (size_t e = begin_[k]; e < begin_[k + 1]; e++) {
            const double* v = vector(e);
            if (!(v[0] * v[0] + v[1] * v[1] + v[2] * v[2] < distance * distance)) continue;
            near.second_.push_back(second_[e]);
            near.vector_.insert(near.vector_.end(), v, v + 3);
            near.value_.push_back(value_[e]);
            near.slope_.push_back(slope_[e]);
        }
        near.row_.push_back(row_[k]);
        near.begin_.push_back(near.second_.size());
    }
    return near;
}

void ScreenedPairs::product(const double* charges, double* out) const {
    std::fill_n(out, n_, 0.0);
    for (size_t k = 0; k < rows(); k++) {
        const double own = charges[row_[k]];
        double sum = 0;
        for (size_t e = begin_[k]; e < begin_[k + 1]; e++) {
            sum += value_[e] * charges[second_[e]];
            out[second_[e]] += value_[e] * own;
        }
        out[row_[k]] += sum;
    }
}

void ScreenedPairs::pull(const double* left, const double* right, double* forces,
                         double* virial) const {
    std::fill_n(forces, 3 * static_cast<size_t>(n_), 0.0);
    std::fill_n(virial, 9, 0.0);
    for (size_t k = 0; k < rows(); k++) {
        const size_t i = static_cast<size_t>(row_[k]);
        double sum[3] = {0, 0, 0};
        for (size_t e = begin_[k]; e < begin_[k + 1]; e++) {
            const size_t j = static_cast<size_t>(second_[e]);
            const double both = slope_[e] * (left[i] * right[j] + right[i] * left[j]);
            for (size_t d = 0; d < 3; d++) {
                const double along = both * vector_[3 * e + d];
                sum[d] += along;
                forces[3 * j + d] -= along;
                for (size_t f = 0; f < 3; f++) virial[3 * d + f] -= along * vector_[3 * e + f];
            }
        }
        for (size_t d = 0; d < 3; d++) forces[3 * i + d] += sum[d];
    }
}

}  // namespace ace
