// Sums over the sites of structures, and forces of a loss that depends on the values through these
// alone: neighbours, A's and products are made once for both. Radial functions are made twice: they
// take so much room that reading them again from a far cache is slower.
//
// All atoms of a species in a structure share the adjoints of their values, and what they add to the
// sums is linear in the summands of the values. So summands are added up over atoms, before the
// coefficients of the sums are applied once for a structure; and back, the adjoints of summands are
// found once for it.
#pragma once
#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "engine/force_stage.hpp"
#include "engine/sites.hpp"

namespace ace::ACE_ISA {

// Batches of one thread whose neighbours and variables are kept between the two passes; those of
// others are made again. With four lanes as many as 512 atoms.
constexpr int most_kept = 128;

// What the values of one central species are sums of: variables as they are, then dot products, then
// values that are one dot product.
class Summands {
  public:
    explicit Summands(const SitePlan& site)
        : plain_(site.columns.begin(), site.columns.end()), entries_(site.columns.size()) {
        const size_t dots = site.dots.size();
        const int first = dots ? site.dots[0].out : 0;  // they are numbered in this order
        const auto is_dot = [&](int place) {
            return dots && place >= first && place < first + static_cast<int>(dots);
        };
        std::sort(plain_.begin(), plain_.end());
        plain_.erase(std::unique(plain_.begin(), plain_.end()), plain_.end());
        plain_.erase(std::remove_if(plain_.begin(), plain_.end(), is_dot), plain_.end());
        for (size_t e = 0; e < entries_.size(); e++) {
            const int place = site.columns[e];
            entries_[e] = is_dot(place)
                              ? dot(place - first)
                              : std::lower_bound(plain_.begin(), plain_.end(), place) - plain_.begin();
        }
        values_ = plain_.size() + dots;
        count_ = values_ + site.values.size();
    }

    const std::vector<int>& plain() const { return plain_; }
    size_t entry(size_t column) const { return entries_[column]; }  // of SitePlan::columns
    size_t dot(size_t k) const { return plain_.size() + k; }
    size_t value(size_t k) const { return values_ + k; }
    size_t count() const { return count_; }

  private:
    std::vector<int> plain_;
    std::vector<size_t> entries_;
    size_t values_, count_;
};

// What a thread works with in both passes.
template <class T, class A>
struct SumWork {
    using VA = typename Simd<A>::V;
    // A batch between the passes.
    struct Kept {
        Neighbourhood<T> atoms[Simd<A>::W];
        Scratch<VA> variables;
    };
    std::vector<std::unique_ptr<Kept>> kept;
    int species = -1, piece = -1;  // whose summands these are:
    Scratch<double> summed;        // in the first pass, [summand][lane]
    Scratch<A> adjoints;           // in the second one, [summand]
    Scratch<double> sums;          // [piece][row]

    void open() { species = piece = -1; }
    // The batch with this number, or null: it is not kept.
    Kept* at(int number) {
        if (number < 0 || number >= most_kept) return nullptr;
        while (kept.size() <= static_cast<size_t>(number)) kept.push_back(std::make_unique<Kept>());
        return kept[number].get();
    }
};

template <class T, class A>
class SiteSums {
  public:
    using S = Simd<A>;
    using VA = typename S::V;
    using Work = SiteWork<T, A>;
    using Kept = typename SumWork<T, A>::Kept;

    SiteSums(const Sites<T, A>& sites, const Shared<T, A>& shared)
        : sites_(sites), forces_(shared) {
        for (const auto& s : sites.centres) summands_.emplace_back(s->site);
    }

    // Adds to the sums of the structure of a batch.
    void forward(Call& call, const Batch& b, Work& w, SumWork<T, A>& k) const {
        const SiteCentre<T, A>& s = *sites_.centres[b.species];
        const VA* x = variables(call, b, w, {true, false});
        const int piece = b.members[0].piece;
        if (k.species != b.species || k.piece != piece) {
            flush(k);
            k.species = b.species;
            k.piece = piece;
            k.summed.zero(summands_[b.species].count() * lanes);
        }
        if (b.count == lanes)
            add<true>(s.site, summands_[b.species], x, lanes, k.summed.data());
        else
            add<false>(s.site, summands_[b.species], x, b.count, k.summed.data());
        if (Kept* kept = k.at(b.number)) exchange(w, *kept);
    }

    // Adds what is left to the sums.
    void flush(SumWork<T, A>& k) const {
        if (k.species < 0) return;
        const SiteCentre<T, A>& s = *sites_.centres[k.species];
        const Summands& of = summands_[k.species];
        double* y = k.sums.data() + static_cast<size_t>(k.piece) * sites_.rows;
        const auto total = [&](size_t entry) {
            double sum = 0;
            for (int q = 0; q < lanes; q++) sum += k.summed[entry * lanes + q];
            return sum;
        };
        for (const SumBlock& b : s.site.sums)
            for (int e = 0; e < b.columns; e++) {
                const double x = total(of.entry(b.column + e));
                const A* c = s.coefficients.data() + b.coefficient + static_cast<size_t>(e) * b.rows;
                for (int r = 0; r < b.rows; r++) y[s.site.rows[b.row + r]] += c[r] * x;
            }
        for (size_t v = 0; v < s.site.values.size(); v++)
            y[s.site.values[v].out] += s.value_coefficients[v] * total(of.value(v));
        k.species = -1;
    }

