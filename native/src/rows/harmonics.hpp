// Real harmonics of a vector of neighbours with their gradients, and sums over lanes. Included
// by rows/engine.hpp in the namespace of an instruction set.
#pragma once

// Y_lm of unit vectors, lm = l^2 + l + m (docs/conventions.md, "Harmonics"), and the gradients of
// r^l Y_lm there. With F_lm = r^(l-m) d^m P_l/dz^m (x + i y)^m and n = l + m:
//   dF_lm/dz = n F_l-1,m   (d/dx + i d/dy) F_lm = -F_l-1,m+1   (d/dx - i d/dy) F_lm = n (n - 1) F_l-1,m-1
class Harmonics {
  public:
    explicit Harmonics(int lmax) : lmax_(lmax), norms_(size()), slopes_(size()) {
        for (int l = 0; l <= lmax; l++)
            for (int m = 0; m <= l; m++) {
                double ratio = 1;
                for (int k = l - m + 1; k <= l + m; k++) ratio *= k;
                const double norm = std::sqrt((m ? 2 : 1) * (2 * l + 1) / (4 * M_PI) / ratio);
                norms_[l * l + l + m] = norms_[l * l + l - m] = norm;
            }
        for (int l = 1; l <= lmax; l++)
            for (int m = 0; m <= l; m++) relate(l, m);
    }

    int size() const { return (lmax_ + 1) * (lmax_ + 1); }

    // Writes value[lm].
    void evaluate(const V* unit, V* value) const {
        V q[(most_l + 1) * (most_l + 1)], c = V{} + 1.0, s = V{};
        legendre(unit[2], q);
        for (int m = 0; m <= lmax_; m++) {
            for (int l = m; l <= lmax_; l++) {
                const V p = q[at(l, m)] * norms_[l * l + l + m];
                if (m) value[l * l + l - m] = p * s;
                value[l * l + l + m] = p * c;
            }
            const V next = unit[0] * c - unit[1] * s;
            s = unit[0] * s + unit[1] * c;
            c = next;
        }
    }

    // Writes gradient[3 * lm + d] up to some l from the values.
    ACE_INLINE void gradients(int lmax, const V* value, V* out) const {
        for (int lm = 0; lm < (lmax + 1) * (lmax + 1); lm++) gradient(lm, value, out + 3 * lm);
    }

    // The gradient of one of them.
    ACE_INLINE void gradient(int lm, const V* value, V* out) const {
        const Slope& t = slopes_[lm];
        out[0] = t.x[0] * value[t.up] + t.x[1] * value[t.down];
        out[1] = t.y[0] * value[t.up_other] + t.y[1] * value[t.down_other];
        out[2] = t.z * value[t.same];
    }

  private:
    // A gradient in terms of the values one l below: two for x, two for y, one for z.
    struct Slope {
        int up = 0, down = 0, up_other = 0, down_other = 0, same = 0;
        double x[2] = {0, 0}, y[2] = {0, 0}, z = 0;
    };

    void relate(int l, int m) {
        const int below = (l - 1) * (l - 1) + l - 1;  // place of m = 0
        const double norm = norms_[l * l + l + m], n = l + m;
        Slope& cosine = slopes_[l * l + l + m];
        Slope& sine = slopes_[l * l + l - m];
        if (m + 1 < l) {
            // For m = 0 one derivative is the conjugate of the other.
            const double up = (m ? 0.5 : 1.0) * norm / norms_[below + m + 1];
            sine.up = below - m - 1;
            sine.up_other = below + m + 1;
            sine.x[0] = -up;
            sine.y[0] = up;
            cosine.up = below + m + 1;  // last: for m = 0 the two are one
            cosine.up_other = below - m - 1;
            cosine.x[0] = cosine.y[0] = -up;
        }
        if (m < l) {
            sine.same = below - m;
            cosine.same = below + m;
            cosine.z = sine.z = n * norm / norms_[below + m];
        }
        if (m) {
            const double down = 0.5 * n * (n - 1) * norm / norms_[below + m - 1];
            cosine.down = sine.down_other = below + m - 1;
            cosine.x[1] = sine.y[1] = down;
            if (m > 1) {
                sine.down = cosine.down_other = below - m + 1;
                sine.x[1] = down;
                cosine.y[1] = -down;
            }
        }
    }

    int at(int l, int m) const { return l * (lmax_ + 1) + m; }

    // d^m P_l/dz^m.
    void legendre(V z, V* q) const {
        double first = 1;
        for (int m = 0; m <= lmax_; m++) {
            q[at(m, m)] = V{} + first;
            for (int l = m + 1; l <= lmax_; l++) {
                V next = z * q[at(l - 1, m)] * double(2 * l - 1);
                if (l > m + 1) next -= q[at(l - 2, m)] * double(l + m - 1);
                q[at(l, m)] = next * (1.0 / (l - m));
            }
            first *= 2 * m + 1;
        }
    }

    int lmax_;
    std::vector<double> norms_;
    std::vector<Slope> slopes_;
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
