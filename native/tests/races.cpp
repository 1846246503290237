// Threads of a host that share what the library makes, each with several threads of its own: small
// and many, for ThreadSanitizer to look at.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "ace/c_api.h"
#include "ace/rows.hpp"
#include "atoms.hpp"
#include "cases.hpp"

namespace ace::test {
namespace {

using Doubles = std::vector<double>;

// Runs body(0) ... body(count - 1) in threads of the host; the first exception is passed on.
template <class F>
void at_once(int count, F&& body) {
    std::vector<std::exception_ptr> failed(count);
    std::vector<std::thread> threads;
    const auto guarded = [&](int t) {
        try {
            body(t);
        } catch (...) {
            failed[t] = std::current_exception();
        }
    };
    for (int t = 0; t < count; t++) threads.emplace_back(guarded, t);
    for (std::thread& thread : threads) thread.join();
    for (const std::exception_ptr& one : failed)
        if (one) std::rethrow_exception(one);
}

void demand_same(const Doubles& found, const Doubles& expected, const std::string& what) {
    double scale = 1;
    for (const double v : expected) scale = std::max(scale, std::abs(v));
    for (size_t k = 0; k < found.size(); k++)
        demand_near(found[k], expected[k], 1e-11 * scale, what);
}

Atoms block(uint32_t seed, int kinds, int n) {
    Random random(seed);
    const int pbc[3] = {1, 1, 1};
    return random_atoms(random, n, kinds, pbc, 2.6 * std::cbrt(n), 0.0, 0.7);
}

// As many atoms as it takes for threads to share one structure in compact parts.
Atoms large(int kinds) {
    constexpr int side = 12;
    Random random(2);
    Atoms atoms;
    for (int k = 0; k < side * side * side; k++) {
        const int place[3] = {k % side, k / side % side, k / side / side};
        for (const int q : place) atoms.positions.push_back(3.1 * q + random(-0.3, 0.3));
        atoms.species.push_back(random.below(kinds));
    }
    for (int d = 0; d < 3; d++) {
        atoms.cell[4 * d] = 3.1 * side;
        atoms.pbc[d] = d < 2;
    }
    return atoms;
}

// What the verbs of site values say about structures, and which of these fail.
struct Sites {
    std::vector<Doubles> values, slopes, forces;
    std::vector<int> failed;
};

Sites sites(Evaluator& model, const std::vector<Atoms>& all, int threads) {
    const size_t rows = model.tables().rows();
    Sites out;
    std::vector<Structure> in;
    std::vector<Doubles> adjoints, moves;
    for (const Atoms& atoms : all) {
        const size_t n = atoms.species.size();
        in.push_back(atoms.structure());
        for (auto* arrays : {&out.values, &out.slopes}) arrays->emplace_back(n * rows);
        out.forces.emplace_back(3 * n);
        adjoints.emplace_back(n * rows, 0.3);
        moves.emplace_back();
        for (size_t k = 0; k < 3 * n; k++) moves.back().push_back(std::sin(1.0 + k));
    }
    std::vector<double*> values, slopes;
    std::vector<const double*> from;
    std::vector<Motion> motions;
    std::vector<Results> forces;
    for (size_t k = 0; k < all.size(); k++) {
        values.push_back(out.values[k].data());
        slopes.push_back(out.slopes[k].data());
        from.push_back(adjoints[k].data());
        motions.push_back({moves[k].data(), nullptr});
        forces.push_back({1, nullptr, out.forces[k].data()});
    }
    const int count = static_cast<int>(all.size());
    Failures failures;
    const Options options{threads, nullptr, &failures};
    model.values(in.data(), count, values.data(), options);
    model.jvp(in.data(), count, motions.data(), slopes.data(), options);
    model.pullback(in.data(), count, from.data(), forces.data(), options);
    for (const Failure& failure : failures.all) out.failed.push_back(failure.structure);
    return out;
}

void hosts_threads_share_an_evaluator() {
    for (const std::string& isa : instruction_sets()) {
        const auto model = evaluator("linear", isa);
        const int kinds = model->tables().species;
        const std::vector<Atoms> structures{block(5, kinds, 60), block(6, kinds, 9)};
        const Answer one = evaluate(*model, structures[0], 1, 3);
        const Sites expected = sites(*model, structures, 1);
        at_once(4, [&](int t) {
            for (int turn = 0; turn < 3; turn++)
                if (t % 2) {
                    demand_same(evaluate(*model, structures[0], 1 + t, 3).forces, one.forces, isa);
                } else {
                    const Sites found = sites(*model, structures, 2 + t / 2);
                    for (int k = 0; k < 2; k++) {
                        demand_same(found.values[k], expected.values[k], isa + ", values");
                        demand_same(found.slopes[k], expected.slopes[k], isa + ", jvp");
                        demand_same(found.forces[k], expected.forces[k], isa + ", pullback");
                    }
                }
        });
    }
}

void threads_share_a_large_structure() {
    for (const std::string& isa : instruction_sets()) {
        const auto model = evaluator("linear", isa);
        const Atoms atoms = large(model->tables().species);
        const Answer one = evaluate(*model, atoms, 1, 2);
        const Answer found = evaluate(*model, atoms, 3, 2);
        demand_same(found.energies, one.energies, isa + ", energies");
        demand_same(found.forces, one.forces, isa + ", forces");
        demand_same(found.centroid_virials, one.centroid_virials, isa + ", centroid virials");
        const Sites expected = sites(*model, {atoms}, 1), shared = sites(*model, {atoms}, 3);
        demand_same(shared.values[0], expected.values[0], isa + ", values");
        demand_same(shared.forces[0], expected.forces[0], isa + ", pullback");
    }
}

// Two atoms at one point in the first, an element that is not known in the third.
void sites_of_bad_structures_fail_alone() {
    for (const std::string& isa : instruction_sets())
        for (const std::string name : {"tensors", "density"}) {
            const auto model = evaluator(name, isa);
            const int kinds = model->tables().species;
            std::vector<Atoms> all;
            for (uint32_t seed = 1; seed < 7; seed++) all.push_back(block(seed, kinds, 20));
            const Sites expected = sites(*model, all, 1);
            for (int d = 0; d < 3; d++) all[0].positions[15 + d] = all[0].positions[3 + d];
            all[2].species[11] = kinds;
            for (int threads = 1; threads <= 3; threads++) {
                const Sites found = sites(*model, all, threads);
                demand(found.failed == std::vector<int>({0, 2, 0, 2, 0, 2}),
                       "other structures fail, or not in each verb");
                for (int k = 0; k < 6; k++)
                    for (const auto& [some, good] :
                         {std::pair(&found.values[k], &expected.values[k]),
                          std::pair(&found.slopes[k], &expected.slopes[k]),
                          std::pair(&found.forces[k], &expected.forces[k])})
                        if (k == 0 || k == 2)
                            demand(std::all_of(some->begin(), some->end(),
                                               [](double v) { return std::isnan(v); }),
                                   "a bad structure has numbers");
                        else
                            demand_same(*some, *good, isa + ", " + name + ": the others");
            }
        }
}

Doubles rows(RowBuilder& builder, const Atoms& atoms, int threads) {
    const size_t stride = 3 * atoms.species.size() + 7;
    Doubles out(stride * builder.functions());
    Crystal crystal{atoms.count(), atoms.positions.data(), atoms.species.data(), atoms.cell, {}};
    std::copy_n(atoms.pbc, 3, crystal.pbc);
    builder.fill(crystal, threads, {out.data(), stride, 0, 1, ptrdiff_t(stride) - 6});
    return out;
}

// One of them, again and again, with a structure that cannot have rows.
void hosts_threads_share_a_row_builder() {
    for (const std::string& isa : instruction_sets()) {
        const std::vector<unsigned char> bytes = frozen("linear");
        const Tables tables = Tables::read(bytes.data(), bytes.size());
        const auto builder = make_row_builder(tables, isa);
        const Atoms good = block(7, tables.species, 40);
        Atoms bad = good;
        for (int d = 0; d < 3; d++) bad.positions[3 * 31 + d] = bad.positions[3 * 4 + d];
        const Doubles expected = rows(*builder, good, 1);
        at_once(3, [&](int t) {
            for (int turn = 0; turn < 3; turn++)
                if (t == 1)
                    demand_error([&] { rows(*builder, bad, 3); }, "atoms 4 and 31 sit at the same");
                else
                    demand_same(rows(*builder, good, 1 + t), expected, isa + ", rows");
        });
    }
}

// Through the C interface, whose row builder is made by whoever asks for it first.
void hosts_threads_share_a_model_of_the_c_interface() {
    const std::vector<unsigned char> bytes = frozen("linear");
    for (int again = 0; again < 3; again++) {
        ace_evaluator* const model = ace_create(bytes.data(), bytes.size(), nullptr);
        demand(model != nullptr, ace_last_error());
        const Atoms atoms = block(8, ace_species(model), 12);
        const int64_t first[2] = {0, atoms.count()}, row[1] = {0};
        const int32_t pbc[3] = {1, 1, 1};
        ace_structures in{};
        in.size = sizeof in, in.structures = 1, in.first = first, in.threads = 2;
        in.positions = atoms.positions.data(), in.species = atoms.species.data();
        in.cells = atoms.cell, in.pbc = pbc;
        at_once(4, [&](int t) {
            Doubles data(ace_functions(model)), forces(3 * atoms.species.size());
            ace_rows of_rows{};
            of_rows.size = sizeof of_rows, of_rows.data = data.data(), of_rows.stride = 1;
            of_rows.energy = row;
            ace_results of_energies{};
            of_energies.size = sizeof of_energies, of_energies.forces = forces.data();
            ace_structures mine = in;
            const int32_t strange[12] = {99};
            if (t == 3) mine.species = strange;
            for (int turn = 0; turn < 3; turn++) {
                const int status = t < 2 ? ace_fill_rows(model, &mine, &of_rows)
                                         : ace_evaluate_structures(model, &mine, &of_energies);
                demand(status == (t == 3 ? ACE_ERROR_ARGUMENT : ACE_OK), ace_last_error());
                demand(ace_last_atoms(nullptr) == (t == 3), "the failure of another thread");
            }
        });
        ace_destroy(model);
    }
}

bool yes(void*) { return true; }

void a_shared_call_of_site_values_ends_when_it_is_told_to() {
    const auto model = evaluator("linear", best_instruction_set());
    const Atoms atoms = block(9, model->tables().species, 6);
    const std::vector<Structure> in(100000, atoms.structure());
    Doubles room(in.size() * atoms.count() * model->tables().rows());
    std::vector<double*> to;
    for (size_t k = 0; k < in.size(); k++) to.push_back(&room[k * room.size() / in.size()]);
    for (const int threads : {1, 3}) {
        Watch watch(yes, nullptr);
        try {
            model->values(in.data(), static_cast<int>(in.size()), to.data(), {threads, &watch});
        } catch (const Interrupted&) {
            continue;
        }
        demand(false, "the call went on");
    }
    demand(sites(*model, {atoms}, 3).failed.empty(), "the evaluator does not go on");
}

// A child has one of its parent's threads, which may have forked while others held every lock.
// Threads of its own are no business of ThreadSanitizer, which does not follow a fork.
void a_child_of_busy_threads_evaluates() {
    const auto model = evaluator("linear", best_instruction_set());
    const Atoms atoms = block(10, model->tables().species, 30);
    const Doubles expected = evaluate(*model, atoms, 1).forces;
    std::atomic<bool> ended{false};
    std::vector<std::thread> busy;
    for (int t = 0; t < 2; t++)
        busy.emplace_back([&, t] {
            while (!ended) evaluate(*model, atoms, 1 + t);
        });
    int bad = 0;
    for (int k = 0; k < 10 && !bad; k++) {
        const pid_t child = fork();
        if (child == 0) {
            alarm(20);
            _exit(evaluate(*model, atoms, 1).forces == expected ? 0 : 1);
        }
        waitpid(child, &bad, 0);
    }
    ended = true;
    for (std::thread& thread : busy) thread.join();
    demand(bad == 0, "a child ends with status " + std::to_string(bad));
}

}  // namespace
}  // namespace ace::test

int main() {
    using namespace ace::test;
    return run({{"hosts' threads share an evaluator", hosts_threads_share_an_evaluator},
                {"threads share a large structure", threads_share_a_large_structure},
                {"sites of bad structures fail alone", sites_of_bad_structures_fail_alone},
                {"hosts' threads share a row builder", hosts_threads_share_a_row_builder},
                {"hosts' threads share a model of the C interface",
                 hosts_threads_share_a_model_of_the_c_interface},
                {"a shared call of site values ends when it is told to",
                 a_shared_call_of_site_values_ends_when_it_is_told_to},
                {"a child of busy threads evaluates", a_child_of_busy_threads_evaluates}});
}
