// Forces and virials of a batch from the caller's adjoints of its site values: sums, nodes and
// A's backward, then the force stage.
#pragma once
#include <cstring>

#include "engine/force_stage.hpp"
#include "engine/sites.hpp"

namespace ace::ACE_ISA {

template <class T>
class SitePullback {
  public:
    using V = typename Simd<T>::V;

    SitePullback(const Sites<T>& sites, const Shared<T>& shared) : sites_(sites), forces_(shared) {}

    // `adjoints`: [atoms][rows] of every structure of the call.
    void batch(Call& call, const Batch& b, SiteWork<T>& w, const double* const* adjoints) const {
        const SiteCentre<T>& s = *sites_.centres[b.species];
        const Centre<T>& c = s.centre;
        const V* x = sites_.variables(call, b, s, w);
        sites_.get_adjoints(b, w, adjoints);
        w.adjoints.zero(c.plan.variables);
        V* g = w.adjoints.data();
        sums_backward(s.site, s.coefficients.data(), w.values.data(), g);
        dots_backward(s.site.dots, x, g);
        uncouple<T>(c.plan, c.clebsch_gordan.data(), x, g);
        nodes_backward(c.plan, x, g);
        forces_.adjoints(c, w, g);
        const V none = {};
        for (int a = 0; a < b.count; a++) {
            w.atoms[a].core_weight = w.atoms[a].nearest_weight = 0;
            forces_.forces(c, w, a, 0, &none, call.points(), call.structures());
        }
    }

  private:
    const Sites<T>& sites_;
    const ForceStage<T> forces_;
};

}  // namespace ace::ACE_ISA
