// Values of the sites of a batch: neighbours, A's, nodes, sums.
#pragma once
#include "engine/sites.hpp"

namespace ace::ACE_ISA {

template <class T>
class SiteValues {
  public:
    explicit SiteValues(const Sites<T>& sites) : sites_(sites) {}

    // `out`: [atoms][rows] of every structure of the call.
    void batch(Call& call, const Batch& b, SiteWork<T>& w, double* const* out) const {
        const SiteCentre<T>& s = *sites_.centres[b.species];
        const auto* x = sites_.variables(call, b, s, w);
        w.values.need(sites_.padded);
        sums_forward(s.site, s.coefficients.data(), x, w.values.data());
        sites_.put_values(b, w, out);
    }

  private:
    const Sites<T>& sites_;
};

}  // namespace ace::ACE_ISA
