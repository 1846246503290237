#include "ace/cells.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <string>

#include "ace/errors.hpp"

namespace ace {
namespace {

// 0.4 GB of images.
constexpr double most_images = 5e6;
// Most layers of cells that a cut-off reaches: the box of all cells is at least two cut-offs wide,
// so cells are at least 0.46 of one.
constexpr int most_reach = 3;

void cross(const double* a, const double* b, double* out) {
    out[0] = a[1] * b[2] - a[2] * b[1];
    out[1] = a[2] * b[0] - a[0] * b[2];
    out[2] = a[0] * b[1] - a[1] * b[0];
}

double dot(const double* a, const double* b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

double length(const double* a) { return std::sqrt(dot(a, a)); }

// A unit vector normal to both (or to the first, if the second is zero).
void normal(const double* a, const double* b, double* out) {
    cross(a, b, out);
    if (length(out) == 0) {
        const double* one = length(a) > 0 ? a : b;
        const int small = std::abs(one[0]) < std::abs(one[1])
                              ? (std::abs(one[0]) < std::abs(one[2]) ? 0 : 2)
                              : (std::abs(one[1]) < std::abs(one[2]) ? 1 : 2);
        double axis[3] = {0, 0, 0};
        axis[small] = 1;
        cross(one, axis, out);
        if (length(out) == 0) std::memcpy(out, axis, sizeof axis);
    }
    const double norm = length(out);
    for (int d = 0; d < 3; d++) out[d] /= norm;
}

// The cell with rows that do not repeat replaced by unit vectors normal to the others.
void complete(const double* cell, const int* pbc, double h[3][3]) {
    for (int k = 0; k < 3; k++)
        for (int d = 0; d < 3; d++) h[k][d] = pbc[k] ? cell[3 * k + d] : 0.0;
    for (int k = 0; k < 9; k++)
        if (!(std::abs((&h[0][0])[k]) < 1e8))
            throw Error("cell: expected vectors of finite length below 1e8 A");
    for (int k = 0; k < 3; k++)
        if (!pbc[k]) normal(h[(k + 1) % 3], h[(k + 2) % 3], h[k]);
    double n[3];
    cross(h[1], h[2], n);
    const double volume = std::abs(dot(h[0], n));
    if (!(volume > 1e-8 * length(h[0]) * length(h[1]) * length(h[2])))
        throw Error("cell: its periodic vectors span no volume");
}

}  // namespace

void crowded(int atom, double neighbours, double cutoff) {
    char text[200];
    if (atom >= 0)
        std::snprintf(text, sizeof text, "atom %d has %.0f neighbours within %.4g A", atom,
                      neighbours, cutoff);
    else
        std::snprintf(text, sizeof text, "atoms have about %.3g neighbours within %.4g A",
                      neighbours, cutoff);
    throw Error(std::string("positions and cell: ") + text + ", expected at most " +
                std::to_string(most_neighbours) +
                ": no matter is so dense; has the cell collapsed?",
                Fault::too_dense);
}

void check_positions(int n, const double* positions) {
    for (size_t k = 0; k < 3 * static_cast<size_t>(n); k++)
        if (!(std::abs(positions[k]) < 1e8))
            throw Error("positions: atom # is not at a finite position within 1e8 A", k / 3, -1,
                        Fault::not_finite);
}

void Cells::build(int n, const double* positions, const double* cell, const int* pbc,
                  const int32_t* species, double cutoff) {
    if (n == 0) {
        for (std::vector<int>* v : {&first_, &centre_, &original_}) v->clear();
        return;
    }
    check_positions(n, positions);
    if (!(cutoff >= 1e-3 && cutoff <= 1e3)) throw Error("cells: expected a cut-off of 0.001 to 1000 A");
    cutoff_ = cutoff;
    images(n, positions, cell, pbc);
    sort(n, species);
}

void Cells::images(int n, const double* positions, const double* cell, const int* pbc) {
    double h[3][3], recip[3][3], height[3];
    complete(cell, pbc, h);
    for (int k = 0; k < 3; k++) {
        cross(h[(k + 1) % 3], h[(k + 2) % 3], recip[k]);
        const double volume = dot(h[k], recip[k]);
        height[k] = std::abs(volume) / length(recip[k]);
        for (double& v : recip[k]) v /= volume;
    }
    points_.resize(n);
    fraction_.resize(static_cast<size_t>(3) * n);
    for (int i = 0; i < n; i++) {
        Image& p = points_[i];
        p.atom = i;
        for (int d = 0; d < 3; d++) p.at[d] = positions[3 * size_t(i) + d];
        for (int k = 0; k < 3; k++) {
            const double f = dot(recip[k], positions + 3 * size_t(i));
            const double shift = pbc[k] ? std::floor(f) : 0.0;
            fraction_[3 * size_t(i) + k] = f - shift;
            for (int d = 0; d < 3; d++) p.at[d] -= shift * h[k][d];
        }
    }
    check_density(n, height, pbc);
    // About as many points as the loop below makes, at 70 bytes each.
    double expected = n;
    for (int k = 0; k < 3; k++) expected *= pbc[k] ? 1 + 2 * cutoff_ / height[k] : 1.0;
    if (!(expected - n < most_images + 4.0 * n && expected < 2e9))
        throw Error("cell: more than " + std::to_string(static_cast<long>(most_images)) +
                    " periodic images within the cut-off; its vectors are too short or too skewed; "
                    "has the cell collapsed?");
    points_.reserve(static_cast<size_t>(expected));
    for (int i = 0; i < n; i++) {
        const double* f = &fraction_[3 * size_t(i)];
        // How far an image may be shifted and still lie within the cut-off of the cell.
        int low[3], high[3];
        for (int k = 0; k < 3; k++) {
            const double reach = cutoff_ / height[k] + 1e-9;
            low[k] = pbc[k] ? -static_cast<int>(std::floor(reach + f[k])) : 0;
            high[k] = pbc[k] ? static_cast<int>(std::floor(reach + 1 - f[k])) : 0;
        }
        for (int a = low[0]; a <= high[0]; a++)
            for (int b = low[1]; b <= high[1]; b++)
                for (int c = low[2]; c <= high[2]; c++) {
                    if (a == 0 && b == 0 && c == 0) continue;
                    Image p = points_[i];
                    for (int d = 0; d < 3; d++) p.at[d] += a * h[0][d] + b * h[1][d] + c * h[2][d];
                    points_.push_back(p);
                }
    }
}

// As many atoms as there are on average within the cut-off of a place in a box around all of them.
void Cells::check_density(int n, const double* height, const int* pbc) const {
    double neighbours = n, inside = 1;
    int filled = 0;
    for (int k = 0; k < 3; k++) {
        double size = height[k];
        if (!pbc[k]) {
            const auto along = [&](int i) { return fraction_[3 * size_t(i) + k] * height[k]; };
            double low = along(0), high = low;
            for (int i = 1; i < n; i++) {
                low = std::min(low, along(i));
                high = std::max(high, along(i));
            }
            size = high - low;
        }
        if (!pbc[k] && !(size > 2 * cutoff_)) continue;
        neighbours *= 2 * cutoff_ / size;
        inside = ++filled == 3 ? 0.5236 : filled == 2 ? 0.7854 : 1.0;  // of a ball in its cube
    }
    neighbours *= inside;
    if (!(neighbours < most_neighbours)) crowded(-1, neighbours, cutoff_);
}

void Cells::sort(int n, const int32_t* kinds) {
    double high[3];
    for (int d = 0; d < 3; d++) {
        low_[d] = high[d] = points_[0].at[d];
        for (int i = 1; i < n; i++) {
            low_[d] = std::min(low_[d], points_[i].at[d]);
            high[d] = std::max(high[d], points_[i].at[d]);
        }
        low_[d] -= cutoff_ * (1 + 1e-12);
        high[d] += cutoff_ * (1 + 1e-12);
    }
    // Cells of 0.6 of the cut-off (measured: 0.5 to 0.75), larger where a few atoms are far apart.
    double edge = 0.6 * cutoff_;
    const auto cells_of = [&](double size) {
        double cells = 1;
        for (int d = 0; d < 3; d++) cells *= std::ceil((high[d] - low_[d]) / size);
        return cells;
    };
    while (cells_of(edge) > 8.0 * points_.size() + 512) edge *= 1.3;
    for (int d = 0; d < 3; d++) {
        count_[d] = std::max(1, static_cast<int>(std::ceil((high[d] - low_[d]) / edge)));
        step_[d] = (high[d] - low_[d]) / count_[d];
        reach_[d] = static_cast<int>(std::ceil(cutoff_ / step_[d] * (1 + 1e-12)));
    }
    const int cells = count_[0] * count_[1] * count_[2];
    first_.assign(cells + 1, 0);
    bin_.resize(points_.size());
    size_t kept = 0;
    const double inverse[3] = {1 / step_[0], 1 / step_[1], 1 / step_[2]};
    for (const Image& p : points_) {
        int q[3];
        bool inside = true;
        for (int d = 0; d < 3; d++) {
            const double t = (p.at[d] - low_[d]) * inverse[d];
            inside = inside && t >= 0 && t < count_[d];
            q[d] = inside ? static_cast<int>(t) : 0;
        }
        if (!inside) continue;  // an image that no atom can see
        bin_[kept] = (q[0] * count_[1] + q[1]) * count_[2] + q[2];
        first_[bin_[kept] + 1]++;
        points_[kept++] = p;
    }
    points_.resize(kept);
    for (int c = 0; c < cells; c++) first_[c + 1] += first_[c];
    for (std::vector<double>* v : {&x, &y, &z}) {
        v->resize(kept + 16);
        std::fill(v->begin() + kept, v->end(), 1e300);
    }
    for (std::vector<int32_t>* v : {&owner, &species}) {
        v->resize(kept + 16);
        std::fill(v->begin() + kept, v->end(), 0);
    }
    next_.assign(first_.begin(), first_.end() - 1);
    place_.resize(kept);
    for (size_t p = 0; p < kept; p++) place_[p] = next_[bin_[p]]++;
    // Real atoms come first in points_: number them by their place.
    original_.resize(n);
    centre_.resize(n);
    number_.resize(n);
    std::iota(original_.begin(), original_.end(), 0);
    std::sort(original_.begin(), original_.end(),
              [&](int a, int b) { return place_[a] < place_[b]; });
    for (int k = 0; k < n; k++) {
        number_[original_[k]] = k;
        centre_[k] = place_[original_[k]];
    }
    for (size_t p = 0; p < kept; p++) {
        const Image& point = points_[p];
        const int at = place_[p];
        x[at] = point.at[0];
        y[at] = point.at[1];
        z[at] = point.at[2];
        owner[at] = number_[point.atom];
        species[at] = kinds[point.atom];
    }
}

void Cells::runs(int k, std::vector<Run>& out) const {
    out.clear();
    const double at[3] = {x[centre_[k]], y[centre_[k]], z[centre_[k]]};
    int low[2], high[2];
    double gap[2][2 * most_reach + 1];  // squared distance to each layer of cells
    for (int d = 0; d < 2; d++) {
        const int q = std::min(count_[d] - 1, static_cast<int>((at[d] - low_[d]) / step_[d]));
        low[d] = std::max(0, q - reach_[d]);
        high[d] = std::min(count_[d] - 1, q + reach_[d]);
        for (int c = low[d]; c <= high[d]; c++) {
            const double away = c < q   ? at[d] - (low_[d] + (c + 1) * step_[d])
                                : c > q ? low_[d] + c * step_[d] - at[d]
                                        : 0.0;
            gap[d][c - low[d]] = away * away;
        }
    }
    const double limit = cutoff_ * cutoff_ * (1 + 1e-12), inverse = 1 / step_[2];
    const double place = (at[2] - low_[2]) * inverse;
    for (int a = low[0]; a <= high[0]; a++)
        for (int b = low[1]; b <= high[1]; b++) {
            const double left = limit - gap[0][a - low[0]] - gap[1][b - low[1]];
            if (left < 0) continue;
            // Half the length of the run in cells, a little too long rather than too short.
            const double half = (std::sqrt(static_cast<float>(left)) * 1.000001 + 1e-6) * inverse;
            const int c0 = std::max(0, static_cast<int>(place - half));
            const int c1 = std::min(count_[2] - 1, static_cast<int>(place + half));
            const int base = (a * count_[1] + b) * count_[2];
            const Run run{first_[base + c0], first_[base + c1 + 1]};
            if (run.begin < run.end) out.push_back(run);
        }
}

}  // namespace ace
