#include "rows/plan.hpp"

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
// Results that no others are taken from come last; columns that are derivatives of functions are
// marked until they are numbered.
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
            const int rank = rank_of(k, terms);
            const auto reduced = reduced_.find(k);
            if (reduced != reduced_.end()) product(k, rank, reduced->second, functions, slopes);
            else
                for (const Term& term : terms) slope(k, rank, term, slopes);
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
        int rank;  // results that others are taken from come first, by the number of their factors
        std::tuple<int, int, int, int, int> key() const {
            return {family, rank, function, column, place};
        }
    };
    // The entries of one function in one family, by column.
    struct Row {
        int begin, end, function, rank;
        int columns = 0, last = 0;  // their number, and the last of them
        std::vector<const Row*> multiples{}, products{};
        bool kept = false;
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
    void slope(int k, int rank, const Term& term, std::vector<Entry>& slopes) {
        const double c = scaled(term);
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
    void product(int k, int rank, const Reduced& reduced,
                 const std::map<int, std::vector<Term>>& functions, std::vector<Entry>& slopes) {
        const auto& [v, other, factor] = reduced;
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

    int rank_of(int k, const std::vector<Term>& terms) const {
        if (!kept_.count(k)) return last_rank;
        size_t most = 0;
        for (const Term& term : terms) most = std::max(most, term.key.size());
        return static_cast<int>(most);
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

    static void add(Sums& sums, const Entry& e) {
        sums.place.push_back(e.place);
        sums.coefficient.push_back(e.coefficient);
    }

    void write_values(std::vector<Entry>& entries) {
        merge(entries);
        plan_.number.assign(tables_.functions, -1);
        for (size_t e = 0; e < entries.size(); e++) {
            if (e == 0 || entries[e].function != entries[e - 1].function) {
                if (e) plan_.values.first.push_back(static_cast<int>(e));
                plan_.number[entries[e].function] = static_cast<int>(plan_.functions.size());
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
        size_t at = 0;
        int columns = 0;
        for (size_t f = 0; f < plan_.patterns.size(); f++) {
            std::vector<Row> rows;
            for (size_t end; at < entries.size() && entries[at].family == int(f); at = end) {
                Row row{int(at), int(at), entries[at].function, entries[at].rank};
                for (end = at; end < entries.size() && entries[end].family == int(f) &&
                               entries[end].function == row.function;
                     end++) {
                    row.columns += end == at || entries[end].column != row.last;
                    row.last = entries[end].column;
                }
                row.end = static_cast<int>(end);
                rows.push_back(row);
            }
            Pattern& pattern = plan_.patterns[f];
            pattern.begin = columns;
            pattern.weights = plan_.slopes.size();
            write_pattern(entries, rows, columns_[f], pattern);
            columns += columns_[f] + pattern.kept;
        }
    }

    // Results of as many columns follow each other: loops of one length are what processors
    // predict.
    void write_pattern(const std::vector<Entry>& entries, std::vector<Row>& rows, int columns,
                       Pattern& pattern) {
        std::map<int, Row*> parents;
        for (Row& row : rows)
            if (row.rank != last_rank) parents[row.function] = &row;
        std::vector<Row*> order;
        for (Row& row : rows) {
            if (row.last < kept_mark) {
                order.push_back(&row);
                continue;
            }
            Row& parent = *parents.at(row.last - kept_mark);
            if (row.rank != last_rank) {
                parent.kept = true;
                order.push_back(&row);
            } else {
                (row.columns == 1 ? parent.multiples : parent.products).push_back(&row);
            }
        }
        std::stable_sort(order.begin(), order.end(), [](const Row* a, const Row* b) {
            return std::make_tuple(a->rank, a->columns, a->multiples.size(), a->products.size()) <
                   std::make_tuple(b->rank, b->columns, b->multiples.size(), b->products.size());
        });
        std::map<int, int> place;  // of the kept results
        for (const Row* row : order) {
            pattern.parents += row->rank != last_rank;
            const int kept = row->kept ? columns + pattern.kept++ : -1;
            if (row->kept) place[row->function] = kept;
            pattern.results.push_back({row->function, kept, row->columns,
                                       int(row->multiples.size()), int(row->products.size())});
            write_row(entries, *row, place, pattern.column);
            for (const Row* other : row->multiples) {
                pattern.function.push_back(other->function);
                write_sum(entries, other->begin, other->end);
            }
            for (const Row* other : row->products) {
                const int second = last_column(entries, *other);
                pattern.function.push_back(other->function);
                pattern.column.push_back(entries[other->begin].column);
                write_sum(entries, other->begin, second);
                write_sum(entries, second, other->end);
            }
        }
    }

    // The sums of all columns of a row.
    void write_row(const std::vector<Entry>& entries, const Row& row,
                   const std::map<int, int>& place, std::vector<int>& column) {
        for (int e = row.begin, end; e < row.end; e = end) {
            const int c = entries[e].column;
            for (end = e; end < row.end && entries[end].column == c;) end++;
            column.push_back(c < kept_mark ? c : place.at(c - kept_mark));
            write_sum(entries, e, end);
        }
    }

    // The first entry of the last column.
    static int last_column(const std::vector<Entry>& entries, const Row& row) {
        int at = row.begin;
        while (entries[at].column != row.last) at++;
        return at;
    }

    void write_sum(const std::vector<Entry>& entries, int begin, int end) {
        for (int e = begin; e < end; e++) add(plan_.slopes, entries[e]);
        plan_.slopes.first.push_back(static_cast<int>(plan_.slopes.place.size()));
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

std::vector<int> reaches(const Tables& tables) {
    std::vector<int> out;
    int count = 0;
    const auto equal = [](const RadialTable& a, const RadialTable& b) {
        for (size_t p = 0; p < a.begin.size(); p++) {
            const int pair = static_cast<int>(p);
            if (std::abs(b.end(pair) - a.end(pair)) > 1e-9 * a.end(pair)) return false;
        }
        return true;
    };
    for (const RadialTable& t : tables.radial) {
        size_t k = 0;
        while (k < out.size() && !equal(t, tables.radial[k])) k++;
        out.push_back(k < out.size() ? out[k] : count++);
    }
    return out;
}

std::vector<Family> families(const Tables& tables) {
    const std::vector<int> reach = reaches(tables);
    const int count = 1 + *std::max_element(reach.begin(), reach.end());
    std::vector<Family> out(tables.species * count, {0, 0, 0, {}});
    for (int v = 0; v < static_cast<int>(tables.a_l.size()); v += 2 * tables.a_l[v] + 1) {
        int table = 0;
        for (int c = tables.a_channel[v]; c >= tables.radial[table].channels; table++)
            c -= tables.radial[table].channels;
        Family& family = out[tables.a_species[v] * count + reach[table]];
        family.shells.push_back({tables.a_channel[v], tables.a_l[v], v, family.columns});
        family.columns += 2 * tables.a_l[v] + 1;
        family.lmax = std::max(family.lmax, tables.a_l[v]);
    }
    for (size_t f = 1; f < out.size(); f++) out[f].begin = out[f - 1].begin + out[f - 1].columns;
    return out;
}

RowPlan::RowPlan(const Tables& tables, const std::vector<Family>& families, int centre) {
    Compiler(*this, tables, families, centre).run();
}

}  // namespace ace
