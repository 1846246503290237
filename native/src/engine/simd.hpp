// Vectors of as many numbers as fit a register, and the shuffles between their lanes.
#pragma once
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

#include "engine/isa.hpp"

namespace ace::ACE_ISA {

// A growing array aligned to cache lines; contents are lost when it grows.
template <class T>
class Scratch {
  public:
    Scratch() = default;
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    Scratch(Scratch&& other) noexcept { *this = std::move(other); }
    Scratch& operator=(Scratch&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(capacity_, other.capacity_);
        return *this;
    }
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
    const T* data() const { return data_; }
    T& operator[](size_t k) { return data_[k]; }
    const T& operator[](size_t k) const { return data_[k]; }

  private:
    T* data_ = nullptr;
    size_t capacity_ = 0;
};

template <class T>
struct Simd {
    static constexpr int W = BYTES / sizeof(T);    // lanes
    static constexpr int L = 16 / sizeof(T);       // lanes of 128 bits, which shuffle cheaply
    typedef T V __attribute__((vector_size(BYTES), aligned(BYTES)));
    typedef T U __attribute__((vector_size(BYTES), aligned(alignof(T)), may_alias));

    static ACE_INLINE V set(T value) { return V{} + value; }
    static ACE_INLINE V load(const T* from) { return *reinterpret_cast<const U*>(from); }
    static ACE_INLINE void store(T* to, V value) { *reinterpret_cast<U*>(to) = value; }

    // Rows become columns: first inside 128 bits, then 128 bits at a time.
    static ACE_INLINE void transpose(V* r) {
        V t[W];
#pragma GCC unroll 16
        for (int g = 0; g < W; g += L) inside(r + g, t + g);
#pragma GCC unroll 4
        for (int k = 0; k < L; k++) across(t + k, r + k);
    }

    // The sums over the lanes of W vectors, as one vector.
    static ACE_INLINE V sums(const V* from) {
        V t[W / L];
#pragma GCC unroll 16
        for (int g = 0; g < W / L; g++) t[g] = folded(from + g * L);
        if constexpr (W / L == 4) {
            const V a = even(t[0], t[1]) + odd(t[0], t[1]), b = even(t[2], t[3]) + odd(t[2], t[3]);
            return even(a, b) + odd(a, b);
        } else if constexpr (W / L == 2) {
            return even(t[0], t[1]) + odd(t[0], t[1]);
        } else {
            return t[0];
        }
    }

    // Sums over the lanes within 128 bits of L vectors, in the 128 bits that they come from.
    static ACE_INLINE V folded(const V* r) {
        if constexpr (L == 2) {
            return low(r[0], r[1], lanes()) + high(r[0], r[1], lanes());
        } else {
            const V a = low(r[0], r[1], lanes()) + high(r[0], r[1], lanes());
            const V b = low(r[2], r[3], lanes()) + high(r[2], r[3], lanes());
            return half<0>(a, b, lanes()) + half<1>(a, b, lanes());
        }
    }
    // The two halves of a added, then those of b.
    template <size_t... q>
    static ACE_INLINE V halves(V a, V b, std::index_sequence<q...>) {
        return __builtin_shufflevector(a, b, int(q < W / 2 ? q : q + W / 2)...) +
               __builtin_shufflevector(a, b, int(q < W / 2 ? q + W / 2 : q + W)...);
    }

    static ACE_INLINE T total(V v) {
        T s = 0;
#pragma GCC unroll 16
        for (int q = 0; q < W; q++) s += v[q];
        return s;
    }

    static constexpr auto lanes() { return std::make_index_sequence<W>(); }

    // Pairs (or quadruples) interleaved within 128 bits: a0 b0 (a1 b1), and the upper halves.
    template <size_t... q>
    static ACE_INLINE V low(V a, V b, std::index_sequence<q...>) {
        return __builtin_shufflevector(a, b, int(q / L * L + q % L / 2 + q % 2 * W)...);
    }
    template <size_t... q>
    static ACE_INLINE V high(V a, V b, std::index_sequence<q...>) {
        return __builtin_shufflevector(a, b, int(q / L * L + L / 2 + q % L / 2 + q % 2 * W)...);
    }

  private:
    // 64-bit halves of each 128 bits (only other than low and high for float).
    template <int upper, size_t... q>
    static ACE_INLINE V half(V a, V b, std::index_sequence<q...>) {
        return __builtin_shufflevector(
            a, b, int(q / L * L + upper * L / 2 + q % (L / 2) + (q % L >= L / 2 ? W : 0))...);
    }
    // 128-bit parts 0, 2, ... (1, 3, ...) of a, then those of b.
    template <int first, size_t... q>
    static ACE_INLINE V parts(V a, V b, std::index_sequence<q...>) {
        return __builtin_shufflevector(
            a, b, int((q < W / 2 ? 0 : W) + ((q % (W / 2)) / L * 2 + first) * L + q % L)...);
    }
    static ACE_INLINE V even(V a, V b) { return parts<0>(a, b, lanes()); }
    static ACE_INLINE V odd(V a, V b) { return parts<1>(a, b, lanes()); }

