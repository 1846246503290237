#include "rows/nodes.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace ace::rows {

Key Nodes::mirror(const Key& key) const {
    Key out;
    for (const int f : key) out.push_back(f - 2 * tables_.a_m[f]);
    std::sort(out.begin(), out.end());
    return out;
}

const Nodes::Value* Nodes::known(const Key& key) {
    if (const auto at = values_.find(key); at != values_.end()) return &at->second;
    const auto at = values_.find(mirror(key));
    if (at == values_.end()) return nullptr;
    Value value = at->second;
    value.conjugate = !value.conjugate;
    return &(values_[key] = value);
}

Nodes::Value Nodes::get(const Key& key) {
    if (const Value* value = known(key)) return *value;
    if (key.empty()) return values_[key] = {one_, -1, false, 0};
    if (key.size() == 1) {
        const int f = key[0], m = tables_.a_m[f];
        if (m == 0) return values_[key] = {f, -1, false, 0};
        return values_[key] = m > 0 ? Value{f, f - 2 * m, false, 0}
                                    : Value{f - 2 * m, f, true, 0};
    }
    const auto [rest, last] = split(key);
    const Value a = get(rest), b = get(last);
    return values_[key] = multiply(a, b, mirror(key) == key);
}

int Nodes::real_part(const Key& key) {
    if (const Value* value = known(key)) return value->re;
    if (key.size() < 2) return get(key).re;
    if (const auto at = reals_.find(key); at != reals_.end()) return at->second;
    const auto [rest, last] = split(key);
    const Value a = get(rest), b = get(last);
    return reals_[key] = multiply(a, b, true).re;
}

// One factor apart from the others, which are known if any such product is.
std::pair<Key, Key> Nodes::split(const Key& key) {
    std::pair<Key, Key> out;
    for (size_t t = key.size(); t-- > 0;) {
        Key rest = key;
        rest.erase(rest.begin() + static_cast<ptrdiff_t>(t));
        const bool there = known(rest) != nullptr;
        if (there || out.first.empty()) out = {rest, {key[t]}};
        if (there) break;
    }
    return out;
}

Nodes::Value Nodes::multiply(const Value& a, const Value& b, bool real) {
    Node n{Node::real, 1 + std::max(a.level, b.level), a.re, a.im, b.re, b.im, 0, -1};
    Value out{0, -1, false, n.level};
    if (a.im >= 0 && b.im >= 0) {
        n.kind = a.conjugate == b.conjugate ? Node::complex : Node::conjugate;
        if (real) n.kind += Node::complex_re - Node::complex;
        out.conjugate = a.conjugate;
    } else if (!real && (a.im >= 0 || b.im >= 0)) {
        n.kind = Node::scaled;
        out.conjugate = a.im >= 0 ? a.conjugate : b.conjugate;
        if (a.im < 0) {
            std::swap(n.a_re, n.b_re);
            std::swap(n.a_im, n.b_im);
        }
    }
    n.re = out.re = variables_++;
    if (n.kind == Node::scaled || n.kind == Node::complex || n.kind == Node::conjugate)
        n.im = out.im = variables_++;
    nodes_.push_back(n);
    return out;
}

double Nodes::scale(const Key& key) const {
    double c = 1;
    for (const int f : key)
        if (const int m = tables_.a_m[f]) c *= m > 0 && m % 2 ? -M_SQRT1_2 : M_SQRT1_2;
    return c;
}

std::pair<std::vector<Node>, std::vector<NodeRange>> Nodes::ordered() const {
    std::vector<Node> nodes = nodes_;
    std::vector<NodeRange> ranges;
    std::stable_sort(nodes.begin(), nodes.end(), [](const Node& a, const Node& b) {
        return std::tie(a.level, a.kind) < std::tie(b.level, b.kind);
    });
    for (size_t k = 0; k < nodes.size();) {
        size_t end = k;
        while (end < nodes.size() && nodes[end].kind == nodes[k].kind &&
               nodes[end].level == nodes[k].level)
            end++;
        ranges.push_back({nodes[k].kind, int(k), int(end)});
        k = end;
    }
    return {nodes, ranges};
}

}  // namespace ace::rows
