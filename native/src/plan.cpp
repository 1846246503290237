#include "ace/plan.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "ace/errors.hpp"

namespace ace {
namespace {

using Key = std::vector<int>;  // sorted one-particle functions

// Most columns that are cheaper to interpolate one by one than as a padded vector (measured).
constexpr int most_narrow = 3;

// Where a variable lies and how it is meant: sign * (conjugate of) (x[re] + i x[im]).
struct Value {
    int re = -1, im = -1;
    double sign = 1;
    bool conjugate = false;
    int level = 0;
};

class Compiler {
  public:
    Compiler(Plan& plan, const Tables& tables, int centre, int lanes, int tile_components)
        : plan_(plan), tables_(tables), products_(tables.products[centre]), lanes_(lanes),
          tile_components_(tile_components) {
        for (const RadialTable& t : tables.radial) starts_.push_back(channels_ += t.channels);
    }

    void run() {
        collect();
        place_columns();
        place_components();
        split();
        order_ops();
        make_blocks();
    }

  private:
    struct Term {
        Key key;
        std::vector<double> weight;  // [output * densities + density]
    };
    struct Entry {
        std::vector<double> weight;
    };
    // complex, sign, row re, row im
    using Row = std::array<int, 4>;
    using Place = std::array<int, 2>;

    int outputs() const { return tables_.outputs * tables_.densities; }

    int table_of(int channel, int& local) const {
        int k = 0;
        while (channel >= starts_[k]) k++;
        local = channel - (k ? starts_[k - 1] : 0);
        return k;
    }

    // ---- terms

    void collect() {
        const int padding = static_cast<int>(tables_.a_l.size());
        for (int t = 0; t < products_.terms; t++) {
            Term term;
            for (int s = 0; s < products_.order; s++)
                if (const int f = products_.factors[size_t(t) * products_.order + s]; f < padding)
                    term.key.push_back(f);
            bool used = false;
            for (int d = 0; d < outputs(); d++) {
                term.weight.push_back(products_.weights[size_t(d) * products_.terms + t]);
                used = used || term.weight.back() != 0;
            }
            if (!used) continue;
            const int f = term.key[0];
            if (term.key.size() == 1 && tables_.a_l[f] == 0) {
                int local;
                const int table = table_of(tables_.a_channel[f], local);
                plan_.folds.push_back({table, local, tables_.a_species[f], term.weight});
            } else {
                std::sort(term.key.begin(), term.key.end());
                merge(std::move(term));
            }
        }
    }

    // Terms that are permutations or conjugates of each other are one: with sum m = 0 (all that
    // invariants have) the real parts agree; otherwise up to (-1)^(sum m).
    void merge(Term term) {
        const Key other = mirror(term.key);
        double sign = 1;
        if (other < term.key) {
            sign = parity(term.key);
            term.key = other;
        }
        const auto [at, fresh] = index_.emplace(term.key, terms_.size());
        if (fresh) terms_.push_back({term.key, std::vector<double>(outputs(), 0.0)});
        for (int d = 0; d < outputs(); d++) terms_[at->second].weight[d] += sign * term.weight[d];
    }

    Key mirror(const Key& key) const {
        Key out;
        for (const int f : key) out.push_back(f - 2 * tables_.a_m[f]);
        std::sort(out.begin(), out.end());
        return out;
    }

    double parity(const Key& key) const {
        int sum = 0;
        for (const int f : key) sum += tables_.a_m[f];
        return sum % 2 ? -1 : 1;
    }

    // ---- columns and components

    void place_columns() {
        // Channels that each l needs, over all neighbour species.
        std::map<std::pair<int, int>, std::set<int>> needed;  // (table, l) -> channels
        for (const Term& term : terms_)
            for (const int f : term.key) {
                int local;
                const int table = table_of(tables_.a_channel[f], local);
                needed[{table, tables_.a_l[f]}].insert(local);
            }
        for (int t = 0; t < static_cast<int>(tables_.radial.size()); t++) source_of(t);
        std::vector<std::pair<std::pair<int, int>, std::vector<int>>> wanted;
        for (const auto& [which, set] : needed)
            wanted.emplace_back(which, std::vector<int>(set.begin(), set.end()));
        std::stable_sort(wanted.begin(), wanted.end(), [](const auto& a, const auto& b) {
            return a.second.size() > b.second.size();
        });
        for (const auto& [which, channels] : wanted) {
            std::vector<Column> run;
            for (const int c : channels) run.push_back({Column::channel, which.first, c});
            std::vector<Column>& have = plan_.sources[source_of(which.first)].columns;
            const auto equal = [](const Column& a, const Column& b) {
                return a.kind == b.kind && a.table == b.table && a.index == b.index;
            };
            auto at = std::search(have.begin(), have.end(), run.begin(), run.end(), equal);
            const int begin = static_cast<int>(at - have.begin());
            if (at == have.end()) have.insert(have.end(), run.begin(), run.end());
            plan_.groups.push_back({which.second, begin, static_cast<int>(run.size()), {}});
            group_table_.push_back(which.first);
            plan_.lmax = std::max(plan_.lmax, which.second);
        }
        place_direct();
        for (Source& source : plan_.sources) {
            source.first = plan_.columns;
            const int count = static_cast<int>(source.columns.size());
            source.padded = source.narrow ? count : padded(count);
            plan_.columns += source.padded;
        }
        for (size_t g = 0; g < plan_.groups.size(); g++)
            plan_.groups[g].column += plan_.sources[source_of(group_table_[g])].first;
    }

