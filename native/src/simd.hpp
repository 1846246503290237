// Vectors of W numbers and the shuffles between lanes. Included by engine.hpp inside a namespace
// of its own for every instruction set, where W is the number of lanes.
#pragma once
#define ACE_INLINE inline __attribute__((always_inline))

// A growing array aligned to cache lines; contents are lost when it grows.
template <class T>
class Scratch {
  public:
    Scratch() = default;
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch() { std::free(data_); }
    void need(size_t count) {
        if (count <= capacity_) return;
        std::free(data_);
        capacity_ = count + count / 4 + 64;
        data_ = static_cast<T*>(std::aligned_alloc(64, (capacity_ * sizeof(T) + 63) / 64 * 64));
        if (!data_) {
            capacity_ = 0;
            throw std::bad_alloc();
        }
    }
    void zero(size_t count) {
        need(count);
        if (count) std::memset(static_cast<void*>(data_), 0, count * sizeof(T));
    }
    T* data() { return data_; }
    T& operator[](size_t k) { return data_[k]; }

  private:
    T* data_ = nullptr;
    size_t capacity_ = 0;
};

struct Simd {
    typedef double V __attribute__((vector_size(W * sizeof(double)), aligned(W * sizeof(double))));
    typedef double U __attribute__((vector_size(W * sizeof(double)), aligned(8), may_alias));
    typedef int32_t I __attribute__((vector_size(W * sizeof(int32_t))));

    static ACE_INLINE V set(double value) { return V{} + value; }
    static ACE_INLINE V load(const double* from) { return *reinterpret_cast<const U*>(from); }
    static ACE_INLINE void store(double* to, V value) { *reinterpret_cast<U*>(to) = value; }

    template <int step, int high, size_t... lane>
    static ACE_INLINE V mix(V a, V b, std::index_sequence<lane...>) {
        return __builtin_shufflevector(
            a, b,
            (high ? ((lane & step) ? int(W + lane) : int(lane + step))
                  : ((lane & step) ? int(W + lane - step) : int(lane)))...);
    }

    // Rows become columns.
    template <int step = 1>
    static ACE_INLINE void transpose(V* r) {
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

    // The sums over the lanes of W vectors, as one vector.
    static ACE_INLINE V sums(const V* from) {
        V t[W];
#pragma GCC unroll 16
        for (int q = 0; q < W; q++) t[q] = from[q];
        fold<1, W>(t);
        return t[0];
    }

    // Butterfly in which every step halves the number of vectors.
    template <int step, int count>
    static ACE_INLINE void fold(V* t) {
        if constexpr (count > 1) {
            const auto lanes = std::make_index_sequence<W>();
#pragma GCC unroll 16
            for (int i = 0; i < count / 2; i++) {
                const V a = t[2 * i], b = t[2 * i + 1];
                t[i] = mix<step, 0>(a, b, lanes) + mix<step, 1>(a, b, lanes);
            }
            fold<2 * step, count / 2>(t);
        }
    }

    static ACE_INLINE double least(V v) {
        double s = v[0];
#pragma GCC unroll 16
        for (int q = 1; q < W; q++) s = v[q] < s ? v[q] : s;
        return s;
    }

    static ACE_INLINE double total(V v) {
        double s = 0;
#pragma GCC unroll 16
        for (int q = 0; q < W; q++) s += v[q];
        return s;
    }
};
