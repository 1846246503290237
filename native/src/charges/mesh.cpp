#include <algorithm>
#include <cmath>
#include <string>

#include "ace/charges.hpp"
#include "ace/errors.hpp"

namespace ace {
namespace {

// M_p(u + t), t = 0 ... p - 1, of 0 <= u < 1, and their derivatives by u, last t first: so they
// stand from the first point of the spline to its last.
void splines(double u, int p, double* weights, double* slopes) {
    double lower[MeshSplines::most_order + 1] = {1.0};  // M_1
    for (int k = 2; k <= p; k++) {
        if (k == p)
            for (int t = 0; t < p; t++)
                slopes[p - 1 - t] = lower[t] - (t > 0 ? lower[t - 1] : 0.0);
        for (int t = k - 1; t >= 0; t--)
            lower[t] = ((u + t) * lower[t] + (k - u - t) * (t > 0 ? lower[t - 1] : 0.0)) / (k - 1);
    }
    for (int t = 0; t < p; t++) weights[p - 1 - t] = lower[t];
}

}  // namespace

MeshSplines::MeshSplines(int n, const double* fractions, const int* shape, int order)
    : n_(n), order_(order), shape_{shape[0], shape[1], shape[2]} {
    if (order < 2 || order > most_order)
        throw Error("order: expected 2 to " + std::to_string(most_order) + ", got " +
                    std::to_string(order));
    for (int d = 0; d < 3; d++)
        if (shape[d] < order)
            throw Error("shape: expected at least " + std::to_string(order) + " points, got " +
                        std::to_string(shape[d]));
    const size_t count = 3 * static_cast<size_t>(n);
    base_.resize(count);
    weights_.resize(count * static_cast<size_t>(order));
    slopes_.resize(weights_.size());
    for (size_t k = 0; k < count; k++) {
        if (!std::isfinite(fractions[k]))
            throw Error("positions: not finite", static_cast<int>(k / 3), -1, Fault::not_finite);
        const int points = shape_[k % 3];
        const double at = (fractions[k] - std::floor(fractions[k])) * points;
        // Rounding may put it on the last point and beyond.
        const int base = static_cast<int>(std::floor(at));
        base_[k] = base % points;
        splines(at - base, order, weights_.data() + k * static_cast<size_t>(order),
                slopes_.data() + k * static_cast<size_t>(order));
    }
}

MeshSplines::Places MeshSplines::places(int atom) const {
    Places found;
    int* const axes[3] = {found.x, found.y, found.z};
    for (int d = 0; d < 3; d++) {
        const int first = base_[3 * static_cast<size_t>(atom) + d] - (order_ - 1);
        for (int t = 0; t < order_; t++)
            axes[d][t] = first + t < 0 ? first + t + shape_[d] : first + t;
        if (d == 2) found.straight = first >= 0;
    }
    return found;
}

void MeshSplines::spread(const double* charges, double* mesh) const {
    std::fill_n(mesh, points(), 0.0);
    const size_t p = static_cast<size_t>(order_), width = static_cast<size_t>(shape_[2]);
    for (int i = 0; i < n_; i++) {
        const Places at = places(i);
        const double* w = weights_.data() + 3 * p * static_cast<size_t>(i);
        for (size_t a = 0; a < p; a++)
            for (size_t b = 0; b < p; b++) {
                const double size = charges[i] * w[a] * w[p + b];
                double* line = mesh + (static_cast<size_t>(at.x[a]) * shape_[1] + at.y[b]) * width;
                if (at.straight) {
                    double* to = line + at.z[0];
                    for (size_t c = 0; c < p; c++) to[c] += size * w[2 * p + c];
                } else {
                    for (size_t c = 0; c < p; c++) line[at.z[c]] += size * w[2 * p + c];
                }
            }
    }
}

void MeshSplines::gather(const double* mesh, double* values) const {
    const size_t p = static_cast<size_t>(order_), width = static_cast<size_t>(shape_[2]);
    for (int i = 0; i < n_; i++) {
        const Places at = places(i);
        const double* w = weights_.data() + 3 * p * static_cast<size_t>(i);
        double sum = 0;
        for (size_t a = 0; a < p; a++)
            for (size_t b = 0; b < p; b++) {
                const double* line =
                    mesh + (static_cast<size_t>(at.x[a]) * shape_[1] + at.y[b]) * width;
                double along = 0;
                if (at.straight) {
                    const double* from = line + at.z[0];
                    for (size_t c = 0; c < p; c++) along += from[c] * w[2 * p + c];
                } else {
                    for (size_t c = 0; c < p; c++) along += line[at.z[c]] * w[2 * p + c];
                }
                sum += w[a] * w[p + b] * along;
            }
        values[i] = sum;
    }
}

void MeshSplines::gather_slopes(const double* mesh, double* slopes) const {
    const size_t p = static_cast<size_t>(order_), width = static_cast<size_t>(shape_[2]);
    for (int i = 0; i < n_; i++) {
        const Places at = places(i);
        const double* w = weights_.data() + 3 * p * static_cast<size_t>(i);
        const double* s = slopes_.data() + 3 * p * static_cast<size_t>(i);
        double sums[3] = {0, 0, 0};
        for (size_t a = 0; a < p; a++)
            for (size_t b = 0; b < p; b++) {
                const double* line =
                    mesh + (static_cast<size_t>(at.x[a]) * shape_[1] + at.y[b]) * width;
                double along = 0, slope = 0;
                for (size_t c = 0; c < p; c++) {
                    along += line[at.z[c]] * w[2 * p + c];
                    slope += line[at.z[c]] * s[2 * p + c];
                }
                sums[0] += s[a] * w[p + b] * along;
                sums[1] += w[a] * s[p + b] * along;
                sums[2] += w[a] * w[p + b] * slope;
            }
        for (int d = 0; d < 3; d++)
            slopes[3 * static_cast<size_t>(i) + d] = sums[d] * shape_[d];
    }
}

}  // namespace ace
