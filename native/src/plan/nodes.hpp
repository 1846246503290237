// Products of any A's as interior nodes, products of two each. Used by plan.cpp only.
#pragma once
#include <map>

#include "plan/form.hpp"
#include "plan/layout.hpp"

namespace ace {

class Nodes {
  public:
    Nodes(Plan& plan, const Tables& tables, const Terms& terms, const Layout& layout, Form& form)
        : plan_(plan), tables_(tables), terms_(terms), layout_(layout), form_(form) {}

    // Adds these terms to the form, and the nodes that they need to the plan.
    void add(const std::vector<const Term*>& terms);

  private:
    // Where a variable lies and how it is meant: sign * (conjugate of) (x[re] + i x[im]), which
    // has the magnetic number m >= 0 without the conjugation.
    struct Value {
        int re = -1, im = -1;
        double sign = 1;
        bool conjugate = false;
        int level = 0, m = 0;
    };
    struct Half {
        const Term* term;
        Key left, right;
    };

    bool known(const Key& key) const {
        return values_.count(key) != 0 || values_.count(terms_.mirror(key)) != 0;
    }
    Value get(const Key& key);
    Value one_particle(int f) const;
    Value multiply(Value a, Value b, bool real);
    std::pair<Key, Key> best_split(const Key& key, bool interior) const;
    std::map<Key, Key> popular_pairs(const std::vector<const Term*>& terms) const;
    void add(const Half& half);
    void order_ops();

    Plan& plan_;
    const Tables& tables_;
    const Terms& terms_;
    const Layout& layout_;
    Form& form_;
    std::map<Key, Value> values_;
};

}  // namespace ace
