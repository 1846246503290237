// Calls with many structures: what becomes of each, sums of outputs, and calls that are ended.
#include <cmath>
#include <thread>

#include "ace/concatenated.hpp"
#include "ace/input.hpp"
#include "atoms.hpp"
#include "cases.hpp"

namespace ace::test {
namespace {

// Structures one after another, and room for their results.
struct Many {
    std::vector<int64_t> first{0};
    std::vector<double> positions, cells, energies, forces, virials;
    std::vector<int32_t> species, pbc;
    std::vector<Structure> in;
    std::vector<Results> out;

    void add(const Atoms& atoms) {
        positions.insert(positions.end(), atoms.positions.begin(), atoms.positions.end());
        species.insert(species.end(), atoms.species.begin(), atoms.species.end());
        cells.insert(cells.end(), atoms.cell, atoms.cell + 9);
        pbc.insert(pbc.end(), atoms.pbc, atoms.pbc + 3);
        first.push_back(static_cast<int64_t>(species.size()));
    }
    size_t count() const { return first.size() - 1; }

    Results room(int outputs) {
        const size_t o = outputs, n = species.size();
        energies.assign(o * n, 0);
        forces.assign(o * n * 3, 0);
        virials.assign(o * count() * 9, 0);
        Results all;
        all.outputs = outputs;
        all.energies = energies.data();
        all.forces = forces.data();
        all.virial = virials.data();
        return all;
    }
    std::vector<Failure> evaluate(Evaluator& evaluator, const Results& all, int threads) {
        split({count(), first.data(), positions.data(), species.data(), cells.data(), pbc.data()},
              all, in, out);
        Failures failures;
        evaluator.evaluate(in.data(), static_cast<int>(count()), out.data(),
                           {threads, nullptr, &failures});
        return failures.all;
    }
};

constexpr int bad_species = 2, bad_pair = 5, bad_position = 9;

// Structures of all kinds of periodicity, three of them bad.
std::vector<Atoms> some_bad(int kinds) {
    std::vector<Atoms> all = zoo(3, kinds);
    all[bad_species].species[1] = kinds;
    const Atoms pair = all[0];
    all[bad_pair] = pair;
    for (int d = 0; d < 3; d++) all[bad_pair].positions[9 + d] = pair.positions[d];
    all[bad_position].positions[0] = std::nan("");
    return all;
}

void bad_structures_fail_alone() {
    for (const std::string& isa : instruction_sets())
        for (const std::string& name : frozen_names) {
            const auto made = evaluator(name, isa);
            const int outputs = made->tables().outputs;
            const std::vector<Atoms> all = some_bad(made->tables().species);
            for (int threads = 1; threads <= 4; threads++) {
                Many many;
                for (const Atoms& atoms : all) many.add(atoms);
                const auto failed = many.evaluate(*made, many.room(outputs), threads);
                demand(failed.size() == 3, "expected three failures");
                const int expected[] = {bad_species, bad_pair, bad_position};
                const int64_t atoms[] = {1, 0, 0};
                for (int k = 0; k < 3; k++) {
                    demand(failed[k].structure == expected[k], "another structure failed");
                    demand(failed[k].error.atoms[0] == atoms[k], "another atom is named");
                    demand(std::isnan(many.forces[3 * many.first[expected[k]]]),
                           "a failed structure has forces");
                }
                for (size_t k = 0, next = 0; k < all.size(); k++) {
                    if (next < 3 && static_cast<int>(k) == expected[next]) {
                        next++;
                        continue;
                    }
                    const size_t n = all[k].species.size(), total = many.species.size();
                    const Answer alone = test::evaluate(*made, all[k], 1, outputs);
                    for (int o = 0; o < outputs; o++)
                        for (size_t i = 0; i < 3 * n; i++)
                            demand_near(many.forces[3 * (o * total + many.first[k]) + i],
                                        alone.forces[o * 3 * n + i], 1e-9, "forces of the others");
                }
            }
        }
}

void the_first_failure_is_thrown_where_none_are_kept() {
    const auto made = evaluator("linear", best_instruction_set());
    Many many;
    for (const Atoms& atoms : some_bad(made->tables().species)) many.add(atoms);
    many.evaluate(*made, many.room(1), 1);
    for (int threads = 1; threads <= 3; threads++)
        demand_error([&] { made->evaluate(many.in.data(), 30, threads, many.out.data()); },
                     "atom 1 has an unknown species");
}

void sums_of_outputs_are_those_of_their_forces() {
    for (const std::string& isa : instruction_sets()) {
        const auto made = evaluator("linear", isa);
        const int outputs = made->tables().outputs;
        Many many, sum;
        for (const Atoms& atoms : zoo(5, made->tables().species)) many.add(atoms), sum.add(atoms);
        demand(many.evaluate(*made, many.room(outputs), 2).empty(), "a structure failed");
        const size_t count = many.count(), n = many.species.size();
        Random random(9);
        for (const bool shared : {true, false}) {
            std::vector<double> weights(outputs * count);
            for (size_t k = 0; k < weights.size(); k++)
                weights[k] = shared && k % count ? weights[k - 1] : random(-1, 1);
            Results all = sum.room(outputs);
            all.weights = weights.data();
            demand(sum.evaluate(*made, all, 3).empty(), "a structure failed");
            for (size_t k = 0; k < count; k++)
                for (int64_t i = 3 * many.first[k]; i < 3 * many.first[k + 1]; i++) {
                    double expected = 0;
                    for (int o = 0; o < outputs; o++)
                        expected += weights[o * count + k] * many.forces[o * 3 * n + i];
                    demand_near(sum.forces[i], expected, 1e-9, "forces of a sum of outputs");
                }
        }
        many.out[0].weights = many.energies.data();
        demand_error([&] { made->evaluate(many.in.data(), 2, 1, many.out.data()); },
                     "weights of all structures or of none");
    }
}

struct Asked {
    int times = 0, until = 0;
    std::thread::id by;
    bool elsewhere = false;
};

bool ask(void* context) {
    Asked& asked = *static_cast<Asked*>(context);
    asked.elsewhere = asked.elsewhere || std::this_thread::get_id() != asked.by;
    return ++asked.times > asked.until;
}

void a_call_ends_when_it_is_told_to() {
    const auto made = evaluator("linear", best_instruction_set());
    const Atoms atoms = zoo(3, made->tables().species)[3];
    const Answer before = test::evaluate(*made, atoms);
    const std::vector<Structure> in(400000, atoms.structure());
    const std::vector<Results> out(in.size());
    for (int threads = 1; threads <= 3; threads++) {
        Asked asked;
        asked.until = threads - 1;
        asked.by = std::this_thread::get_id();
        Watch watch(ask, &asked);
        bool ended = false;
        try {
            made->evaluate(in.data(), static_cast<int>(in.size()), out.data(), {threads, &watch});
        } catch (const Interrupted&) {
            ended = true;
        }
        demand(ended, "the call went on");
        demand(asked.times == threads, "it was asked another number of times");
        demand(!asked.elsewhere, "it was asked in another thread than the caller's");
        const Answer after = test::evaluate(*made, atoms);
        demand(before.forces == after.forces, "another call gives other forces");
    }
}

void firsts_that_do_not_ascend_are_refused() {
    std::vector<Structure> in;
    std::vector<Results> out;
    const double zeros[9] = {};
    const int32_t species[3] = {};
    for (const std::vector<int64_t>& first :
         std::vector<std::vector<int64_t>>{{1, 2, 3}, {0, 2, 1}, {0, -1, 1}})
        demand_error([&] { split({2, first.data(), zeros, species}, {}, in, out); },
                     "first: expected to ascend from 0");
}

}  // namespace
}  // namespace ace::test

int main() {
    using namespace ace::test;
    return run({{"bad structures fail alone", bad_structures_fail_alone},
                {"the first failure is thrown", the_first_failure_is_thrown_where_none_are_kept},
                {"sums of outputs", sums_of_outputs_are_those_of_their_forces},
                {"a call ends when it is told to", a_call_ends_when_it_is_told_to},
                {"firsts that do not ascend", firsts_that_do_not_ascend_are_refused}});
}
