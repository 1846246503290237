#include "plan/nodes.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>
#include <tuple>

namespace ace {
namespace {

std::vector<Key> pairs(const Key& key) {
    std::vector<Key> out;
    for (size_t q = 0; q < key.size(); q++) {
        Key rest;
        for (size_t t = 0; t < key.size(); t++)
            if (t != q) rest.push_back(key[t]);
        out.push_back(rest);
    }
    return out;
}

}  // namespace

void Nodes::add(const std::vector<const Term*>& terms, Form& form) {
    const std::map<Key, Key> popular = popular_pairs(terms);
    std::vector<Half> halves;
    std::map<Key, int> degree;
    for (const Term* term : terms) {
        Half half{term, {}, {}};
        if (term->key.size() == 1) {
            half.left = term->key;
        } else if (term->key.size() == 3) {
            const Key& pair = popular.at(term->key);
            for (size_t q = 0; q < 3 && half.left.empty(); q++)
                if (const Key rest = pairs(term->key)[q]; terms_.canonical(rest) == pair) {
                    half.left = rest;
                    half.right = {term->key[q]};
                }
        } else {
            std::tie(half.left, half.right) = best_split(term->key, false);
        }
        get(half.left);
        get(half.right);
        degree[terms_.canonical(half.left)]++;
        degree[terms_.canonical(half.right)]++;
        halves.push_back(half);
    }
    for (Half& half : halves) {
        // Rows are the popular factors, so that their loops are long.
        if (degree[terms_.canonical(half.right)] > degree[terms_.canonical(half.left)])
            std::swap(half.left, half.right);
        add(half, form);
    }
}

void Nodes::add(const Half& half, Form& form) {
    const Value a = get(half.left), b = get(half.right);
    const std::vector<double>& weight = half.term->weight;
    const double s = a.sign * b.sign;
    const double sign = a.conjugate == b.conjugate ? -1 : 1;
    if (a.im >= 0 && b.im >= 0 && a.m != 0 && sign > 0) {
        form.add(2, a.re, b.re, s, weight);
        return;
    }
    form.add(1, a.re, b.re, s, weight);
    if (a.im >= 0 && b.im >= 0) form.add(1, a.im, b.im, s * sign, weight);
}

Nodes::Value Nodes::get(const Key& key) {
    if (const auto at = values_.find(key); at != values_.end()) return at->second;
    const Key other = terms_.mirror(key);
    if (const auto at = values_.find(other); at != values_.end()) {
        Value value = at->second;  // A_{l,-m} = (-1)^m conj A_lm
        value.conjugate = !value.conjugate;
        value.sign *= terms_.parity(key);
        return values_[key] = value;
    }
    if (key.empty()) return values_[key] = {plan_.one, -1, 1, false, 0, 0};
    if (key.size() == 1) return values_[key] = one_particle(key[0]);
    const auto [left, right] = best_split(key, true);
    return values_[key] = multiply(get(left), get(right), other == key);
}

Nodes::Value Nodes::real_part(const Key& key) {
    if (key.size() < 2 || known(key)) return get(key);
    if (const auto at = reals_.find(key); at != reals_.end()) return at->second;
    const auto [left, right] = best_split(key, true);
    return reals_[key] = multiply(get(left), get(right), true);
}

Nodes::Value Nodes::one_particle(int f) const {
    const int m = std::abs(tables_.a_m[f]), shell = layout_.shell(f);
    if (m == 0) return {shell, -1, 1, false, 0, 0};
    const bool conjugate = tables_.a_m[f] < 0;
    const double sign = conjugate && m % 2 ? -1 : 1;
    return {shell + 2 * m - 1, shell + 2 * m, sign * M_SQRT1_2, conjugate, 0, m};
}

Nodes::Value Nodes::multiply(Value a, Value b, bool real) {
    // Real before complex, and m never negative.
    const bool mixed = a.conjugate != b.conjugate;
    if (a.im >= 0 && (b.im < 0 || (mixed && a.m < b.m))) std::swap(a, b);
    Op op{Op::product, 1 + std::max(a.level, b.level), a.re, a.im, b.re, b.im, 0, -1};
    Value out;
    out.sign = a.sign * b.sign;
    out.level = op.level;
    if (b.im < 0) {
        op.kind = Op::real_real;
    } else if (a.im < 0) {
        op.kind = Op::real_complex;
        out.conjugate = b.conjugate;
        out.m = b.m;
        real = false;
    } else {
        op.kind = mixed ? Op::mixed : Op::product;
        out.conjugate = a.conjugate;
        out.m = mixed ? a.m - b.m : a.m + b.m;
        if (real) op.kind += Op::product_real - Op::product;
    }
    out.re = op.out_re = plan_.variables++;
    if (op.kind != Op::real_real && !real) out.im = op.out_im = plan_.variables++;
    plan_.ops.push_back(op);
    return out;
}

// The split of a key into two that reuses the most, else the most balanced one.
std::pair<Key, Key> Nodes::best_split(const Key& key, bool interior) const {
    const int n = static_cast<int>(key.size());
    std::pair<Key, Key> best;
    int best_score = -1;
    for (int mask = 1; mask < (1 << n) - 1; mask++) {
        Key a, b;
        for (int t = 0; t < n; t++) (mask >> t & 1 ? a : b).push_back(key[t]);
        if (a.size() < b.size()) continue;
        const int small = static_cast<int>(std::min(a.size(), b.size()));
        const int score = interior ? 100 * ((known(a) ? int(a.size()) : 0) +
                                            (known(b) ? int(b.size()) : 0)) + small
                                   : 1000 * (known(a) + known(b)) + 100 * small;
        if (score > best_score) {
            best_score = score;
            best = {a, b};
        }
    }
    return best;
}

// Pair nodes for rank three, the most popular first.
std::map<Key, Key> Nodes::popular_pairs(const std::vector<const Term*>& terms) const {
    std::map<Key, std::vector<const Key*>> users;
    for (const Term* term : terms) {
        if (term->key.size() != 3) continue;
        std::set<Key> seen;
        for (const Key& pair : pairs(term->key))
            if (const Key c = terms_.canonical(pair); seen.insert(c).second)
                users[c].push_back(&term->key);
    }
    std::map<Key, int> count;
    std::set<std::pair<int, Key>> queue;
    for (const auto& [pair, list] : users) {
        count[pair] = static_cast<int>(list.size());
        queue.insert({-count[pair], pair});
    }
    std::map<Key, Key> chosen;
    while (!queue.empty() && queue.begin()->first < 0) {
        const Key pair = queue.begin()->second;
        queue.erase(queue.begin());
        for (const Key* key : users[pair]) {
            if (!chosen.emplace(*key, pair).second) continue;
            std::set<Key> seen;
            for (const Key& other : pairs(*key))
                if (const Key c = terms_.canonical(other); c != pair && seen.insert(c).second) {
                    queue.erase({-count[c], c});
                    queue.insert({-(--count[c]), c});
                }
        }
    }
    return chosen;
}

void Nodes::order_ops() {
    std::set<int> needed;
    for (const Op& op : plan_.ops) needed.insert({op.a_re, op.b_re});
    const auto order = [&](const Op& op) {
        return std::make_tuple(op.level, op.kind, needed.count(op.out_re) == 0);
    };
    std::stable_sort(plan_.ops.begin(), plan_.ops.end(),
                     [&](const Op& a, const Op& b) { return order(a) < order(b); });
    for (size_t k = 0; k < plan_.ops.size();) {
        size_t end = k;
        while (end < plan_.ops.size() && order(plan_.ops[end]) == order(plan_.ops[k])) end++;
        plan_.op_ranges.push_back(
            {plan_.ops[k].kind, int(k), int(end), std::get<2>(order(plan_.ops[k]))});
        k = end;
    }
}

}  // namespace ace
