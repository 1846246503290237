// Sums for Gaussian charges: every instruction set against the error function of the standard
// library, forces and virials against differences, images against sums without a list.
#include "ace/charges.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "ace/evaluator.hpp"
#include "atoms.hpp"
#include "cases.hpp"
#include "charges/gaussian.hpp"

namespace ace {

PairLoops make_pair_loops_baseline();
#if defined(ACE_TEST_AVX2)
PairLoops make_pair_loops_avx2();
#endif
#if defined(ACE_TEST_AVX512)
PairLoops make_pair_loops_avx512();
#endif

namespace test {
namespace {

const double root_of_pi = std::sqrt(std::acos(-1.0));

double exact(double r, double gamma) {
    if (gamma == 0) return 1 / r;
    return r < 1e-4 * gamma ? 2 / (root_of_pi * gamma) * (1 - r * r / (3 * gamma * gamma))
                            : std::erf(r / gamma) / r;
}

// (d/dr)/r.
double exact_slope(double r, double gamma) {
    if (gamma == 0) return -1 / (r * r * r);
    const double x = r / gamma;
    if (x < 0.1)
        return 4 / (root_of_pi * gamma * gamma * gamma) *
               (-1.0 / 3 + x * x / 5 - std::pow(x, 4) / 14 + std::pow(x, 6) / 54 - std::pow(x, 8) / 264);
    return (2 / (root_of_pi * gamma) * std::exp(-x * x) - std::erf(x) / r) / (r * r);
}

void functions(const PairLoops& loops, const std::string& name) {
    for (const double gamma : {0.0, 0.3, 1.7, 40.0}) {
        std::vector<double> square, inverse;
        for (int k = 0; k <= 4001; k++) {
            const double r = gamma == 0 ? 0.01 + 0.01 * k : 0.002 * gamma * k;
            square.push_back(r * r);
            inverse.push_back(inverse_width(0.5 * gamma * gamma));
        }
        std::vector<double> value(square.size()), slope(square.size());
        loops.interactions(static_cast<int>(square.size()), square.data(), inverse.data(),
                           value.data(), slope.data());
        for (size_t k = 0; k < square.size(); k++) {
            const double r = std::sqrt(square[k]), scale = std::max(gamma, r);
            const std::string at = name + ", r " + std::to_string(r);
            demand_near(scale * value[k], scale * exact(r, gamma), 2e-15, at);
            const double cube = scale * scale * scale;
            demand_near(cube * slope[k], cube * exact_slope(r, gamma), 2e-13, at + " slope");
        }
    }
}

// A matrix and its pull against differences, with Gaussians and points.
void isolated() {
    Random random(19);
    const int n = 150;  // more than two squares of pairs
    std::vector<double> positions, widths, left, right;
    for (int i = 0; i < n; i++) {
        for (int d = 0; d < 3; d++) positions.push_back(random(0, 9));
        widths.push_back(i % 5 ? random(0.3, 2) : 0.0);
        left.push_back(random(-1, 1));
        right.push_back(random(-1, 1));
    }
    const auto form = [&](const std::vector<double>& at) {
        std::vector<double> matrix(static_cast<size_t>(n) * n);
        gaussian_matrix(n, at.data(), widths.data(), matrix.data());
        double sum = 0;
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) sum += left[i] * matrix[i * n + j] * right[j];
        return sum;
    };
    std::vector<double> forces(3 * n), virial(9);
    gaussian_pull(n, positions.data(), widths.data(), left.data(), right.data(), forces.data(),
                  virial.data());
    const double h = 1e-5;
    for (int k = 0; k < 3 * n; k += 37) {
        std::vector<double> up = positions, down = positions;
        up[k] += h;
        down[k] -= h;
        demand_near(forces[k], (form(down) - form(up)) / (2 * h), 1e-6 * (1 + std::abs(forces[k])), "force");
    }
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) {
            std::vector<double> up = positions, down = positions;
            for (int i = 0; i < n; i++) {
                up[3 * i + b] += h * positions[3 * i + a];
                down[3 * i + b] -= h * positions[3 * i + a];
            }
            demand_near(virial[3 * a + b], (form(down) - form(up)) / (2 * h), 1e-5, "virial");
        }
    positions[3] = positions[0];
    positions[4] = positions[1];
    positions[5] = positions[2];
    std::vector<double> matrix(static_cast<size_t>(n) * n);
    widths[1] = 0.5;
    gaussian_matrix(n, positions.data(), widths.data(), matrix.data());  // a Gaussian on a point
    widths[1] = 0;
    demand_error(
        [&] { gaussian_matrix(n, positions.data(), widths.data(), matrix.data()); },
        "different places");
}

// Pairs in a sheared cell against all images, and those that are nearer.
void periodic() {
    Random random(20);
    const int n = 7;
    const double cell[9] = {5.1, 0.3, -0.2, 1.4, 4.7, 0.5, -0.6, 0.8, 4.3};
    const double volume = cell[0] * (cell[4] * cell[8] - cell[5] * cell[7]) -
                          cell[1] * (cell[3] * cell[8] - cell[5] * cell[6]) +
                          cell[2] * (cell[3] * cell[7] - cell[4] * cell[6]);
    double inverse[9];
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) {
            const int p = (b + 1) % 3, q = (b + 2) % 3, r = (a + 1) % 3, s = (a + 2) % 3;
            inverse[3 * a + b] =
                (cell[3 * p + r] * cell[3 * q + s] - cell[3 * p + s] * cell[3 * q + r]) / volume;
        }
    std::vector<double> positions, charges;
    std::vector<int32_t> kinds;
    for (int i = 0; i < n; i++) {
        for (int d = 0; d < 3; d++) positions.push_back(random(-6, 6));
        kinds.push_back(i % 2);
        charges.push_back(random(-1, 1));
    }
    const double widths[2] = {0.4, 1.1}, sigma = 0.9;
    const double reach[4] = {6.5, 7.5, 7.5, 8.0};
    const ScreenedPairs pairs(n, positions.data(), kinds.data(), 2, widths, cell, inverse, reach,
                              sigma);
    for (const double limit : {100.0, 5.0}) {
        const ScreenedPairs near_ones = pairs.within(limit);
        std::vector<double> found(n), expected(n, 0.0);
        near_ones.product(charges.data(), found.data());
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                for (int a = -9; a <= 9; a++)
                    for (int b = -9; b <= 9; b++)
                        for (int c = -9; c <= 9; c++) {
                            double square = 0;
                            for (int d = 0; d < 3; d++)
                                square += std::pow(positions[3 * j + d] - positions[3 * i + d] +
                                                       a * cell[d] + b * cell[3 + d] +
                                                       c * cell[6 + d], 2);
                            const double r = std::sqrt(square);
                            const double most = std::min(reach[2 * kinds[i] + kinds[j]], limit);
                            if (r == 0 || r >= most) continue;
                            const double gamma = std::sqrt(2 * (std::pow(widths[kinds[i]], 2) +
                                                                std::pow(widths[kinds[j]], 2)));
                            expected[i] += charges[j] * (exact(r, gamma) - exact(r, 2 * sigma));
                        }
        for (int i = 0; i < n; i++) demand_near(found[i], expected[i], 1e-13, "pairs");
    }
}

