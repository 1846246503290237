// Values of sites, their derivatives, and what adjoints of them mean for the atoms.
#include <map>
#include <string>
#include <vector>

#include "ace/input.hpp"
#include "results.hpp"
#include "structures.hpp"
#include "verdicts.hpp"

namespace ace::c_api {
namespace {

class Sites {
  public:
    Sites(Evaluator& evaluator, const Structures& structures, const ace_sites* given)
        : evaluator_(evaluator),
          structures_(structures),
          out_(sized(given, "sites")),
          rows_(evaluator.tables().rows()) {
        if (pulls() && !out_.adjoints && structures.first().back())
            throw Error("sites.adjoints: expected an array for forces and virials, got null");
        std::vector<Results> none;
        structures.split({}, in_, none);
    }

    const ace_sites& out() const { return out_; }

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
            if (to) no_values(in_[s], rows_, to + structures_.first()[s] * rows_);
        if (pulls()) no_results(in_[s], results(s));
    }

  private:
    int count() const { return static_cast<int>(in_.size()); }
    bool pulls() const { return out_.forces || out_.virial || out_.virials; }

    template <class T>
    std::vector<T*> places(T* all) const {
        std::vector<T*> found;
        for (int s = 0; s < count(); s++) found.push_back(all + structures_.first()[s] * rows_);
        return found;
    }

    void derive(const Options& options) {
        std::vector<Motion> motions;
        for (int s = 0; s < count(); s++)
            motions.push_back({moved(out_.displacements, 3 * structures_.first()[s]),
                               moved(out_.strains, 9 * s)});
        evaluator_.jvp(in_.data(), count(), motions.data(), places(out_.derivatives).data(),
                       options);
    }

    void pull(const Options& options) {
        std::vector<Results> to;
        for (int s = 0; s < count(); s++) to.push_back(results(s));
        evaluator_.pullback(in_.data(), count(), places(out_.adjoints).data(), to.data(), options);
    }

    Results results(int s) const {
        const int64_t begin = structures_.first()[s];
        return {1, nullptr, moved(out_.forces, 3 * begin), moved(out_.virials, 9 * begin),
                moved(out_.virial, 9 * s)};
    }

    template <class T>
    static T* moved(T* array, int64_t by) { return array ? array + by : nullptr; }

    Evaluator& evaluator_;
    const Structures& structures_;
    const ace_sites out_;
    const int rows_;
    std::vector<Structure> in_;
};

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
        Sites sites(evaluator, structures, wanted);
        Verdicts verdicts(structures.count(), sites.out().status, sites.out().messages,
                          sites.out().message_size);
        Stop stop(structures.given().stop, structures.given().stop_context);
        ace::Failures failures;
        sites.evaluate({structures.threads(), stop.watch(), &failures});
        std::map<int, ace::Error> failed;  // of each structure the first
        for (const ace::Failure& failure : failures.all)
            failed.emplace(failure.structure, failure.error);
        for (const auto& [structure, error] : failed) {
            sites.no_numbers(structure);
            verdicts.fail(structure, error);
        }
        verdicts.finish();
    });
}
}