    int padded(int count) const { return (count + lanes_ - 1) / lanes_ * lanes_; }

    // Columns that enter the energy directly: in the padding of a wide source where they fit,
    // else, if there are few, in a narrow source of their own. Those of a committee stand apart.
    void place_direct() {
        std::set<int> grids;
        for (const Fold& fold : plan_.folds) grids.insert(source_of(fold.table));
        const int densities = tables_.densities;
        for (const int s : grids) {
            const int channels = static_cast<int>(plan_.sources[s].columns.size());
            const bool narrow =
                densities <= most_narrow && padded(channels + densities) > padded(channels);
            if (narrow && channels) {
                plan_.sources.push_back({plan_.sources[s].grid, true, false, {}, 0, 0});
                add_folded(plan_.sources.back(), 0, densities);
            } else {
                plan_.sources[s].narrow = narrow;
                add_folded(plan_.sources[s], 0, densities);
            }
            const int members = outputs() - densities;
            if (members == 0) continue;
            plan_.sources.push_back(
                {plan_.sources[s].grid, members <= most_narrow, true, {}, 0, 0});
            add_folded(plan_.sources.back(), densities, outputs());
        }
        if (!tables_.core.empty())
            plan_.sources.push_back({-1, true, false, {{Column::core, 0, 0}}, 0, 0});
    }

    static void add_folded(Source& source, int begin, int end) {
        for (int d = begin; d < end; d++) source.columns.push_back({Column::folded, 0, d});
    }

    int source_of(int table) {
        for (size_t k = 0; k < plan_.sources.size(); k++)
            if (plan_.sources[k].grid >= 0 &&
                tables_.radial[plan_.sources[k].grid].same_grid(tables_.radial[table]))
                return static_cast<int>(k);
        plan_.sources.push_back({table, false, false, {}, 0, 0});
        return static_cast<int>(plan_.sources.size()) - 1;
    }

    void place_components() {
        for (Group& group : plan_.groups) {
            const int width = 2 * group.l + 1;
            const int tiles = (width + tile_components_ - 1) / tile_components_;
            for (int q = 0, k0 = 0; q < tiles; q++) {
                const int wide = (width - k0 + tiles - q - 1) / (tiles - q);
                group.tiles.push_back({k0, wide, plan_.components});
                plan_.components += wide * group.count;
                k0 += wide;
            }
        }
        plan_.used = plan_.components;
        plan_.components = padded(plan_.components);
        plan_.norms.assign(plan_.components, 0.0);
        for (const Group& group : plan_.groups)
            for (const Tile& tile : group.tiles)
                for (int n = 0; n < group.count; n++)
                    for (int k = 0; k < tile.width; k++)
                        plan_.norms[tile.offset + n * tile.width + k] =
                            norm(group.l, (tile.k0 + k + 1) / 2);
        order_pulls();
        plan_.one = plan_.components * tables_.species;
        plan_.variables = plan_.one + 1;
    }