// A plane wave of half a turn's length is a smooth function: splines give it and its slope.
void mesh() {
    Random random(21);
    const int shape[3] = {24, 27, 25}, order = 8, n = 5;
    std::vector<double> fractions, charges;
    for (int k = 0; k < 3 * n; k++) fractions.push_back(random(-2, 2));
    fractions[0] = 1e-9;  // around the corner
    fractions[4] = 0.999999999999999944;
    for (int i = 0; i < n; i++) charges.push_back(random(-1, 1));
    const MeshSplines splines(n, fractions.data(), shape, order);
    std::vector<double> made(splines.points());
    splines.spread(charges.data(), made.data());
    double total = 0, sum = 0;
    for (const double x : made) total += x;
    for (const double q : charges) sum += q;
    demand_near(total, sum, 1e-13, "charge of the mesh");
    std::vector<double> field(splines.points());
    for (double& x : field) x = random(-1, 1);
    std::vector<double> at(n), slopes(3 * n);
    splines.gather(field.data(), at.data());
    splines.gather_slopes(field.data(), slopes.data());
    double one = 0, other = 0;
    for (int i = 0; i < n; i++) one += charges[i] * at[i];
    for (size_t k = 0; k < made.size(); k++) other += made[k] * field[k];
    demand_near(one, other, 1e-13, "gathering is the transpose of spreading");
    const double h = 1e-6;
    for (int k = 0; k < 3 * n; k++) {
        std::vector<double> up = fractions, down = fractions, a(n), b(n);
        up[k] += h;
        down[k] -= h;
        MeshSplines(n, up.data(), shape, order).gather(field.data(), a.data());
        MeshSplines(n, down.data(), shape, order).gather(field.data(), b.data());
        demand_near(slopes[k], (a[k / 3] - b[k / 3]) / (2 * h), 1e-6, "slope on the mesh");
    }
    demand_error([&] { MeshSplines(n, fractions.data(), shape, 17); }, "order");
    const int flat[3] = {24, 7, 25};
    demand_error([&] { MeshSplines(n, fractions.data(), flat, order); }, "shape");
}

void all_functions() {
    functions(make_pair_loops_baseline(), "baseline");
    for (const std::string& name : instruction_sets()) {
#if defined(ACE_TEST_AVX2)
        if (name == "avx2") functions(make_pair_loops_avx2(), name);
#endif
#if defined(ACE_TEST_AVX512)
        if (name == "avx512") functions(make_pair_loops_avx512(), name);
#endif
    }
}

}  // namespace
}  // namespace test
}  // namespace ace

int main() {
    using namespace ace::test;
    return run({{"the error function and its slope", all_functions},
                {"isolated atoms", isolated},
                {"pairs of a cell", periodic},
                {"splines on a mesh", mesh}});
}
