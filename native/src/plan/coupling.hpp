// Recoupling: the products of two to four A's that are invariants, as dot products of A's and of
// pairs of A's coupled to L. Many functions share a pair, and every M of it has the same
// coefficient. Used by plan.cpp and sites.cpp only.
#pragma once
#include <map>
#include <vector>

#include "plan/form.hpp"
#include "plan/layout.hpp"
#include "plan/sets.hpp"

namespace ace {

class Coupler {
  public:
    // `densities` that every dot product is summed into, for what it costs.
    Coupler(Plan& plan, const Tables& tables, const Layout& layout, int densities)
        : plan_(plan), tables_(tables), layout_(layout), densities_(densities) {}

    // A dot product of two runs of variables, with the weights of its terms.
    struct Placed {
        const Set* set;
        const Dot* dot;
        int width, left, right;
    };

    // Writes the terms as dot products where this is exact and cheaper, and adds the coupled pairs
    // that these need to the plan.
    void run(const std::vector<Term>& terms);
    std::vector<Placed> dots() const;
    std::vector<const Term*> rest;  // the other terms

  private:
    int l_of(int shell) const { return tables_.a_l[shell]; }
    double cost_of(const Dot& dot) const;
    double cost_of(const Node& node) const;
    double cost_apart(const Set& set) const;
    void count(const std::vector<Dot>& way, double change);
    void choose();
    int cheapest(const Set& set);
    void place_nodes();
    void add_coupling(int a, int b, bool odd, const std::vector<int>& l);
    void write_table(const Coupling& c, const std::vector<int>& l);
    int place(const Node& node) const {
        return node.alone() ? layout_.shell(node.a) : places_.at(node);
    }

    Plan& plan_;
    const Tables& tables_;
    const Layout& layout_;
    const int densities_;
    std::vector<Set> sets_;
    std::vector<int> chosen_;  // way of each set, or -1
    std::map<Node, double> users_;
    std::map<Node, int> places_;
    std::map<std::vector<int>, int> tables_of_;  // la, lb, same, odd, L -> clebsch_gordan
};

// Adds to the form the terms for which this is exact and cheaper; returns the other terms.
std::vector<const Term*> couple(Plan& plan, const Tables& tables, const std::vector<Term>& terms,
                                const Layout& layout, Form& form);

}  // namespace ace
