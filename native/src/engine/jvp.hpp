// Derivatives of the site values of a batch along displacements of the atoms and a strain:
//   dA = sum over neighbours of (R' along) Y + R dY, along and dY being those of u = u_j - u_i + r e
// then numbers with their derivatives through nodes and sums.
#pragma once
#include <algorithm>

#include "engine/sites.hpp"

namespace ace::ACE_ISA {

template <class T, class A>
class SiteJvp {
  public:
    static constexpr int W = Simd<T>::W, lanes = Simd<A>::W;
    using S = Simd<T>;
    using V = typename S::V;
    using VA = typename Simd<A>::V;
    using Work = SiteWork<T, A>;
    using Atom = typename Work::Atom;

    SiteJvp(const Sites<T, A>& sites, const Shared<T, A>& shared)
        : sites_(sites), tables_(shared.tables), tiles_(shared.tiles), angular_(shared.angular) {}

    // `motions` of every structure of the call; `out`: [atoms][rows] likewise.
    void batch(Call& call, const Batch& b, Work& w, const Motion* motions,
               double* const* out) const {
        const SiteCentre<T, A>& s = *sites_.centres[b.species];
        const Centre<T, A>& c = s.centre;
        sites_.neighbours(call, b, c, w, {true, true}, {false, false});
        const int total = c.plan.components * tables_.species;
        for (Scratch<A>* some : {&w.components, &w.turned_components}) {
            some->need(static_cast<size_t>(lanes) * total + lanes);
            std::fill(some->data() + static_cast<size_t>(b.count) * total,
                      some->data() + static_cast<size_t>(lanes) * total, A(0));
        }
        for (int a = 0; a < b.count; a++) {
            const size_t at = static_cast<size_t>(a) * total;
            one_particle(c, w, w.atoms[a], motions[w.atoms[a].piece->number],
                         w.components.data() + at, w.turned_components.data() + at);
        }
        const int known = c.plan.components * c.plan.apart;
        w.variables.need(known);
        w.tangents.need(c.plan.linear_first + c.plan.linear * tables_.species);
        sites_.pairs.transpose(c, w.components.data(), w.variables.data());
        sites_.pairs.transpose(c, w.turned_components.data(), w.tangents.data());
        sites_.linear.moved_sums(c, w, b.count, w.tangents.data());
        w.duals.need(c.plan.variables);
        Dual<A>* x = w.duals.data();
        for (int k = 0; k < known; k++) x[k] = {w.variables[k], w.tangents[k]};
        for (int k = 0; k < c.plan.linear * tables_.species; k++)
            x[c.plan.linear_first + k] = {VA{}, w.tangents[c.plan.linear_first + k]};
        sites_.interior(s, x);
        sites_.need_values(w);
        values_forward(s.site, s.coefficients.data(), s.value_coefficients.data(), x,
                       w.values.data());
        sites_.put_values(b, w, out);
    }

  private:
    // A's of one atom and their derivatives. The slopes of its radial functions become their
    // derivatives along u, those of linear columns aside, for which the factors are kept.
    void one_particle(const Centre<T, A>& c, Work& w, Atom& atom, const Motion& motion, A* out,
                      A* turned) const {
        const Plan& plan = c.plan;
        const int width = (plan.lmax + 1) * (plan.lmax + 1);
        const int chunk = std::max(2, harmonics_bytes / (2 * width * BYTES));
        w.harmonics.need(static_cast<size_t>(chunk) * width);
        w.turned.need(static_cast<size_t>(chunk) * width);
        w.accumulator.need(plan.components + W);
        w.turned_sums.need(plan.components + W);
        atom.linear.need(atom.groups[tables_.species]);
        V *y = w.harmonics.data(), *dy = w.turned.data();
        for (int z = 0; z < tables_.species; z++) {
            const int begin = atom.groups[z], end = atom.groups[z + 1];
            const T step = plan.sources.empty() ? T(0) : T(c.intervals[0][z].inverse);
            const int parts = (end - begin + chunk - 1) / chunk;
            for (int part = 0, v0 = begin; part < parts; part++) {
                const int count = (end - v0 + parts - part - 1) / (parts - part);
                for (int v = 0; v < count; v++)
                    neighbours(plan, atom, v0 + v, motion, step, y + v * width, dy + v * width);
                const size_t at = static_cast<size_t>(v0) * plan.columns;
                const V *r = atom.radial.data() + at, *d = atom.slope.data() + at;
                const bool first = part == 0, last = part == parts - 1;
                for (const Tile& tile : plan.tiles) {
                    const auto sum = tiles_.gather[tile.radials][tile.width];
                    V *of_a = w.accumulator.data() + tile.offset,
                      *of_d = w.turned_sums.data() + tile.offset;
                    sum(r + tile.column, y + tile.place, {count, first, last}, plan.columns, width,
                        of_a, out + tile.offset);
                    sum(d + tile.column, y + tile.place, {count, first, false}, plan.columns,
                        width, of_d, nullptr);
                    sum(r + tile.column, dy + tile.place, {count, false, last}, plan.columns,
                        width, of_d, turned + tile.offset);
                }
                v0 += count;
            }
            const int used = begin == end ? 0 : plan.used;
            for (A* to : {out, turned}) std::fill(to + used, to + plan.components, A(0));
            out += plan.components;
            turned += plan.components;
        }
    }

    // One vector of neighbours: harmonics, their derivatives, and those of radial functions.
    void neighbours(const Plan& plan, Atom& atom, int v, const Motion& motion, T step, V* y,
                    V* dy) const {
        const size_t at = static_cast<size_t>(v) * W;
        const V n[3] = {S::load(&atom.x[at]), S::load(&atom.y[at]), S::load(&atom.z[at])};
        const V inverse = S::load(&atom.inverse[at]);
        V u[3] = {};
        if (motion.displacements) displaced(atom, at, motion.displacements, u);
        if (motion.strain) {
            const V r = distances<T>(&atom.distance[at]);
            for (int a = 0; a < 3; a++)
                for (int b = 0; b < 3; b++)
                    u[b] += r * n[a] * static_cast<T>(motion.strain[3 * a + b]);
        }
        const V along = n[0] * u[0] + n[1] * u[1] + n[2] * u[2];
        V t[3];
        for (int a = 0; a < 3; a++) t[a] = (u[a] - along * n[a]) * inverse;
        angular_.turned[plan.lmax](n[0], n[1], n[2], t[0], t[1], t[2], y, dy);
        const V factor = along * step;
        atom.linear[v] = factor;
        for (const Source& source : plan.sources) {
            if (source.linear) continue;
            V* slope = atom.slope.data() + static_cast<size_t>(v) * plan.columns + source.first;
            for (int k = 0; k < source.padded; k++) slope[k] *= factor;
        }
    }

    static void displaced(Atom& atom, size_t at, const double* displacements, V* u) {
        const Piece& piece = *atom.piece;
        const double* own = displacements + 3 * static_cast<size_t>(piece.original(atom.index));
        alignas(BYTES) T moved[3][W];
        for (int q = 0; q < W; q++) {
            const double* of =
                displacements + 3 * static_cast<size_t>(piece.original(atom.neighbour[at + q]));
            for (int d = 0; d < 3; d++) moved[d][q] = static_cast<T>(of[d] - own[d]);
        }
        for (int d = 0; d < 3; d++) u[d] = S::load(moved[d]);
    }

    const Sites<T, A>& sites_;
    const Tables& tables_;
    const Tiles<T, A>& tiles_;
    const AngularTable<T, most_l>& angular_;
};

}  // namespace ace::ACE_ISA
