// The plan of site values.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "ace/plan.hpp"
#include "plan/coupling.hpp"
#include "plan/layout.hpp"
#include "plan/nodes.hpp"
#include "plan/site_terms.hpp"

namespace ace {
namespace {

constexpr double y00 = 0.28209479177387814;

class Compiler {
  public:
    Compiler(SitePlan& out, const Tables& tables, int centre, const Widths& widths)
        : out_(out), tables_(tables), terms_(tables), given_(site_terms(tables, terms_, centre)),
          linear_(linear_columns()), layout_(out.plan, tables, keys(), widths, linear_),
          nodes_(out.plan, tables, terms_, layout_), sums_(tables.rows()) {}

    void run() {
        // A form of no entries, which the engine reads for every output.
        out_.plan.coefficients.resize(tables_.outputs);
        add_folded();
        add_invariants();
        for (const SiteTerm& term : given_)
            for (const Share& share : term.shares)
                if (share.re != 0 || share.im != 0) add(term.key, share);
        nodes_.order_ops();
        order_dots();
        place_dots();
        write_sums();
    }

  private:
    // A dot product, and the rows that have it.
    struct Weighed {
        DotProduct dot;
        std::map<int, double> weight;
    };

    // What the layout makes room for.
    std::vector<Term> keys() const {
        std::vector<Term> out;
        for (const SiteTerm& term : given_)
            if (!is_scalar(term) || !linear_channels_.count(channel_of(term))) out.push_back({term.key, {}});
        return out;
    }

    // ---- products of one A with l = 0

    // Of neighbours of one species: what sums up over all of them is a component as others are.
    bool is_scalar(const SiteTerm& term) const {
        return term.key.size() == 1 && tables_.a_l[term.key[0]] == 0 &&
               tables_.a_species[term.key[0]] >= 0;
    }
    std::pair<int, int> channel_of(const SiteTerm& term) const {
        const Channel channel = ace::channel_of(tables_, tables_.a_channel[term.key[0]]);
        return {channel.table, channel.index};
    }

    // Channels that enter nothing else; or, where this makes fewer, one column for each value, into
    // which those of all channels are folded.
    std::vector<Column> linear_columns() {
        std::set<std::pair<int, int>> others, values;  // table, channel; table, row
        for (const SiteTerm& term : given_)
            if (is_scalar(term)) {
                linear_channels_.insert(channel_of(term));
                for (const Share& share : term.shares) values.insert({grid_of(term), share.row});
            } else {
                for (const int v : term.key) {
                    const Channel channel = ace::channel_of(tables_, tables_.a_channel[v]);
                    if (tables_.a_l[v] == 0) others.insert({channel.table, channel.index});
                }
            }
        std::vector<Column> out;
        if (values.size() < linear_channels_.size()) {
            fold();
            for (const auto& [table, row] : values) out.push_back({Column::folded, table, row});
            linear_channels_.clear();
            return out;
        }
        for (const auto& channel : others) linear_channels_.erase(channel);
        for (const auto& [table, index] : linear_channels_)
            out.push_back({Column::channel, table, index});
        return out;
    }

    // The first table on the same grid.
    int grid_of(const SiteTerm& term) const {
        const int table = channel_of(term).first;
        for (int t = 0; t < table; t++)
            if (tables_.radial[t].same_grid(tables_.radial[table])) return t;
        return table;
    }

    // Moves these terms to the folds of the plan.
    void fold() {
        std::vector<SiteTerm> kept;
        for (SiteTerm& term : given_) {
            if (!is_scalar(term)) {
                kept.push_back(std::move(term));
                continue;
            }
            const auto [table, index] = channel_of(term);
            Fold fold{table, index, tables_.a_species[term.key[0]],
                      std::vector<double>(tables_.rows(), 0.0)};
            for (const Share& share : term.shares) fold.weight[share.row] = share.re;
            out_.plan.folds.push_back(std::move(fold));
        }
        given_ = std::move(kept);
    }

    // Folded columns have Y_00 in them already.
    void add_folded() {
        for (const Column& column : linear_)
            if (column.kind == Column::folded)
                for (int z = 0; z < tables_.species; z++)
                    sums_[column.index][layout_.linear(column, z)] += 1 / y00;
    }

    void add(const Key& key, const Share& share) {
        const Nodes::Value v = share.im == 0 ? nodes_.real_part(key) : nodes_.get(key);
        if (share.re != 0) sums_[share.row][v.re] += v.sign * share.re;
        if (share.im != 0 && v.im >= 0)
            sums_[share.row][v.im] += (v.conjugate ? -v.sign : v.sign) * share.im;
    }

    // ---- scalars, as dot products of shells and of coupled pairs

