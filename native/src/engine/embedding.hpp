// How densities become the energy of one atom.
#pragma once
#include <cmath>

#include "engine/isa.hpp"

namespace ace::ACE_ISA {

// PACE's switch: 1 below end - width, 0 from end on.
inline void inner_switch(double r, double end, double width, double& value, double& slope) {
    value = r < end ? 1.0 : 0.0;
    slope = 0.0;
    if (width <= 0.0 || r <= end - width || r >= end) return;
    const double x = 1.0 - 2.0 * (1.0 + (r - end) / width), s = x * x;
    value = 0.5 + 3.75 * x * (0.25 - s * (1.0 / 6) + s * s * 0.05);
    slope = -2.0 / width * 3.75 * (0.25 - s * 0.5 + s * s * 0.25);
}

// One of PACE's embedding functions F(rho; m), basis/embedding.py.
class Curve {
  public:
    Curve(bool shifted, double m) : shifted_(shifted), m_(m) {
        const double nu = 1.0 / m;
        scale_ = std::pow(w, 1 - m);
        if (m != 1.0) {
            x_ = std::pow(nu, nu / (1 - nu));
            y_ = std::pow(nu, 1 / (1 - nu));
        }
    }

    void evaluate(double rho, double& value, double& slope) const {
        if (shifted_) return shifted(rho, value, slope);
        const double a = std::abs(rho), sign = rho < 0 ? -1.0 : 1.0;
        if (a <= 1e-10) {
            value = scale_ * rho;
            slope = scale_;
            return;
        }
        const double cube = w * w * w * a * a * a;
        const double g = cube > 30.0 ? 0.0 : std::exp(-cube);
        const double dg = -3.0 * w * w * w * a * a * g, power = raised(a);
        value = sign * ((1 - g) * power + scale_ * g * a);
        slope = (1 - g) * m_ * power / a - dg * power + scale_ * (dg * a + g);
    }

  private:
    static constexpr double w = 1e6;
    bool shifted_;
    double m_, scale_, x_ = 0, y_ = 0;

    double raised(double a) const { return m_ == 0.5 ? std::sqrt(a) : std::pow(a, m_); }

    void shifted(double rho, double& value, double& slope) const {
        if (m_ == 1.0) {
            value = rho;
            slope = 1.0;
            return;
        }
        const double a = std::abs(rho), sign = rho < 0 ? -1.0 : 1.0, e = std::exp(-a);
        const double base = x_ * e + a, power = raised(base);
        value = sign * (power - y_ * e);
        slope = m_ * (1 - x_ * e) * power / base + y_ * e;
    }
};

}  // namespace ace::ACE_ISA
