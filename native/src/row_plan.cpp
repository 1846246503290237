#include "row_plan.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "ace/errors.hpp"

namespace ace {
namespace {

using Key = std::vector<int>;  // factors of a product, ascending
// Results that are no columns of others come last; the columns that others are, are marked until
// they are numbered.
constexpr int last_rank = 100, kept_mark = 1 << 29;

// Complex A's are written as factors s_m (A_m + i A_-m) for m > 0, h (A_m - i A_-m) for m < 0 and
// A_0, A real: nodes multiply the brackets, so that the mirror image of a product, m -> -m, is
// its conjugate; s and h enter coefficients.
class Compiler {
  public:
    Compiler(RowPlan& plan, const Tables& tables, const std::vector<Family>& families, int centre)
        : plan_(plan), tables_(tables), products_(tables.products[centre]),
          padding_(static_cast<int>(tables.a_l.size())), family_(padding_), column_(padding_) {
        plan.patterns.resize(families.size());
        for (const Family& family : families) columns_.push_back(family.columns);
        for (size_t f = 0; f < families.size(); f++)
            for (const Shell& shell : families[f].shells)
                for (int m = 0; m <= 2 * shell.l; m++) {
                    family_[shell.v + m] = static_cast<int>(f);
                    column_[shell.v + m] = shell.column + m;
                }
    }

    void run() {
        plan_.one = padding_;
        plan_.variables = padding_ + 1;
        std::vector<Entry> values, slopes;
        std::map<int, std::vector<Term>> functions;
        for (size_t e = 0; e < products_.coefficient.size(); e++)
            functions[products_.function[e]].push_back(
                {key_of(products_.term[e]), products_.coefficient[e]});
        factorise(functions);
        for (const auto& [k, terms] : functions) {
            for (const Term& term : terms) value(k, term, values);
            const auto reduced = reduced_.find(k);
            if (reduced != reduced_.end()) product(k, reduced->second, functions, slopes);
            else
                for (const Term& term : terms) slope(k, term, slopes);
        }
        order_nodes();
        write_values(values);
        write_slopes(slopes);
    }

  private:
    struct Value {
        int re, im;  // im < 0: real
        bool conjugate;
        int level;
    };
    struct Term {
        Key key;
        double coefficient;
    };
    // B_k = factor A_v B_other, v with l = 0.
    struct Reduced {
        int v, other;
        double factor;
    };
    struct Entry {
        int family, function, column, place;
        double coefficient;
        int rank;   // kept results come first, by the number of their factors
        int width = 0;  // columns of the function, among those of the family
        int lead = 0;   // the last of them
        std::tuple<int, int, int, int, int, int, int> key() const {
            return {family, rank, width, lead, function, column, place};
        }
    };

    Key key_of(int t) const {
        Key key;
        for (int s = 0; s < products_.order; s++) {
            const int f = products_.factors[static_cast<size_t>(t) * products_.order + s];
            if (f < padding_) key.push_back(f);
        }
        std::sort(key.begin(), key.end());
        return key;
    }

    Key mirror(const Key& key) const {
        Key out;
        for (const int f : key) out.push_back(f - 2 * tables_.a_m[f]);
        std::sort(out.begin(), out.end());
        return out;
    }

    double scale(int f) const {
        const int m = tables_.a_m[f];
        return m == 0 ? 1.0 : (m > 0 && m % 2 ? -M_SQRT1_2 : M_SQRT1_2);
    }

    // B_k += C_kT Re(product).
    void value(int k, const Term& term, std::vector<Entry>& values) {
        values.push_back({0, k, 0, real_part(term.key), scaled(term), 0});
    }

    // dB_k/dA_v += C_kT Re(the rest of the product) for both real A's of every factor.
    void slope(int k, const Term& term, std::vector<Entry>& slopes) {
        const double c = scaled(term);
        const int rank = rank_of(k, term.key.size());
        for (size_t t = 0; t < term.key.size(); t++) {
            const Value p = get(without(term.key, t));
            const int f = term.key[t], m = tables_.a_m[f], z = family_[f];
            const int cosine = m < 0 ? f - 2 * m : f, sine = m < 0 ? f : f - 2 * m;
            slopes.push_back({z, k, column_[cosine], p.re, c, rank});
            if (m == 0 || p.im < 0) continue;
            const double sign = (m > 0) == p.conjugate ? 1.0 : -1.0;
            slopes.push_back({z, k, column_[sine], p.im, c * sign, rank});
        }
    }

    // dB_k = factor (B_other dA_v + A_v dB_other).
    void product(int k, const Reduced& reduced, const std::map<int, std::vector<Term>>& functions,
                 std::vector<Entry>& slopes) {
        const auto& [v, other, factor] = reduced;
        const int rank = rank_of(k, functions.at(k)[0].key.size());
        slopes.push_back({family_[v], k, column_[v], kept_.at(other), factor, rank});
        std::set<int> families;
        for (const Term& term : functions.at(other))
            for (const int f : term.key) families.insert(family_[f]);
        for (const int f : families)
            slopes.push_back({f, k, kept_mark + other, v, factor, rank});
    }

