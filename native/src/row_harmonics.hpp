// Real harmonics of a vector of neighbours with their gradients, and sums over lanes. Included
// by row_engine.hpp in the namespace of an instruction set.
#pragma once

constexpr int most_l = 20;  // the largest that Tables may hold

// Y_lm and dY_lm/dr of unit vectors, lm = l^2 + l + m, docs/conventions.md "Harmonics".
class Harmonics {
  public:
    explicit Harmonics(int lmax) : lmax_(lmax), norms_((lmax + 1) * (lmax + 1)) {
        for (int l = 0; l <= lmax; l++)
            for (int m = 0; m <= l; m++) {
                double ratio = 1;
                for (int k = l - m + 1; k <= l + m; k++) ratio *= k;
                const double norm = std::sqrt((m ? 2 : 1) * (2 * l + 1) / (4 * M_PI) / ratio);
                norms_[l * l + l + m] = norms_[l * l + l - m] = norm;
            }
    }

    int size() const { return (lmax_ + 1) * (lmax_ + 1); }

    // Writes value[lm] and gradient[3 * lm + d]; inverse is 1/r.
    void evaluate(const V* unit, V inverse, V* value, V* gradient) const {
        V q[(most_l + 2) * (most_l + 2)], c[most_l + 2], s[most_l + 2];
        legendre(unit[2], q);
        c[0] = V{} + 1.0;
        s[0] = V{};
        for (int m = 1; m <= lmax_; m++) {
            c[m] = unit[0] * c[m - 1] - unit[1] * s[m - 1];
            s[m] = unit[0] * s[m - 1] + unit[1] * c[m - 1];
        }
        for (int l = 0; l <= lmax_; l++)
            for (int m = 0; m <= l; m++) {
                const V p = q[at(l, m)], dp = q[at(l, m + 1)], n = V{} + norms_[l * l + l + m];
                const V below_c = m ? c[m - 1] * double(m) : V{};
                const V below_s = m ? s[m - 1] * double(m) : V{};
                const int even = l * l + l + m;
                const int odd = l * l + l - m;
                write(unit, inverse, n * p * c[m], n * p * below_c, -(n * p * below_s),
                      n * dp * c[m], value + even, gradient + 3 * even);
                if (m)
                    write(unit, inverse, n * p * s[m], n * p * below_s, n * p * below_c,
                          n * dp * s[m], value + odd, gradient + 3 * odd);
            }
    }

  private:
    int at(int l, int m) const { return l * (lmax_ + 2) + m; }

    // Q_lm = d^m P_l/dz^m, so that dQ_lm/dz = Q_l,m+1.
    void legendre(V z, V* q) const {
        double first = 1;
        for (int m = 0; m <= lmax_ + 1; m++) {
            for (int l = 0; l < m && l <= lmax_; l++) q[at(l, m)] = V{};
            if (m > lmax_) break;
            q[at(m, m)] = V{} + first;
            for (int l = m + 1; l <= lmax_; l++) {
                V next = z * q[at(l - 1, m)] * double(2 * l - 1);
                if (l > m + 1) next -= q[at(l - 2, m)] * double(l + m - 1);
                q[at(l, m)] = next * (1.0 / (l - m));
            }
            first *= 2 * m + 1;
        }
    }

    static ACE_INLINE void write(const V* unit, V inverse, V y, V x0, V x1, V x2, V* value,
                                 V* gradient) {
        const V along = x0 * unit[0] + x1 * unit[1] + x2 * unit[2];
        *value = y;
        gradient[0] = (x0 - along * unit[0]) * inverse;
        gradient[1] = (x1 - along * unit[1]) * inverse;
        gradient[2] = (x2 - along * unit[2]) * inverse;
    }

    int lmax_;
    std::vector<double> norms_;
};

template <int step, size_t... lane>
ACE_INLINE V swap(V v, std::index_sequence<lane...>) {
    return __builtin_shufflevector(v, v, int(lane ^ step)...);
}

template <int step, int high, size_t... lane>
ACE_INLINE V mix(V a, V b, std::index_sequence<lane...>) {
    return __builtin_shufflevector(
        a, b,
        (high ? ((lane & step) ? int(W + lane) : int(lane + step))
              : ((lane & step) ? int(W + lane - step) : int(lane)))...);
}

// The sum of the parts of `span` lanes of a vector, in each of them.
ACE_INLINE V repeats(V v, int span) {
    const auto lanes = std::make_index_sequence<W>();
    if constexpr (W > 4)
        if (span <= 4) v += swap<4>(v, lanes);
    if constexpr (W > 2)
        if (span <= 2) v += swap<2>(v, lanes);
    if (span <= 1) v += swap<1>(v, lanes);
    return v;
}

// Rows become columns.
template <int step = 1>
ACE_INLINE void transpose(V* r) {
    if constexpr (step < W) {
        const auto lanes = std::make_index_sequence<W>();
#pragma GCC unroll 16
        for (int i = 0; i < W; i++)
            if (!(i & step)) {
                const V a = r[i], b = r[i + step];
                r[i] = mix<step, 0>(a, b, lanes);
                r[i + step] = mix<step, 1>(a, b, lanes);
            }
        transpose<2 * step>(r);
    }
}

// The sums over the lanes of `count` vectors, at most W, as one vector that repeats them: every
// step halves their number.
template <int count = W, int step = 1>
ACE_INLINE V lane_sums(V* t) {
    if constexpr (count == 1) {
        if constexpr (step < W) t[0] += swap<step>(t[0], std::make_index_sequence<W>());
        if constexpr (step < W) return lane_sums<1, 2 * step>(t);
        return t[0];
    } else {
        const auto lanes = std::make_index_sequence<W>();
#pragma GCC unroll 16
        for (int i = 0; i < count / 2; i++) {
            const V a = t[2 * i], b = t[2 * i + 1];
            t[i] = mix<step, 0>(a, b, lanes) + mix<step, 1>(a, b, lanes);
        }
        return lane_sums<count / 2, 2 * step>(t);
    }
}
