#include "rows/functions.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace ace::rows {
namespace {

using Shape = std::vector<Key>;  // the products of a function

Shape shape_of(std::vector<Summand>& terms) {
    std::sort(terms.begin(), terms.end(),
              [](const Summand& a, const Summand& b) { return a.key < b.key; });
    Shape shape;
    for (const Summand& term : terms) shape.push_back(term.key);
    return shape;
}

class Search {
  public:
    Search(const Tables& tables, std::map<int, std::vector<Summand>>& functions)
        : tables_(tables), functions_(functions) {
        for (auto& [k, terms] : functions) shapes_[shape_of(terms)].push_back(k);
    }

    // Those that others are taken from already are preferred.
    std::map<int, Reduced> run() const {
        std::map<int, Reduced> found;
        std::set<int> factors;
        for (const auto& [k, terms] : functions_) {
            Reduced best{-1, -1, 0};
            for (const int v : std::set<int>(terms[0].key.begin(), terms[0].key.end())) {
                if (tables_.a_l[v] != 0 || (best.v >= 0 && factors.count(best.other))) continue;
                const Reduced one = without(terms, v);
                if (one.v >= 0 && (best.v < 0 || factors.count(one.other))) best = one;
            }
            if (best.v < 0) continue;
            found[k] = best;
            factors.insert(best.other);
        }
        return found;
    }

  private:
    // With factor v taken from every term: whether what is left is a multiple of a function.
    Reduced without(const std::vector<Summand>& terms, int v) const {
        const Reduced none{-1, -1, 0};
        std::vector<Summand> rest;
        double largest = 0;
        for (const Summand& term : terms) {
            const auto at = std::find(term.key.begin(), term.key.end(), v);
            if (at == term.key.end() || term.key.size() < 3) return none;
            Key key = term.key;
            key.erase(key.begin() + (at - term.key.begin()));
            rest.push_back({key, term.coefficient});
            largest = std::max(largest, std::abs(term.coefficient));
        }
        const auto same = shapes_.find(shape_of(rest));
        if (same == shapes_.end()) return none;
        for (const int other : same->second) {
            const std::vector<Summand>& theirs = functions_.at(other);
            const double factor = rest[0].coefficient / theirs[0].coefficient;
            double error = 0;
            for (size_t t = 0; t < rest.size(); t++)
                error = std::max(error, std::abs(rest[t].coefficient -
                                                 factor * theirs[t].coefficient));
            if (error <= 1e-14 * largest) return {v, other, factor};
        }
        return none;
    }

    const Tables& tables_;
    const std::map<int, std::vector<Summand>>& functions_;
    std::map<Shape, std::vector<int>> shapes_;
};

}  // namespace

Functions::Functions(const Tables& tables, int centre) {
    const Products& products = tables.products[centre];
    const int padding = static_cast<int>(tables.a_l.size());
    for (size_t e = 0; e < products.coefficient.size(); e++) {
        Key key;
        for (int s = 0; s < products.order; s++) {
            const int f =
                products.factors[static_cast<size_t>(products.term[e]) * products.order + s];
            if (f < padding) key.push_back(f);
        }
        std::sort(key.begin(), key.end());
        terms[products.function[e]].push_back({key, products.coefficient[e]});
    }
    reduced = Search(tables, terms).run();
}

bool Functions::is_factor(int function) const {
    return std::any_of(reduced.begin(), reduced.end(),
                       [&](const auto& one) { return one.second.other == function; });
}

}  // namespace ace::rows