    // Takes the shares of scalars out of the terms.
    void add_invariants() {
        const std::vector<const Irrep*> irreps = irreps_of_rows(tables_);
        std::map<Key, std::vector<int>> rows;  // of the terms of the same shells
        const auto each = [&](auto f) {
            for (SiteTerm& term : given_) {
                Key shells;
                for (const int v : term.key) shells.push_back(v - tables_.a_l[v] - tables_.a_m[v]);
                for (Share& share : term.shares)
                    if (irreps[share.row]->l == 0 && irreps[share.row]->parity == 1 &&
                        share.im == 0 && term.key.size() > 1)
                        f(term.key, shells, share);
            }
        };
        each([&](const Key&, const Key& shells, const Share& share) {
            rows[shells].push_back(share.row);
        });
        for (auto& [shells, list] : rows) {
            std::sort(list.begin(), list.end());
            list.erase(std::unique(list.begin(), list.end()), list.end());
        }
        std::vector<Term> scalars;
        each([&](const Key& key, const Key& shells, Share& share) {
            const std::vector<int>& list = rows.at(shells);
            if (scalars.empty() || scalars.back().key != key)
                scalars.push_back({key, std::vector<double>(list.size(), 0.0)});
            scalars.back().weight[std::lower_bound(list.begin(), list.end(), share.row) -
                                  list.begin()] = std::exchange(share.re, 0.0);
        });
        Coupler coupler(out_.plan, tables_, layout_, 1);
        coupler.run(scalars);
        for (const Coupler::Placed& dot : coupler.dots()) add_dot(dot, rows.at(dot.set->shells));
        for (const Term* term : coupler.rest) {
            Key shells;
            for (const int v : term->key) shells.push_back(v - tables_.a_l[v] - tables_.a_m[v]);
            const std::vector<int>& list = rows.at(shells);
            for (size_t k = 0; k < list.size(); k++)
                if (term->weight[k] != 0) add(term->key, {list[k], term->weight[k], 0});
        }
    }

    void add_dot(const Coupler::Placed& dot, const std::vector<int>& rows) {
        const auto key = std::make_tuple(dot.width, std::min(dot.left, dot.right),
                                         std::max(dot.left, dot.right));
        const auto [at, fresh] = index_.emplace(key, int(dots_.size()));
        if (fresh) dots_.push_back({{dot.width, dot.left, dot.right, 0}, {}});
        for (size_t k = 0; k < rows.size(); k++)
            if (const double weight = dot.dot->weight[k]; weight != 0)
                dots_[at->second].weight[rows[k]] += weight;
    }

    // Those with the same run of variables together; `left` is the one with more.
    void order_dots() {
        std::map<int, int> degree;
        for (const auto& [dot, weight] : dots_) {
            degree[dot.left]++;
            degree[dot.right]++;
        }
        for (auto& [dot, weight] : dots_)
            if (std::make_pair(degree[dot.right], dot.right) >
                std::make_pair(degree[dot.left], dot.left))
                std::swap(dot.left, dot.right);
        std::sort(dots_.begin(), dots_.end(), [](const Weighed& a, const Weighed& b) {
            return std::tie(a.dot.width, a.dot.left, a.dot.right) <
                   std::tie(b.dot.width, b.dot.left, b.dot.right);
        });
    }

    // As values, or as variables of the sums.
    void place_dots() {
        std::vector<int> summands(sums_.size());
        for (size_t row = 0; row < sums_.size(); row++) summands[row] = int(sums_[row].size());
        for (const auto& [dot, weight] : dots_)
            for (const auto& [row, c] : weight) summands[row]++;
        for (auto& [dot, weight] : dots_) {
            const bool alone = weight.size() == 1 && summands[weight.begin()->first] == 1;
            dot.out = alone ? weight.begin()->first : out_.plan.variables++;
            (alone ? out_.values : out_.dots).push_back(dot);
            if (alone) out_.value_coefficients.push_back(weight.begin()->second);
            else
                for (const auto& [row, c] : weight) sums_[row][dot.out] += c;
        }
    }

    // ---- sums

    // Rows over the same variables together, those of linear columns aside: each may have its own
    // besides.
    void write_sums() {
        std::set<int> values;
        for (const DotProduct& value : out_.values) values.insert(value.out);
        std::map<std::vector<int>, std::vector<int>> alike;
        for (int row = 0; row < int(sums_.size()); row++) {
            if (values.count(row)) continue;
            std::vector<int> all, places;
            for (const auto& [place, weight] : sums_[row]) {
                all.push_back(place);
                if (!is_linear(place)) places.push_back(place);
            }
            alike[places.empty() ? all : places].push_back(row);
        }
        for (const auto& [places, rows] : alike)
            for (size_t k = 0; k < rows.size(); k += most_summed)
                write_block(rows.data() + k, int(std::min<size_t>(most_summed, rows.size() - k)));
    }

    bool is_linear(int place) const {
        const Plan& plan = out_.plan;
        return place >= plan.linear_first &&
               place < plan.linear_first + plan.linear * tables_.species;
    }

    void write_block(const int* rows, int count) {
        std::set<int> places;
        for (int r = 0; r < count; r++)
            for (const auto& [place, weight] : sums_[rows[r]]) places.insert(place);
        out_.sums.push_back({count, int(out_.rows.size()), int(places.size()),
                             int(out_.columns.size()), out_.coefficients.size()});
        out_.rows.insert(out_.rows.end(), rows, rows + count);
        out_.columns.insert(out_.columns.end(), places.begin(), places.end());
        for (const int place : places)
            for (int r = 0; r < count; r++) {
                const auto at = sums_[rows[r]].find(place);
                out_.coefficients.push_back(at == sums_[rows[r]].end() ? 0.0 : at->second);
            }
    }

    SitePlan& out_;
    const Tables& tables_;
    const Terms terms_;
    std::vector<SiteTerm> given_;
    std::set<std::pair<int, int>> linear_channels_;  // table, channel
    const std::vector<Column> linear_;
    const Layout layout_;
    Nodes nodes_;
    std::vector<std::map<int, double>> sums_;  // of every row: place -> weight
    std::map<std::tuple<int, int, int>, int> index_;  // in dots_
    std::vector<Weighed> dots_;
};

}  // namespace

SitePlan::SitePlan(const Tables& tables, int centre, const Widths& widths) {
    Compiler(*this, tables, centre, widths).run();
}

}  // namespace ace