    // What a batch adds to forces and virials. `slopes`: of the loss by the sums, [piece][row].
    void backward(Call& call, const Batch& b, Work& w, SumWork<T, A>& k,
                  const double* slopes) const {
        const SiteCentre<T, A>& s = *sites_.centres[b.species];
        const Centre<T, A>& c = s.centre;
        Kept* const kept = k.at(b.number);
        if (kept) {
            exchange(w, *kept);
            for (int a = 0; a < b.count; a++)
                need_radial(w.atoms[a], static_cast<size_t>(w.atoms[a].groups.back()) * c.plan.columns);
            sites_.pairs.radial(c, w, b.count, false, {true, true}, {false, false});
        } else {
            variables(call, b, w, {true, true});
        }
        if (k.species != b.species || k.piece != b.members[0].piece) {
            k.species = b.species;
            k.piece = b.members[0].piece;
            pull(s, summands_[b.species], slopes + static_cast<size_t>(k.piece) * sites_.rows,
                 k.adjoints);
        }
        for (int a = 0; a < b.count; a++) forces_.rows(w, a);
        const VA* x = w.variables.data();
        w.adjoints.zero(c.plan.variables);
        VA* g = w.adjoints.data();
        spread(s.site, summands_[b.species], k.adjoints.data(), x, g);
        uncouple<A>(c.plan, c.clebsch_gordan.data(), x, g);
        nodes_backward(c.plan, x, g);
        forces_.adjoints(c, w, g);
        sites_.linear.adjoints(c, w, g);
        sites_.linear.slopes(c, w, b.count);
        for (int a = 0; a < b.count; a++) {
            w.atoms[a].core_weight = w.atoms[a].nearest_weight = 0;
            forces_.forces(c, w, a, 0, {nullptr, 0, 0}, call.structures(),
                           c.plan.linears.empty() ? nullptr : w.atoms[a].linear.data());
        }
        if (kept) exchange(w, *kept);
    }

  private:
    static constexpr int lanes = S::W;

    const VA* variables(Call& call, const Batch& b, Work& w, Wanted some) const {
        const SiteCentre<T, A>& s = *sites_.centres[b.species];
        sites_.neighbours(call, b, s.centre, w, some, {true, false});
        VA* x = sites_.variables(b, s, w, true);
        sites_.linear.sums(s.centre, w, b.count, x);
        return x;
    }

    static void exchange(Work& w, Kept& kept) {
        for (int a = 0; a < lanes; a++) w.atoms[a].exchange_geometry(kept.atoms[a]);
        std::swap(w.variables, kept.variables);
    }

    // Lanes beyond `count` have no atom.
    template <bool all>
    static ACE_INLINE void add_to(double* sum, const VA& x, int count) {
        if constexpr (all && std::is_same_v<A, double>)
            S::store(sum, S::load(sum) + x);
        else
            for (int q = 0; q < (all ? lanes : count); q++) sum[q] += x[q];
    }

    template <bool all>
    static void add(const SitePlan& site, const Summands& of, const VA* x, int count, double* sum) {
        for (size_t p = 0; p < of.plain().size(); p++)
            add_to<all>(sum + p * lanes, x[of.plain()[p]], count);
        const auto dots = [&](const std::vector<DotProduct>& list, double* to) ACE_LAMBDA {
            const DotProduct* first = list.data();
            dots_forward(list, x, [&](const DotProduct* dot, const VA& y) ACE_LAMBDA {
                add_to<all>(to + (dot - first) * lanes, y, count);
            });
        };
        dots(site.dots, sum + of.dot(0) * lanes);
        dots(site.values, sum + of.value(0) * lanes);
    }

    // Adjoints of summands from those of the values.
    static void pull(const SiteCentre<T, A>& s, const Summands& of, const double* y,
                     Scratch<A>& adjoints) {
        adjoints.zero(of.count());
        for (const SumBlock& b : s.site.sums)
            for (int e = 0; e < b.columns; e++) {
                const A* c = s.coefficients.data() + b.coefficient + static_cast<size_t>(e) * b.rows;
                double sum = 0;
                for (int r = 0; r < b.rows; r++) sum += c[r] * y[s.site.rows[b.row + r]];
                adjoints[of.entry(b.column + e)] += static_cast<A>(sum);
            }
        for (size_t v = 0; v < s.site.values.size(); v++)
            adjoints[of.value(v)] =
                static_cast<A>(s.value_coefficients[v] * y[s.site.values[v].out]);
    }

    // And of variables from those of the summands.
    static void spread(const SitePlan& site, const Summands& of, const A* adjoints, const VA* x,
                       VA* g) {
        for (size_t p = 0; p < of.plain().size(); p++) g[of.plain()[p]] += S::set(adjoints[p]);
        const auto dots = [&](const std::vector<DotProduct>& list, const A* from) ACE_LAMBDA {
            const DotProduct* first = list.data();
            dots_backward(list, x, g, [&](const DotProduct* dot) ACE_LAMBDA {
                return S::set(from[dot - first]);
            });
        };
        dots(site.values, adjoints + of.value(0));
        dots(site.dots, adjoints + of.dot(0));
    }

    const Sites<T, A>& sites_;
    const ForceStage<T, A> forces_;
    std::vector<Summands> summands_;
};

}  // namespace ace::ACE_ISA
