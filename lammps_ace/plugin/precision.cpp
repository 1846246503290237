// SPDX-License-Identifier: GPL-2.0-only
#include "precision.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace acepot {
namespace {

// Neighbours in these crystals relative to a bond, which is about a cut-off over this number.
constexpr double densities[] = {0.9, 1.0, 1.15}, bonds_in_cutoff = 2.8, displacement = 0.05;
constexpr int repeats = 3, count = 4 * repeats * repeats * repeats;

struct Crystal {
    std::vector<double> positions;
    std::vector<int32_t> species;
    double cell[9] = {};
};

struct Answer {
    std::vector<double> energies, forces;
    bool known = false;
};

Crystal crystal(double bond, const std::vector<int> &elements, std::mt19937 &random) {
    static const double corners[4][3] = {{0, 0, 0}, {0.5, 0.5, 0}, {0.5, 0, 0.5}, {0, 0.5, 0.5}};
    std::normal_distribution<double> normal(0.0, displacement * bond);
    std::uniform_int_distribution<size_t> any(0, elements.size() - 1);
    const double edge = std::sqrt(2.0) * bond;
    Crystal made;
    for (int k = 0; k < count / 4; k++)
        for (const double *corner : corners) {
            const int shift[3] = {k % repeats, k / repeats % repeats, k / repeats / repeats};
            for (int d = 0; d < 3; d++)
                made.positions.push_back(edge * (corner[d] + shift[d]) + normal(random));
            made.species.push_back(elements[any(random)]);
        }
    for (int d = 0; d < 3; d++) made.cell[4 * d] = repeats * edge;
    return made;
}

Answer answer(ace_evaluator *evaluator, const Crystal &atoms) {
    static const int everywhere[3] = {1, 1, 1};
    Answer out{std::vector<double>(count), std::vector<double>(3 * count)};
    out.known = ace_evaluate(evaluator, count, atoms.positions.data(), atoms.species.data(),
                             atoms.cell, everywhere, 1, 1, out.energies.data(), out.forces.data(),
                             nullptr) == ACE_OK;
    return out;
}

}  // namespace

int precision_named(const std::string &name) {
    if (name == "double") return ACE_DOUBLE;
    if (name == "mixed") return ACE_MIXED;
    if (name == "single") return ACE_SINGLE;
    return -1;
}

PrecisionLoss precision_loss(ace_evaluator *exact, ace_evaluator *other,
                             const std::vector<int> &elements) {
    std::mt19937 random(0);
    PrecisionLoss loss;
    double errors = 0, forces = 0;
    for (const double density : densities) {
        const double bond = density * ace_cutoff(exact) / bonds_in_cutoff;
        const Crystal atoms = crystal(bond, elements, random);
        const Answer right = answer(exact, atoms);
        if (!right.known) return {};
        const Answer rounded = answer(other, atoms);
        if (!rounded.known) return {};
        double energy = 0;
        for (int k = 0; k < count; k++) energy += rounded.energies[k] - right.energies[k];
        loss.energy = std::max(loss.energy, std::abs(energy) / count);
        for (int k = 0; k < 3 * count; k++) {
            const double error = std::abs(rounded.forces[k] - right.forces[k]);
            loss.largest = std::max(loss.largest, error);
            errors += error * error;
            forces += right.forces[k] * right.forces[k];
        }
    }
    const double components = 3.0 * count * std::size(densities);
    loss.forces = std::sqrt(errors / components);
    loss.scale = std::sqrt(forces / components);
    loss.measured = true;
    return loss;
}

}  // namespace acepot