    void order_pulls() {
        plan_.span_first.assign(1, 0);
        for (int l = 0; l <= plan_.lmax; l++) {
            for (const Group& group : plan_.groups)
                if (group.l == l) plan_.spans.push_back({group.column, group.count});
            plan_.span_first.push_back(static_cast<int>(plan_.spans.size()));
        }
        const auto place = [](const Group& group, int n, int k) {
            for (const Tile& tile : group.tiles)
                if (k >= tile.k0 && k < tile.k0 + tile.width)
                    return tile.offset + n * tile.width + k - tile.k0;
            throw Error("plan: a component has no place");
        };
        for (int m = 0; m <= plan_.lmax; m++)
            for (int l = m; l <= plan_.lmax; l++)
                for (const Group& group : plan_.groups)
                    for (int n = 0; group.l == l && n < group.count; n++)
                        for (int k = m ? 2 * m - 1 : 0; k <= 2 * m; k++)
                            plan_.pull_order.push_back(place(group, n, k));
        for (const int at : plan_.pull_order) plan_.pull_norms.push_back(plan_.norms[at]);
        plan_.pull_order.resize(plan_.components, 0);
        plan_.pull_norms.resize(plan_.components, 0.0);
    }

    // Complex Condon-Shortley harmonics are this times q(z) (x + iy)^m, q being d^m P_l/dz^m
    // divided by its leading coefficient (2l - 1)!!/(l - m)!.
    static double norm(int l, int m) {
        double ratio = 1, leading = 1;
        for (int k = l - m + 1; k <= l + m; k++) ratio *= k;
        for (int k = 1; k <= l; k++) leading *= 2 * k - 1;
        for (int k = 1; k <= l - m; k++) leading /= k;
        return (m % 2 ? -1 : 1) * std::sqrt((2 * l + 1) / (4 * M_PI) / ratio) * leading;
    }

    int component(int f, int k) const {
        int local;
        const int table = table_of(tables_.a_channel[f], local);
        for (size_t g = 0; g < plan_.groups.size(); g++) {
            const Group& group = plan_.groups[g];
            if (group.l != tables_.a_l[f] || group_table_[g] != table) continue;
            for (const Source& source : plan_.sources) {
                const int begin = group.column - source.first;
                if (begin < 0 || begin >= source.padded) continue;
                for (int n = 0; n < group.count; n++) {
                    const Column& c = source.columns[begin + n];
                    if (c.table != table || c.index != local) continue;
                    for (const Tile& tile : group.tiles)
                        if (k >= tile.k0 && k < tile.k0 + tile.width)
                            return plan_.components * tables_.a_species[f] + tile.offset +
                                   n * tile.width + k - tile.k0;
                }
            }
        }
        throw Error("plan: a one-particle function has no place");
    }

    // ---- interior nodes

    bool known(const Key& key) const {
        return values_.count(key) != 0 || values_.count(mirror(key)) != 0;
    }

    Value get(const Key& key) {
        if (const auto at = values_.find(key); at != values_.end()) return at->second;
        const Key other = mirror(key);
        if (const auto at = values_.find(other); at != values_.end()) {
            Value value = at->second;  // A_{l,-m} = (-1)^m conj A_lm
            value.conjugate = !value.conjugate;
            value.sign *= parity(key);
            return values_[key] = value;
        }
        if (key.empty()) return values_[key] = {plan_.one, -1, 1, false, 0};
        if (key.size() == 1) {
            const int m = std::abs(tables_.a_m[key[0]]);
            Value value{component(key[0], m ? 2 * m - 1 : 0), -1, 1, false, 0};
            if (m) value.im = component(key[0], 2 * m);
            if (tables_.a_m[key[0]] < 0) {
                value.conjugate = true;
                value.sign = m % 2 ? -1 : 1;
            }
            return values_[key] = value;
        }
        const auto [left, right] = best_split(key, true);
        return values_[key] = multiply(get(left), get(right), other == key);
    }

    Value multiply(const Value& a, const Value& b, bool real) {
        Op op{Op::product, 1 + std::max(a.level, b.level), a.re, a.im, b.re, b.im, 0, -1};
        Value out;
        out.sign = a.sign * b.sign;
        out.level = op.level;
        out.conjugate = a.conjugate;
        if (a.im < 0 && b.im < 0) {
            op.kind = Op::real_real;
            out.conjugate = false;
        } else if (a.im < 0 || b.im < 0) {
            op.kind = Op::real_complex;
            out.conjugate = a.im < 0 ? b.conjugate : a.conjugate;
            if (b.im < 0) {
                std::swap(op.a_re, op.b_re);
                std::swap(op.a_im, op.b_im);
            }
            real = false;
        } else {
            op.kind = a.conjugate == b.conjugate ? Op::product : Op::mixed;
            if (real) op.kind += Op::product_real - Op::product;
        }
        out.re = op.out_re = plan_.variables++;
        if (op.kind != Op::real_real && !real) out.im = op.out_im = plan_.variables++;
        plan_.ops.push_back(op);
        return out;
    }

