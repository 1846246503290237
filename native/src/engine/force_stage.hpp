// Forces and virials of a batch from the adjoints of its A's.
#pragma once
#include "engine/geometry.hpp"
#include "engine/scatter.hpp"
#include "engine/shared.hpp"
#include "engine/workspace.hpp"

namespace ace::ACE_ISA {

// Folded columns of every radial table (Tables has at most four) and the core density.
constexpr int most_direct = 4 * most_columns + 1;

// dE/d(density), for densities from `first` on among those of all outputs.
template <class V>
struct Slopes {
    const V* of;
    int first, count;
};

template <class T, class A = T>
class ForceStage {
  public:
    static constexpr int W = Simd<T>::W, batch = Simd<A>::W;
    using S = Simd<T>;
    using V = typename S::V;
    using VA = typename Simd<A>::V;
    using Work = Workspace<T, A>;
    using Atom = typename Work::Atom;

    explicit ForceStage(const Shared<T, A>& shared)
        : tables_(shared.tables), angular_(shared.angular) {}

    // Adjoints of the A's in the order of the force stage, [atom][species, or one][place].
    void adjoints(const Centre<T, A>& c, Work& w, const VA* adjoint) const {
        const int components = c.plan.components, total = components * c.plan.apart;
        w.pulls.need(static_cast<size_t>(batch) * total);
        for (int z = 0; z < c.plan.apart; z++)
            for (int k = 0; k < components; k += batch) {
                const VA* from = adjoint + z * components;
                const int* order = c.plan.pull_order.data() + k;
                VA t[batch];
#pragma GCC unroll 16
                for (int q = 0; q < batch; q++) t[q] = from[order[q]] * c.pull_norms[k + q];
                Simd<A>::transpose(t);
#pragma GCC unroll 16
                for (int q = 0; q < batch; q++)
                    put(w.pulls.data() + static_cast<size_t>(q) * total + z * components + k, t[q]);
            }
    }

    // Where the forces of the neighbours of atom a go, for all outputs.
    void rows(Work& w, int a) const {
        Atom& atom = w.atoms[a];
        if (!w.sums.forces.paged()) return;
        const size_t count = static_cast<size_t>(atom.groups[tables_.species]) * W;
        atom.row.need(count);
        w.sums.forces.rows_of(atom.piece->point, atom.neighbour.data(), count, atom.row.data());
        w.sums.forces.row_of(atom.piece->point + atom.index);
    }

    // Of atom a of the batch, for one output; `structures` are those of all pieces. `linear`: what
    // linear columns add to the slopes of every vector of neighbours, or null.
    void forces(const Centre<T, A>& c, Work& w, int a, int output, const Slopes<VA>& slopes,
                int structures, const V* linear = nullptr) const {
        const Plan& plan = c.plan;
        Atom& atom = w.atoms[a];
        const Pulls tiles{plan.pulls.data(), plan.pull_first.data()};
        const bool paged = w.sums.forces.paged();
        const auto rows = [&](int of) {
            return w.sums.forces.rows(of) + (paged ? 0 : 4 * atom.piece->point);
        };
        Buffers buffers{rows(output), nullptr, 0, (paged ? atom.row : atom.neighbour).data()};
        if (output == 0 && atom.piece->out->centroid_virials) {
            buffers.centroids = rows(w.sums.centroids);
            buffers.stride = w.sums.forces.rows(1) - w.sums.forces.rows(0);
        }
        Pairs direct = pairs(plan, atom, a, slopes);
        using D = Simd<double>;
        D::V sums[12 + D::W] = {};  // force, virial
        V virial[9] = {};
        for (int z = 0; z < tables_.species; z++) {
            const T* adjoint = w.pulls.data() +
                               static_cast<size_t>(a) * plan.apart * plan.components + plan.first_of(z);
            const T inverse = plan.sources.empty() ? T(0) : T(c.intervals[0][z].inverse);
            const int end = atom.groups[z + 1];
            for (int q = 0; q < direct.count; q++)
                direct.end[q] = atom.ends[direct.source[q] * tables_.species + z];
            int v = atom.groups[z];
            for (; v + 1 < end; v += 2)
                pull<2>(plan, tiles, atom, v, adjoint, direct, linear, inverse, buffers, sums,
                        virial, angular_.pull_two[plan.lmax]);
            if (v < end)
                pull<1>(plan, tiles, atom, v, adjoint, direct, linear, inverse, buffers, sums,
                        virial, angular_.pull_one[plan.lmax]);
        }
        double total[12 + D::W];
        for (int k = 0; k < 9; k++) sums[3 + k] = in_double(virial[k]);
        for (int k = 0; k < 12; k += D::W) D::store(total + k, D::sums(sums + k));
        Piece& piece = *atom.piece;
        double* own = w.sums.forces.rows(output) +
                      4 * static_cast<size_t>(w.sums.forces.row_of(piece.point + atom.index));
        for (int k = 0; k < 3; k++) own[k] += total[k];
        double* sum = w.sums.virials.data() + (static_cast<size_t>(output) * structures + piece.number) * 9;
        for (int d = 0; d < 9; d++) sum[d] -= total[3 + d];
        if (piece.out->virials && !(piece.out->model_virials && output > 0)) {
            double* at = piece.out->virials +
                         (piece.atom_row(output) + piece.original(atom.index)) * 9;
            for (int d = 0; d < 9; d++) {
                at[d] = -total[3 + d];
                if (!is_finite(at[d])) piece.doubt();
            }
        }
    }

