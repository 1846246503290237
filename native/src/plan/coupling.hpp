// Recoupling: the products of two to four A's that are invariants, as dot products of A's and of
// pairs of A's coupled to L. Many functions share a pair, and every M of it has the same
// coefficient. Used by plan.cpp only.
#pragma once
#include <vector>

#include "plan/form.hpp"
#include "plan/layout.hpp"

namespace ace {

// Adds to the form the terms for which this is exact and cheaper, and the coupled pairs that they
// need to the plan; returns the other terms.
std::vector<const Term*> couple(Plan& plan, const Tables& tables, const std::vector<Term>& terms,
                                const Layout& layout, Form& form);

}  // namespace ace
