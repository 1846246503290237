// The products that values of sites are made of. Used by sites.cpp only.
#pragma once
#include <vector>

#include "plan/terms.hpp"

namespace ace {

// y[row] += re Re(product) + im Im(product)
struct Share {
    int row;
    double re, im;
};

// A product, once for itself and its complex conjugate.
struct SiteTerm {
    Key key;
    std::vector<Share> shares;  // ascending
};

// Of one central species, in the order of the Tables.
std::vector<SiteTerm> site_terms(const Tables& tables, const Terms& terms, int centre);

// The irrep of every row (Tables::rows).
std::vector<const Irrep*> irreps_of_rows(const Tables& tables);

}  // namespace ace
