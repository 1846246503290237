// Where radial functions and one-particle functions lie. Used by plan.cpp only.
#pragma once
#include <array>
#include <map>

#include "plan/terms.hpp"

namespace ace {

class Layout {
  public:
    // Places what the terms and plan.folds need.
    Layout(Plan& plan, const Tables& tables, const std::vector<Term>& terms,
           const Widths& widths);

    // The first variable of all A's with the species, channel and l of A number f: m = 0, then
    // cosine and sine of m = 1, 2, ...
    int shell(int f) const;

  private:
    // The A's of one l and radial table: their columns, and their variables from `first` on.
    struct Group {
        int table, l, column, count, first;
    };

    void place_columns(const std::vector<Term>& terms);
    void place_direct();
    void place_core();
    void add_tiles(const Group& group, int begin, int end);
    void place_components();
    void add_pull(int l, int begin, int end);
    void order_pulls();
    int source_of(int table);
    int padded(int count) const { return (count + widths_.lanes - 1) / widths_.lanes * widths_.lanes; }

    Plan& plan_;
    const Tables& tables_;
    const Widths widths_;
    std::vector<Group> groups_;
    std::map<std::array<int, 3>, int> shells_;  // table, channel, l
};

}  // namespace ace
