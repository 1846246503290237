#include "ace/contacts.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "ace/cells.hpp"
#include "ace/errors.hpp"
#include "ace/lattice.hpp"

namespace ace {

bool Contacts::in(int n, const double* positions, const int64_t* kinds, const double* cell,
                  bool periodic) {
    set_kinds(n, kinds);
    if (largest_ == 0) return false;
    check_positions(n, positions);
    const int pbc[3] = {periodic, periodic, periodic};
    const Lattice lattice(cell, pbc);
    for (int i = 0; i < n; i++) {
        double at[3], fraction[3];
        lattice.fold(positions + 3 * i, at, fraction);
        for (int k = 0; k < 3; k++) fractions_[k][i] = fraction[k];
    }
    const double height = *std::min_element(lattice.height, lattice.height + 3);
    return periodic && !(2 * largest_ < height) ? images(lattice) : nearest(lattice, periodic);
}

// Structures of the same kinds follow one another: nothing changes then.
void Contacts::set_kinds(int n, const int64_t* kinds) {
    if (of_.size() == static_cast<size_t>(n) && std::equal(kinds, kinds + n, of_.begin())) return;
    for (int i = 0; i < n; i++)
        if (kinds[i] < 0 || kinds[i] >= kinds_)
            throw Error("numbers: expected 0 to " + std::to_string(kinds_ - 1) + ", got " +
                        std::to_string(kinds[i]));
    of_.assign(kinds, kinds + n);
    squares_.clear();
    largest_ = 0;
    for (size_t i = 0; i < of_.size(); i++) {
        largest_ = std::max(largest_, least(i, i));
        for (size_t j = 0; j < i; j++) {
            largest_ = std::max(largest_, least(i, j));
            squares_.push_back(least(i, j) * least(i, j));
        }
    }
    for (std::vector<double>& fraction : fractions_) fraction.resize(n);
}

// Where heights are more than twice all distances: an image as close as that has all coordinates of
// the difference within half a vector, so there is but one, and none of the atom itself.
bool Contacts::nearest(const Lattice& lattice, bool periodic) const {
    const auto& v = lattice.vectors;
    const double whole = periodic;
    const double* squares = squares_.data();
    const double *a = fractions_[0].data(), *b = fractions_[1].data(), *c = fractions_[2].data();
    const auto wrapped = [whole](double f) { return f - whole * ((f > 0.5) - (f < -0.5)); };
    for (size_t i = 0; i < of_.size(); squares += i++) {
        bool close = false;
        for (size_t j = 0; j < i; j++) {
            const double p = wrapped(a[i] - a[j]), q = wrapped(b[i] - b[j]),
                         s = wrapped(c[i] - c[j]);
            double square = 0;
            for (int d = 0; d < 3; d++) {
                const double x = p * v[0][d] + q * v[1][d] + s * v[2][d];
                square += x * x;
            }
            close |= square < squares[j];
        }
        if (close) return true;
    }
    return false;
}

// A point is its coordinate times the height away from the layer of lattice points through the
// origin: within a distance there are but those images that have all three small enough.
bool Contacts::images(const Lattice& lattice) const {
    const auto& v = lattice.vectors;
    for (size_t i = 0; i < of_.size(); i++)
        for (size_t j = 0; j <= i; j++) {
            const double distance = least(i, j);
            double from[3], low[3], high[3];
            for (int k = 0; k < 3; k++) {
                const double reach = distance / lattice.height[k];
                from[k] = fractions_[k][i] - fractions_[k][j];
                low[k] = std::ceil(-reach - from[k]);
                high[k] = std::floor(reach - from[k]);
            }
            for (double p = low[0]; p <= high[0]; p++)
                for (double q = low[1]; q <= high[1]; q++)
                    for (double s = low[2]; s <= high[2]; s++) {
                        if (i == j && p == 0 && q == 0 && s == 0) continue;
                        double square = 0;
                        for (int d = 0; d < 3; d++) {
                            const double x = (from[0] + p) * v[0][d] + (from[1] + q) * v[1][d] +
                                             (from[2] + s) * v[2][d];
                            square += x * x;
                        }
                        if (square < distance * distance) return true;
                    }
        }
    return false;
}

}  // namespace ace
