#include "structures.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "ace/input.hpp"
#include "results.hpp"
#include "verdicts.hpp"

namespace ace::c_api {

Structures::Structures(const ace_structures* given) : in_(sized(given, "structures")) {
    const std::string begin = "structures.";
    if (count() < 0 || count() > std::numeric_limits<int>::max())
        throw Error(begin + "structures: expected 0 or more, got " + std::to_string(count()));
    if (count() == 0) return;
    if (!in_.first) throw Error(begin + "first: expected an array, got null");
    if (in_.first[0] != 0)
        throw Error(begin + "first: expected to begin with 0, got " + std::to_string(in_.first[0]));
    for (int64_t s = 0; s < count(); s++)
        if (in_.first[s + 1] < in_.first[s] || atoms(s) > std::numeric_limits<int>::max())
            throw Error(begin + "first: expected to ascend, got " +
                        std::to_string(in_.first[s + 1]) + " after " + std::to_string(in_.first[s]));
    if (atoms() && !in_.positions) throw Error(begin + "positions: expected an array, got null");
    if (atoms() && !in_.species) throw Error(begin + "species: expected an array, got null");
    if (in_.pbc && !in_.cells) throw Error(begin + "cells: expected an array beside pbc, got null");
}

Structure Structures::operator[](int64_t s) const {
    Structure one;
    one.atoms = one.points = static_cast<int>(atoms(s));
    one.positions = in_.positions + 3 * begin(s);
    one.species = in_.species + begin(s);
    one.cell = in_.cells ? in_.cells + 9 * s : nullptr;
    for (int k = 0; k < 3 && in_.pbc; k++) one.pbc[k] = in_.pbc[3 * s + k] != 0;
    return one;
}

namespace {

// All at once; if that fails, one by one, so that it is known which of them it was.
void evaluate(Evaluator& evaluator, const Structures& structures, Wanted& wanted,
              Verdicts& verdicts) {
    const int count = static_cast<int>(structures.count()), threads = structures.threads();
    std::vector<Structure> in;
    std::vector<Results> out;
    for (int s = 0; s < count; s++) {
        in.push_back(structures[s]);
        out.push_back(wanted.results(s));
    }
    try {
        for (int s = 0; s < count; s++) check_input(in[s], threads);
        evaluator.evaluate(in.data(), count, threads, out.data());
        for (int s = 0; s < count; s++) check_results(in[s], out[s]);
    } catch (const Error&) {
        for (int s = 0; s < count; s++) {
            try {
                check_input(in[s], threads);
                evaluator.evaluate(&in[s], 1, threads, &out[s]);
                check_results(in[s], out[s]);
            } catch (const Error& error) {
                verdicts.fail(s, error);
                wanted.no_numbers(s);
            }
        }
    }
}

}  // namespace
}  // namespace ace::c_api

using namespace ace::c_api;

extern "C" int ace_evaluate_structures(ace_evaluator* e, const ace_structures* given,
                                       const ace_results* results) {
    return guarded_structures([&] {
        ace::Evaluator& evaluator = *model(e).evaluator;
        const Structures structures(given);
        const ace_results out = sized(results, "results");
        if (out.edge_forces) throw ace::Error("results.edge_forces: only neighbours with vectors have them");
        Verdicts verdicts(structures.count(), out.status, out.messages, out.message_size);
        std::vector<int64_t> first(1, 0);
        for (int64_t s = 0; s < structures.count(); s++) first.push_back(structures.begin(s + 1));
        Wanted wanted(out, ace_outputs(e), first);
        evaluate(evaluator, structures, wanted, verdicts);
        wanted.deliver();
        verdicts.finish();
    });
}
