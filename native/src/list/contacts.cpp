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
    for (int i = 0; i < n; i++)
        for (int k = 0; k < 3; k++) {
            const double* dual = lattice.dual[k];
            double f = 0;
            for (int d = 0; d < 3; d++) f += dual[d] * positions[3 * i + d];
            fractions_[k][i] = fractions_[k][i + n] = f;
        }
    const double height = *std::min_element(lattice.height, lattice.height + 3);
    return periodic && !(2 * largest_ < height) ? images(lattice) : nearest(lattice, periodic);
}

// Structures of the same kinds follow one another: nothing changes then.
void Contacts::set_kinds(int n, const int64_t* kinds) {
    const size_t count = n;
    if (of_.size() == count && std::equal(kinds, kinds + n, of_.begin())) return;
    for (int i = 0; i < n; i++)
        if (kinds[i] < 0 || kinds[i] >= kinds_)
            throw Error("numbers: expected 0 to " + std::to_string(kinds_ - 1) + ", got " +
                        std::to_string(kinds[i]));
    of_.assign(kinds, kinds + n);
    squares_.clear();
    largest_ = 0;
    for (size_t i = 0; i < count; i++) largest_ = std::max(largest_, least(i, i));
    for (size_t next = 1; next <= count / 2; next++)
        for (size_t i = 0; i < count; i++) {
            const double distance = least(i, (i + next) % count);
            largest_ = std::max(largest_, distance);
            squares_.push_back(distance * distance);
        }
    for (std::vector<double>& fraction : fractions_) fraction.resize(2 * count);
}

// Where heights are more than twice all distances: an image as close as that has all coordinates of
// the difference within half a vector, so there is but one, and none of the atom itself. Atoms are
// taken with the next one, then with the one after that, round and round: all loops are as long.
bool Contacts::nearest(const Lattice& lattice, bool periodic) const {
    const auto& v = lattice.vectors;
    const size_t count = of_.size();
    const double *a = fractions_[0].data(), *b = fractions_[1].data(), *c = fractions_[2].data();
    // Adding it leaves no digit for a fraction: the nearest whole number, much faster than a call.
    const double large = 6755399441055744.0, turns = periodic;
    const auto wrapped = [=](double f) { return f - turns * ((f + large) - large); };
    const double* squares = squares_.data();
    for (size_t next = 1; next <= count / 2; next++, squares += count) {
        int64_t close = 0;
        for (size_t i = 0; i < count; i++) {
            const double p = wrapped(a[i + next] - a[i]), q = wrapped(b[i + next] - b[i]),
                         s = wrapped(c[i + next] - c[i]);
            const double x = p * v[0][0] + q * v[1][0] + s * v[2][0];
            const double y = p * v[0][1] + q * v[1][1] + s * v[2][1];
            const double z = p * v[0][2] + q * v[1][2] + s * v[2][2];
            close += x * x + y * y + z * z < squares[i];
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
