// Numbers with their derivative along one direction: what is computed with them is
// differentiated on the way.
#pragma once
#include "engine/simd.hpp"

namespace ace::ACE_ISA {

template <class T>
struct Dual {
    using V = typename Simd<T>::V;
    V value, slope;

    Dual() = default;
    ACE_INLINE Dual(V value) : value(value), slope(V{}) {}
    ACE_INLINE Dual(V value, V slope) : value(value), slope(slope) {}

    ACE_INLINE Dual operator-() const { return {-value, -slope}; }
    ACE_INLINE Dual operator+(Dual o) const { return {value + o.value, slope + o.slope}; }
    ACE_INLINE Dual operator-(Dual o) const { return {value - o.value, slope - o.slope}; }
    ACE_INLINE Dual operator*(Dual o) const {
        return {value * o.value, slope * o.value + value * o.slope};
    }
    ACE_INLINE Dual operator*(T factor) const { return {value * factor, slope * factor}; }
    ACE_INLINE Dual& operator+=(Dual o) { return *this = *this + o; }
};

}  // namespace ace::ACE_ISA
