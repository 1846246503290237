// R and dR/du of all neighbours of a batch, and A.
#pragma once
#include <algorithm>

#include "engine/radial.hpp"
#include "engine/shared.hpp"

namespace ace::ACE_ISA {

// Bytes of harmonics at hand at once: with the radial functions they come from the second cache,
// but are read while in the first (measured).
constexpr int harmonics_bytes = 28 * 1024;

// What is wanted of radial functions.
struct Wanted {
    bool values = true, slopes = true;
};

template <class T, class A = T>
class PairStage {
  public:
    static constexpr int W = Simd<T>::W, batch = Simd<A>::W;
    using S = Simd<T>;
    using V = typename S::V;
    using VA = typename Simd<A>::V;
    using Work = Workspace<T, A>;
    using Atom = typename Work::Atom;

    explicit PairStage(const Shared<T, A>& shared)
        : tables_(shared.tables), tiles_(shared.tiles), angular_(shared.angular) {}

    // Radial functions and their slopes, with those of a committee or without, of the first `count`
    // atoms. For site values not all are needed.
    void radial(const Centre<T, A>& c, Work& w, int count, bool committee,
                Wanted wanted = {}, Wanted linear = {}) const {
        const Plan& plan = c.plan;
        for (int a = 0; a < count; a++)
            w.atoms[a].ends.resize(plan.sources.size() * tables_.species);
        for (size_t s = 0; s < plan.sources.size(); s++) {
            if (plan.sources[s].committee && !committee) continue;
            if (is_idle(plan, s)) continue;
            const Wanted here = plan.sources[s].linear ? linear : wanted;
            if (!here.values && !here.slopes) continue;
            for (int z = 0; z < tables_.species; z++) {
                const int which = static_cast<int>(s) * tables_.species + z;
                int most = 0;
                for (int a = 0; a < count; a++) {
                    Atom& atom = w.atoms[a];
                    atom.ends[which] = Radial<T>::end_of(plan.sources[s], c.intervals[s][z], atom, z);
                    most = std::max(most, atom.ends[which] - atom.groups[z]);
                }
                // In step over the batch, so that the same rows of the table stay close.
                for (int q = 0; q < most; q++) step(c, w, count, int(s), z, q, here);
            }
        }
    }

    // Has no columns, and another source looks for neighbours that are too close for its grid.
    static bool is_idle(const Plan& plan, size_t s) {
        if (plan.sources[s].padded > 0) return false;
        return std::any_of(plan.sources.begin(), plan.sources.end(), [&](const Source& other) {
            return other.grid == plan.sources[s].grid && other.padded > 0 && !other.committee;
        });
    }

    // A's as variables x of the plan, and the sums of what enters the energy directly.
    void sums(const Centre<T, A>& c, Work& w, int count, bool committee, VA* x) const {
        const int total = c.plan.components * tables_.species;
        w.components.need(static_cast<size_t>(batch) * total + W);
        for (int a = 0; a < count; a++) one_particle(c.plan, w, a, total, committee);
        if (count < batch)
            std::fill(w.components.data() + static_cast<size_t>(count) * total,
                      w.components.data() + static_cast<size_t>(batch) * total, A(0));
        transpose(c, w.components.data(), x);
    }

    // From [atom][component of every species] to variables x of the plan, where species may be
    // summed up.
    void transpose(const Centre<T, A>& c, const A* components, VA* x) const {
        const int total = c.plan.components * tables_.species;
        const int summed = tables_.species / c.plan.apart;
        for (int z = 0; z < c.plan.apart; z++)
            for (int k = 0; k < c.plan.components; k += batch) {
                const int at = z * c.plan.components + k;
                VA* to = x + z * c.plan.components;
                const int* places = c.plan.places.data() + k;
                VA t[batch];
#pragma GCC unroll 16
                for (int q = 0; q < batch; q++)
                    t[q] = Simd<A>::load(components + static_cast<size_t>(q) * total + at);
                for (int other = 1; other < summed; other++)
                    for (int q = 0; q < batch; q++)
                        t[q] += Simd<A>::load(components + static_cast<size_t>(q) * total + at +
                                              other * c.plan.components);
                Simd<A>::transpose(t);
#pragma GCC unroll 16
                for (int q = 0; q < batch; q++) to[places[q]] = t[q] * c.norms[k + q];
            }
    }

