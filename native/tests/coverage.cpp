// Bytes that libFuzzer makes up, guided by what they reach: read as Tables, and evaluated.
//
// An Error is the right answer to most. Tables of more than a few kB, and what would take long, are
// left out: this looks for faults of memory, not for bounds of time.
#include <cmath>

#include "ace/evaluator.hpp"
#include "ace/rows.hpp"

namespace {

constexpr size_t largest = 1 << 15;

void evaluate(ace::Tables tables, const char* set) {
    const double positions[] = {0, 0, 0, 1.7, 0.1, 0, 0, 1.9, 0.3};
    const double cell[] = {4.5, 0.3, 0, -0.4, 5.1, 0.2, 0.1, 0.6, 6};
    const int32_t species[] = {0, tables.species - 1, 0};
    const bool energy = tables.is_energy();
    auto rows_of = tables;
    const auto model = ace::make_evaluator(std::move(tables), set);
    ace::Structure in;
    in.atoms = in.points = 3;
    in.positions = positions;
    in.species = species;
    in.cell = cell;
    in.pbc[0] = in.pbc[2] = 1;
    std::vector<double> values(3 * model->tables().rows()), forces(9), virials(27), energies(3);
    double* const to = values.data();
    const double* const from = values.data();
    const ace::Motion motion{positions, nullptr};
    const ace::Results pulled{1, nullptr, forces.data(), virials.data()};
    model->values(&in, 1, &to, {});
    model->pullback(&in, 1, &from, &pulled, {});
    model->jvp(&in, 1, &motion, &to, {});
    if (!energy) return;
    const ace::Results out{1, energies.data(), forces.data(), virials.data()};
    model->evaluate(&in, 1, &out, {});
    const auto builder = ace::make_row_builder(std::move(rows_of), set);
    std::vector<double> rows(16 * static_cast<size_t>(builder->functions()));
    ace::Crystal crystal;
    crystal.atoms = 3;
    crystal.positions = positions;
    crystal.species = species;
    crystal.cell = cell;
    crystal.pbc[0] = crystal.pbc[2] = 1;
    builder->fill(crystal, 1, {rows.data(), 16, 0, 1, 10});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size > largest) return -1;
    try {
        evaluate(ace::Tables::read(data, size), "baseline");
    } catch (const ace::Error&) {
        return 0;
    }
    return 0;
}
