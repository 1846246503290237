// The angular part for vectors of neighbours, unrolled for every lmax up to 8. Harmonics are
// unnormalised: Q_lm c_m and Q_lm s_m with c_m + i s_m = (x + iy)^m and Q_lm = d^m P_l/dz^m divided
// by its leading coefficient, so that Q_lm = z Q_l-1,m - b Q_l-2,m. Because dQ_lm/dz = (l - m)
// Q_l,m+1 no derivative of a harmonic is ever formed.
#pragma once
#include <type_traits>

#include "engine/pull.hpp"
#include "engine/simd.hpp"

namespace ace::ACE_ISA {

// What the neighbours of M vectors feel: the radial part sum a R' Y, and the gradient of
// sum a R Y with respect to the unit vector, taken as a polynomial.
template <class V, int M>
struct Pulled {
    V radial[M], x[M], y[M], z[M];
};

#define ACE_ANGULAR Angular
#define ACE_UNROLL _Pragma("GCC unroll 24")
#include "engine/angular_stage.hpp"
#undef ACE_ANGULAR
#undef ACE_UNROLL

// The same with loops left as loops: unrolled, l from 9 on would take longer to compile than all
// the rest.
#define ACE_ANGULAR LoopedAngular
#define ACE_UNROLL
#include "engine/angular_stage.hpp"
#undef ACE_ANGULAR
#undef ACE_UNROLL

template <class T, int most>
struct AngularTable {
    using V = typename Simd<T>::V;
    void (*harmonics[most + 1])(V, V, V, V*);
    void (*turned[most + 1])(V, V, V, V, V, V, V*, V*);
    void (*pull_one[most + 1])(const V*, const V*, const V*, const V*, const V*, int, Pulls,
                               const T*, Pulled<V, 1>&);
    void (*pull_two[most + 1])(const V*, const V*, const V*, const V*, const V*, int, Pulls,
                               const T*, Pulled<V, 2>&);
    AngularTable() { fill<0>(); }
    template <int lmax>
    void fill() {
        using Stage = std::conditional_t<lmax <= 8, Angular<T, lmax>, LoopedAngular<T, lmax>>;
        harmonics[lmax] = Stage::harmonics;
        turned[lmax] = Stage::turned;
        pull_one[lmax] = Stage::template pull<1>;
        pull_two[lmax] = Stage::template pull<2>;
        if constexpr (lmax < most) fill<lmax + 1>();
    }
};

}  // namespace ace::ACE_ISA
