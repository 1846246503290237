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

struct Site {
    int place = 0, vectors = 0;
    std::vector<std::vector<Touched>> touched;  // by family, ascending
    Buffer<V> vector, unit, distance;           // [xyz][q], [xyz][q], [q]
    Buffer<V> radial, stretch;                  // [channel][q]; [channel][xyz][q]: R' times unit
    Buffer<V> harmonics, gradient;              // [lm][q]; [lm][xyz][q]
    Buffer<V> sums;                             // [column of all families][sum_vectors]
    Buffer<double> weights;                     // dB_k/dA_v, [pair]

    // dA_v/dr of the atoms in the lanes, summed over their images, for all m of one channel and l.
    ACE_INLINE void slopes(int channel, int l, const Touched& t, V* out, int out_step) const {
        const size_t step = vectors, c = channel, y = l * l;
        const V *r = radial.data() + c * step + t.q, *s = stretch.data() + 3 * c * step + t.q;
        const V *h = harmonics.data() + y * step + t.q, *g = gradient.data() + 3 * y * step + t.q;
        const V r0 = r[0], sx = s[0], sy = s[step], sz = s[2 * step];
        for (int m = 0; m <= 2 * l; m++, h += step, g += 3 * step, out += out_step) {
            V x = sx * h[0] + r0 * g[0], yy = sy * h[0] + r0 * g[step],
              z = sz * h[0] + r0 * g[2 * step];
            for (int k = 1; k < t.layers; k++) {
                x += s[k] * h[k] + r[k] * g[k];
                yy += s[step + k] * h[k] + r[k] * g[step + k];
                z += s[2 * step + k] * h[k] + r[k] * g[2 * step + k];
            }
            out[0] = x;
            out[1] = yy;
            out[2] = z;
        }
    }

    // All sums of one A.
    template <bool virial>
    ACE_INLINE void sum(int channel, int lm, const std::vector<Touched>& touched, V* out) const {
        const size_t step = vectors, c = channel, y = lm;
        const V *r = radial.data() + c * step, *s = stretch.data() + 3 * c * step;
        const V *h = harmonics.data() + y * step, *g = gradient.data() + 3 * y * step;
        const V* at = vector.data();
        V t[sum_vectors * W] = {};
        for (const Touched& block : touched)
            for (int q = block.q; q < block.q + block.layers; q++) {
                const V dx = s[q] * h[q] + r[q] * g[q];
                const V dy = s[step + q] * h[q] + r[q] * g[step + q];
                const V dz = s[2 * step + q] * h[q] + r[q] * g[2 * step + q];
                t[6] += dx;
                t[7] += dy;
                t[8] += dz;
                t[9] += r[q] * h[q];
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
