// Real harmonics of vectors of neighbours, and their gradients.
#pragma once
#include <cmath>
#include <vector>

#include "ace/limits.hpp"
#include "rows/vectors.hpp"

namespace ace::ACE_ISA::rows {

// Y_lm of unit vectors, lm = l^2 + l + m (docs/conventions.md, "Harmonics"), and the gradients of
// r^l Y_lm there. With F_lm = r^(l-m) d^m P_l/dz^m (x + i y)^m and n = l + m:
//   dF_lm/dz = n F_l-1,m   (d/dx + i d/dy) F_lm = -F_l-1,m+1   (d/dx - i d/dy) F_lm = n (n - 1) F_l-1,m-1
class Harmonics {
  public:
    explicit Harmonics(int lmax)
        : lmax_(lmax), lowered_(lmax + 1), norms_(size()), slopes_(size()) {
        for (int l = 0; l <= lmax; l++)
            for (int m = 0; m <= l; m++) {
                double ratio = 1;
                for (int k = l - m + 1; k <= l + m; k++) ratio *= k;
                const double norm = std::sqrt((m ? 2 : 1) * (2 * l + 1) / (4 * M_PI) / ratio);
                norms_[l * l + l + m] = norms_[l * l + l - m] = norm;
            }
        for (int l = 1; l <= lmax; l++)
            for (int m = 0; m <= l; m++) relate(l, m);
        for (int l = 1; l <= lmax; l++) lower_from(l);
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

    // The gradient of one of them.
    ACE_INLINE void gradient(int lm, const V* value, V* out) const {
        const Slope& t = slopes_[lm];
        out[0] = t.x[0] * value[t.up] + t.x[1] * value[t.down];
        out[1] = t.y[0] * value[t.up_other] + t.y[1] * value[t.down_other];
        out[2] = t.z * value[t.same];
    }

    // From the 2l + 1 numbers w of a rest, l > 0, to those with which grad sum_m w_m r^l Y_lm is a sum
    // of Y one l below, times `scale`: [m][xyz].
    void lower(int l, double scale, const V* w, V* out) const {
        for (const Lowered& sum : lowered_[l]) {
            V total = V{};
            for (int k = 0; k < sum.count; k++) total += sum.factor[k] * w[sum.from[k]];
            *out++ = scale * total;
        }
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

    // One of the numbers that lower() makes: a sum over few of those of the rest.
    struct Lowered {
        int count = 0;
        int from[4];
        double factor[4];
        void add(int m, double c) {
            from[count] = m;
            factor[count++] = c;
        }
    };

    void lower_from(int l) {
        std::vector<Lowered>& to = lowered_[l];
        to.resize(3 * (2 * l - 1));
        const int below = (l - 1) * (l - 1);
        for (int m = 0; m <= 2 * l; m++) {
            const Slope& t = slopes_[l * l + m];
            if (t.x[0] != 0) to[3 * (t.up - below)].add(m, t.x[0]);
            if (t.x[1] != 0) to[3 * (t.down - below)].add(m, t.x[1]);
            if (t.y[0] != 0) to[3 * (t.up_other - below) + 1].add(m, t.y[0]);
            if (t.y[1] != 0) to[3 * (t.down_other - below) + 1].add(m, t.y[1]);
            if (t.z != 0) to[3 * (t.same - below) + 2].add(m, t.z);
        }
    }

    int lmax_;
    std::vector<std::vector<Lowered>> lowered_;  // by l: [m][xyz]
    std::vector<double> norms_;
    std::vector<Slope> slopes_;
};

}  // namespace ace::ACE_ISA::rows