  private:
    // The q-th vector of neighbours of species z of every atom of the batch, from one source.
    void step(const Centre<T, A>& c, Work& w, int count, int s, int z, int q,
              Wanted wanted) const {
        const Source& source = c.plan.sources[s];
        const Interval<T>& interval = c.intervals[s][z];
        int found = 0;
        for (int a = 0; a < count; a++) {
            Atom& atom = w.atoms[a];
            const int v = atom.groups[z] + q;
            if (v >= atom.ends[s * tables_.species + z]) continue;
            const size_t at = static_cast<size_t>(v) * c.plan.columns + source.first;
            Located<T>& here = w.located[found];
            here.value = atom.radial.data() + at;
            here.slope = atom.slope.data() + at;
            if (Radial<T>::locate(source, interval, atom, v, here)) {
                found++;
            } else {
                for (int k = 0; k < source.padded; k++) here.value[k] = here.slope[k] = V{};
            }
        }
        if (source.narrow)
            Radial<T>::narrow(source.padded, interval, w.located, found);
        else if (wanted.values && wanted.slopes)
            Radial<T>::template wide<true, true>(source.padded, interval, w.located, found);
        else if (wanted.values)
            Radial<T>::template wide<true, false>(source.padded, interval, w.located, found);
        else
            Radial<T>::template wide<false, true>(source.padded, interval, w.located, found);
    }

    void one_particle(const Plan& plan, Work& w, int a, int total, bool committee) const {
        Atom& atom = w.atoms[a];
        const int width = (plan.lmax + 1) * (plan.lmax + 1);
        const int chunk = std::max(2, harmonics_bytes / (width * BYTES));
        w.harmonics.need(static_cast<size_t>(chunk) * width);
        w.accumulator.need(plan.components + W);
        V *y = w.harmonics.data(), *acc = w.accumulator.data();
        // Read by energies even where no column is folded; of tensors there may be more, and none is.
        std::fill(atom.folded,
                  atom.folded + std::min(most_columns, tables_.outputs * tables_.densities), 0.0);
        atom.core = 0;
        for (int z = 0; z < tables_.species; z++) {
            const int begin = atom.groups[z], end = atom.groups[z + 1];
            A* out = w.components.data() + static_cast<size_t>(a) * total + z * plan.components;
            if (begin == end) {
                std::fill(out, out + plan.components, A(0));
                continue;
            }
            const int parts = (end - begin + chunk - 1) / chunk;
            for (int part = 0, v0 = begin; part < parts; part++) {
                const int count = (end - v0 + parts - part - 1) / (parts - part);
                for (int v = 0; v < count; v++) {
                    const size_t k = static_cast<size_t>(v0 + v) * W;
                    angular_.harmonics[plan.lmax](S::load(&atom.x[k]), S::load(&atom.y[k]),
                                                  S::load(&atom.z[k]), y + v * width);
                }
                const V* r = atom.radial.data() + static_cast<size_t>(v0) * plan.columns;
                gather(plan, r, y, {count, part == 0, part == parts - 1}, width, acc, out);
                v0 += count;
            }
            add_direct(plan, atom, z, committee);
            std::fill(out + plan.used, out + plan.components, A(0));
        }
    }

    ACE_INLINE void gather(const Plan& plan, const V* r, const V* y, Part part, int width,
                           V* acc, A* out) const {
        for (const Tile& tile : plan.tiles)
            tiles_.gather[tile.radials][tile.width](r + tile.column, y + tile.place, part,
                                                    plan.columns, width, acc + tile.offset,
                                                    out + tile.offset);
    }

    void add_direct(const Plan& plan, Atom& atom, int z, bool committee) const {
        for (const Direct& direct : plan.directs) {
            if (plan.sources[direct.source].committee && !committee) continue;
            V sum = V{};
            const int end = atom.ends[direct.source * tables_.species + z];
            for (int v = atom.groups[z]; v < end; v++)
                sum += atom.radial[static_cast<size_t>(v) * plan.columns + direct.place];
            (direct.column.kind == Column::core ? atom.core : atom.folded[direct.column.index]) +=
                Simd<double>::total(in_double(sum));
        }
    }

    const Tables& tables_;
    const Tiles<T, A>& tiles_;
    const AngularTable<T, most_l>& angular_;
};

}  // namespace ace::ACE_ISA
