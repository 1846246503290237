// Products of A's as nodes that share their parts.
#pragma once
#include <map>
#include <utility>
#include <vector>

#include "ace/tables.hpp"
#include "rows/functions.hpp"

namespace ace::rows {

// x[re] + i x[im] = (x[a_re] + i x[a_im]) (x[b_re] +- i x[b_im]); places that are -1 are zero.
struct Node {
    enum Kind { real, scaled, complex, conjugate, complex_re, conjugate_re };
    int kind, level, a_re, a_im, b_re, b_im, re, im;
};

struct NodeRange {
    int kind, begin, end;
};

// Complex A's are written as factors s_m (A_m + i A_-m) for m > 0, h (A_m - i A_-m) for m < 0 and
// A_0, A real: nodes multiply the brackets, so that the mirror image of a product, m -> -m, is
// its conjugate; s and h enter coefficients.
class Nodes {
  public:
    // Where a product is found: x[re] + i x[im], or its conjugate; im < 0: it is real.
    struct Value {
        int re, im;
        bool conjugate;
        int level;
    };

    // Places 0 ... count - 1 are the real A's; the next is the constant 1.
    explicit Nodes(const Tables& tables)
        : tables_(tables), one_(static_cast<int>(tables.a_l.size())), variables_(one_ + 1) {}

    Value get(const Key& key);
    int real_part(const Key& key);
    // What stands before the brackets of a product.
    double scale(const Key& key) const;
    int one() const { return one_; }
    // A place of its own for something else.
    int reserve() { return variables_++; }
    int variables() const { return variables_; }
    // All nodes by level and kind, so that each kind is one loop, with these loops.
    std::pair<std::vector<Node>, std::vector<NodeRange>> ordered() const;

  private:
    Key mirror(const Key& key) const;
    const Value* known(const Key& key);
    std::pair<Key, Key> split(const Key& key);
    Value multiply(const Value& a, const Value& b, bool real);

    const Tables& tables_;
    const int one_;
    int variables_;
    std::vector<Node> nodes_;
    std::map<Key, Value> values_;
    std::map<Key, int> reals_;
};

}  // namespace ace::rows
