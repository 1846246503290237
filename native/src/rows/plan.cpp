#include "rows/plan.hpp"

#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "rows/functions.hpp"
#include "rows/program.hpp"

namespace ace::rows {
namespace {

class Compiler {
  public:
    Compiler(RowPlan& plan, const Tables& tables, const std::vector<Family>& families, int centre)
        : plan_(plan), tables_(tables), functions_(tables, centre), nodes_(tables),
          places_(tables.a_l.size()), derivatives_(families.size()) {
        for (size_t f = 0; f < families.size(); f++)
            for (const Shell& shell : families[f].shells)
                for (int m = 0; m <= 2 * shell.l; m++)
                    places_[shell.v + m][static_cast<int>(f)] = shell.column + m;
    }

    void run(const std::vector<Family>& families) {
        plan_.number.assign(tables_.functions, -1);
        for (const auto& [k, summands] : functions_.terms) {
            plan_.number[k] = static_cast<int>(plan_.functions.size());
            plan_.functions.push_back(k);
            plan_.value_place.push_back(functions_.is_factor(k) ? nodes_.reserve() : -1);
        }
        for (const auto& [k, summands] : functions_.terms) {
            value(summands);
            if (const auto at = functions_.reduced.find(k); at != functions_.reduced.end())
                product(k, at->second);
            else
                slopes(k, summands);
        }
        for (size_t f = 0; f < families.size(); f++)
            plan_.programs.push_back(
                make_program(families[f], derivatives_[f], plan_.weights, plan_.kept));
        plan_.one = nodes_.one();
        plan_.variables = nodes_.variables();
        std::tie(plan_.nodes, plan_.ranges) = nodes_.ordered();
    }

  private:
    // B_k = sum of C_kT Re(product).
    void value(const std::vector<Summand>& summands) {
        std::map<int, double> sums;
        for (const Summand& one : summands)
            sums[nodes_.real_part(one.key)] += one.coefficient * nodes_.scale(one.key);
        for (const auto& [place, c] : sums) plan_.values.add(place, c);
        plan_.values.end();
    }

    // dB_k/dA_v = sum of C_kT Re(the rest of the product) for both real A's of every factor.
    void slopes(int k, const std::vector<Summand>& summands) {
        std::map<int, std::vector<Part>> parts;
        for (const Summand& one : summands) {
            const double c = one.coefficient * nodes_.scale(one.key);
            for (size_t t = 0; t < one.key.size(); t++) {
                const Nodes::Value p = nodes_.get(without(one.key, t));
                const int f = one.key[t], m = tables_.a_m[f];
                const int cosine = m < 0 ? f - 2 * m : f, sine = m < 0 ? f : f - 2 * m;
                const double sign = (m > 0) == p.conjugate ? 1.0 : -1.0;
                for (const auto& [family, column] : places_[cosine]) {
                    parts[family].push_back({column, p.re, c});
                    if (m == 0 || p.im < 0) continue;
                    parts[family].push_back({places_[sine].at(family), p.im, c * sign});
                }
            }
        }
        for (auto& [f, found] : parts) {
            Derivative one;
            one.function = k;
            one.parts = std::move(found);
            derivatives_[f].push_back(std::move(one));
        }
    }

    // dB_k = factor (A_v dB_other + B_other dA_v).
    void product(int k, const Reduced& reduced) {
        const auto& [v, other, factor] = reduced;
        std::set<int> families, theirs;
        for (const Summand& one : functions_.terms.at(other))
            for (const int f : one.key)
                for (const auto& [family, column] : places_[f]) theirs.insert(family);
        for (const auto& [family, column] : places_[v]) families.insert(family);
        families.insert(theirs.begin(), theirs.end());
        for (const int f : families) {
            Derivative one;
            one.function = k;
            one.coefficient = factor;
            if (theirs.count(f)) {
                one.parent = other;
                one.factor = v;
            }
            if (const auto at = places_[v].find(f); at != places_[v].end()) {
                one.column = at->second;
                one.value = plan_.value_place[plan_.number[other]];
            }
            derivatives_[f].push_back(std::move(one));
        }
    }

    static Key without(const Key& key, size_t t) {
        Key rest = key;
        rest.erase(rest.begin() + static_cast<ptrdiff_t>(t));
        return rest;
    }

    RowPlan& plan_;
    const Tables& tables_;
    const Functions functions_;
    Nodes nodes_;
    std::vector<std::map<int, int>> places_;            // of every A: its column by family
    std::vector<std::vector<Derivative>> derivatives_;  // by family
};

}  // namespace

RowPlan::RowPlan(const Tables& tables, const std::vector<Family>& families, int centre) {
    Compiler(*this, tables, families, centre).run(families);
}

}  // namespace ace::rows
