// One central atom with its neighbours: A_v, the pieces that dA_v/dr_j is made of, and the sums
// of dA_v/dr_j over all neighbours. Included by rows/engine.hpp.
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
    Buffer(Buffer&& from) noexcept
        : data_(std::exchange(from.data_, nullptr)), capacity_(std::exchange(from.capacity_, 0)) {}
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
    int channels = 0, harmonics = 0;            // their numbers
    // Of every vector q, all that dA_v/dr is made of, so that it is read in one stretch: the unit
    // vector; Y by lm; R/r and R' by channel.
    Buffer<V> records;
    Buffer<double> weights;  // dB_k/dA_v, as the plan numbers them

    size_t record() const { return 3 + static_cast<size_t>(harmonics) + 2 * channels; }
    V* unit(int q) { return records.data() + q * record(); }
    V* harmonic(int q) { return unit(q) + 3; }
    V* radial(int q) { return unit(q) + 3 + harmonics; }
    const V* unit(int q) const { return records.data() + q * record(); }
    const V* harmonic(int q) const { return unit(q) + 3; }
    const V* radial(int q) const { return unit(q) + 3 + harmonics; }

    // About what is kept, with so many weights.
    size_t bytes(int pairs) const {
        return vectors * record() * sizeof(V) + pairs * sizeof(double);
    }

    // Asks for what slopes() reads.
    void prefetch(const Touched& t) const {
        const char* from = reinterpret_cast<const char*>(unit(t.q));
        for (size_t b = 0; b < t.layers * record() * sizeof(V); b += 64)
            __builtin_prefetch(from + b, 0, 2);
    }

    // -dA_v/dr of the atoms in the lanes due to vector q, for all m of one channel and l, added to
    // what is there or not. `gradient` is that of r^l Y_lm.
    template <bool add>
    ACE_INLINE void slopes(int channel, int l, int q, const V* gradient, V* out, int step) const {
        const V *u = unit(q), *y = harmonic(q) + l * l, *r = radial(q) + 2 * channel;
        const V *g = gradient + 3 * l * l, value = -r[0], along = -(value * double(l) + r[1]);
        const V s[3] = {along * u[0], along * u[1], along * u[2]};
        for (int m = 0; m <= 2 * l; m++, out += step, g += 3, y++)
#pragma GCC unroll 3
            for (int d = 0; d < 3; d++) {
                const V first = value * g[d];
                out[d] = (add ? out[d] + first : first) + s[d] * *y;
            }
    }
};
