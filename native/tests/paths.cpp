// Instruction sets, numbers of threads and batches: the same numbers.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "atoms.hpp"
#include "cases.hpp"

namespace ace::test {
namespace {

void demand_same(const Answer& a, const Answer& b, double allowed, const std::string& what) {
    const std::vector<double>* left[] = {&a.energies, &a.forces, &a.virials};
    const std::vector<double>* right[] = {&b.energies, &b.forces, &b.virials};
    double scale = 1;
    for (const double v : b.virials) scale = std::max(scale, std::abs(v));
    for (int q = 0; q < 3; q++)
        for (size_t k = 0; k < left[q]->size(); k++)
            demand_near((*left[q])[k], (*right[q])[k], allowed * scale, what);
}

Atoms block(uint32_t seed, int kinds, int n) {
    Random random(seed);
    const int pbc[3] = {1, 1, 1};
    return random_atoms(random, n, kinds, pbc, 2.6 * std::cbrt(n), 0.0, 0.7);
}

void instruction_sets_have_their_names() {
#if defined(__aarch64__)
    demand(instruction_sets() == std::vector<std::string>{"neon"}, "expected neon");
#elif defined(__x86_64__)
    std::string all;
    for (const std::string& name : built_instruction_sets()) all += (all.empty() ? "" : ",") + name;
    demand(all == ACE_TEST_SETS, "expected the instruction sets " ACE_TEST_SETS);
#endif
    const std::vector<std::string> built = built_instruction_sets(), here = instruction_sets();
    demand(here.size() <= built.size() && std::equal(here.begin(), here.end(), built.begin()),
           "this machine has what was not built");
    demand(best_instruction_set() == here.back(), "the last is not the best");
    demand_error([] { evaluator("linear", "sse"); }, "instruction set sse is not available here");
}

void instruction_sets_agree() {
    for (const std::string& name : frozen_names) {
        const auto slow = evaluator(name, instruction_sets().front());
        const int outputs = slow->tables().outputs;
        std::vector<Atoms> structures = zoo(41, slow->tables().species);
        structures.push_back(block(3, slow->tables().species, 40));
        for (const std::string& isa : instruction_sets()) {
            const auto fast = evaluator(name, isa);
            demand(fast->instruction_set() == isa, "expected " + isa);
            for (const Atoms& atoms : structures)
                demand_same(evaluate(*fast, atoms, 1, outputs), evaluate(*slow, atoms, 1, outputs),
                            1e-11, name + ", " + isa);
        }
    }
}

void threads_agree_and_repeat_their_bits() {
    for (const std::string& name : frozen_names)
        for (const std::string& isa : instruction_sets()) {
            const auto model = evaluator(name, isa);
            const Atoms atoms = block(5, model->tables().species, 60);
            const Answer one = evaluate(*model, atoms, 1);
            for (int threads : {1, 2, 3, 7}) {
                const Answer first = evaluate(*model, atoms, threads);
                demand_same(first, one, 1e-12, name + ", " + isa + ", threads");
                for (int again = 0; again < 3; again++) {
                    const Answer next = evaluate(*model, atoms, threads);
                    demand(next.energies == first.energies && next.forces == first.forces &&
                               next.virials == first.virials,
                           name + ", " + isa + ": other bits with the same number of threads");
                }
            }
        }
}

void a_batch_is_the_same_as_one_each() {
    for (const std::string& name : frozen_names)
        for (int threads : {1, 2}) {
            const auto model = evaluator(name, best_instruction_set());
            const int outputs = model->tables().outputs;
            const std::vector<Atoms> structures = zoo(53, model->tables().species);
            std::vector<Structure> in;
            std::vector<Answer> got, want;
            std::vector<Results> out;
            for (const Atoms& atoms : structures) {
                want.push_back(evaluate(*model, atoms, 1, outputs));
                got.push_back(want.back());
                in.push_back(atoms.structure());
            }
            for (Answer& a : got) {
                for (auto* v : {&a.energies, &a.forces, &a.virials})
                    std::fill(v->begin(), v->end(), std::nan(""));
                out.push_back({outputs, a.energies.data(), a.forces.data(), a.virials.data()});
            }
            model->evaluate(in.data(), static_cast<int>(in.size()), threads, out.data());
            for (size_t k = 0; k < in.size(); k++)
                demand_same(got[k], want[k], 1e-13, name + ", structure " + std::to_string(k));
        }
}

void results_that_are_not_wanted_are_left_out() {
    const auto model = evaluator("zbl", best_instruction_set());
    const Atoms atoms = block(7, 2, 20);
    const Answer want = evaluate(*model, atoms);
    const Structure in = atoms.structure();
    for (int wanted = 0; wanted < 8; wanted++) {
        Answer got{std::vector<double>(20), std::vector<double>(60), std::vector<double>(180)};
        const Results out{1, wanted & 1 ? got.energies.data() : nullptr,
                          wanted & 2 ? got.forces.data() : nullptr,
                          wanted & 4 ? got.virials.data() : nullptr};
        model->evaluate(&in, 1, 1, &out);
        if (wanted & 1) demand(got.energies == want.energies, "energies change with what is asked");
        if (wanted & 2) demand(got.forces == want.forces, "forces change with what is asked");
        if (wanted & 4) demand(got.virials == want.virials, "virials change with what is asked");
    }
}

void a_failed_call_leaves_the_evaluator_usable() {
    const auto model = evaluator("linear", best_instruction_set());
    const Atoms good = block(9, 2, 30);
    const Answer want = evaluate(*model, good, 2);
    Atoms bad = good;
    for (int d = 0; d < 3; d++) bad.positions[3 + d] = bad.positions[d];
    for (int again = 0; again < 3; again++) {
        demand_error([&] { evaluate(*model, bad, 2); }, "atoms 0 and 1 sit at the same point");
        demand(evaluate(*model, good, 2).forces == want.forces, "other numbers after a failure");
    }
}

}  // namespace
}  // namespace ace::test

int main() {
    using namespace ace::test;
    return run({{"instruction sets have their names", instruction_sets_have_their_names},
                {"instruction sets agree", instruction_sets_agree},
                {"threads agree and repeat their bits", threads_agree_and_repeat_their_bits},
                {"a batch is the same as one each", a_batch_is_the_same_as_one_each},
                {"results not wanted are left out", results_that_are_not_wanted_are_left_out},
                {"a failed call leaves the evaluator usable",
                 a_failed_call_leaves_the_evaluator_usable}});
}