    // The split of a key into two that reuses the most, else the most balanced one.
    std::pair<Key, Key> best_split(const Key& key, bool interior) const {
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

    Key canonical(const Key& key) const { return std::min(key, mirror(key)); }

    static std::vector<Key> pairs(const Key& key) {
        std::vector<Key> out;
        for (size_t q = 0; q < key.size(); q++) {
            Key rest;
            for (size_t t = 0; t < key.size(); t++)
                if (t != q) rest.push_back(key[t]);
            out.push_back(rest);
        }
        return out;
    }

    // Pair nodes for rank three, the most popular first.
    std::map<Key, Key> popular_pairs() const {
        std::map<Key, std::vector<const Key*>> users;
        for (const Term& term : terms_) {
            if (term.key.size() != 3) continue;
            std::set<Key> seen;
            for (const Key& pair : pairs(term.key))
                if (const Key c = canonical(pair); seen.insert(c).second)
                    users[c].push_back(&term.key);
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
                    if (const Key c = canonical(other); c != pair && seen.insert(c).second) {
                        queue.erase({-count[c], c});
                        queue.insert({-(--count[c]), c});
                    }
            }
        }
        return chosen;
    }

    // ---- the bilinear form

    struct Half {
        const Term* term;
        Key left, right;
    };

    void split() {
        const std::map<Key, Key> popular = popular_pairs();
        std::vector<Half> halves;
        std::map<Key, int> degree;
        for (const Term& term : terms_) {
            Half half{&term, {}, {}};
            if (term.key.size() == 1) {
                half.left = term.key;
            } else if (term.key.size() == 3) {
                const Key& pair = popular.at(term.key);
                for (size_t q = 0; q < 3 && half.left.empty(); q++)
                    if (const Key rest = pairs(term.key)[q]; canonical(rest) == pair) {
                        half.left = rest;
                        half.right = {term.key[q]};
                    }
            } else {
                std::tie(half.left, half.right) = best_split(term.key, false);
            }
            get(half.left);
            get(half.right);
            degree[canonical(half.left)]++;
            degree[canonical(half.right)]++;
            halves.push_back(half);
        }
        for (Half& half : halves) {
            // Rows are the popular factors, so that their loops are long.
            if (degree[canonical(half.right)] > degree[canonical(half.left)])
                std::swap(half.left, half.right);
            add(half);
        }
    }

    void add(const Half& half) {
        const Value a = get(half.left), b = get(half.right);
        const double s = a.sign * b.sign;
        const int sign = a.conjugate == b.conjugate ? -1 : 1;
        int m = 0;
        for (const int f : half.left) m += tables_.a_m[f];
        if (a.im < 0 || b.im < 0) {
            put({0, 0, a.re, -1}, {b.re, -1}, s, half.term->weight);
        } else if (m != 0) {
            put({1, sign, a.re, a.im}, {b.re, b.im}, s, half.term->weight);
        } else {
            put({0, 0, a.re, -1}, {b.re, -1}, s, half.term->weight);
            put({0, 0, a.im, -1}, {b.im, -1}, s * sign, half.term->weight);
        }
    }

    void put(const Row& row, const Place& column, double scale, const std::vector<double>& weight) {
        std::vector<double>& entry = form_[row][column].weight;
        entry.resize(weight.size());
        for (size_t d = 0; d < weight.size(); d++) entry[d] += scale * weight[d];
    }

    // Nodes in the order of their level and kind, so that each kind is one loop.
    void order_ops() {
        std::stable_sort(plan_.ops.begin(), plan_.ops.end(), [](const Op& a, const Op& b) {
            return std::tie(a.level, a.kind) < std::tie(b.level, b.kind);
        });
        for (size_t k = 0; k < plan_.ops.size();) {
            size_t end = k;
            while (end < plan_.ops.size() && plan_.ops[end].kind == plan_.ops[k].kind &&
                   plan_.ops[end].level == plan_.ops[k].level)
                end++;
            plan_.op_ranges.push_back({plan_.ops[k].kind, int(k), int(end)});
            k = end;
        }
    }

    struct Candidate {
        Row row;
        std::vector<Place> columns;
        bool used = false;
    };

    // Estimated cost of a block, in FMAs of a full vector (measured ratios of loads to FMAs).
    double cost(int complex, size_t rows, size_t columns) const {
        const double each = complex ? (rows == 1 ? 3.0 : rows == 2 ? 4.6 : 8.3)
                                    : (rows == 1 ? 2.0 : rows == 2 ? 2.6 : 4.6);
        return (each * columns + (complex ? 14.0 : 8.0) * rows) * tables_.densities / 2.0 + 16;
    }

