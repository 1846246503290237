// Values of sites, their derivatives, and what adjoints of them mean for the atoms: of structures
// in cells, or with a caller's list.
#include <map>
#include <string>
#include <vector>

#include "ace/input.hpp"
#include "neighbours.hpp"
#include "results.hpp"
#include "structures.hpp"
#include "verdicts.hpp"

namespace ace::c_api {
namespace {

class Sites {
  public:
    // Structures whose arrays follow one another; `first`: the first atom of each, and the end.
    // With a list there is one, and displacements and forces are those of its points.
    Sites(Evaluator& evaluator, std::vector<Structure> in, std::vector<int64_t> first,
          const ace_sites& out)
        : evaluator_(evaluator), in_(std::move(in)), first_(std::move(first)), out_(out),
          rows_(evaluator.tables().rows()) {
        if (pulls() && !out_.adjoints && first_.back())
            throw Error("sites.adjoints: expected an array for forces and virials, got null");
    }

    // What is wanted of all structures.
    void evaluate(const Options& options) {
        if (out_.values)
            evaluator_.values(in_.data(), count(), places(out_.values).data(), options);
        if (out_.derivatives) derive(options);
        if (pulls()) pull(options);
    }

    // Nothing about this structure is a number.
    void no_numbers(int s) const {
        for (double* to : {out_.values, out_.derivatives})
            if (to) no_values(in_[s], rows_, to + first_[s] * rows_);
        if (pulls()) no_results(in_[s], results(s));
    }

  private:
    int count() const { return static_cast<int>(in_.size()); }
    bool pulls() const { return out_.forces || out_.virial || out_.virials; }

    template <class T>
    std::vector<T*> places(T* all) const {
        std::vector<T*> found;
        for (int s = 0; s < count(); s++) found.push_back(all + first_[s] * rows_);
        return found;
    }

    void derive(const Options& options) {
        std::vector<Motion> motions;
        for (int s = 0; s < count(); s++)
            motions.push_back(
                {moved(out_.displacements, 3 * first_[s]), moved(out_.strains, 9 * s)});
        evaluator_.jvp(in_.data(), count(), motions.data(), places(out_.derivatives).data(),
                       options);
    }

    void pull(const Options& options) {
        std::vector<Results> to;
        for (int s = 0; s < count(); s++) to.push_back(results(s));
        evaluator_.pullback(in_.data(), count(), places(out_.adjoints).data(), to.data(), options);
    }

    Results results(int s) const {
        return {1, nullptr, moved(out_.forces, 3 * first_[s]), moved(out_.virials, 9 * first_[s]),
                moved(out_.virial, 9 * s)};
    }

    template <class T>
    static T* moved(T* array, int64_t by) { return array ? array + by : nullptr; }

    Evaluator& evaluator_;
    const std::vector<Structure> in_;
    const std::vector<int64_t> first_;
    const ace_sites out_;
    const int rows_;
};

void evaluate_structures(Evaluator& evaluator, const Structures& structures,
                         const ace_sites& out) {
    std::vector<Structure> in;
    std::vector<Results> none;
    structures.split({}, in, none);
    Sites sites(evaluator, std::move(in), structures.first(), out);
    Verdicts verdicts(structures.count(), out.status, out.messages, out.message_size);
    Stop stop(structures.given().stop, structures.given().stop_context);
    Failures failures;
    sites.evaluate({structures.threads(), stop.watch(), &failures});
    std::map<int, Error> failed;  // of each structure the first
    for (const ace::Failure& failure : failures.all)
        failed.emplace(failure.structure, failure.error);
    for (const auto& [structure, error] : failed) {
        sites.no_numbers(structure);
        verdicts.fail(structure, error);
    }
    verdicts.finish();
}

void evaluate_neighbours(Evaluator& evaluator, const Neighbours& neighbours,
                         const ace_sites& out) {
    const Structure in = neighbours.structure();
    ace_sites engine = out;
    std::vector<double> motion, forces;  // of the engine's points
    if (neighbours.vectors()) {
        motion = neighbours.motion(out.displacements, out.edge_displacements);
        engine.displacements = motion.empty() ? nullptr : motion.data();
        if (out.forces || out.edge_forces) forces.resize(3 * static_cast<size_t>(in.points));
        engine.forces = forces.empty() ? nullptr : forces.data();
    }
    Sites sites(evaluator, {in}, {0, neighbours.atoms()}, engine);
    Verdicts verdicts(1, out.status, out.messages, out.message_size);
    Stop stop(neighbours.given().stop, neighbours.given().stop_context);
    Failures failures;
    try {
        check_input(in, neighbours.threads());
        sites.evaluate({neighbours.threads(), stop.watch(), &failures});
    } catch (const Error& error) {
        failures.add(0, error);
    }
    if (!failures.all.empty()) sites.no_numbers(0);
    if (!forces.empty()) neighbours.collect(1, forces.data(), out.forces, out.edge_forces);
    if (!failures.all.empty()) verdicts.fail(0, neighbours.named(failures.all.front().error));
    verdicts.finish();
}

// What belongs to edges needs `vectors`.
void refuse_edges(const ace_sites& out) {
    const char* name = out.edge_forces          ? "edge_forces"
                       : out.edge_displacements ? "edge_displacements"
                                                : nullptr;
    if (name)
        throw Error(std::string("sites.") + name + ": only neighbours with vectors have them");
}

}  // namespace
}  // namespace ace::c_api

using namespace ace::c_api;

extern "C" {

int ace_site_values(const ace_evaluator* e) { return e ? e->evaluator->tables().rows() : 0; }

int ace_irreps(const ace_evaluator* e) {
    return e ? static_cast<int>(e->evaluator->tables().irreps.size()) : 0;
}

int ace_irrep(const ace_evaluator* e, int which, int* l, int* parity, int* width) {
    return guarded([&] {
        if (which < 0 || which >= ace_irreps(e))
            throw ace::Error("which: expected 0 to " + std::to_string(ace_irreps(e) - 1) +
                             ", got " + std::to_string(which));
        const ace::Tables& tables = e->evaluator->tables();
        const ace::Irrep& irrep = tables.irreps[which];
        if (l) *l = irrep.l;
        if (parity) *parity = irrep.parity;
        if (width) *width = tables.outputs > 0 ? irrep.outputs * tables.outputs : irrep.functions;
    });
}

int ace_evaluate_sites(ace_evaluator* e, const ace_structures* given, const ace_sites* wanted) {
    return guarded_structures([&] {
        ace::Evaluator& evaluator = *model(e).evaluator;
        const Structures structures(given);
        const ace_sites out = sized(wanted, "sites");
        refuse_edges(out);
        evaluate_structures(evaluator, structures, out);
    });
}

int ace_evaluate_neighbour_sites(ace_evaluator* e, const ace_neighbours* given,
                                 const ace_sites* wanted) {
    return guarded_structures([&] {
        ace::Evaluator& evaluator = *model(e).evaluator;
        const Neighbours neighbours(given);
        const ace_sites out = sized(wanted, "sites");
        if (!neighbours.vectors()) refuse_edges(out);
        evaluate_neighbours(evaluator, neighbours, out);
    });
}
}
