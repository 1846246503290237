#include "atoms.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace ace::test {

const std::vector<std::string> frozen_names{"linear", "density", "distance", "zbl"};

Structure Atoms::structure() const {
    Structure in;
    in.atoms = in.points = count();
    in.positions = positions.data();
    in.species = species.data();
    in.cell = cell;
    for (int k = 0; k < 3; k++) in.pbc[k] = pbc[k];
    return in;
}

namespace {

double dot(const double* a, const double* b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// Distance of periodic vector k from the span of the other periodic vectors.
double height(const Atoms& atoms, int k) {
    std::vector<std::vector<double>> span;
    std::vector<double> row;
    const auto reduced = [&](int which) {
        std::vector<double> v(atoms.cell + 3 * which, atoms.cell + 3 * which + 3);
        for (const auto& unit : span) {
            const double along = dot(v.data(), unit.data());
            for (int d = 0; d < 3; d++) v[d] -= along * unit[d];
        }
        return v;
    };
    for (int other = 0; other < 3; other++) {
        if (other == k || !atoms.pbc[other]) continue;
        row = reduced(other);
        const double norm = std::sqrt(dot(row.data(), row.data()));
        for (double& x : row) x /= norm;
        span.push_back(row);
    }
    row = reduced(k);
    return std::sqrt(dot(row.data(), row.data()));
}

double shortest_distance(const Atoms& atoms, double look) {
    double least = look;
    for (const Pair& p : brute_force(atoms, look))
        least = std::min(least, std::sqrt(dot(p.vector, p.vector)));
    return least;
}

}  // namespace

std::vector<Pair> brute_force(const Atoms& atoms, double cutoff) {
    const int n = atoms.count();
    double spread = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double square = 0;
            for (int d = 0; d < 3; d++) {
                const double v = atoms.positions[3 * i + d] - atoms.positions[3 * j + d];
                square += v * v;
            }
            spread = std::max(spread, std::sqrt(square));
        }
    int reach[3];
    for (int k = 0; k < 3; k++)
        reach[k] =
            atoms.pbc[k] ? static_cast<int>(std::ceil((cutoff + spread) / height(atoms, k))) : 0;
    std::vector<Pair> found;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            for (int a = -reach[0]; a <= reach[0]; a++)
                for (int b = -reach[1]; b <= reach[1]; b++)
                    for (int c = -reach[2]; c <= reach[2]; c++) {
                        if (i == j && !a && !b && !c) continue;
                        Pair p{i, j, {}, {a, b, c}};
                        for (int d = 0; d < 3; d++)
                            p.vector[d] = atoms.positions[3 * j + d] - atoms.positions[3 * i + d] +
                                          a * atoms.cell[d] + b * atoms.cell[3 + d] +
                                          c * atoms.cell[6 + d];
                        if (dot(p.vector, p.vector) < cutoff * cutoff) found.push_back(p);
                    }
    return found;
}

Atoms random_atoms(Random& random, int n, int kinds, const int* pbc, double size, double spread,
                   double shortest) {
    for (;;) {
        Atoms atoms;
        for (int k = 0; k < 9; k++)
            atoms.cell[k] = size * (random(-0.35, 0.35) + (k % 4 ? 0.0 : 0.8 + 0.1 * k / 4));
        for (int i = 0; i < n; i++) {
            double f[3];
            for (double& x : f) x = random(-spread / 2, 1 + spread / 2);
            for (int d = 0; d < 3; d++)
                atoms.positions.push_back(f[0] * atoms.cell[d] + f[1] * atoms.cell[3 + d] +
                                          f[2] * atoms.cell[6 + d]);
            atoms.species.push_back(random.below(kinds));
        }
        double least = size;
        for (int k = 0; k < 3; k++) {
            atoms.pbc[k] = pbc[k];
            if (pbc[k]) least = std::min(least, height(atoms, k));
        }
        for (int k = 0; k < 3; k++)
            for (int d = 0; d < 3; d++)
                if (!pbc[k]) atoms.cell[3 * k + d] = 0;
        if (least > 0.4 * size && shortest_distance(atoms, shortest) >= shortest) return atoms;
    }
}

std::vector<Atoms> zoo(uint32_t seed, int kinds) {
    Random random(seed);
    std::vector<Atoms> found;
    for (int p = 0; p < 8; p++) {
        const int pbc[3] = {p & 1, p >> 1 & 1, p >> 2 & 1};
        found.push_back(random_atoms(random, 6, kinds, pbc, 4.5, 0.0, 1.2));
        found.push_back(random_atoms(random, 1, kinds, pbc, 2.4, 0.0, 1.2));
        found.push_back(random_atoms(random, 2, kinds, pbc, 2.8, 0.0, 1.2));
        found.push_back(random_atoms(random, 9, kinds, pbc, 6.5, 4.0, 1.2));
    }
    return found;
}

double Answer::energy(int output, int n) const {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += energies[static_cast<size_t>(output) * n + i];
    return sum;
}

Answer evaluate(Evaluator& evaluator, const Atoms& atoms, int threads, int outputs) {
    const size_t n = atoms.species.size(), o = outputs;
    Answer answer{std::vector<double>(o * n), std::vector<double>(o * n * 3),
                  std::vector<double>(o * n * 9), std::vector<double>(n * 9)};
    const Structure in = atoms.structure();
    Results out{outputs, answer.energies.data(), answer.forces.data(), answer.virials.data()};
    out.centroid_virials = answer.centroid_virials.data();
    evaluator.evaluate(&in, 1, threads, &out);
    return answer;
}

std::vector<unsigned char> frozen(const std::string& name) {
    const std::string path = std::string(ACE_TEST_DATA) + "/" + name + ".tables";
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot open " + path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::unique_ptr<Evaluator> evaluator(const std::string& name, const std::string& isa) {
    const std::vector<unsigned char> bytes = frozen(name);
    return make_evaluator(Tables::read(bytes.data(), bytes.size()), isa);
}

}  // namespace ace::test
