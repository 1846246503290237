// Where radial functions and one-particle functions lie. Used by plan.cpp only.
#pragma once
#include <array>
#include <map>

#include "plan_terms.hpp"

namespace ace {

class Layout {
  public:
    // Places what the terms and plan.folds need.
    Layout(Plan& plan, const Tables& tables, const std::vector<Term>& terms, int lanes,
           int tile_components);

    // The first variable of all A's with the species, channel and l of A number f: m = 0, then
    // cosine and sine of m = 1, 2, ...
    int shell(int f) const;

  private:
    void place_columns(const std::vector<Term>& terms);
    void place_direct();
    void place_components(int tile_components);
    void order_pulls();
    int source_of(int table);
    int padded(int count) const { return (count + lanes_ - 1) / lanes_ * lanes_; }

    Plan& plan_;
    const Tables& tables_;
    const int lanes_;
    std::vector<int> group_table_, group_first_;  // radial table and first variable of a group
    std::map<std::array<int, 3>, int> shells_;    // table, channel, l
};

}  // namespace ace
