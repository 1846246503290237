// Values of sites: derivatives against differences, adjoints against derivatives, and the same
// numbers on every instruction set, with any number of threads and with a caller's list.
#include <algorithm>
#include <cmath>

#include "atoms.hpp"
#include "cases.hpp"

namespace ace::test {
namespace {

using Doubles = std::vector<double>;

const std::vector<std::string> names{"linear", "tensors", "density", "zbl"};
constexpr double step = 1e-4, allowed = 2e-7;

double scale_of(const Doubles& values) {
    double scale = 1e-3;
    for (const double v : values) scale = std::max(scale, std::abs(v));
    return scale;
}

Doubles random_numbers(Random& random, size_t count) {
    Doubles out(count);
    for (double& v : out) v = random(-1, 1);
    return out;
}

Doubles values_of(Evaluator& model, const Atoms& atoms, int threads = 1) {
    Doubles out(static_cast<size_t>(atoms.count()) * model.tables().rows());
    const Structure in = atoms.structure();
    double* const to = out.data();
    model.values(&in, 1, &to, {threads});
    return out;
}

// A motion of atoms and cell: displacements, then the nine strains.
struct Direction {
    Doubles u, strain;
    Atoms moved(const Atoms& atoms, double e) const {
        Atoms out = atoms;
        const auto strained = [&](const double* from, double* to) {
            for (int b = 0; b < 3; b++)
                for (int a = 0; a < 3; a++) to[b] += e * from[a] * strain[3 * a + b];
        };
        for (int i = 0; i < atoms.count(); i++) {
            strained(&atoms.positions[3 * i], &out.positions[3 * i]);
            for (int d = 0; d < 3; d++) out.positions[3 * i + d] += e * u[3 * i + d];
        }
        for (int k = 0; k < 3; k++) strained(&atoms.cell[3 * k], &out.cell[3 * k]);
        return out;
    }
};

Doubles jvp_of(Evaluator& model, const Atoms& atoms, const Direction& along, int threads = 1) {
    Doubles out(static_cast<size_t>(atoms.count()) * model.tables().rows());
    const Structure in = atoms.structure();
    const Motion motion{along.u.data(), along.strain.data()};
    double* const to = out.data();
    model.jvp(&in, 1, &motion, &to, {threads});
    return out;
}

template <class F>
void everywhere(F&& compare) {
    Random random(3);
    for (const std::string& name : names)
        for (const std::string& isa : instruction_sets()) {
            const auto model = evaluator(name, isa);
            int which = 0;
            for (const Atoms& atoms : zoo(19, model->tables().species)) {
                const Direction along{random_numbers(random, 3 * atoms.count()),
                                      random_numbers(random, 9)};
                compare(*model, atoms, along, random,
                        name + ", " + isa + ", structure " + std::to_string(which++));
            }
        }
}

void jvp_is_the_derivative_of_values() {
    everywhere([](Evaluator& model, const Atoms& atoms, const Direction& along, Random&,
                  const std::string& what) {
        const Doubles found = jvp_of(model, atoms, along);
        const auto at = [&](double e) { return values_of(model, along.moved(atoms, e)); };
        const Doubles a = at(step), b = at(-step), c = at(2 * step), d = at(-2 * step);
        Doubles slopes;
        for (size_t k = 0; k < a.size(); k++)
            slopes.push_back((8 * (a[k] - b[k]) - (c[k] - d[k])) / (12 * step));
        const double scale = std::max(1.0, scale_of(slopes));
        for (size_t k = 0; k < a.size(); k++)
            demand_near(found[k], slopes[k], allowed * scale, what + ", value " + std::to_string(k));
    });
}

void pullback_is_the_adjoint_of_jvp() {
    everywhere([](Evaluator& model, const Atoms& atoms, const Direction& along, Random& random,
                  const std::string& what) {
        const size_t n = atoms.count();
        const Doubles y = jvp_of(model, atoms, along);
        const Doubles a = random_numbers(random, y.size());
        Doubles forces(3 * n), virials(9 * n), virial(9);
        const Structure in = atoms.structure();
        const double* const from = a.data();
        const Results out{1, nullptr, forces.data(), virials.data(), virial.data()};
        for (const int threads : {1, 3}) {
            model.pullback(&in, 1, &from, &out, {threads});
            double left = 0, right = 0, size = 1e-3;
            for (size_t k = 0; k < a.size(); k++) {
                left += a[k] * y[k];
                size += std::abs(a[k] * y[k]);
            }
            for (size_t k = 0; k < 3 * n; k++) right -= forces[k] * along.u[k];
            for (int k = 0; k < 9; k++) right -= virial[k] * along.strain[k];
            demand_near(left, right, 1e-12 * size, what);
            for (int k = 0; k < 9; k++) {
                double sum = 0;
                for (size_t i = 0; i < n; i++) sum += virials[9 * i + k];
                demand_near(virial[k], sum, 1e-12 * scale_of(virials), what + ": virial");
            }
        }
    });
}

void numbers_are_the_same_everywhere() {
    for (const std::string& name : names) {
        const auto slow = evaluator(name, "baseline");
        for (const std::string& isa : instruction_sets()) {
            const auto model = evaluator(name, isa);
            for (const Atoms& atoms : zoo(23, slow->tables().species)) {
                const Doubles expected = values_of(*slow, atoms);
                for (const int threads : {1, 2, 3}) {
                    const Doubles found = values_of(*model, atoms, threads);
                    for (size_t k = 0; k < found.size(); k++)
                        demand_near(found[k], expected[k], 1e-12 * scale_of(expected),
                                    name + ", " + isa);
                }
            }
        }
    }
}

// A cluster whose last atoms are ghosts of a caller's list.
void a_list_gives_what_a_cell_does() {
    Random random(29);
    const int open[3] = {0, 0, 0};
    for (const std::string& name : names) {
        const auto model = evaluator(name, best_instruction_set());
        const int rows = model->tables().rows(), n = 9, owned = 6;
        const Atoms atoms = random_atoms(random, n, model->tables().species, open, 5.0, 0.0, 1.2);
        std::vector<int64_t> first{0};
        std::vector<int32_t> neighbours;
        for (int i = 0; i < owned; i++) {
            for (int j = 0; j < n; j++)
                if (j != i) neighbours.push_back(j);
            first.push_back(static_cast<int64_t>(neighbours.size()));
        }
        Structure in = atoms.structure();
        in.atoms = owned;
        in.cell = nullptr;
        in.first = first.data();
        in.neighbours = neighbours.data();
        const Direction along{random_numbers(random, 3 * n), random_numbers(random, 9)};
        const Motion motion{along.u.data(), along.strain.data()};
        const Doubles values = values_of(*model, atoms), slopes = jvp_of(*model, atoms, along);
        Doubles found(static_cast<size_t>(owned) * rows), adjoint(values.size(), 0.0);
        double* const to = found.data();
        model->values(&in, 1, &to, {2});
        for (size_t k = 0; k < found.size(); k++)
            demand_near(found[k], values[k], 1e-12 * scale_of(values), name + ": values");
        model->jvp(&in, 1, &motion, &to, {2});
        for (size_t k = 0; k < found.size(); k++)
            demand_near(found[k], slopes[k], 1e-12 * scale_of(slopes), name + ": jvp");
        // Of adjoints that are zero for the ghosts, forces on ghosts included.
        for (size_t k = 0; k < found.size(); k++) adjoint[k] = random(-1, 1);
        Doubles forces[2] = {Doubles(3 * n), Doubles(3 * n)};
        const double* const from = adjoint.data();
        const Structure whole = atoms.structure();
        const Results results[2] = {{1, nullptr, forces[0].data()}, {1, nullptr, forces[1].data()}};
        model->pullback(&in, 1, &from, &results[0], {2});
        model->pullback(&whole, 1, &from, &results[1], {2});
        for (int k = 0; k < 3 * n; k++)
            demand_near(forces[0][k], forces[1][k], 1e-12 * scale_of(forces[1]), name + ": forces");
    }
}

void tensors_have_no_energy() {
    const auto model = evaluator("tensors", best_instruction_set());
    Atoms atoms;
    atoms.positions = {0, 0, 0, 1.7, 0.1, 0};
    atoms.species = {0, 1};
    demand_error([&] { evaluate(*model, atoms); },
                 "evaluate: only models of true scalars have an energy; these tables are a model of "
                 "7 values a site, of 0e, 1o");
    demand(model->tables().rows() == 14, "expected two members of 0e + 2 x 1o");
}

}  // namespace
}  // namespace ace::test

int main() {
    using namespace ace::test;
    return run({{"jvp is the derivative of values", jvp_is_the_derivative_of_values},
                {"pullback is the adjoint of jvp", pullback_is_the_adjoint_of_jvp},
                {"numbers are the same everywhere", numbers_are_the_same_everywhere},
                {"a list gives what a cell does", a_list_gives_what_a_cell_does},
                {"tensors have no energy", tensors_have_no_energy}});
}
