// Where radial functions and one-particle functions lie. Used by plan.cpp only.
#pragma once
#include <array>
#include <map>

#include "plan/terms.hpp"

namespace ace {

class Layout {
  public:
    // Of energies: places what the terms, plan.folds and the core density need.
    Layout(Plan& plan, const Tables& tables, const std::vector<Term>& terms,
           const Widths& widths);
    // Of site values: what the terms need, and linear columns.
    Layout(Plan& plan, const Tables& tables, const std::vector<Term>& terms, const Widths& widths,
           const std::vector<Column>& linear);

    // The first sum of a linear column for a species, among the variables.
    int linear(const Column& column, int species) const;
    // The first variable of all A's with the species, channel and l of A number f: m = 0, then
    // cosine and sine of m = 1, 2, ...
    int shell(int f) const;

  private:
    // The A's of one l and radial table: their columns, and their variables from `first` on.
    struct Group {
        int table, l, column, count, first;
    };

    void place(const std::vector<Term>& terms);
    void place_columns(const std::vector<Term>& terms);
    void place_direct();
    void place_linear();
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
    const std::vector<Column>* const linear_;  // null: of energies
    std::vector<Group> groups_;
    std::map<std::array<int, 3>, int> shells_;   // table, channel, l
    std::map<std::array<int, 3>, int> linears_;  // kind, table, index
};

}  // namespace ace
