// Products of any A's as interior nodes, products of two each. Used by plan.cpp only.
#pragma once
#include <map>

#include "plan/form.hpp"
#include "plan/layout.hpp"

namespace ace {

class Nodes {
  public:
    Nodes(Plan& plan, const Tables& tables, const Terms& terms, const Layout& layout)
        : plan_(plan), tables_(tables), terms_(terms), layout_(layout) {}

    // Adds these terms to the form, and the nodes that they need to the plan.
    void add(const std::vector<const Term*>& terms, Form& form);

    // Where a variable lies and how it is meant: sign * (conjugate of) (x[re] + i x[im]), which
    // has the magnetic number m >= 0 without the conjugation.
    struct Value {
        int re = -1, im = -1;
        double sign = 1;
        bool conjugate = false;
        int level = 0, m = 0;
    };
    // A product, or its real part alone; the nodes it needs are added to the plan.
    Value get(const Key& key);
    Value real_part(const Key& key);
    // Nodes in the order of their level and kind, so that each kind is one loop; once, at the end.
    void order_ops();

  private:
    struct Half {
        const Term* term;
        Key left, right;
    };

    bool known(const Key& key) const {
        return values_.count(key) != 0 || values_.count(terms_.mirror(key)) != 0;
    }
    Value one_particle(int f) const;
    Value multiply(Value a, Value b, bool real);
    std::pair<Key, Key> best_split(const Key& key, bool interior) const;
    std::map<Key, Key> popular_pairs(const std::vector<const Term*>& terms) const;
    void add(const Half& half, Form& form);

    Plan& plan_;
    const Tables& tables_;
    const Terms& terms_;
    const Layout& layout_;
    std::map<Key, Value> values_, reals_;
};

}  // namespace ace
