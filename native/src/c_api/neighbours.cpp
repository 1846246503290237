#include "neighbours.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "ace/errors.hpp"
#include "ace/input.hpp"
#include "results.hpp"
#include "sized.hpp"
#include "verdicts.hpp"

namespace ace::c_api {
namespace {

void require(bool condition, const std::string& what) {
    if (!condition) throw Error("neighbours." + what);
}

}  // namespace

Neighbours::Neighbours(const ace_neighbours* given) : in_(sized(given, "neighbours")) {
    constexpr int64_t most = std::numeric_limits<int>::max();
    require(in_.atoms >= 0 && in_.points >= in_.atoms && in_.points <= most,
            "points: expected at least as many as atoms, got " + std::to_string(in_.points) +
                " points for " + std::to_string(in_.atoms) + " atoms");
    require(in_.first, "first: expected an array, got null");
    require(!in_.positions != !in_.vectors || in_.points == 0,
            "positions: expected an array of either positions or vectors, got " +
                std::string(in_.positions ? "both" : "none"));
    if (!vectors()) return;  // the library's own checks do for positions
    check();
    require(in_.atoms + edges() <= most, "first: too many neighbours");
    spread();
}

void Neighbours::check() const {
    require(in_.species, "species: expected an array, got null");
    require(in_.first[0] == 0, "first: expected to begin with 0");
    for (int64_t i = 0; i < in_.atoms; i++)
        require(in_.first[i + 1] >= in_.first[i], "first: expected to ascend");
    require(in_.neighbours || edges() == 0, "neighbours: expected an array, got null");
    for (int64_t e = 0; e < edges(); e++) {
        require(in_.neighbours[e] >= 0 && in_.neighbours[e] < in_.points,
                "neighbours: edge " + std::to_string(e) + " has the neighbour " +
                    std::to_string(in_.neighbours[e]) + ", expected 0 to " +
                    std::to_string(in_.points - 1));
        for (int d = 0; d < 3; d++)
            if (!(std::abs(in_.vectors[3 * e + d]) < 1e8))
                throw Error("neighbours.vectors: edge " + std::to_string(e) +
                                " is not a finite vector within 1e8 A",
                            Fault::not_finite);
    }
}

void Neighbours::spread() {
    const int64_t points = in_.atoms + edges();
    positions_.assign(3 * in_.atoms, 0.0);
    positions_.insert(positions_.end(), in_.vectors, in_.vectors + 3 * edges());
    species_.assign(in_.species, in_.species + in_.atoms);
    for (int64_t e = 0; e < edges(); e++) species_.push_back(in_.species[in_.neighbours[e]]);
    for (int64_t p = in_.atoms; p < points; p++) neighbours_.push_back(static_cast<int32_t>(p));
}

Structure Neighbours::structure() const {
    Structure one;
    one.atoms = static_cast<int>(in_.atoms);
    one.points = static_cast<int>(vectors() ? in_.atoms + edges() : in_.points);
    one.positions = vectors() ? positions_.data() : in_.positions;
    one.species = vectors() ? species_.data() : in_.species;
    one.first = in_.first;
    one.neighbours = vectors() ? neighbours_.data() : in_.neighbours;
    return one;
}

std::vector<double> Neighbours::motion(const double* displacements,
                                       const double* edge_displacements) const {
    if (!displacements && !edge_displacements) return {};
    std::vector<double> all(3 * static_cast<size_t>(in_.atoms + edges()), 0.0);
    double* const ends = all.data() + 3 * in_.atoms;
    if (displacements) std::copy_n(displacements, 3 * in_.atoms, all.data());
    for (int64_t e = 0; e < edges(); e++)
        for (int d = 0; d < 3; d++) {
            const int64_t end = in_.neighbours[e];
            ends[3 * e + d] = (displacements ? displacements[3 * end + d] : 0) +
                              (edge_displacements ? edge_displacements[3 * e + d] : 0);
        }
    return all;
}

void Neighbours::collect(int outputs, const double* from, double* forces,
                         double* edge_forces) const {
    const int64_t n = in_.atoms, points = n + edges();
    if (forces) std::fill_n(forces, outputs * in_.points * 3, 0.0);
    for (int o = 0; o < outputs; o++, from += 3 * points) {
        if (edge_forces) std::copy_n(from + 3 * n, 3 * edges(), edge_forces + o * 3 * edges());
        if (!forces) continue;
        double* to = forces + o * 3 * in_.points;
        std::copy_n(from, 3 * n, to);
        for (int64_t e = 0; e < edges(); e++)
            for (int d = 0; d < 3; d++)
                to[3 * static_cast<int64_t>(in_.neighbours[e]) + d] += from[3 * (n + e) + d];
    }
}

Error Neighbours::named(const Error& error) const {
    if (!vectors() || error.atoms[0] < 0) return error;
    int64_t atoms[2];
    for (int k = 0; k < 2; k++)
        atoms[k] = error.atoms[k] < in_.atoms ? error.atoms[k]
                                              : in_.neighbours[error.atoms[k] - in_.atoms];
    return Error(error.words, atoms[0], atoms[1], error.fault);
}

namespace {

void evaluate(Evaluator& evaluator, const Neighbours& neighbours, const ace_results& given,
              const Wanted& wanted, Verdicts& verdicts, Watch* watch) {
    const Structure in = neighbours.structure();
    Results out = wanted.all();
    std::vector<double> forces;  // on the engine's points
    if (neighbours.vectors() && (given.forces || given.edge_forces)) {
        forces.resize(static_cast<size_t>(wanted.derived()) * in.points * 3);
        out.forces = forces.data();
    }
    try {
        check_input(in, neighbours.threads());
        evaluator.evaluate(&in, 1, &out, {neighbours.threads(), watch, nullptr});
    } catch (const Error& error) {
        no_results(in, out);
        verdicts.fail(0, neighbours.named(error));
    }
    if (!forces.empty())
        neighbours.collect(wanted.derived(), forces.data(), given.forces, given.edge_forces);
}

}  // namespace
}  // namespace ace::c_api

using namespace ace::c_api;

extern "C" int ace_evaluate_neighbours(ace_evaluator* e, const ace_neighbours* given,
                                       const ace_results* results) {
    return guarded_structures([&] {
        ace::Evaluator& evaluator = *model(e).evaluator;
        const Neighbours neighbours(given);
        const ace_results out = sized(results, "results");
        if (out.edge_forces && !neighbours.vectors())
            throw ace::Error("results.edge_forces: only neighbours with vectors have them");
        if (out.centroid_virials && neighbours.vectors())
            throw ace::Error("results.centroid_virials: neighbours with vectors have none");
        Verdicts verdicts(1, out.status, out.messages, out.message_size);
        const Wanted wanted(out, ace_outputs(e), {0, neighbours.atoms()});
        Stop stop(neighbours.given().stop, neighbours.given().stop_context);
        evaluate(evaluator, neighbours, out, wanted, verdicts, stop.watch());
        wanted.sum();
        verdicts.finish();
    });
}
