// One central atom with its neighbours: A_v, the pieces that dA_v/dr_j is made of, and the sums
// of dA_v/dr_j over all neighbours. Included by row_engine.hpp.
//
// The internal order of the atoms is one of blocks of W places, and a neighbour lies in the lane
// of its atom; further images of the atoms of a block are further vectors. So a derivative with
// respect to W atoms is a sum of vectors, and is added to the force rows without a scatter. In
// cells of few atoms the lanes repeat the places 0 ... span - 1, so that images fill them; the
// repeats are then summed up.
#pragma once

// A growing array aligned to cache lines; contents are lost when it grows.
template <class T>
class Buffer {
  public:
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { std::free(data_); }
    T* need(size_t count) {
        if (count > capacity_) {
            std::free(data_);
            capacity_ = count + count / 4 + 8;
            data_ = static_cast<T*>(std::aligned_alloc(64, (capacity_ * sizeof(T) + 63) / 64 * 64));
            if (!data_) {
                capacity_ = 0;
                throw std::bad_alloc();
            }
        }
        return data_;
    }
    T* zeroed(size_t count) {
        need(count);
        if (count) std::memset(static_cast<void*>(data_), 0, count * sizeof(T));
        return data_;
    }
    T* data() { return data_; }
    const T* data() const { return data_; }

  private:
    T* data_ = nullptr;
    size_t capacity_ = 0;
};

// One radial table of one ordered pair of species, its rows padded to whole vectors.
struct Grid {
    double begin, inverse, reach;  // the last is the square of the last knot
    int bins;
    bool refuse;                   // pairs closer than `begin` are an error
    int first, channels, padded;   // first channel, their number, and that in whole vectors
    std::unique_ptr<Buffer<V>> rows;  // [bin][6][padded]
};

// The vectors q ... q + layers of a site are neighbours in one block.
struct Touched {
    int block, q, layers;
};

// Sums over the neighbours, per A: -r_x dA/dr_y in the order xx yy zz yz xz xy, then dA/dr_x,
// dA/dr_y, dA/dr_z and A itself.
constexpr int sum_count = 10, sum_value = 9, sum_move = 6;
constexpr int sum_vectors = (sum_count + W - 1) / W;
// All of them but A, for W atoms in the lanes.
constexpr int moment_count = 9, moment_move = sum_move;
constexpr int virial_vectors = (moment_move + W - 1) / W;

struct Site {
    int place = 0, vectors = 0;
    std::vector<std::vector<Touched>> touched;  // by family, ascending
    std::vector<std::vector<int>> used;         // by family, all its vectors
    Buffer<V> vector, unit, distance;           // [xyz][q], [xyz][q], [q]
    int channels = 0, harmonic = 0;             // their numbers
    Buffer<V> radial, slope;                    // [q][channel]: R and R'
    Buffer<V> harmonics, gradient;              // [q][lm]; [q][lm][xyz]

    // dA_v/dr of the atoms in the lanes, summed over their images, for all m of one channel and l.
    ACE_INLINE void slopes(int channel, int l, const Touched& t, V* out, int out_step) const {
        const size_t c = channel, y = l * l, q = t.q;
        const V *r = radial.data() + q * channels + c, *dr = slope.data() + q * channels + c;
        const V *h = harmonics.data() + q * harmonic + y, *g = gradient.data() + 3 * (q * harmonic + y);
        const V* u = unit.data() + q;
        const size_t step = vectors;
        V sx = dr[0] * u[0], sy = dr[0] * u[step], sz = dr[0] * u[2 * step];
        V* to = out;
        for (int m = 0; m <= 2 * l; m++, to += out_step) {
            to[0] = sx * h[m] + r[0] * g[3 * m];
            to[1] = sy * h[m] + r[0] * g[3 * m + 1];
            to[2] = sz * h[m] + r[0] * g[3 * m + 2];
        }
        for (int k = 1; k < t.layers; k++) {
            r += channels;
            dr += channels;
            h += harmonic;
            g += 3 * harmonic;
            sx = dr[0] * u[k];
            sy = dr[0] * u[step + k];
            sz = dr[0] * u[2 * step + k];
            to = out;
            for (int m = 0; m <= 2 * l; m++, to += out_step) {
                to[0] += sx * h[m] + r[0] * g[3 * m];
                to[1] += sy * h[m] + r[0] * g[3 * m + 1];
                to[2] += sz * h[m] + r[0] * g[3 * m + 2];
            }
        }
    }

    // All sums of one A.
    template <bool virial>
    ACE_INLINE void sum(int channel, int lm, const std::vector<int>& used, V* out) const {
        const size_t step = vectors;
        const V *at = vector.data(), *u = unit.data();
        V t[sum_vectors * W] = {};
        for (const int q : used) {
            const size_t c = static_cast<size_t>(q) * channels + channel;
            const size_t y = static_cast<size_t>(q) * harmonic + lm;
            const V r = radial.data()[c], h = harmonics.data()[y];
            const V along = slope.data()[c] * h, *g = gradient.data() + 3 * y;
            const V dx = along * u[q] + r * g[0], dy = along * u[step + q] + r * g[1],
                    dz = along * u[2 * step + q] + r * g[2];
            t[6] += dx;
            t[7] += dy;
            t[8] += dz;
            t[9] += r * h;
            if (virial) {
                const V x = at[q], y1 = at[step + q];
                t[0] -= x * dx;
                t[1] -= y1 * dy;
                t[2] -= at[2 * step + q] * dz;
                t[3] -= y1 * dz;
                t[4] -= x * dz;
                t[5] -= x * dy;
            }
        }
#pragma GCC unroll 8
        for (int k = 0; k < sum_count / W; k++) out[k] = lane_sums<W>(t + k * W);
        if constexpr (sum_count % W != 0)
            out[sum_vectors - 1] = lane_sums<sum_count % W>(t + sum_count / W * W);
    }
};
