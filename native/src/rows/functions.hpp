// The functions B_k of one central species as sums of products of A's, and which of them are an A
// with l = 0 times another.
#pragma once
#include <map>
#include <vector>

#include "ace/tables.hpp"

namespace ace::rows {

using Key = std::vector<int>;  // factors of a product, ascending

struct Summand {
    Key key;
    double coefficient;
};

// B_k = factor A_v B_other, v with l = 0.
struct Reduced {
    int v, other;
    double factor;
};

struct Functions {
    std::map<int, std::vector<Summand>> terms;  // by function
    std::map<int, Reduced> reduced;          // of those functions that are products

    Functions(const Tables& tables, int centre);

    // Whether others are taken from this one.
    bool is_factor(int function) const;
};

}  // namespace ace::rows
