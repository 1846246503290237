// Values of the sites of a batch: neighbours, A's, nodes, dot products and sums.
#pragma once
#include "engine/sites.hpp"

namespace ace::ACE_ISA {

template <class T, class A>
class SiteValues {
  public:
    explicit SiteValues(const Sites<T, A>& sites) : sites_(sites) {}

    // `out`: [atoms][rows] of every structure of the call.
    void batch(Call& call, const Batch& b, SiteWork<T, A>& w, double* const* out) const {
        const SiteCentre<T, A>& s = *sites_.centres[b.species];
        sites_.neighbours(call, b, s.centre, w, {true, false}, {true, false});
        auto* x = sites_.variables(b, s, w, true);
        sites_.linear.sums(s.centre, w, b.count, x);
        sites_.need_values(w);
        values_forward(s.site, s.coefficients.data(), s.value_coefficients.data(), x,
                       w.values.data());
        sites_.put_values(b, w, out);
    }

  private:
    const Sites<T, A>& sites_;
};

}  // namespace ace::ACE_ISA
