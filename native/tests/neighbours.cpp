// The cell list against brute force, and a caller's list with ghosts against the cell list.
#include <algorithm>
#include <cmath>

#include "ace/cells.hpp"
#include "ace/lattice.hpp"
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
    double far = 1;
    for (const double p : atoms.positions) far = std::max(far, std::abs(p));
    for (const Pair& pair : wanted) {
        auto& list = found[pair.i];
        const auto at = std::find_if(list.begin(), list.end(), [&](const Neighbour& one) {
            double gap = 0;
            for (int d = 0; d < 3; d++) gap = std::max(gap, std::abs(one.vector[d] - pair.vector[d]));
            return one.j == pair.j && gap < 1e-11 + 1e-15 * far;
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

// What a search of all atoms looks at, for each of them, and what is kept, for each point.
struct Effort {
    double looks, kept;
};

Effort effort(const Atoms& atoms, double cutoff) {
    Cells cells;
    cells.build(atoms.count(), atoms.positions.data(), atoms.cell, atoms.pbc,
                atoms.species.data(), cutoff);
    std::vector<Run> runs;
    double looks = 0;
    for (int k = 0; k < cells.atoms(); k++) {
        cells.runs(k, runs);
        looks += runs.size();
        for (const Run& run : runs) looks += run.end - run.begin;
    }
    return {looks / atoms.count(), static_cast<double>(cells.kept()) / cells.x.size()};
}

void add(Atoms& atoms, double x, double y, double z) {
    atoms.positions.insert(atoms.positions.end(), {x, y, z});
    atoms.species.push_back(0);
}

// A cubic cluster of m^3 atoms about 2.3 A apart.
Atoms cluster(int m, Random& random) {
    Atoms atoms;
    for (int a = 0; a < m; a++)
        for (int b = 0; b < m; b++)
            for (int c = 0; c < m; c++)
                add(atoms, 2.3 * a + random(0, 0.4), 2.3 * b + random(0, 0.4),
                    2.3 * c + random(0, 0.4));
    return atoms;
}

void demand_effort(const Atoms& atoms, const Effort& most, const std::string& what) {
    const Effort found = effort(atoms, 5.0);
    demand(found.looks <= most.looks, what + ": " + std::to_string(found.looks) +
                                          " looks an atom, expected at most " +
                                          std::to_string(most.looks));
    demand(found.kept < 80, what + ": keeps " + std::to_string(found.kept) + " numbers a point");
}

void far_atoms_cost_no_time() {
    Random random(7);
    const Atoms all = cluster(24, random);
    Effort whole = effort(all, 5.0);
    whole.looks *= 1.1;
    Atoms one = all;
    add(one, 1e5, -9e4, 1.1e5);
    demand_effort(one, whole, "one far atom");
    Atoms slab = one;
    for (int k = 0; k < 2; k++) slab.pbc[k] = 1, slab.cell[4 * k] = 56;
    Atoms bare = all;
    for (int k = 0; k < 2; k++) bare.pbc[k] = 1, bare.cell[4 * k] = 56;
    Effort layer = effort(bare, 5.0);
    layer.looks *= 1.1;
    demand_effort(slab, layer, "one atom far above a slab");
    Atoms three;
    for (int k = 0; k < 3; k++)
        for (size_t i = 0; i < all.species.size(); i++) {
            const double* p = &all.positions[3 * i];
            add(three, p[0] + 4e5 * k, p[1] - 7e6 * k, p[2] + 2e5 * k);
        }
    demand_effort(three, whole, "three clusters");
}

void thin_matter_costs_no_time() {
    Random random(8);
    Atoms gas, line, needle;
    for (int k = 0; k < 30000; k++) {
        add(gas, random(0, 1e6), random(0, 1e6), random(0, 1e6));
        add(line, 1.4 * k, 1.3 * k, 1.5 * k);
        add(needle, 0.1, 0.2, k % 1000 ? 4.1 * k : 1e3 * k);
    }
    demand_effort(gas, {6, 0}, "gas");
    demand_effort(line, {40, 0}, "line");
    demand_effort(needle, {40, 0}, "needle");
}

void thin_matter_has_its_neighbours() {
    const int none[3] = {0, 0, 0};
    Random random(9);
    for (int k = 0; k < 12; k++) {
        Atoms atoms = random_atoms(random, 8, 2, none, 6.0, 0.5, 0.4);
        const Atoms more = random_atoms(random, 8, 2, none, 6.0, 0.5, 0.4);
        const double move[3] = {random(-1e4, 1e4), random(-1e6, 1e6), k % 2 ? 0 : 3e5};
        for (int i = 0; i < 8; i++) {
            for (int d = 0; d < 3; d++)
                atoms.positions.push_back(more.positions[3 * i + d] + move[d]);
            atoms.species.push_back(more.species[i]);
        }
        compare(atoms, random(2.0, 6.5), "two groups far apart");
        // Periodic along one direction.
        atoms.pbc[k % 3] = 1;
        for (int d = 0; d < 3; d++) atoms.cell[3 * (k % 3) + d] = d == k % 3 ? 7.0 : random(-2, 2);
        compare(atoms, random(2.0, 6.5), "two groups far apart, periodic");
    }
}

// Whole multiples of other rows added to each, in a random order.
void shear(Atoms& atoms, Random& random, int most) {
    for (int step = 0; step < 4; step++) {
        const int i = random.below(3), j = (i + 1 + random.below(2)) % 3;
        if (!atoms.pbc[i] || !atoms.pbc[j]) continue;
        const double times = std::floor(random(-most, most + 1));
        for (int d = 0; d < 3; d++) atoms.cell[3 * i + d] += times * atoms.cell[3 * j + d];
    }
}

void equivalent_cells_have_the_same_neighbours() {
    for (int p = 3; p < 8; p++) {
        const int pbc[3] = {p & 1, p >> 1 & 1, p >> 2 & 1};
        Random random(200 + p);
        for (int k = 0; k < 20; k++) {
            Atoms plain =
                random_atoms(random, 1 + random.below(9), 2, pbc, random(2.5, 8.0), 1.0, 0.3);
            // So that whole multiples are exact.
            for (double& v : plain.cell) v = std::round(v * 65536) / 65536;
            const double cutoff = random(2.0, 6.0);
            Atoms sheared = plain;
            shear(sheared, random, k % 2 ? 150 : 3);
            auto want = by_cells(plain, cutoff), got = by_cells(sheared, cutoff);
            for (int i = 0; i < plain.count(); i++) {
                demand(want[i].size() == got[i].size(), "sheared: another number of neighbours");
                for (const Neighbour& one : want[i]) {
                    const auto at =
                        std::find_if(got[i].begin(), got[i].end(), [&](const Neighbour& other) {
                            double gap = 0;
                            for (int d = 0; d < 3; d++)
                                gap = std::max(gap, std::abs(one.vector[d] - other.vector[d]));
                            return one.j == other.j && gap < 1e-11;
                        });
                    demand(at != got[i].end(), "sheared: a neighbour is missing");
                    got[i].erase(at);
                }
            }
        }
    }
}

void short_vectors_are_exact() {
    const int pbc[3] = {1, 1, 1};
    // Multiples that doubles hold exactly, so that the plain vectors must come back.
    for (const double k : {1.0, 3.0, 100.0, 1024.0, 1e6}) {
        const double cell[9] = {4, 0, 0, 4 * k + 0.5, 5, 0, -3.5 * k, 5 * k, 6};
        const Lattice lattice(cell, pbc);
        const double plain[9] = {4, 0, 0, 0.5, 5, 0, 0, 0, 6};
        const double volume = 120;
        Lattice other(plain, pbc);
        double heights[3];
        std::copy(lattice.height, lattice.height + 3, heights);
        std::sort(heights, heights + 3);
        std::sort(other.height, other.height + 3);
        for (int d = 0; d < 3; d++) demand_near(heights[d], other.height[d], 1e-14, "height");
        double n[3];
        const auto& h = lattice.vectors;
        for (int d = 0; d < 3; d++)
            n[d] = h[1][(d + 1) % 3] * h[2][(d + 2) % 3] - h[1][(d + 2) % 3] * h[2][(d + 1) % 3];
        demand_near(std::abs(h[0][0] * n[0] + h[0][1] * n[1] + h[0][2] * n[2]), volume, 1e-12,
                    "volume");
    }
    // What is short already stays as it is, to the last bit.
    const double hexagonal[9] = {2.46, 0, 0, -1.23, 2.46 * 0.8660254037844386, 0, 0, 0, 6.7};
    const Lattice same(hexagonal, pbc);
    for (int d = 0; d < 9; d++)
        demand((&same.vectors[0][0])[d] == hexagonal[d], "a short vector was changed");
}

void any_number_of_threads_builds_the_same_list() {
    Random random(11);
    Atoms all = cluster(22, random);
    Threads pool;
    for (int kind = 0; kind < 3; kind++) {
        if (kind == 1) add(all, 1e6, 2e6, 3e5);
        if (kind == 2)
            for (int k = 0; k < 3; k++) all.pbc[k] = k != 1, all.cell[4 * k] = 52;
        Cells one;
        one.build(all.count(), all.positions.data(), all.cell, all.pbc, all.species.data(), 5.0);
        for (int threads = 2; threads < 6; threads++) {
            Cells many;
            for (int again = 0; again < 2; again++)
                many.build(all.count(), all.positions.data(), all.cell, all.pbc,
                           all.species.data(), 5.0, {&pool, threads});
            demand(one.owner == many.owner && one.species == many.species, "another order");
            demand(one.x == many.x && one.y == many.y && one.z == many.z, "other places");
            std::vector<Run> a, b;
            for (int k = 0; k < one.atoms(); k++) {
                demand(one.original(k) == many.original(k) && one.place(k) == many.place(k),
                       "other numbers");
                one.runs(k, a);
                many.runs(k, b);
                demand(a.size() == b.size(), "other runs");
                for (size_t r = 0; r < a.size(); r++)
                    demand(a[r].begin == b[r].begin && a[r].end == b[r].end, "another run");
            }
        }
    }
    all.positions[3 * 9000 + 1] = all.positions[3 * 100 + 2] = std::nan("");
    Cells bad;
    demand_error(
        [&] {
            bad.build(all.count(), all.positions.data(), all.cell, all.pbc, all.species.data(), 5.0,
                      {&pool, 4});
        },
        "atom 100 is not at a finite position");
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
    // In one plane, whatever is added to what.
    const double flat[9] = {4.1, 0.3, 0.2, 1.7, 3.3, 0.9, 4.1 * 0.7 + 1.7 * 0.31,
                            0.3 * 0.7 + 3.3 * 0.31, 0.2 * 0.7 + 0.9 * 0.31};
    std::copy(flat, flat + 9, atoms.cell);
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
                {"far atoms cost no time", far_atoms_cost_no_time},
                {"thin matter costs no time", thin_matter_costs_no_time},
                {"thin matter has its neighbours", thin_matter_has_its_neighbours},
                {"equivalent cells have the same neighbours", equivalent_cells_have_the_same_neighbours},
                {"short vectors are exact", short_vectors_are_exact},
                {"any number of threads builds the same list", any_number_of_threads_builds_the_same_list},
                {"no atoms are no neighbours", no_atoms_are_no_neighbours},
                {"what is no structure is refused", what_is_no_structure_is_refused},
                {"a list with ghosts gives the same", a_list_with_ghosts_gives_the_same}});
}
