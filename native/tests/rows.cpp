// Design rows: derivatives of what they are made of, numbers of threads, refusals.
#include "ace/rows.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "atoms.hpp"
#include "cases.hpp"

namespace ace::test {
namespace {

constexpr int quantities = 7;  // rows beside those of forces: energy and virial

std::unique_ptr<RowBuilder> builder(const std::string& isa) {
    const std::vector<unsigned char> bytes = frozen("linear");
    return make_row_builder(Tables::read(bytes.data(), bytes.size()), isa);
}

int kinds() {
    const std::vector<unsigned char> bytes = frozen("linear");
    return Tables::read(bytes.data(), bytes.size()).species;
}

std::vector<double> rows(RowBuilder& builder, const Atoms& atoms, int threads) {
    const size_t stride = 3 * atoms.species.size() + quantities;
    std::vector<double> out(stride * builder.functions(), std::nan(""));
    Crystal crystal;
    crystal.atoms = atoms.count();
    crystal.positions = atoms.positions.data();
    crystal.species = atoms.species.data();
    crystal.cell = atoms.cell;
    std::copy_n(atoms.pbc, 3, crystal.pbc);
    builder.fill(crystal, threads, {out.data(), stride, 0, 1, ptrdiff_t(stride) - 6});
    return out;
}

Atoms block(uint32_t seed, int n) {
    Random random(seed);
    const int pbc[3] = {1, 1, 1};
    return random_atoms(random, n, kinds(), pbc, 2.6 * std::cbrt(n), 0.0, 0.7);
}

double largest(const std::vector<double>& values) {
    double found = 1;
    for (const double v : values) found = std::max(found, std::abs(v));
    return found;
}

void force_rows_are_derivatives() {
    for (const std::string& isa : instruction_sets()) {
        const auto made = builder(isa);
        for (Atoms atoms : zoo(17, kinds())) {
            const std::vector<double> at = rows(*made, atoms, 1);
            const size_t stride = 3 * atoms.species.size() + quantities;
            const int c = static_cast<int>(atoms.positions.size()) / 2;  // one coordinate
            const double step = 1e-5, x = atoms.positions[c];
            atoms.positions[c] = x + step;
            const std::vector<double> after = rows(*made, atoms, 1);
            atoms.positions[c] = x - step;
            const std::vector<double> before = rows(*made, atoms, 1);
            for (int k = 0; k < made->functions(); k++)
                demand_near(at[k * stride + 1 + c],
                            (before[k * stride] - after[k * stride]) / (2 * step),
                            1e-6 * largest(at), "function " + std::to_string(k) + ", " + isa);
        }
    }
}

void instruction_sets_and_threads_agree() {
    const auto slow = builder(instruction_sets().front());
    std::vector<Atoms> structures = zoo(18, kinds());
    structures.push_back(block(5, 90));
    for (const std::string& isa : instruction_sets()) {
        const auto fast = builder(isa);
        for (const Atoms& atoms : structures) {
            const std::vector<double> expected = rows(*slow, atoms, 1);
            for (const int threads : {1, 2, 3, 8}) {
                const std::vector<double> got = rows(*fast, atoms, threads);
                for (size_t k = 0; k < got.size(); k++)
                    demand_near(got[k], expected[k], 1e-12 * largest(expected), isa);
                const std::vector<double> again = rows(*fast, atoms, threads);
                demand(std::memcmp(again.data(), got.data(), got.size() * sizeof(double)) == 0,
                       "other bits for " + std::to_string(threads) + " threads, " + isa);
            }
        }
    }
}

void a_refusal_is_the_same_for_all_threads() {
    Atoms atoms = block(6, 90);
    for (int d = 0; d < 3; d++) atoms.positions[3 * 70 + d] = atoms.positions[3 * 20 + d];
    for (const std::string& isa : instruction_sets()) {
        const auto made = builder(isa);
        for (int round = 0; round < 10; round++)
            for (const int threads : {1, 2, 3, 8})
                demand_error([&] { rows(*made, atoms, threads); },
                             "atoms 20 and 70 sit at the same point");
        demand_error([&] { rows(*made, atoms, 0); }, "threads: expected 1 to 4096, got 0");
        rows(*made, block(7, 20), 2);  // still works
    }
}

}  // namespace
}  // namespace ace::test

int main() {
    using namespace ace::test;
    return run({{"force rows are derivatives of energy rows", force_rows_are_derivatives},
                {"instruction sets and threads agree", instruction_sets_and_threads_agree},
                {"a refusal is the same for all threads", a_refusal_is_the_same_for_all_threads}});
}
