// Values of sites, their derivatives, and what adjoints of them mean for the atoms.
#include <algorithm>
#include <cmath>
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

    // What is wanted of `count` structures from `begin` on.
    void evaluate(int begin, int count) {
        for (int s = begin; s < begin + count; s++) check_input(in_[s], structures_.threads());
        if (out_.values) {
            const std::vector<double*> to = places(out_.values, begin, count);
            evaluator_.values(&in_[begin], count, structures_.threads(), to.data());
            for (int k = 0; k < count; k++) check_values(in_[begin + k], rows_, to[k]);
        }
        if (out_.derivatives) derive(begin, count);
        if (pulls()) pull(begin, count);
    }

    // Nothing about this structure is a number.
    void no_numbers(int s) const {
        const int64_t begin = structures_.first()[s], n = structures_.atoms(s);
        for (double* to : {out_.values, out_.derivatives})
            if (to) std::fill_n(to + begin * rows_, n * rows_, std::nan(""));
        if (pulls()) no_results(in_[s], results(s));
    }

  private:
    bool pulls() const { return out_.forces || out_.virial || out_.virials; }

    template <class T>
    std::vector<T*> places(T* all, int begin, int count) const {
        std::vector<T*> found;
        for (int k = 0; k < count; k++)
            found.push_back(all + structures_.first()[begin + k] * rows_);
        return found;
    }

    void derive(int begin, int count) {
        std::vector<Motion> motions;
        for (int s = begin; s < begin + count; s++)
            motions.push_back({moved(out_.displacements, 3 * structures_.first()[s]),
                               moved(out_.strains, 9 * s)});
        const std::vector<double*> to = places(out_.derivatives, begin, count);
        evaluator_.jvp(&in_[begin], count, structures_.threads(), motions.data(), to.data());
        for (int k = 0; k < count; k++) check_values(in_[begin + k], rows_, to[k]);
    }

    void pull(int begin, int count) {
        std::vector<Results> to;
        for (int s = begin; s < begin + count; s++) to.push_back(results(s));
        const std::vector<const double*> from = places(out_.adjoints, begin, count);
        evaluator_.pullback(&in_[begin], count, structures_.threads(), from.data(), to.data());
        for (int k = 0; k < count; k++) check_results(in_[begin + k], to[k]);
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

// All at once; one by one if that fails, so that it is known which of them it was, and where the
// caller may want to stop.
void evaluate(Sites& sites, int count, Verdicts& verdicts, Watch* watch) {
    if (!watch) try {
            return sites.evaluate(0, count);
        } catch (const Error&) {
        }
    for (int s = 0; s < count; s++) {
        if (watch && watch->stop()) watch->check();
        try {
            sites.evaluate(s, 1);
        } catch (const Error& error) {
            sites.no_numbers(s);
            verdicts.fail(s, error);
        }
    }
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
        Sites sites(evaluator, structures, wanted);
        Verdicts verdicts(structures.count(), sites.out().status, sites.out().messages,
                          sites.out().message_size);
        Stop stop(structures.given().stop, structures.given().stop_context);
        evaluate(sites, static_cast<int>(structures.count()), verdicts, stop.watch());
        verdicts.finish();
    });
}
}