    double scaled(const Term& term) const {
        double c = term.coefficient;
        for (const int f : term.key) c *= scale(f);
        return c;
    }

    int rank_of(int k, size_t factors) const {
        return kept_.count(k) ? static_cast<int>(factors) : last_rank;
    }

    static Key without(const Key& key, size_t t) {
        Key rest = key;
        rest.erase(rest.begin() + static_cast<ptrdiff_t>(t));
        return rest;
    }

    // ---- functions that are a factor with l = 0 times another function

    using Shape = std::vector<Key>;

    static Shape shape_of(std::vector<Term>& terms) {
        std::sort(terms.begin(), terms.end(),
                  [](const Term& a, const Term& b) { return a.key < b.key; });
        Shape shape;
        for (const Term& term : terms) shape.push_back(term.key);
        return shape;
    }

    void factorise(std::map<int, std::vector<Term>>& functions) {
        std::map<Shape, std::vector<int>> shapes;
        for (auto& [k, terms] : functions) shapes[shape_of(terms)].push_back(k);
        for (const auto& [k, terms] : functions) {
            Reduced best{-1, -1, 0};
            for (const int v : std::set<int>(terms[0].key.begin(), terms[0].key.end())) {
                if (tables_.a_l[v] != 0 || (best.v >= 0 && kept_.count(best.other))) continue;
                const Reduced found = reduce(terms, v, functions, shapes);
                if (found.v >= 0 && (best.v < 0 || kept_.count(found.other))) best = found;
            }
            if (best.v < 0) continue;
            reduced_[k] = best;
            if (!kept_.count(best.other)) kept_[best.other] = plan_.variables++;
        }
    }

    // With factor v taken from every term: whether what is left is a multiple of a function.
    Reduced reduce(const std::vector<Term>& terms, int v,
                   const std::map<int, std::vector<Term>>& functions,
                   const std::map<Shape, std::vector<int>>& shapes) const {
        const Reduced none{-1, -1, 0};
        std::vector<Term> rest;
        double largest = 0;
        for (const Term& term : terms) {
            const auto at = std::find(term.key.begin(), term.key.end(), v);
            if (at == term.key.end() || term.key.size() < 3) return none;
            rest.push_back({without(term.key, at - term.key.begin()), term.coefficient});
            largest = std::max(largest, std::abs(term.coefficient));
        }
        const auto same = shapes.find(shape_of(rest));
        if (same == shapes.end()) return none;
        for (const int other : same->second) {
            const std::vector<Term>& theirs = functions.at(other);
            const double factor = rest[0].coefficient / theirs[0].coefficient;
            double error = 0;
            for (size_t t = 0; t < rest.size(); t++)
                error = std::max(error, std::abs(rest[t].coefficient -
                                                 factor * theirs[t].coefficient));
            if (error <= 1e-14 * largest) return {v, other, factor};
        }
        return none;
    }

    // ---- nodes

    const Value* known(const Key& key) {
        if (const auto at = values_.find(key); at != values_.end()) return &at->second;
        const auto at = values_.find(mirror(key));
        if (at == values_.end()) return nullptr;
        Value value = at->second;
        value.conjugate = !value.conjugate;
        return &(values_[key] = value);
    }

