// Forces and virials of a batch from the caller's adjoints of its site values: sums, nodes and
// A's backward, then the force stage.
#pragma once
#include "engine/force_stage.hpp"
#include "engine/sites.hpp"

namespace ace::ACE_ISA {

template <class T, class A>
class SitePullback {
  public:
    using VA = typename Simd<A>::V;

    SitePullback(const Sites<T, A>& sites, const Shared<T, A>& shared)
        : sites_(sites), forces_(shared) {}

    // `adjoints`: [atoms][rows] of every structure of the call.
    void batch(Call& call, const Batch& b, SiteWork<T, A>& w,
               const double* const* adjoints) const {
        const SiteCentre<T, A>& s = *sites_.centres[b.species];
        const Centre<T, A>& c = s.centre;
        sites_.neighbours(call, b, c, w, {true, true}, {false, false});
        for (int a = 0; a < b.count; a++) forces_.rows(w, a);
        const VA* x = sites_.variables(b, s, w, false);
        sites_.get_adjoints(b, w, adjoints);
        w.adjoints.zero(c.plan.variables);
        VA* g = w.adjoints.data();
        values_backward(s.site, s.coefficients.data(), s.value_coefficients.data(), x,
                        w.values.data(), g);
        uncouple<A>(c.plan, c.clebsch_gordan.data(), x, g);
        nodes_backward(c.plan, x, g);
        forces_.adjoints(c, w, g);
        sites_.linear.adjoints(c, w, g);
        sites_.linear.slopes(c, w, b.count);
        for (int a = 0; a < b.count; a++) {
            w.atoms[a].core_weight = w.atoms[a].nearest_weight = 0;
            forces_.forces(c, w, a, 0, {nullptr, 0, 0}, call.structures(),
                           c.plan.linears.empty() ? nullptr : w.atoms[a].linear.data());
        }
    }

  private:
    const Sites<T, A>& sites_;
    const ForceStage<T, A> forces_;
};

}  // namespace ace::ACE_ISA
