#include "plan/trees.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace ace {
namespace {

double sign_of(int m) { return m % 2 ? -1 : 1; }

// The invariant of four shells (or three, if l has three) through L.
std::map<Numbers, double> four(const std::vector<int>& l, int L, const std::vector<int>& kinds,
                               const std::array<int, 4>& order) {
    std::map<Numbers, double> sum;
    const double parity = (l[0] + l[1] + L) % 2 ? -1 : 1;
    const bool three = l.size() == 3;
    for (int a = -l[0]; a <= l[0]; a++)
        for (int b = -l[1]; b <= l[1]; b++) {
            const double left = clebsch_gordan(l[0], a, l[1], b, L, a + b);
            if (left == 0) continue;
            for (int c = three ? -a - b : -l[2]; c <= (three ? -a - b : l[2]); c++) {
                const int d = -a - b - c;
                const double right =
                    three ? 1 : clebsch_gordan(l[2], c, l[3], d, L, -a - b);
                if (right == 0) continue;
                Numbers m(l.size());
                m[order[0]] = a;
                m[order[1]] = b;
                m[order[2]] = c;
                if (!three) m[order[3]] = d;
                sum[canonical(kinds, m)] += parity * sign_of(a + b) * left * right;
            }
        }
    return sum;
}

}  // namespace

// Racah's formula. Long doubles, for the terms of the sum alternate.
double clebsch_gordan(int l1, int m1, int l2, int m2, int l, int m) {
    static const auto factorials = [] {
        std::array<long double, 128> f{};
        f[0] = 1;
        for (size_t n = 1; n < f.size(); n++) f[n] = f[n - 1] * n;
        return f;
    }();
    const auto f = [](int n) { return factorials[n]; };
    if (m1 + m2 != m || l < std::abs(l1 - l2) || l > l1 + l2 || std::abs(m1) > l1 ||
        std::abs(m2) > l2 || std::abs(m) > l)
        return 0;
    const long double scale = std::sqrt(
        (2 * l + 1) * f(l + l1 - l2) * f(l - l1 + l2) * f(l1 + l2 - l) / f(l1 + l2 + l + 1) *
        f(l + m) * f(l - m) * f(l1 - m1) * f(l1 + m1) * f(l2 - m2) * f(l2 + m2));
    long double sum = 0;
    for (int k = std::max({0, l2 - l - m1, l1 - l + m2});
         k <= std::min({l1 + l2 - l, l1 - m1, l2 + m2}); k++)
        sum += sign_of(k) / (f(k) * f(l1 + l2 - l - k) * f(l1 - m1 - k) * f(l2 + m2 - k) *
                             f(l - l2 + m1 + k) * f(l - l1 - m2 + k));
    return static_cast<double>(scale * sum);
}

Numbers canonical(const std::vector<int>& kinds, const Numbers& m) {
    const auto sorted = [&](Numbers v) {
        for (size_t begin = 0, end; begin < kinds.size(); begin = end) {
            for (end = begin; end < kinds.size() && kinds[end] == kinds[begin];) end++;
            std::sort(v.begin() + begin, v.begin() + end);
        }
        return v;
    };
    Numbers turned;
    for (const int k : m) turned.push_back(-k);
    return std::min(sorted(m), sorted(turned));
}

double combinations(const std::vector<int>& l) {
    std::vector<double> count{1};  // [sum of m + sum of l]
    for (const int next : l) {
        std::vector<double> more(count.size() + 2 * next, 0.0);
        for (size_t k = 0; k < count.size(); k++)
            for (int m = 0; m <= 2 * next; m++) more[k + m] += count[k];
        count = std::move(more);
    }
    return count[count.size() / 2];
}

Trees::Trees(const std::vector<int>& l, const std::vector<int>& kinds,
             const std::array<int, 4>& order) {
    std::vector<int> in_order;
    for (size_t k = 0; k < l.size(); k++) in_order.push_back(l[order[k]]);
    std::vector<int> candidates;
    std::vector<Sum> sums;
    if (l.size() == 2) {
        candidates.push_back(0);
        sums.emplace_back();
        for (int m = -l[0]; m <= l[0]; m++) sums[0][canonical(kinds, {m, -m})] += sign_of(m);
    } else {
        int least = in_order[2], most = in_order[2];
        if (l.size() == 4) {
            least = std::max(std::abs(in_order[0] - in_order[1]),
                             std::abs(in_order[2] - in_order[3]));
            most = std::min(in_order[0] + in_order[1], in_order[2] + in_order[3]);
        }
        for (int L = least; L <= most; L++) {
            candidates.push_back(L);
            sums.push_back(four(in_order, L, kinds, order));
        }
    }
    keep_independent(candidates, sums);
}

// Gram-Schmidt, with what each orthonormal vector is made of.
void Trees::keep_independent(const std::vector<int>& candidates, const std::vector<Sum>& sums) {
    std::map<Numbers, size_t> place;
    for (const Sum& sum : sums)
        for (const auto& [m, weight] : sum) place.emplace(m, 0);
    for (auto& [m, at] : place) {
        at = products.size();
        products.push_back(m);
    }
    std::vector<std::vector<double>> basis, made_of;
    const auto squares = [](const std::vector<double>& v) {
        double sum = 0;
        for (const double x : v) sum += x * x;
        return sum;
    };
    for (size_t k = 0; k < sums.size(); k++) {
        std::vector<double> v(products.size(), 0.0), x(basis.size() + 1, 0.0);
        for (const auto& [m, weight] : sums[k]) v[place[m]] = weight;
        const std::vector<double> whole = v;
        x.back() = 1;
        for (int twice = 0; twice < 2; twice++)
            for (size_t q = 0; q < basis.size(); q++) {
                double dot = 0;
                for (size_t i = 0; i < v.size(); i++) dot += basis[q][i] * v[i];
                for (size_t i = 0; i < v.size(); i++) v[i] -= dot * basis[q][i];
                for (size_t i = 0; i < made_of[q].size(); i++) x[i] -= dot * made_of[q][i];
            }
        const double left = squares(v);
        if (left < 1e-16 * squares(whole) || left < 1e-20) continue;
        for (double& value : v) value /= std::sqrt(left);
        for (double& value : x) value /= std::sqrt(left);
        basis.push_back(v);
        made_of.push_back(x);
        weights.push_back(whole);
        couplings.push_back(candidates[k]);
    }
    inverse.assign(basis.size(), std::vector<double>(products.size(), 0.0));
    for (size_t q = 0; q < basis.size(); q++)
        for (size_t k = 0; k < made_of[q].size(); k++)
            for (size_t i = 0; i < products.size(); i++)
                inverse[k][i] += made_of[q][k] * basis[q][i];
}

}  // namespace ace
