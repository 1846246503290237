// Forces and virials are the derivatives of the energies, for every frozen model and output.
#include <algorithm>
#include <cmath>

#include "atoms.hpp"
#include "cases.hpp"

namespace ace::test {
namespace {

constexpr double step = 1e-4, allowed = 2e-7;

// The derivative at 0 by central differences of fourth order: rounding errs by 1e-11, the narrow
// switch of zbl by 1e-8 of the largest force.
template <class F>
double derivative(F&& f) {
    return (8 * (f(step) - f(-step)) - (f(2 * step) - f(-2 * step))) / (12 * step);
}

template <class F>
void everywhere(F&& compare) {
    for (const std::string& name : frozen_names)
        for (const std::string& isa : instruction_sets()) {
            const auto model = evaluator(name, isa);
            int which = 0;
            for (const Atoms& atoms : zoo(17, model->tables().species))
                compare(*model, atoms, name + ", " + isa + ", structure " + std::to_string(which++));
        }
}

double scale_of(const std::vector<double>& values) {
    double scale = 1;
    for (const double v : values) scale = std::max(scale, std::abs(v));
    return scale;
}

void forces_are_derivatives() {
    everywhere([](Evaluator& model, const Atoms& atoms, const std::string& what) {
        const int n = atoms.count(), outputs = model.tables().outputs;
        const Answer at = evaluate(model, atoms, 1, outputs);
        const double scale = scale_of(at.forces);
        for (int o = 0; o < outputs; o++)
            for (int k = o; k < 3 * n; k += 2) {
                const double slope = derivative([&](double e) {
                    Atoms moved = atoms;
                    moved.positions[k] += e;
                    return evaluate(model, moved, 1, outputs).energy(o, n);
                });
                demand_near(at.forces[static_cast<size_t>(o) * 3 * n + k], -slope, allowed * scale,
                            what + ", output " + std::to_string(o) + ", coordinate " +
                                std::to_string(k));
            }
    });
}

// r -> r + e * r[a] along b, for positions and cell.
Atoms strained(const Atoms& atoms, int a, int b, double e) {
    Atoms out = atoms;
    for (int i = 0; i < atoms.count(); i++)
        out.positions[3 * i + b] += e * atoms.positions[3 * i + a];
    for (int k = 0; k < 3; k++) out.cell[3 * k + b] += e * atoms.cell[3 * k + a];
    return out;
}

void virials_of_atoms_are_derivatives() {
    everywhere([](Evaluator& model, const Atoms& atoms, const std::string& what) {
        const int n = atoms.count(), outputs = model.tables().outputs;
        const Answer at = evaluate(model, atoms, 1, outputs);
        const double scale = scale_of(at.virials);
        const int i = n / 2;  // one atom, every component
        for (int q = 0; q < 9; q++) {
            const size_t k = static_cast<size_t>(q % outputs) * n + i;
            const double slope = derivative([&](double e) {
                return evaluate(model, strained(atoms, q / 3, q % 3, e), 1, outputs).energies[k];
            });
            demand_near(at.virials[9 * k + q], -slope, allowed * scale,
                        what + ", component " + std::to_string(q));
        }
    });
}

// Of the neighbour that moves: the sum over atoms i of r_pi (x) dE_i/dr_p. Where nothing repeats, for
// then there is one r_pi; everywhere they add up to the virial.
void centroid_virials_are_derivatives() {
    everywhere([](Evaluator& model, const Atoms& atoms, const std::string& what) {
        const int n = atoms.count();
        const Answer at = evaluate(model, atoms, 1, model.tables().outputs);
        const double scale = scale_of(at.virials);
        for (int q = 0; q < 9; q++) {
            double sums[2] = {0, 0};
            for (int k = 0; k < n; k++) {
                sums[0] += at.virials[9 * k + q];
                sums[1] += at.centroid_virials[9 * k + q];
            }
            demand_near(sums[1], sums[0], 1e-11 * scale, what + ", sum of the centroid virials");
        }
        if (atoms.pbc[0] || atoms.pbc[1] || atoms.pbc[2]) return;
        const int p = n / 2;  // one neighbour, every component
        for (int q = 0; q < 9; q++) {
            const int a = q / 3, b = q % 3;
            const double slope = derivative([&](double e) {
                Atoms moved = atoms;
                moved.positions[3 * p + b] += e;
                const Answer there = evaluate(model, moved);
                double sum = 0;
                for (int i = 0; i < n; i++)
                    sum += (atoms.positions[3 * i + a] - atoms.positions[3 * p + a]) *
                           there.energies[i];
                return sum;
            });
            demand_near(at.centroid_virials[9 * p + q], slope, allowed * scale,
                        what + ", component " + std::to_string(q));
        }
    });
}

void forces_sum_to_zero() {
    everywhere([](Evaluator& model, const Atoms& atoms, const std::string& what) {
        const Answer at = evaluate(model, atoms);
        double sum[3] = {0, 0, 0};
        for (size_t k = 0; k < at.forces.size(); k++) sum[k % 3] += at.forces[k];
        for (const double s : sum) demand_near(s, 0, 1e-11 * scale_of(at.forces), what);
    });
}

void an_atom_alone_has_its_own_energy() {
    for (const std::string& name : frozen_names) {
        const auto model = evaluator(name, best_instruction_set());
        for (int s = 0; s < model->tables().species; s++) {
            Atoms atoms;
            atoms.positions = {0.3, -7.1, 2.2};
            atoms.species = {s};
            const Answer at = evaluate(*model, atoms);
            demand_near(at.energies[0], model->tables().e0[s], 1e-12, name);
            for (const double f : at.forces) demand(f == 0, name + ": a force on an atom alone");
        }
    }
}

}  // namespace
}  // namespace ace::test

int main() {
    using namespace ace::test;
    return run({{"forces are derivatives", forces_are_derivatives},
                {"virials of atoms are derivatives", virials_of_atoms_are_derivatives},
                {"centroid virials are derivatives", centroid_virials_are_derivatives},
                {"forces sum to zero", forces_sum_to_zero},
                {"an atom alone has its own energy", an_atom_alone_has_its_own_energy}});
}
