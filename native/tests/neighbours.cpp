// The cell list against brute force, and a caller's list with ghosts against the cell list.
#include <algorithm>
#include <cmath>

#include "ace/cells.hpp"
#include "atoms.hpp"
#include "cases.hpp"

namespace ace::test {
namespace {

struct Neighbour {
    int j;
    double vector[3];
};

std::vector<std::vector<Neighbour>> by_cells(const Atoms& atoms, double cutoff) {
    Cells cells;
    cells.build(atoms.count(), atoms.positions.data(), atoms.cell, atoms.pbc,
                atoms.species.data(), cutoff);
    std::vector<std::vector<Neighbour>> found(atoms.count());
    std::vector<Run> runs;
    for (int k = 0; k < cells.atoms(); k++) {
        const int self = cells.place(k);
        cells.runs(k, runs);
        for (const Run& run : runs)
            for (int p = run.begin; p < run.end; p++) {
                const Neighbour one{cells.original(cells.owner[p]),
                                    {cells.x[p] - cells.x[self], cells.y[p] - cells.y[self],
                                     cells.z[p] - cells.z[self]}};
                double square = 0;
                for (const double v : one.vector) square += v * v;
                if (p != self && square < cutoff * cutoff) {
                    demand(cells.species[p] == atoms.species[one.j], "a wrong species");
                    found[cells.original(k)].push_back(one);
                }
            }
    }
    return found;
}

void compare(const Atoms& atoms, double cutoff, const std::string& what) {
    auto found = by_cells(atoms, cutoff);
    size_t total = 0;
    for (const auto& list : found) total += list.size();
    const std::vector<Pair> wanted = brute_force(atoms, cutoff);
    demand(total == wanted.size(), what + ": " + std::to_string(total) + " neighbours, expected " +
                                       std::to_string(wanted.size()));
    for (const Pair& pair : wanted) {
        auto& list = found[pair.i];
        const auto at = std::find_if(list.begin(), list.end(), [&](const Neighbour& one) {
            double gap = 0;
            for (int d = 0; d < 3; d++) gap = std::max(gap, std::abs(one.vector[d] - pair.vector[d]));
            return one.j == pair.j && gap < 1e-11;
        });
        demand(at != list.end(), what + ": atom " + std::to_string(pair.i) + " misses a neighbour");
        list.erase(at);
    }
}

void the_cells_find_what_brute_force_finds() {
    for (int p = 0; p < 8; p++) {
        const int pbc[3] = {p & 1, p >> 1 & 1, p >> 2 & 1};
        Random random(100 + p);
        for (int k = 0; k < 24; k++) {
            const double size = random(2.2, 9.0), cutoff = random(2.0, 6.5);
            const int n = 1 + random.below(12);
            const Atoms atoms = random_atoms(random, n, 2, pbc, size, 3.0 * (k % 2), 0.3);
            compare(atoms, cutoff, "pbc " + std::to_string(p) + ", number " + std::to_string(k));
        }
    }
}

void far_apart_atoms_cost_no_memory() {
    Atoms atoms;
    atoms.positions = {-9e7, 0, 0, 9e7, 9e7, 0, 9e7, 9e7, 1.0, 0, -9e7, 9e7};
    atoms.species = {0, 0, 0, 0};
    compare(atoms, 3.0, "far apart");
}

void no_atoms_are_no_neighbours() {
    Atoms atoms;
    compare(atoms, 3.0, "no atoms");
}

void what_is_no_structure_is_refused() {
    Atoms atoms;
    atoms.positions = {0, 0, 0};
    atoms.species = {0};
    for (double bad : {std::nan(""), HUGE_VAL, -HUGE_VAL, 1e12}) {
        atoms.positions[1] = bad;
        demand_error([&] { by_cells(atoms, 3.0); }, "atom 0 is not at a finite position");
    }
    atoms.positions[1] = 0;
    for (int& p : atoms.pbc) p = 1;
    demand_error([&] { by_cells(atoms, 3.0); }, "span no volume");
    for (int k = 0; k < 9; k++) atoms.cell[k] = k;
    demand_error([&] { by_cells(atoms, 3.0); }, "span no volume");
    for (int k = 0; k < 9; k++) atoms.cell[k] = k % 4 ? 0 : std::nan("");
    demand_error([&] { by_cells(atoms, 3.0); }, "cell");
    for (int k = 0; k < 9; k++) atoms.cell[k] = k % 4 ? 0 : HUGE_VAL;
    demand_error([&] { by_cells(atoms, 3.0); }, "cell");
    for (double tiny : {1e-3, 1e-30, 1e-160, 1e-300}) {
        for (int k = 0; k < 9; k++) atoms.cell[k] = k % 4 ? 0 : tiny;
        demand_error([&] { by_cells(atoms, 3.0); }, "cell");
    }
}

// The images of a periodic structure as explicit ghosts.
void a_list_with_ghosts_gives_the_same() {
    for (const std::string& name : frozen_names)
        for (const std::string& isa : instruction_sets()) {
            const auto model = evaluator(name, isa);
            const double cutoff = model->tables().longest_cutoff();
            for (const Atoms& atoms : zoo(29, model->tables().species)) {
                const int n = atoms.count();
                std::vector<double> positions = atoms.positions;
                std::vector<int32_t> species = atoms.species, neighbours, owner;
                std::vector<int64_t> first(n + 1, 0);
                for (const Pair& p : brute_force(atoms, cutoff + 0.3)) {
                    first[p.i + 1]++;
                    neighbours.push_back(n + static_cast<int>(owner.size()));
                    owner.push_back(p.j);
                    species.push_back(atoms.species[p.j]);
                    for (int d = 0; d < 3; d++)
                        positions.push_back(atoms.positions[3 * p.i + d] + p.vector[d]);
                }
                for (int i = 0; i < n; i++) first[i + 1] += first[i];
                Structure in;
                in.atoms = n;
                in.points = n + static_cast<int>(owner.size());
                in.positions = positions.data();
                in.species = species.data();
                in.first = first.data();
                in.neighbours = neighbours.data();
                Answer got{std::vector<double>(n), std::vector<double>(3 * in.points),
                           std::vector<double>(9 * n)};
                const Results out{1, got.energies.data(), got.forces.data(), got.virials.data()};
                model->evaluate(&in, 1, 1, &out);
                for (size_t g = 0; g < owner.size(); g++)
                    for (int d = 0; d < 3; d++)
                        got.forces[3 * owner[g] + d] += got.forces[3 * (n + g) + d];
                const Answer want = evaluate(*model, atoms);
                double scale = 1;
                for (const double w : want.virials) scale = std::max(scale, std::abs(w));
                for (int k = 0; k < n; k++)
                    demand_near(got.energies[k], want.energies[k], 1e-11 * scale, name + " energy");
                for (int k = 0; k < 3 * n; k++)
                    demand_near(got.forces[k], want.forces[k], 1e-11 * scale, name + " force");
                for (int k = 0; k < 9 * n; k++)
                    demand_near(got.virials[k], want.virials[k], 1e-11 * scale, name + " virial");
            }
        }
}

}  // namespace
}  // namespace ace::test

int main() {
    using namespace ace::test;
    return run({{"the cells find what brute force finds", the_cells_find_what_brute_force_finds},
                {"far apart atoms cost no memory", far_apart_atoms_cost_no_memory},
                {"no atoms are no neighbours", no_atoms_are_no_neighbours},
                {"what is no structure is refused", what_is_no_structure_is_refused},
                {"a list with ghosts gives the same", a_list_with_ghosts_gives_the_same}});
}
