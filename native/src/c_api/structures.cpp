#include "structures.hpp"

#include <limits>
#include <string>

#include "ace/input.hpp"
#include "results.hpp"
#include "verdicts.hpp"

namespace ace::c_api {
namespace {

void require(bool condition, const std::string& what) {
    if (!condition) throw Error("structures." + what);
}

}  // namespace

Structures::Structures(const ace_structures* given) : in_(sized(given, "structures")), first_{0} {
    constexpr int64_t most = std::numeric_limits<int>::max();
    require(count() >= 0 && count() <= most,
            "structures: expected 0 or more, got " + std::to_string(count()));
    check_threads(threads());
    if (count() == 0) return;
    require(in_.first, "first: expected an array, got null");
    require(in_.first[0] == 0,
            "first: expected to begin with 0, got " + std::to_string(in_.first[0]));
    for (int64_t s = 0; s < count(); s++) {
        const int64_t begin = in_.first[s], end = in_.first[s + 1];
        require(end >= begin && end - begin <= most, "first: expected to ascend, got " +
                                                         std::to_string(end) + " after " +
                                                         std::to_string(begin));
        first_.push_back(end);
    }
    require(first_.back() == 0 || in_.positions, "positions: expected an array, got null");
    require(first_.back() == 0 || in_.species, "species: expected an array, got null");
    require(in_.cells || !in_.pbc, "cells: expected an array beside pbc, got null");
}

void Structures::split(const Results& all, std::vector<Structure>& in,
                       std::vector<Results>& out) const {
    const Concatenated joined{static_cast<size_t>(count()), first_.data(), in_.positions,
                              in_.species, in_.cells, in_.pbc};
    ace::split(joined, all, in, out);
}

}  // namespace ace::c_api

using namespace ace::c_api;

extern "C" int ace_evaluate_structures(ace_evaluator* e, const ace_structures* given,
                                       const ace_results* results) {
    return guarded_structures([&] {
        ace::Evaluator& evaluator = *model(e).evaluator;
        const Structures structures(given);
        const ace_results out = sized(results, "results");
        if (out.edge_forces)
            throw ace::Error("results.edge_forces: only neighbours with vectors have them");
        Verdicts verdicts(structures.count(), out.status, out.messages, out.message_size);
        const Wanted wanted(out, ace_outputs(e), structures.first());
        std::vector<ace::Structure> in;
        std::vector<ace::Results> to;
        structures.split(wanted.all(), in, to);
        Stop stop(structures.given().stop, structures.given().stop_context);
        ace::Failures failures;
        evaluator.evaluate(in.data(), static_cast<int>(in.size()), to.data(),
                           {structures.threads(), stop.watch(), &failures});
        wanted.sum();
        for (const ace::Failure& failure : failures.all)
            verdicts.fail(failure.structure, failure.error);
        verdicts.finish();
    });
}
