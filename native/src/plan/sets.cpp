#include "plan/sets.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <set>

namespace ace {
namespace {

// Terms are recoupled if their weights are an invariant to within this, relative to the largest.
constexpr double tolerance = 1e-12;
// Work and memory for trees are bounded: sets with less than this part of the products that they
// could have are left, and trees are forgotten when they hold so many numbers.
constexpr double least_part = 1.0 / 16;
constexpr size_t most_kept = 10'000'000;
constexpr int most_l_sum = 60;

// Products that are one by exchanging equal shells and by conjugation, at most.
double equivalent(const std::vector<int>& shells) {
    double count = 2;
    for (size_t k = 1, run = 1; k < shells.size(); k++) {
        run = shells[k] == shells[k - 1] ? run + 1 : 1;
        count *= run;
    }
    return count;
}

class Sets {
  public:
    Sets(const Tables& tables, std::vector<const Term*>& rest) : tables_(tables), rest_(rest) {}

    std::vector<Set> run(const std::vector<Term>& terms) {
        collect(terms);
        for (Set& set : sets_) find_ways(set);
        return std::move(sets_);
    }

  private:
    void collect(const std::vector<Term>& terms) {
        std::map<std::vector<int>, size_t> index;
        for (const Term& term : terms) {
            std::vector<int> shells;
            Numbers m;
            int l_sum = 0, m_sum = 0;
            for (const int f : term.key) {
                shells.push_back(f - tables_.a_l[f] - tables_.a_m[f]);
                m.push_back(tables_.a_m[f]);
                l_sum += tables_.a_l[f];
                m_sum += tables_.a_m[f];
            }
            if (shells.size() < 2 || shells.size() > 4 || l_sum % 2 || l_sum > most_l_sum ||
                m_sum) {
                rest_.push_back(&term);
                continue;
            }
            const auto [at, fresh] = index.emplace(shells, sets_.size());
            if (fresh) sets_.push_back({shells, {}, {}});
            sets_[at->second].terms[canonical(shells, m)] = &term;
        }
    }

    void find_ways(Set& set) {
        static const std::vector<std::array<int, 4>> orders[3] = {
            {{0, 1, 2, 3}},
            {{0, 1, 2, 3}, {0, 2, 1, 3}, {1, 2, 0, 3}},
            {{0, 1, 2, 3}, {0, 2, 1, 3}, {0, 3, 1, 2}}};
        std::vector<int> l;
        for (const int shell : set.shells) l.push_back(l_of(shell));
        if (set.terms.size() < least_part * combinations(l) / equivalent(set.shells)) return;
        std::set<std::vector<int>> seen;
        for (const std::array<int, 4>& order : orders[set.shells.size() - 2]) {
            std::vector<int> in_order;
            for (size_t k = 0; k < l.size(); k++) in_order.push_back(set.shells[order[k]]);
            if (!seen.insert(in_order).second) continue;
            const Trees& trees = trees_of(set.shells, l, order);
            if (const auto dots = written(set, in_order, trees)) set.ways.push_back(*dots);
        }
    }

    const Trees& trees_of(const std::vector<int>& shells, const std::vector<int>& l,
                          const std::array<int, 4>& order) {
        std::vector<int> kinds;
        for (const int shell : shells)
            kinds.push_back(static_cast<int>(
                std::find(shells.begin(), shells.end(), shell) - shells.begin()));
        const auto key = std::make_tuple(l, kinds, order);
        if (const auto at = trees_.find(key); at != trees_.end()) return at->second;
        if (kept_ > most_kept) {
            trees_.clear();
            kept_ = 0;
        }
        const Trees& made = trees_.emplace(key, Trees(l, kinds, order)).first->second;
        kept_ += 2 * made.couplings.size() * made.products.size();
        return made;
    }

    // The set as dot products of these trees; nothing if it is no invariant.
    std::optional<std::vector<Dot>> written(const Set& set, const std::vector<int>& shells,
                                            const Trees& trees) const {
        const size_t outputs = set.terms.begin()->second->weight.size();
        const size_t count = trees.couplings.size();
        std::vector<std::vector<double>> coefficients(count, std::vector<double>(outputs));
        std::vector<double> largest(count, 0.0);
        for (size_t d = 0; d < outputs; d++) {
            const auto found = coefficients_of(set, trees, d);
            if (!found) return std::nullopt;
            double most = 0;
            for (const double c : *found) most = std::max(most, std::abs(c));
            for (size_t k = 0; k < count; k++) {
                coefficients[k][d] = (*found)[k];
                if (most > 0) largest[k] = std::max(largest[k], std::abs((*found)[k]) / most);
            }
        }
        std::vector<Dot> dots;
        for (size_t k = 0; k < count; k++) {
            if (largest[k] < 0.01 * tolerance) continue;
            const int l = trees.couplings[k];
            const auto pair = [&](int a, int b) { return Node{shells[a], shells[b], l}; };
            const auto alone = [&](int a) { return Node{shells[a], -1, l_of(shells[a])}; };
            if (shells.size() == 2) dots.push_back({alone(0), alone(1), coefficients[k]});
            if (shells.size() == 3) dots.push_back({pair(0, 1), alone(2), coefficients[k]});
            if (shells.size() == 4) dots.push_back({pair(0, 1), pair(2, 3), coefficients[k]});
        }
        return dots;
    }

    std::optional<std::vector<double>> coefficients_of(const Set& set, const Trees& trees,
                                                       size_t column) const {
        std::vector<double> weights(trees.products.size(), 0.0);
        double largest = 0, outside = 0;
        for (const auto& [m, term] : set.terms) {
            const double weight = term->weight[column];
            largest = std::max(largest, std::abs(weight));
            const auto at = std::lower_bound(trees.products.begin(), trees.products.end(), m);
            if (at != trees.products.end() && *at == m)
                weights[at - trees.products.begin()] = weight;
            else
                outside = std::max(outside, std::abs(weight));
        }
        std::vector<double> found;
        for (const std::vector<double>& row : trees.inverse) {
            double sum = 0;
            for (size_t i = 0; i < weights.size(); i++) sum += row[i] * weights[i];
            found.push_back(sum);
        }
        for (size_t i = 0; i < weights.size(); i++) {
            for (size_t k = 0; k < found.size(); k++) weights[i] -= found[k] * trees.weights[k][i];
            outside = std::max(outside, std::abs(weights[i]));
        }
        if (outside > tolerance * largest) return std::nullopt;
        return found;
    }

    int l_of(int shell) const { return tables_.a_l[shell]; }

    const Tables& tables_;
    std::vector<const Term*>& rest_;
    std::vector<Set> sets_;
    std::map<std::tuple<std::vector<int>, std::vector<int>, std::array<int, 4>>, Trees> trees_;
    size_t kept_ = 0;  // numbers in trees_
};

}  // namespace

std::vector<Set> sets_of(const Tables& tables, const std::vector<Term>& terms,
                         std::vector<const Term*>& rest) {
    return Sets(tables, rest).run(terms);
}

}  // namespace ace
