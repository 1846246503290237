#include "ace/cells.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

#include "ace/errors.hpp"
#include "ace/lattice.hpp"

namespace ace {
namespace {

// 0.4 GB of images.
constexpr double most_images = 5e6;
// A thread takes no fewer atoms: to wake it takes as long as a hundred of them.
constexpr int least_atoms = 2000;
// Relative error of the coordinates of a point, and of what is reckoned from them.
constexpr double rounding = 2e-15;

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
                  const int32_t* species, double cutoff, const Team& team) {
    if (n == 0) {
        for (std::vector<int>* v : {&centre_, &original_}) v->clear();
        return;
    }
    if (!(cutoff >= 1e-3 && cutoff <= 1e3)) throw Error("cells: expected a cut-off of 0.001 to 1000 A");
    cutoff_ = cutoff;
    const Team few{team.pool, std::max(1, std::min(team.threads, n / least_atoms))};
    if (shares_.size() < static_cast<size_t>(few.threads)) shares_.resize(few.threads);
    const Lattice lattice(cell, pbc);
    const Box box = fold(n, positions, lattice, few);
    check_density(n, lattice);
    add_images(n, lattice, box, few);
    sparse_ = !grid_.lay(box, points_.size());
    if (sparse_) columns_.sort(box, points_, order_);
    else grid_.sort(points_, order_, few);
    number(n, species, few);
}

// Atoms into the cell; the box around them that a search reaches.
Box Cells::fold(int n, const double* positions, const Lattice& lattice, const Team& team) {
    points_.resize(n);
    fraction_.resize(static_cast<size_t>(3) * n);
    team.run([&](int t) {
        Share& s = shares_[t];
        s.finite = true;
        for (int d = 0; d < 3; d++) {
            s.low[d] = s.least[d] = HUGE_VAL;
            s.high[d] = s.most[d] = -HUGE_VAL;
        }
        const size_t end = part(n, t + 1, team.threads);
        for (size_t i = part(n, t, team.threads); i < end; i++) {
            double *at = points_[i].at, *f = &fraction_[3 * i];
            points_[i].atom = static_cast<int>(i);
            lattice.fold(positions + 3 * i, at, f);
            for (int d = 0; d < 3; d++) {
                s.finite = s.finite && std::abs(positions[3 * i + d]) < 1e8;
                s.low[d] = std::min(s.low[d], at[d]);
                s.high[d] = std::max(s.high[d], at[d]);
                s.least[d] = std::min(s.least[d], f[d]);
                s.most[d] = std::max(s.most[d], f[d]);
            }
        }
    });
    Share& all = shares_[0];
    for (int t = 0; t < team.threads; t++) {
        if (!shares_[t].finite) check_positions(n, positions);
        for (int d = 0; d < 3; d++) {
            all.low[d] = std::min(all.low[d], shares_[t].low[d]);
            all.high[d] = std::max(all.high[d], shares_[t].high[d]);
            all.least[d] = std::min(all.least[d], shares_[t].least[d]);
            all.most[d] = std::max(all.most[d], shares_[t].most[d]);
        }
    }
    Box box;
    double far = cutoff_;
    for (int d = 0; d < 3; d++) far = std::max({far, std::abs(all.low[d]), std::abs(all.high[d])});
    box.cutoff = cutoff_;
    box.reach = cutoff_ + rounding * far;
    for (int d = 0; d < 3; d++) {
        box.low[d] = all.low[d] - box.reach;
        box.high[d] = all.high[d] + box.reach;
    }
    return box;
}

// As many atoms as there are on average within the cut-off of a place in a box around all of them.
void Cells::check_density(int n, const Lattice& lattice) const {
    double neighbours = n, inside = 1;
    int filled = 0;
    for (int k = 0; k < 3; k++) {
        const double size = lattice.height[k] *
                            (lattice.periodic[k] ? 1 : shares_[0].most[k] - shares_[0].least[k]);
        if (!lattice.periodic[k] && !(size > 2 * cutoff_)) continue;
        neighbours *= 2 * cutoff_ / size;
        inside = ++filled == 3 ? 0.5236 : filled == 2 ? 0.7854 : 1.0;  // of a ball in its cube
    }
    neighbours *= inside;
    if (!(neighbours < most_neighbours)) crowded(-1, neighbours, cutoff_);
}

// Images that an atom can see.
void Cells::add_images(int n, const Lattice& lattice, const Box& box, const Team& team) {
    // About as many points as the loop below makes, at 70 bytes each.
    double expected = n;
    for (int k = 0; k < 3; k++)
        expected *= lattice.periodic[k] ? 1 + 2 * cutoff_ / lattice.height[k] : 1.0;
    if (!(expected - n < most_images + 4.0 * n && expected < 2e9))
        throw Error("cell: more than " + std::to_string(static_cast<long>(most_images)) +
                    " periodic images within the cut-off; its vectors are too short or too skewed; "
                    "has the cell collapsed?");
    points_.reserve(static_cast<size_t>(expected));
    team.run([&](int t) {
        std::vector<Image>& images = team.threads == 1 ? points_ : shares_[t].images;
        if (team.threads > 1) images.clear();
        const auto& h = lattice.vectors;
        const size_t end = part(n, t + 1, team.threads);
        for (size_t i = part(n, t, team.threads); i < end; i++) {
            // How far an image may be shifted and still lie within the cut-off of the cell.
            int low[3], high[3];
            for (int k = 0; k < 3; k++) {
                const double f = fraction_[3 * i + k], reach = box.reach / lattice.height[k] + 1e-9;
                low[k] = lattice.periodic[k] ? -static_cast<int>(std::floor(reach + f)) : 0;
                high[k] = lattice.periodic[k] ? static_cast<int>(std::floor(reach + 1 - f)) : 0;
            }
            for (int a = low[0]; a <= high[0]; a++)
                for (int b = low[1]; b <= high[1]; b++)
                    for (int c = low[2]; c <= high[2]; c++) {
                        if (a == 0 && b == 0 && c == 0) continue;
                        Image p = points_[i];
                        bool seen = true;
                        for (int d = 0; d < 3; d++) {
                            p.at[d] += a * h[0][d] + b * h[1][d] + c * h[2][d];
                            seen = seen && p.at[d] >= box.low[d] && p.at[d] <= box.high[d];
                        }
                        if (seen) images.push_back(p);
                    }
        }
    });
    for (int t = 0; t < team.threads && team.threads > 1; t++)
        points_.insert(points_.end(), shares_[t].images.begin(), shares_[t].images.end());
}

// Numbers atoms by their place, and puts the points there.
void Cells::number(int n, const int32_t* kinds, const Team& team) {
    const size_t count = points_.size();
    for (std::vector<double>* v : {&x, &y, &z}) {
        v->resize(count + 16);
        std::fill(v->begin() + count, v->end(), 1e300);
    }
    for (std::vector<int32_t>* v : {&owner, &species}) {
        v->resize(count + 16);
        std::fill(v->begin() + count, v->end(), 0);
    }
    for (std::vector<int>* v : {&original_, &centre_, &number_}) v->resize(n);
    team.run([&](int t) {
        int atoms = 0;
        const size_t end = part(count, t + 1, team.threads);
        for (size_t k = part(count, t, team.threads); k < end; k++) atoms += order_[k] < n;
        shares_[t].atoms = atoms;
    });
    team.run([&](int t) {
        int next = 0;
        for (int u = 0; u < t; u++) next += shares_[u].atoms;
        const size_t end = part(count, t + 1, team.threads);
        for (size_t k = part(count, t, team.threads); k < end; k++) {
            const Image& point = points_[order_[k]];
            x[k] = point.at[0];
            y[k] = point.at[1];
            z[k] = point.at[2];
            species[k] = kinds[point.atom];
            if (order_[k] >= n) continue;
            original_[next] = order_[k];
            centre_[next] = static_cast<int>(k);
            number_[order_[k]] = next++;
        }
    });
    team.run([&](int t) {
        const size_t end = part(count, t + 1, team.threads);
        for (size_t k = part(count, t, team.threads); k < end; k++)
            owner[k] = number_[points_[order_[k]].atom];
    });
}

void Cells::runs(int k, std::vector<Run>& out) const {
    out.clear();
    const int place = centre_[k];
    const double at[3] = {x[place], y[place], z[place]};
    if (sparse_) columns_.runs(place, at, z, out);
    else grid_.runs(at, out);
}

}  // namespace ace