    static std::vector<Place> united(const std::vector<Place>& a, const std::vector<Place>& b) {
        std::vector<Place> out;
        std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
        return out;
    }

    void make_blocks() {
        plan_.coefficients.resize(tables_.outputs);
        std::map<std::pair<int, int>, std::vector<Candidate>> buckets;
        for (const auto& [row, columns] : form_) {
            Candidate candidate{row, {}, false};
            for (const auto& [column, entry] : columns) candidate.columns.push_back(column);
            buckets[{row[0], row[1]}].push_back(candidate);
        }
        for (auto& [kind, rows] : buckets) merge_rows(kind.first, rows);
    }

    // Greedily joins rows whose column lists overlap most, up to four, where it pays.
    void merge_rows(int complex, std::vector<Candidate>& rows) {
        std::stable_sort(rows.begin(), rows.end(), [](const Candidate& a, const Candidate& b) {
            return a.columns.size() > b.columns.size();
        });
        std::map<Place, std::vector<int>> users;
        for (size_t k = 0; k < rows.size(); k++)
            for (const Place& p : rows[k].columns) users[p].push_back(static_cast<int>(k));
        for (size_t s = 0; s < rows.size(); s++) {
            if (rows[s].used) continue;
            rows[s].used = true;
            std::vector<int> members{static_cast<int>(s)};
            std::vector<Place> all = rows[s].columns;
            for (int step = 0; step < 3; step++) {
                const int next = most_similar(rows, users, all);
                if (next < 0) break;
                rows[next].used = true;
                members.push_back(next);
                all = united(all, rows[next].columns);
            }
            if (members.size() == 3) {
                rows[members.back()].used = false;
                members.pop_back();
                all = united(rows[members[0]].columns, rows[members[1]].columns);
            }
            double apart = 0;
            for (const int k : members) apart += cost(complex, 1, rows[k].columns.size());
            if (members.size() > 1 && cost(complex, members.size(), all.size()) > apart) {
                for (size_t k = 1; k < members.size(); k++) rows[members[k]].used = false;
                members.resize(1);
                all = rows[s].columns;
            }
            write_block(complex, rows, members, all);
        }
    }

    static int most_similar(const std::vector<Candidate>& rows,
                            const std::map<Place, std::vector<int>>& users,
                            const std::vector<Place>& all) {
        std::map<int, int> overlap;
        for (const Place& p : all)
            for (const int k : users.at(p))
                if (!rows[k].used) overlap[k]++;
        int best = -1, best_score = -1;
        for (const auto& [k, shared] : overlap) {
            const int score = 2 * shared - static_cast<int>(rows[k].columns.size());
            if (score >= 0 && score > best_score) {
                best = k;
                best_score = score;
            }
        }
        return best;
    }

    void write_block(int complex, const std::vector<Candidate>& rows,
                     const std::vector<int>& members, const std::vector<Place>& all) {
        Block block{complex, rows[members[0]].row[1], int(members.size()),
                    int(plan_.row_re.size()), int(all.size()), int(plan_.column_re.size()),
                    entries_};
        for (const int k : members) {
            plan_.row_re.push_back(rows[k].row[2]);
            plan_.row_im.push_back(rows[k].row[3]);
        }
        for (const Place& p : all) {
            plan_.column_re.push_back(p[0]);
            plan_.column_im.push_back(p[1]);
            for (const int k : members) {
                const auto& entries = form_.at(rows[k].row);
                const auto at = entries.find(p);
                for (int o = 0; o < tables_.outputs; o++)
                    for (int d = 0; d < tables_.densities; d++)
                        plan_.coefficients[o].push_back(
                            at == entries.end() ? 0.0
                                                : at->second.weight[o * tables_.densities + d]);
                entries_++;
            }
        }
        plan_.blocks.push_back(block);
        plan_.largest_rows += (complex ? 2 : 1) * members.size();
    }

    Plan& plan_;
    const Tables& tables_;
    const Products& products_;
    const int lanes_, tile_components_;
    int channels_ = 0;
    std::vector<int> starts_, group_table_;
    std::vector<Term> terms_;
    std::map<Key, size_t> index_;
    std::map<Key, Value> values_;
    std::map<Row, std::map<Place, Entry>> form_;
    size_t entries_ = 0;
};

}  // namespace

Plan::Plan(const Tables& tables, int centre, int lanes, int tile_components) {
    Compiler(*this, tables, centre, lanes, tile_components).run();
}

}  // namespace ace