    Value get(const Key& key) {
        if (const Value* value = known(key)) return *value;
        if (key.empty()) return values_[key] = {plan_.one, -1, false, 0};
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

    int real_part(const Key& key) {
        if (const Value* value = known(key)) return value->re;
        if (key.size() < 2) return get(key).re;
        if (const auto at = reals_.find(key); at != reals_.end()) return at->second;
        const auto [rest, last] = split(key);
        const Value a = get(rest), b = get(last);
        return reals_[key] = multiply(a, b, true).re;
    }

    // One factor apart from the others, which are known if any such product is.
    std::pair<Key, Key> split(const Key& key) {
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

    Value multiply(const Value& a, const Value& b, bool real) {
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
        n.re = out.re = plan_.variables++;
        if (n.kind == Node::scaled || n.kind == Node::complex || n.kind == Node::conjugate)
            n.im = out.im = plan_.variables++;
        plan_.nodes.push_back(n);
        return out;
    }

    // By level and kind, so that each kind is one loop.
    void order_nodes() {
        std::vector<Node>& nodes = plan_.nodes;
        std::stable_sort(nodes.begin(), nodes.end(), [](const Node& a, const Node& b) {
            return std::tie(a.level, a.kind) < std::tie(b.level, b.kind);
        });
        for (size_t k = 0; k < nodes.size();) {
            size_t end = k;
            while (end < nodes.size() && nodes[end].kind == nodes[k].kind &&
                   nodes[end].level == nodes[k].level)
                end++;
            plan_.ranges.push_back({nodes[k].kind, int(k), int(end)});
            k = end;
        }
    }

    // ---- sums

    static void merge(std::vector<Entry>& entries) {
        std::sort(entries.begin(), entries.end(),
                  [](const Entry& a, const Entry& b) { return a.key() < b.key(); });
        size_t kept = 0;
        for (const Entry& e : entries) {
            if (kept && entries[kept - 1].key() == e.key())
                entries[kept - 1].coefficient += e.coefficient;
            else
                entries[kept++] = e;
        }
        entries.resize(kept);
    }

    // Functions of as many columns follow each other: loops over columns that all have one length
    // are what processors predict. Of these, functions of one last column (the kept result, as a
    // rule) follow each other: they find it in the nearest cache.
    static void sort_by_width(std::vector<Entry>& entries) {
        for (size_t begin = 0, end; begin < entries.size(); begin = end) {
            int width = 0;
            const Entry& first = entries[begin];
            for (end = begin; end < entries.size() && entries[end].family == first.family &&
                              entries[end].function == first.function && entries[end].rank == first.rank;
                 end++)
                width += end == begin || entries[end].column != entries[end - 1].column;
            if (first.rank != last_rank) continue;
            const int lead = entries[end - 1].column;
            for (size_t e = begin; e < end; e++) {
                entries[e].width = width;
                entries[e].lead = lead;
            }
        }
        merge(entries);
    }

    static void add(Sums& sums, const Entry& e) {
        sums.place.push_back(e.place);
        sums.coefficient.push_back(e.coefficient);
    }

    void write_values(std::vector<Entry>& entries) {
        merge(entries);
        for (size_t e = 0; e < entries.size(); e++) {
            if (e == 0 || entries[e].function != entries[e - 1].function) {
                if (e) plan_.values.first.push_back(static_cast<int>(e));
                plan_.functions.push_back(entries[e].function);
                const auto kept = kept_.find(entries[e].function);
                plan_.value_place.push_back(kept == kept_.end() ? -1 : kept->second);
            }
            add(plan_.values, entries[e]);
        }
        if (!entries.empty()) plan_.values.first.push_back(static_cast<int>(entries.size()));
    }

    void write_slopes(std::vector<Entry>& entries) {
        merge(entries);
        sort_by_width(entries);
        const Entry* before = nullptr;
        std::map<int, int> row;  // of the kept results of the family
        for (const Entry& e : entries) {
            Pattern& pattern = plan_.patterns[e.family];
            if (before && before->family != e.family) row.clear();
            const bool other = pattern.function.empty() || before->function != e.function;
            if (other) {
                pattern.function.push_back(e.function);
                pattern.first.push_back(plan_.slopes.size() + (before ? 1 : 0));
                if (e.rank != last_rank) row[e.function] = columns_[e.family] + pattern.kept++;
            }
            if (other || before->column != e.column) {
                if (before) plan_.slopes.first.push_back(static_cast<int>(plan_.slopes.place.size()));
                pattern.column.push_back(e.column < kept_mark ? e.column
                                                              : row.at(e.column - kept_mark));
            }
            add(plan_.slopes, e);
            before = &e;
        }
        if (before) plan_.slopes.first.push_back(static_cast<int>(plan_.slopes.place.size()));
        close_patterns();
    }

    // `first` gets the end of the last result, so that ranges are [first[f], first[f + 1]).
    void close_patterns() {
        int end = 0, begin = 0;
        for (size_t f = 0; f < plan_.patterns.size(); f++) {
            Pattern& pattern = plan_.patterns[f];
            pattern.begin = begin;
            begin += columns_[f] + pattern.kept;
            if (pattern.first.empty()) pattern.first.push_back(end);
            else pattern.first.push_back(pattern.first[0] + static_cast<int>(pattern.column.size()));
            end = pattern.first.back();
        }
    }

    RowPlan& plan_;
    const Tables& tables_;
    const Products& products_;
    const int padding_;
    std::vector<int> family_, column_;  // of every A
    std::vector<int> columns_;          // of every family
    std::map<int, Reduced> reduced_;    // by function
    std::map<int, int> kept_;           // where the values of functions go that others refer to
    std::map<Key, Value> values_;
    std::map<Key, int> reals_;
};

}  // namespace

std::vector<Family> families(const Tables& tables) {
    std::vector<Family> out;
    for (int z = 0; z < tables.species; z++)
        for (int t = 0; t < static_cast<int>(tables.radial.size()); t++)
            out.push_back({z, t, 0, 0, {}});
    for (int v = 0; v < static_cast<int>(tables.a_l.size()); v += 2 * tables.a_l[v] + 1) {
        int table = 0;
        for (int c = tables.a_channel[v]; c >= tables.radial[table].channels; table++)
            c -= tables.radial[table].channels;
        Family& family = out[tables.a_species[v] * tables.radial.size() + table];
        family.shells.push_back({tables.a_channel[v], tables.a_l[v], v, family.columns});
        family.columns += 2 * tables.a_l[v] + 1;
    }
    for (size_t f = 1; f < out.size(); f++) out[f].begin = out[f - 1].begin + out[f - 1].columns;
    return out;
}

RowPlan::RowPlan(const Tables& tables, const std::vector<Family>& families, int centre) {
    Compiler(*this, tables, families, centre).run();
}

}  // namespace ace