    static ACE_INLINE void inside(const V* r, V* t) {
        if constexpr (L == 2) {
            t[0] = low(r[0], r[1], lanes());
            t[1] = high(r[0], r[1], lanes());
        } else {
            const V a = low(r[0], r[1], lanes()), b = high(r[0], r[1], lanes());
            const V c = low(r[2], r[3], lanes()), d = high(r[2], r[3], lanes());
            t[0] = half<0>(a, c, lanes());
            t[1] = half<1>(a, c, lanes());
            t[2] = half<0>(b, d, lanes());
            t[3] = half<1>(b, d, lanes());
        }
    }

    static ACE_INLINE void across(const V* t, V* r) {
        if constexpr (W / L == 4) {
            const V a = even(t[0], t[L]), b = odd(t[0], t[L]);
            const V c = even(t[2 * L], t[3 * L]), d = odd(t[2 * L], t[3 * L]);
            r[0] = even(a, c);
            r[L] = even(b, d);
            r[2 * L] = odd(a, c);
            r[3 * L] = odd(b, d);
        } else if constexpr (W / L == 2) {
            r[0] = even(t[0], t[L]);
            r[L] = odd(t[0], t[L]);
        } else {
            r[0] = t[0];
        }
    }
};

// A vector as numbers of its type or of less precision.
ACE_INLINE void put(double* to, Simd<double>::V v) { Simd<double>::store(to, v); }
ACE_INLINE void put(float* to, Simd<double>::V v) {
    typedef float Half __attribute__((vector_size(BYTES / 2), aligned(4), may_alias));
    *reinterpret_cast<Half*>(to) = __builtin_convertvector(v, Half);
}
ACE_INLINE void put(float* to, Simd<float>::V v) { Simd<float>::store(to, v); }

// A half of a vector of float.
template <size_t... q>
ACE_INLINE Simd<double>::V widened(Simd<float>::V v, int half, std::index_sequence<q...>) {
    typedef float Half __attribute__((vector_size(BYTES / 2)));
    constexpr int W = Simd<double>::W;
    const Half part = half ? __builtin_shufflevector(v, v, (W + int(q))...)
                           : __builtin_shufflevector(v, v, int(q)...);
    return __builtin_convertvector(part, Simd<double>::V);
}

// A vector as one of double: lanes that do not fit are added to others.
ACE_INLINE Simd<double>::V in_double(Simd<double>::V v) { return v; }
ACE_INLINE Simd<double>::V in_double(Simd<float>::V v) {
    const auto lanes = Simd<double>::lanes();
    return widened(v, 0, lanes) + widened(v, 1, lanes);
}

// How many vectors of T have their lanes summed up in A together.
template <class T, class A>
constexpr int summed_together = std::is_same_v<T, A> || Simd<A>::W < 4 ? Simd<T>::W : Simd<A>::W;

// The sums over the lanes of so many vectors. From float to double the four lanes of 128 bits are
// added in float, the rest in double: all in double would cost as much as the sums over neighbours.
template <class T, class A>
ACE_INLINE void store_sums(A* to, const typename Simd<T>::V* from) {
    if constexpr (std::is_same_v<T, A>) {
        Simd<A>::store(to, Simd<A>::sums(from));
    } else if constexpr (summed_together<T, A> == 8) {
        using D = Simd<double>;
        D::store(to, D::halves(in_double(Simd<T>::folded(from)),
                               in_double(Simd<T>::folded(from + 4)), D::lanes()));
    } else if constexpr (Simd<A>::W == 4) {
        Simd<A>::store(to, in_double(Simd<T>::folded(from)));
    } else {
        const typename Simd<T>::V sums = Simd<T>::sums(from);
        for (int q = 0; q < 4; q++) to[q] = sums[q];
    }
}

// The lanes of a vector of double that are below a bound, as bits.
ACE_INLINE unsigned below(Simd<double>::V v, double bound) {
#if defined(__AVX512F__)
    return _mm512_cmp_pd_mask((__m512d)v, _mm512_set1_pd(bound), _CMP_LT_OQ);
#elif defined(__AVX2__)
    return _mm256_movemask_pd(_mm256_cmp_pd((__m256d)v, _mm256_set1_pd(bound), _CMP_LT_OQ));
#else
    unsigned bits = 0;
    for (int q = 0; q < Simd<double>::W; q++) bits |= unsigned(v[q] < bound) << q;
    return bits;
#endif
}

}  // namespace ace::ACE_ISA