  private:
    // Rows of four that neighbours add to; `centroids` is null where nobody asks for them.
    struct Buffers {
        double *forces, *centroids;
        size_t stride;        // from one row of the tensors to the next
        const int32_t* rows;  // of each neighbour
    };

    // Columns that enter the energy directly: place, dE/d(column), and the first vector of
    // neighbours (of one species) from which on they are zero.
    struct Pairs {
        int count = 0, place[most_direct], source[most_direct], end[most_direct];
        T weight[most_direct];
    };

    Pairs pairs(const Plan& plan, const Atom& atom, int a, const Slopes<VA>& slopes) const {
        Pairs out;
        for (const Direct& direct : plan.directs) {
            const bool core = direct.column.kind == Column::core;
            const int density = direct.column.index - slopes.first;
            if (!core && (density < 0 || density >= slopes.count)) continue;
            out.source[out.count] = direct.source;
            out.place[out.count] = direct.place;
            out.weight[out.count++] =
                static_cast<T>(core ? atom.core_weight : slopes.of[density][a]);
        }
        return out;
    }

    template <int M, class F>
    ACE_INLINE void pull(const Plan& plan, Pulls tiles, Atom& atom, int v0, const T* adjoint,
                         const Pairs& direct, const V* linear, T inverse_step,
                         const Buffers& buffers, Simd<double>::V* force, V* virial,
                         F angular) const {
        const size_t at = static_cast<size_t>(v0) * plan.columns;
        const V *slopes = atom.slope.data() + at;
        const auto lanes = [&](Scratch<T>& from) {
            return reinterpret_cast<const V*>(from.data()) + v0;
        };
        const V *x = lanes(atom.x), *y = lanes(atom.y), *z = lanes(atom.z);
        Pulled<V, M> out;
        angular(x, y, z, atom.radial.data() + at, slopes, plan.columns, tiles, adjoint, out);
        for (int u = 0; u < M; u++) {
            const int v = v0 + u;
            V radial = out.radial[u];
            for (int q = 0; q < direct.count; q++)
                if (v < direct.end[q])
                    radial += slopes[u * plan.columns + direct.place[q]] * direct.weight[q];
            if (linear) radial += linear[v];
            radial *= inverse_step;
            if (atom.nearest_weight != 0 && atom.nearest / W == v)
                radial[atom.nearest % W] += static_cast<T>(atom.nearest_weight);
            const V inverse = S::load(&atom.inverse[static_cast<size_t>(v) * W]);
            const V gx = out.x[u], gy = out.y[u], gz = out.z[u];
            const V along = radial - (gx * x[u] + gy * y[u] + gz * z[u]) * inverse;
            const V fx = along * x[u] + gx * inverse, fy = along * y[u] + gy * inverse,
                    fz = along * z[u] + gz * inverse;
            const V r = distances<T>(&atom.distance[static_cast<size_t>(v) * W]);
            const V rx = r * x[u], ry = r * y[u], rz = r * z[u];
            // All nine: symmetric only where the products are invariant.
            virial[0] += rx * fx;
            virial[1] += rx * fy;
            virial[2] += rx * fz;
            virial[3] += ry * fx;
            virial[4] += ry * fy;
            virial[5] += ry * fz;
            virial[6] += rz * fx;
            virial[7] += rz * fy;
            virial[8] += rz * fz;
            // In double, as scattered, so that all forces together are zero.
            force[0] += in_double(fx);
            force[1] += in_double(fy);
            force[2] += in_double(fz);
            const int32_t* to = buffers.rows + static_cast<size_t>(v) * W;
            scatter(buffers.forces, to, fx, fy, fz);
            if (buffers.centroids) {
                scatter(buffers.centroids, to, rx * fx, rx * fy, rx * fz);
                scatter(buffers.centroids + buffers.stride, to, ry * fx, ry * fy, ry * fz);
                scatter(buffers.centroids + 2 * buffers.stride, to, rz * fx, rz * fy, rz * fz);
            }
        }
    }

    const Tables& tables_;
    const AngularTable<T, most_l>& angular_;
};

}  // namespace ace::ACE_ISA
