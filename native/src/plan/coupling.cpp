#include "plan/coupling.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <set>
#include <tuple>

#include "plan/sets.hpp"

namespace ace {
namespace {

constexpr int passes = 8;

template <class F>
void each_node(const std::vector<Dot>& way, F f) {
    for (const Dot& dot : way)
        for (const Node& node : {dot.left, dot.right})
            if (!node.alone()) f(node);
}

}  // namespace

void Coupler::run(const std::vector<Term>& terms) {
    sets_ = sets_of(tables_, terms, rest);
    choose();
    place_nodes();
    for (size_t s = 0; s < sets_.size(); s++)
        if (chosen_[s] < 0)
            for (const auto& [m, term] : sets_[s].terms) rest.push_back(term);
}

std::vector<Coupler::Placed> Coupler::dots() const {
    std::vector<Placed> out;
    for (size_t s = 0; s < sets_.size(); s++)
        if (chosen_[s] >= 0)
            for (const Dot& dot : sets_[s].ways[chosen_[s]])
                out.push_back({&sets_[s], &dot, 2 * dot.left.l + 1, place(dot.left),
                               place(dot.right)});
    return out;
}

// ---- the choice between them, in FMAs forward and backward (measured ratios)

double Coupler::cost_of(const Dot& dot) const {
    return (densities_ + 1) * (2 * dot.left.l + 1) + densities_;
}

double Coupler::cost_of(const Node& node) const {
    double products = 0;
    for (int m = 0; m <= node.l; m++)
        for (int a = -l_of(node.a); a <= l_of(node.a); a++)
            if (std::abs(m - a) <= l_of(node.b)) products += m ? 1 : 0.25;
    return (node.a == node.b ? 0.5 : 1) * products * 16 + 6;
}

// Of the products one by one: entries, and a share of nodes.
double Coupler::cost_apart(const Set& set) const {
    return set.terms.size() * (6 * densities_ + 10);
}

void Coupler::count(const std::vector<Dot>& way, double change) {
    each_node(way, [&](const Node& node) { users_[node] += change; });
}

// Each set takes the way that is cheapest if the nodes' costs are shared by those that use
// them; repeated, as the users change. At first every way of a set is as likely.
void Coupler::choose() {
    chosen_.assign(sets_.size(), -1);
    for (const Set& set : sets_)
        for (const std::vector<Dot>& way : set.ways) count(way, 1.0 / set.ways.size());
    for (int pass = 0; pass < passes; pass++)
        for (size_t s = 0; s < sets_.size(); s++) {
            const Set& set = sets_[s];
            if (pass == 0)
                for (const std::vector<Dot>& way : set.ways) count(way, -1.0 / set.ways.size());
            else if (chosen_[s] >= 0)
                count(set.ways[chosen_[s]], -1);
            chosen_[s] = cheapest(set);
            if (chosen_[s] >= 0) count(set.ways[chosen_[s]], 1);
        }
}

int Coupler::cheapest(const Set& set) {
    double best = cost_apart(set);
    int chosen = -1;
    for (size_t k = 0; k < set.ways.size(); k++) {
        double cost = 0;
        for (const Dot& dot : set.ways[k]) cost += cost_of(dot);
        each_node(set.ways[k], [&](const Node& node) {
            cost += cost_of(node) / (1 + std::max(0.0, users_[node]));
        });
        if (cost > best) continue;
        best = cost;
        chosen = static_cast<int>(k);
    }
    return chosen;
}

// ---- what is chosen

void Coupler::place_nodes() {
    std::map<std::array<int, 3>, std::set<int, std::greater<int>>> wanted;  // a, b, odd
    for (size_t s = 0; s < sets_.size(); s++)
        if (chosen_[s] >= 0)
            each_node(sets_[s].ways[chosen_[s]], [&](const Node& node) {
                wanted[{node.a, node.b, (l_of(node.a) + l_of(node.b) + node.l) % 2}].insert(
                    node.l);
            });
    // Those that multiply alike one after the other: what a processor has learnt of the branches of
    // one is right for the next.
    std::map<std::vector<int>, std::vector<std::pair<int, int>>> alike;  // l_a, l_b, ... -> a, b
    for (const auto& [pair, set] : wanted) {
        const std::vector<int> all(set.begin(), set.end());
        for (size_t k = 0; k < all.size(); k += most_coupled) {
            std::vector<int> kind{l_of(pair[0]), l_of(pair[1]), pair[0] == pair[1], pair[2]};
            kind.insert(kind.end(), all.begin() + k,
                        all.begin() + std::min(all.size(), k + most_coupled));
            alike[kind].push_back({pair[0], pair[1]});
        }
    }
    for (const auto& [kind, pairs] : alike)
        for (const auto& [a, b] : pairs)
            add_coupling(a, b, kind[3] != 0, {kind.begin() + 4, kind.end()});
}

void Coupler::add_coupling(int a, int b, bool odd, const std::vector<int>& l) {
    Coupling coupling{layout_.shell(a), layout_.shell(b), l_of(a), l_of(b), a == b, odd,
                      int(l.size()), int(plan_.coupled.size()), 0};
    for (const int each : l) {
        plan_.coupled.push_back({each, plan_.variables});
        places_[{a, b, each}] = plan_.variables;
        plan_.variables += 2 * each + 1;
    }
    std::vector<int> kind{coupling.la, coupling.lb, coupling.same, odd};
    kind.insert(kind.end(), l.begin(), l.end());
    const auto [at, fresh] = tables_of_.emplace(kind, int(plan_.clebsch_gordan.size()));
    if (fresh) write_table(coupling, l);
    coupling.coefficient = at->second;
    plan_.couplings.push_back(coupling);
}

// In the order of couple.hpp. Where two products of A's are one (equal shells, or conjugates
// at M = 0) the coefficient is doubled.
void Coupler::write_table(const Coupling& c, const std::vector<int>& l) {
    const auto part = [](int m) {
        return (m ? M_SQRT1_2 : 1) * (m < 0 && m % 2 ? -1 : 1);
    };
    for (int M = 0; M <= l[0]; M++) {
        const auto put = [&](int m, double times) {
            for (const int L : l)
                if (L >= M)
                    plan_.clebsch_gordan.push_back(
                        times * clebsch_gordan(c.la, m, c.lb, M - m, L, M) * part(m) *
                        part(M - m) * (M ? M_SQRT2 : 1));
        };
        const double both = c.same || M == 0 ? 2 : 1;
        if (M == 0) put(0, 1);
        if (M > 0 && M <= c.lb) put(0, both);
        if (M > 0 && M <= c.la && !c.same) put(M, 1);
        for (int m = std::max(1, M - c.lb); m <= (c.same ? M / 2 : std::min(M - 1, c.la)); m++)
            put(m, c.same && 2 * m != M ? 2 : 1);
        for (int m = M + 1; m <= std::min(c.la, c.lb + M); m++) put(m, both);
        if (M > 0 && !c.same)
            for (int m = M + 1; m <= std::min(c.lb, c.la + M); m++) put(M - m, 1);
    }
}

std::vector<const Term*> couple(Plan& plan, const Tables& tables, const std::vector<Term>& terms,
                                const Layout& layout, Form& form) {
    Coupler coupler(plan, tables, layout, tables.densities);
    coupler.run(terms);
    const std::vector<Coupler::Placed> dots = coupler.dots();
    std::map<int, int> degree;
    for (const Coupler::Placed& dot : dots) {
        degree[dot.left]++;
        degree[dot.right]++;
    }
    for (const Coupler::Placed& dot : dots) {
        int row = dot.left, column = dot.right;
        // Rows are the popular factors, so that their loops are long.
        if (std::make_pair(degree[column], column) > std::make_pair(degree[row], row))
            std::swap(row, column);
        form.add(dot.width, row, column, 1, dot.dot->weight);
    }
    return coupler.rest;
}

}  // namespace ace
