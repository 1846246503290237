#include "plan/site_terms.hpp"

#include <algorithm>
#include <cmath>
#include <map>

namespace ace {
namespace {

// Weights smaller than this, relative to the largest of a row, are what is left of a difference.
constexpr double rounding = 1e-15;

// The row of every weight of one member: rows run over irreps, then members.
std::vector<int> rows_of(const Tables& tables, int member) {
    std::vector<int> out;
    int start = 0;
    for (const Irrep& irrep : tables.irreps) {
        const int width = irrep.outputs * irrep.dim();
        for (int k = 0; k < width; k++) out.push_back(start + member * width + k);
        start += tables.outputs * width;
    }
    return out;
}

// Calls f(product, row, re, im) for every coefficient re + i im.
template <class F>
void each_coefficient(const Tables& tables, const Products& p, F f) {
    if (tables.outputs == 0) {
        for (size_t e = 0; e < p.function.size(); e++)
            f(p.term[e], p.function[e], p.coefficient[e], p.imaginary.empty() ? 0 : p.imaginary[e]);
        return;
    }
    for (int member = 0; member < tables.outputs; member++) {
        const std::vector<int> rows = rows_of(tables, member);
        for (int d = 0; d < tables.densities; d++) {
            const size_t at = (size_t(member) * tables.densities + d) * p.terms;
            for (int t = 0; t < p.terms; t++) {
                const double re = p.weights[at + t];
                const double im = p.weights_imaginary.empty() ? 0 : p.weights_imaginary[at + t];
                if (re != 0 || im != 0) f(t, rows[d], re, im);
            }
        }
    }
}

void add(std::vector<Share>& shares, const Share& share) {
    const auto at = std::lower_bound(shares.begin(), shares.end(), share,
                                     [](const Share& a, const Share& b) { return a.row < b.row; });
    if (at != shares.end() && at->row == share.row) {
        at->re += share.re;
        at->im += share.im;
    } else {
        shares.insert(at, share);
    }
}

void drop_rounding(std::vector<SiteTerm>& terms, int rows) {
    std::vector<double> largest(rows, 0.0);
    for (const SiteTerm& term : terms)
        for (const Share& s : term.shares)
            largest[s.row] = std::max({largest[s.row], std::abs(s.re), std::abs(s.im)});
    for (SiteTerm& term : terms) {
        std::vector<Share> kept;
        for (Share s : term.shares) {
            const double least = rounding * largest[s.row];
            if (std::abs(s.re) <= least) s.re = 0;
            if (std::abs(s.im) <= least) s.im = 0;
            if (s.re != 0 || s.im != 0) kept.push_back(s);
        }
        term.shares = std::move(kept);
    }
}

}  // namespace

std::vector<SiteTerm> site_terms(const Tables& tables, const Terms& terms, int centre) {
    const Products& p = tables.products[centre];
    const int padding = static_cast<int>(tables.a_l.size());
    // Permutations and conjugates of each other are one: with conjugate factors a product is the
    // conjugate times (-1)^(sum m).
    std::vector<SiteTerm> out;
    std::vector<int> place;
    std::vector<double> sign;  // 0: the product itself
    std::map<Key, int> index;
    for (int t = 0; t < p.terms; t++) {
        Key key;
        for (int s = 0; s < p.order; s++)
            if (const int f = p.factors[size_t(t) * p.order + s]; f < padding) key.push_back(f);
        std::sort(key.begin(), key.end());
        const Key one = terms.canonical(key);
        const auto [at, fresh] = index.emplace(one, int(out.size()));
        if (fresh) out.push_back({one, {}});
        place.push_back(at->second);
        sign.push_back(one == key ? 0 : terms.parity(key));
    }
    each_coefficient(tables, p, [&](int t, int row, double re, double im) {
        std::vector<Share>& shares = out[place[t]].shares;
        if (sign[t] == 0) add(shares, {row, re, -im});
        else add(shares, {row, sign[t] * re, sign[t] * im});
    });
    drop_rounding(out, tables.rows());
    out.erase(std::remove_if(out.begin(), out.end(),
                             [](const SiteTerm& term) { return term.shares.empty(); }),
              out.end());
    return out;
}

std::vector<const Irrep*> irreps_of_rows(const Tables& tables) {
    std::vector<const Irrep*> out;
    for (const Irrep& irrep : tables.irreps) {
        const int made = tables.outputs > 0 ? tables.outputs * irrep.outputs : irrep.functions;
        out.insert(out.end(), size_t(made) * irrep.dim(), &irrep);
    }
    return out;
}

}  // namespace ace
