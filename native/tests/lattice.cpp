// Cells that no crystal has: of any length that a number can be, in one plane, nearly so, sheared.
#include "ace/lattice.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "ace/cells.hpp"
#include "atoms.hpp"
#include "cases.hpp"

namespace ace::test {
namespace {

constexpr double smallest = std::numeric_limits<double>::denorm_min();
constexpr double largest = std::numeric_limits<double>::max();

double power(Random& random, double low, double high) { return std::pow(10.0, random(low, high)); }

// Sets vector k to a sum of the two others with whole or real numbers up to 10^`digits`, beside the
// plane of these by a part of 10^`beside`.
void flatten(Random& random, Atoms& atoms, int k, double digits, double beside) {
    const bool whole = random.below(2);
    double* const out = atoms.cell + 3 * k;
    for (int d = 0; d < 3; d++) out[d] *= beside;
    for (int other = 0; other < 3; other++) {
        if (other == k) continue;
        double times = random(-1, 1) * power(random, 0, digits);
        if (whole) times = std::round(times);
        for (int d = 0; d < 3; d++) out[d] += times * atoms.cell[3 * other + d];
    }
}

// Two atoms in a cell of one of these kinds.
Atoms absurd(Random& random, int kind) {
    static const double odd[] = {0.0,  -0.0,    smallest, -smallest, 1e-300, 1e-162, 1e-154, 1e-8,
                                 1.0,  9.99e7,  1e8,      1e154,     1e300,  largest, -1.0,  3.0};
    Atoms atoms;
    atoms.species = {0, 0};
    for (int k = 0; k < 3; k++) atoms.pbc[k] = random.below(4) > 0;
    const double one = power(random, -323, 300), close = power(random, -9, 0);
    for (int k = 0; k < 3; k++) {
        const double own = power(random, -323, 308), near = power(random, -3, 7);
        for (int d = 0; d < 3; d++) {
            const double v = random(-1, 1);
            const double of_kind[] = {v * own, v * one, v * near, 4 * v, odd[random.below(16)]};
            atoms.cell[3 * k + d] = of_kind[std::min(kind, 4)];
        }
    }
    if (kind == 5 || kind == 6) {  // in a plane, or nearly so
        for (double& v : atoms.cell) v = random(-4, 4);
        flatten(random, atoms, random.below(3), 12, kind == 5 ? 0 : power(random, -18, 0));
    }
    if (kind == 7) {  // sheared again and again, and close to flat
        for (double& v : atoms.cell) v = random(-4, 4);
        for (int turn = 0; turn < 4; turn++) flatten(random, atoms, random.below(3), 2, close);
    }
    const double at = random.below(2) ? 1.0 : power(random, -320, 7.9);
    for (int k = 0; k < 6; k++) atoms.positions.push_back(at * random(-1, 1));
    return atoms;
}

// The given vectors are whole multiples of those found, which have the heights and duals they say.
void demand_lattice(const Lattice& lattice, const Atoms& atoms, const std::string& what) {
    for (int k = 0; k < 3; k++) {
        demand(std::isfinite(lattice.height[k]) && lattice.height[k] > 0, what + ": no height");
        for (int j = 0; j < 3; j++) {
            double product = 0, terms = 1, whole = 0;
            for (int d = 0; d < 3; d++) {
                const double term = lattice.dual[k][d] * lattice.vectors[j][d];
                product += term;
                terms += std::abs(term);
                whole += lattice.dual[k][d] * atoms.cell[3 * j + d];
            }
            demand_near(product, k == j, 1e-14 * terms, what + ": the dual");
            if (!atoms.pbc[j] || !(std::abs(whole) < 1e5)) continue;
            if (!atoms.pbc[k]) demand_near(whole, 0, 1e-3, what + ": not normal");
            demand_near(whole, std::round(whole), 1e-3, what + ": another lattice");
        }
    }
}

// Images within the cut-off of a cell.
double images(const Lattice& lattice, double cutoff) {
    double count = 1;
    for (int k = 0; k < 3; k++)
        if (lattice.periodic[k]) count *= 1 + 2 * cutoff / lattice.height[k];
    return count;
}

void absurd_cells_are_refused_or_work() {
    Random random(41);
    int sound = 0;
    constexpr double cutoff = 0.01;
    constexpr int cells = 20000, kinds = 8;
    for (int k = 0; k < cells; k++) {
        const Atoms atoms = absurd(random, k % kinds);
        const std::string what = "cell " + std::to_string(k);
        try {
            const Lattice lattice(atoms.cell, atoms.pbc);
            demand_lattice(lattice, atoms, what);
            sound++;
            const double count = images(lattice, cutoff);
            if (count > 1e4 && count < 1e8) continue;  // a list of so many takes its time
            Cells list;
            list.build(2, atoms.positions.data(), atoms.cell, atoms.pbc, atoms.species.data(),
                       cutoff);
        } catch (const Error&) {
        }
    }
    demand(sound > cells / 20 && sound < cells - cells / 4,
           std::to_string(sound) + " of all work: other cells than these were to be tried");
}

// As small and as large as they may be, and a little smaller and larger.
void lengths_have_limits() {
    const int all[3] = {1, 1, 1};
    const auto lattice = [&](double a, double b, double c) {
        const double cell[9] = {a, 0, 0, 0, b, 0, 0, 0, c};
        return Lattice(cell, all);
    };
    demand(lattice(9.9e7, 1, 1).height[0] == 9.9e7, "a long cell");
    demand(lattice(1e-19, 1e-19, 1e-19).height[2] == 1e-19, "a cell that has a volume");
    for (const double bad : {1e8, 1e300, HUGE_VAL, -HUGE_VAL, std::nan("")})
        demand_error([&] { lattice(1, bad, 1); }, "vectors of finite length below 1e8 A");
    for (const double bad : {0.0, smallest, 1e-300, 1e-11})
        demand_error([&] { lattice(1, bad, 1); }, "span no volume");
    for (const double bad : {smallest, 1e-200, 1e-155, 1e-21})
        demand_error([&] { lattice(bad, bad, bad); }, "span no volume");
}

}  // namespace
}  // namespace ace::test

int main() {
    using namespace ace::test;
    return run({{"absurd cells are refused or work", absurd_cells_are_refused_or_work},
                {"lengths have limits", lengths_have_limits}});
}
