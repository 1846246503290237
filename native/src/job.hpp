// The evaluation of several structures by several threads. Included by engine.hpp.
//
// Neighbours lie across the lanes of vectors in the pair stages, atoms in the product stage.
// A batch is W atoms of one species, of any of the structures:
//   geometry   unit vectors and distances, grouped by species, padded to W
//   radial     R and dR/du of all columns from the quintic tables
//   A          sum over neighbours of R Y, tile by tile
//   products   nodes, then the bilinear form; the adjoint of all A's
//   forces     sums over n of a R and a R', tile by tile, then the angular part
#pragma once

// Bytes of harmonics at hand at once: with the radial functions they come from the second cache,
// but are read while in the first (measured).
constexpr int harmonics_bytes = 28 * 1024;
// Folded columns of every radial table (Tables has at most four) and the core density.
constexpr int most_direct = 4 * most_densities + 1;
template <class T>
class Job {
  public:
    static constexpr int W = Simd<T>::W;
    using S = Simd<T>;
    using V = typename S::V;
    using Work = Workspace<T>;
    using Atom = typename Work::Atom;

    explicit Job(const Shared<T>& shared)
        : tables_(shared.tables), centres_(shared.centres), tiles_(shared.tiles),
          angular_(shared.angular), curves_(shared.curves), cutoff_(shared.cutoff) {}

    void evaluate(const Structure* in, int count, int threads, const Results* out,
                  Threads& pool) {
        size_t points = 0;
        while (pieces_.size() < static_cast<size_t>(count))
            pieces_.push_back(std::make_unique<Piece>());
        count_ = count;
        outputs_ = 0;
        wanted_ = false;
        for (int k = 0; k < count; k++) {
            Piece& piece = *pieces_[k];
            piece.in = in + k;
            piece.out = out + k;
            piece.number = k;
            piece.point = points;
            points += in[k].points;
            outputs_ = std::max(outputs_, out[k].outputs);
            wanted_ = wanted_ || out[k].forces || out[k].virials || out[k].virial;
        }
        points_ = points;
        while (work_.size() < static_cast<size_t>(threads))
            work_.push_back(std::make_unique<Work>());
        pool.run(threads, [&](int t) {
            for (int k = t; k < count; k += threads) prepare(*pieces_[k]);
            work_[t]->forces.zero(points_ * 4 * outputs_);
            work_[t]->virials.zero(static_cast<size_t>(outputs_) * count_ * 9);
        });
        make_batches();
        // Each thread takes one contiguous part of the batches: results do not depend on timing.
        const size_t batches = batches_.size();
        pool.run(threads, [&](int t) {
            for (size_t k = batches * t / threads; k < batches * (t + 1) / threads; k++)
                batch(batches_[k], *work_[t]);
        });
        pool.run(threads, [&](int t) {
            for (int k = 0; k < count; k++) reduce(k, t, threads);
        });
    }

  private:
    struct Member {
        int piece, index;
    };
    struct Batch {
        int species, begin, count;
    };

    void prepare(Piece& piece) {
        const Structure& in = *piece.in;
        for (int i = 0; i < in.points; i++)
            if (in.species[i] < 0 || in.species[i] >= tables_.species)
                throw Error("species: atom " + std::to_string(i) + " has an unknown species");
        if (in.first)
            check_positions(in.points, in.positions);
        else
            piece.cells.build(in.atoms, in.positions, in.cell, in.pbc, in.species,
                              cutoff_);
    }

    // Atoms of one species, structure by structure in the order of the cell list, W at a time.
    void make_batches() {
        batches_.clear();
        members_.clear();
        for (int s = 0; s < tables_.species; s++) {
            const int begin = static_cast<int>(members_.size());
            for (int k = 0; k < count_; k++)
                for (int i = 0; i < pieces_[k]->in->atoms; i++)
                    if (tables_.species == 1 || pieces_[k]->species(i) == s)
                        members_.push_back({k, i});
            const int end = static_cast<int>(members_.size());
            for (int at = begin; at < end; at += W)
                batches_.push_back({s, at, std::min(W, end - at)});
        }
    }

    // Thread t sums its part of the forces of all threads; the first one also the virial.
    void reduce(int k, int t, int threads) {
        const Piece& piece = *pieces_[k];
        const size_t points = piece.in->points;
        for (int o = 0; o < piece.out->outputs; o++) {
            if (piece.out->forces)
                for (size_t p = points * t / threads; p < points * (t + 1) / threads; p++) {
                    double f[3] = {0, 0, 0};
                    for (int u = 0; u < threads; u++) {
                        const double* from =
                            work_[u]->forces.data() + (o * points_ + piece.point + p) * 4;
                        for (int d = 0; d < 3; d++) f[d] += from[d];
                    }
                    double* to = piece.out->forces +
                                 (o * points + piece.original(static_cast<int>(p))) * 3;
                    for (int d = 0; d < 3; d++) to[d] = f[d];
                }
            if (t == 0 && piece.out->virial)
                for (int d = 0; d < 9; d++) {
                    double sum = 0;
                    for (int u = 0; u < threads; u++)
                        sum += work_[u]->virials[(static_cast<size_t>(o) * count_ + k) * 9 + d];
                    piece.out->virial[9 * o + d] = sum;
                }
        }
    }

    void batch(const Batch& b, Work& w) {
        const Centre<T>& c = *centres_[b.species];
        const Plan& plan = c.plan;
        for (int a = 0; a < b.count; a++) {
            w.atoms[a].piece = pieces_[members_[b.begin + a].piece].get();
            w.atoms[a].index = members_[b.begin + a].index;
            geometry<T>(w, tables_.species, cutoff_, plan.columns, w.atoms[a]);
        }
        radial(c, w, b.count);
        const int total = plan.components * tables_.species;
        w.components.need(static_cast<size_t>(W) * total + W);
        for (int a = 0; a < b.count; a++) one_particle(plan, w, a, total);
        if (b.count < W)
            std::fill(w.components.data() + static_cast<size_t>(b.count) * total,
                      w.components.data() + static_cast<size_t>(W) * total, T(0));
        w.variables.need(plan.variables);
        V* x = w.variables.data();
        transpose_in(c, w, total, x);
        x[plan.one] = S::set(1);
        nodes_forward(plan, x);
        couple<T>(plan, c.clebsch_gordan.data(), x);
        w.rows.need(plan.kept * tables_.densities);
        w.adjoints.need(plan.variables);
        V* adjoint = w.adjoints.data();
        for (int o = 0; o < outputs_; o++) {
            V rho[most_densities], slope[most_densities] = {};
            if (!tables_.embeddings.present) {
                std::memset(static_cast<void*>(adjoint), 0, sizeof(V) * plan.variables);
                rho[0] = form_linear<T>(plan, c.coefficients[o][0].data(), x, adjoint);
            } else {
                forward(c, o, x, w.rows.data(), rho);
            }
            for (int a = 0; a < b.count; a++) {
                double lane[most_densities] = {}, pull[most_densities] = {};
                for (int p = 0; p < tables_.densities; p++) lane[p] = rho[p][a];
                const double energy = embedding(b.species, w.atoms[a], o, lane, pull);
                for (int p = 0; p < tables_.densities; p++) slope[p][a] = static_cast<T>(pull[p]);
                const Piece& piece = *w.atoms[a].piece;
                if (piece.out->energies && o < piece.out->outputs)
                    piece.out->energies[static_cast<size_t>(o) * piece.in->atoms +
                                        piece.original(w.atoms[a].index)] =
                        energy + tables_.e0[b.species];
            }
            if (!wanted_) continue;
            if (tables_.embeddings.present)
                backward(c, o, x, w.rows.data(), adjoint, slope);
            uncouple<T>(plan, c.clebsch_gordan.data(), x, adjoint);
            nodes_backward(plan, x, adjoint);
            transpose_out(c, w, adjoint);
            for (int a = 0; a < b.count; a++)
                if (o < w.atoms[a].piece->out->outputs) forces(c, w, a, o, slope);
        }
    }

    // ---- radial functions

    void radial(const Centre<T>& c, Work& w, int count) {
        const Plan& plan = c.plan;
        for (int a = 0; a < count; a++)
            w.atoms[a].ends.resize(plan.sources.size() * tables_.species);
        for (size_t s = 0; s < plan.sources.size(); s++) {
            if (plan.sources[s].committee && outputs_ == 1) continue;
            for (int z = 0; z < tables_.species; z++) {
                const int which = static_cast<int>(s) * tables_.species + z;
                int most = 0;
                for (int a = 0; a < count; a++) {
                    Atom& atom = w.atoms[a];
                    atom.ends[which] = Radial<T>::end_of(plan.sources[s], c.intervals[s][z], atom, z);
                    most = std::max(most, atom.ends[which] - atom.groups[z]);
                }
                // In step over the batch, so that the same rows of the table stay close.
                for (int q = 0; q < most; q++) step(c, w, count, static_cast<int>(s), z, q);
            }
        }
    }

    // The q-th vector of neighbours of species z of every atom of the batch, from one source.
    void step(const Centre<T>& c, Work& w, int count, int s, int z, int q) {
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
        else
            Radial<T>::wide(source.padded, interval, w.located, found);
    }

    // ---- A

    void one_particle(const Plan& plan, Work& w, int a, int total) {
        Atom& atom = w.atoms[a];
        const int width = (plan.lmax + 1) * (plan.lmax + 1);
        const int chunk = std::max(2, harmonics_bytes / (width * BYTES));
        w.harmonics.need(static_cast<size_t>(chunk) * width);
        w.accumulator.need(plan.components + W);
        V *y = w.harmonics.data(), *acc = w.accumulator.data();
        std::fill(atom.folded, atom.folded + tables_.outputs * tables_.densities, 0.0);
        atom.core = 0;
        for (int z = 0; z < tables_.species; z++) {
            const int begin = atom.groups[z], end = atom.groups[z + 1];
            T* out = w.components.data() + static_cast<size_t>(a) * total + z * plan.components;
            if (begin == end) {
                std::fill(out, out + plan.components, T(0));
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
            add_direct(plan, atom, z);
            std::fill(out + plan.used, out + plan.components, T(0));
        }
    }

    ACE_INLINE void gather(const Plan& plan, const V* r, const V* y, Part part, int width,
                           V* acc, T* out) {
        for (const Tile& tile : plan.tiles)
            tiles_.gather[tile.radials][tile.width](r + tile.column, y + tile.place, part,
                                                    plan.columns, width, acc + tile.offset,
                                                    out + tile.offset);
    }

    void add_direct(const Plan& plan, Atom& atom, int z) {
        for (const Direct& direct : plan.directs) {
            if (plan.sources[direct.source].committee && outputs_ == 1) continue;
            V sum = V{};
            const int end = atom.ends[direct.source * tables_.species + z];
            for (int v = atom.groups[z]; v < end; v++)
                sum += atom.radial[static_cast<size_t>(v) * plan.columns + direct.place];
            (direct.column.kind == Column::core ? atom.core : atom.folded[direct.column.index]) +=
                S::total(sum);
        }
    }

    void transpose_in(const Centre<T>& c, Work& w, int total, V* x) {
        for (int z = 0; z < tables_.species; z++)
            for (int k = 0; k < c.plan.components; k += W) {
                const int at = z * c.plan.components + k;
                V* to = x + z * c.plan.components;
                const int* places = c.plan.places.data() + k;
                V t[W];
#pragma GCC unroll 16
                for (int q = 0; q < W; q++)
                    t[q] = S::load(w.components.data() + static_cast<size_t>(q) * total + at);
                S::transpose(t);
#pragma GCC unroll 16
                for (int q = 0; q < W; q++) to[places[q]] = t[q] * c.norms[k + q];
            }
    }

    // Adjoints of the A's in the order of the force stage, [atom][species][place].
    void transpose_out(const Centre<T>& c, Work& w, const V* adjoint) {
        const int components = c.plan.components, total = components * tables_.species;
        w.pulls.need(static_cast<size_t>(W) * total);
        for (int z = 0; z < tables_.species; z++)
            for (int k = 0; k < components; k += W) {
                const V* from = adjoint + z * components;
                const int* order = c.plan.pull_order.data() + k;
                V t[W];
#pragma GCC unroll 16
                for (int q = 0; q < W; q++) t[q] = from[order[q]] * c.pull_norms[k + q];
                S::transpose(t);
#pragma GCC unroll 16
                for (int q = 0; q < W; q++)
                    S::store(w.pulls.data() + static_cast<size_t>(q) * total + z * components + k,
                             t[q]);
            }
    }

    // ---- products

    void forward(const Centre<T>& c, int output, const V* x, V* rows, V* rho) {
        for (int p = 0; p < tables_.densities; p += densities_at_once) {
            const T* coefficients = c.coefficients[output][p / densities_at_once].data();
            V* u = rows + c.plan.kept * p;
            switch (tables_.densities - p) {
                case 1: form_forward<T, 1>(c.plan, coefficients, x, u, rho + p); break;
                case 2: form_forward<T, 2>(c.plan, coefficients, x, u, rho + p); break;
                case 3: form_forward<T, 3>(c.plan, coefficients, x, u, rho + p); break;
                default: form_forward<T, 4>(c.plan, coefficients, x, u, rho + p); break;
            }
        }
    }

    void backward(const Centre<T>& c, int output, const V* x, const V* rows, V* w,
                  const V* slope) {
        std::memset(static_cast<void*>(w), 0, sizeof(V) * c.plan.variables);
        for (int p = 0; p < tables_.densities; p += densities_at_once) {
            const T* coefficients = c.coefficients[output][p / densities_at_once].data();
            const V* u = rows + c.plan.kept * p;
            switch (tables_.densities - p) {
                case 1: form_backward<T, 1>(c.plan, coefficients, x, u, w, slope + p); break;
                case 2: form_backward<T, 2>(c.plan, coefficients, x, u, w, slope + p); break;
                case 3: form_backward<T, 3>(c.plan, coefficients, x, u, w, slope + p); break;
                default: form_backward<T, 4>(c.plan, coefficients, x, u, w, slope + p); break;
            }
        }
    }

    // Energy of an atom from the densities of its products, dE/d rho, and the weights of what
    // only pairs carry.
    double embedding(int s, Atom& atom, int output, const double* rho, double* slope) {
        const Embeddings& e = tables_.embeddings;
        const int P = tables_.densities;
        const double *folded = atom.folded + output * P, core = atom.core;
        atom.core_weight = atom.nearest_weight = 0;
        atom.nearest = 0;
        if (!e.present) {
            slope[0] = 1;
            return rho[0] + folded[0];
        }
        double energy = 0;
        for (int p = 0; p < P; p++) {
            double f, df;
            curves_[s * P + p].evaluate(rho[p] + folded[p], f, df);
            energy += e.weight[s * P + p] * f;
            slope[p] = e.weight[s * P + p] * df;
        }
        if (tables_.core.empty()) return energy;
        double f = 1, df = 0;
        if (e.mode == 2) {
            atom.nearest = nearest_neighbour(s, atom, f, df);
            atom.nearest_weight = (energy - core) * df;
            atom.core_weight = 1 - f;
        } else {
            inner_switch(core, e.core_limit[s], e.core_width[s], f, df);
            atom.core_weight = 1 + energy * df;
        }
        for (int p = 0; p < P; p++) slope[p] *= f;
        return energy * f + core * (e.mode == 2 ? 1 - f : 1.0);
    }

    // zbl: f = P(width - d; width, width), d = min_j (r_j - bound_j); returns that neighbour.
    int nearest_neighbour(int s, Atom& atom, double& f, double& df) {
        double least = 1e300, width = 0;
        int best = 0;
        for (int z = 0; z < tables_.species; z++) {
            const double* inner = &tables_.embeddings.inner[2 * (s * tables_.species + z)];
            for (int k = atom.groups[z] * W; k < atom.groups[z + 1] * W; k++)
                if (atom.distance[k] - inner[0] < least && atom.distance[k] < 0.9 * far_away) {
                    least = atom.distance[k] - inner[0];
                    width = inner[1];
                    best = k;
                }
        }
        f = 1;
        df = 0;
        if (least < 1e299) {
            inner_switch(width - least, width, width, f, df);
            df = -df;
        }
        return best;
    }

    // ---- forces

    // Columns that enter the energy directly: place, dE/d(column), and the first vector of
    // neighbours (of one species) from which on they are zero.
    struct Pairs {
        int count = 0, place[most_direct], source[most_direct], end[most_direct];
        T weight[most_direct];
    };

    Pairs pairs(const Plan& plan, const Atom& atom, int a, int output, const V* slope) {
        Pairs out;
        const int P = tables_.densities;
        for (const Direct& direct : plan.directs) {
            const bool core = direct.column.kind == Column::core;
            if (!core && direct.column.index / P != output) continue;
            out.source[out.count] = direct.source;
            out.place[out.count] = direct.place;
            out.weight[out.count++] =
                core ? static_cast<T>(atom.core_weight) : slope[direct.column.index % P][a];
        }
        return out;
    }

    void forces(const Centre<T>& c, Work& w, int a, int output, const V* slope) {
        const Plan& plan = c.plan;
        Atom& atom = w.atoms[a];
        const Pulls tiles{plan.pulls.data(), plan.pull_first.data()};
        const size_t row = output * points_ + atom.piece->point;
        double* buffer = w.forces.data() + 4 * row;
        Pairs direct = pairs(plan, atom, a, output, slope);
        V sums[12 + W] = {};  // force, virial
        for (int z = 0; z < tables_.species; z++) {
            const T* adjoint = w.pulls.data() + (static_cast<size_t>(a) * tables_.species + z) *
                                                    plan.components;
            const T inverse = plan.sources.empty() ? T(0) : T(c.intervals[0][z].inverse);
            const int end = atom.groups[z + 1];
            for (int q = 0; q < direct.count; q++)
                direct.end[q] = atom.ends[direct.source[q] * tables_.species + z];
            int v = atom.groups[z];
            for (; v + 1 < end; v += 2)
                pull<2>(plan, tiles, atom, v, adjoint, direct, inverse, buffer, sums,
                        angular_.pull_two[plan.lmax]);
            if (v < end)
                pull<1>(plan, tiles, atom, v, adjoint, direct, inverse, buffer, sums,
                        angular_.pull_one[plan.lmax]);
        }
        T total[12 + W];
        for (int k = 0; k < 12; k += W) S::store(total + k, S::sums(sums + k));
        double* own = buffer + 4 * static_cast<size_t>(atom.index);
        for (int k = 0; k < 3; k++) own[k] += total[k];
        const Piece& piece = *atom.piece;
        double* sum = w.virials.data() + (static_cast<size_t>(output) * count_ + piece.number) * 9;
        for (int d = 0; d < 9; d++) sum[d] -= total[3 + d];
        if (piece.out->virials) {
            double* to = piece.out->virials + (static_cast<size_t>(output) * piece.in->atoms +
                                               piece.original(atom.index)) * 9;
            for (int d = 0; d < 9; d++) to[d] = -static_cast<double>(total[3 + d]);
        }
    }

    template <int M, class F>
    ACE_INLINE void pull(const Plan& plan, Pulls tiles, Atom& atom, int v0, const T* adjoint,
                         const Pairs& direct, T inverse_step, double* buffer, V* sums, F angular) {
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
            sums[0] += fx;
            sums[1] += fy;
            sums[2] += fz;
            // All nine: symmetric only where the products are invariant.
            sums[3] += rx * fx;
            sums[4] += rx * fy;
            sums[5] += rx * fz;
            sums[6] += ry * fx;
            sums[7] += ry * fy;
            sums[8] += ry * fz;
            sums[9] += rz * fx;
            sums[10] += rz * fy;
            sums[11] += rz * fz;
            scatter(buffer, atom.neighbour.data() + static_cast<size_t>(v) * W, fx, fy, fz);
        }
    }

    const Tables& tables_;
    const std::vector<std::unique_ptr<Centre<T>>>& centres_;
    const Tiles<T>& tiles_;
    const AngularTable<T, most_l>& angular_;
    const std::vector<Curve>& curves_;
    const double cutoff_;
    std::vector<std::unique_ptr<Work>> work_;
    std::vector<std::unique_ptr<Piece>> pieces_;
    std::vector<Member> members_;
    std::vector<Batch> batches_;
    int count_ = 0, outputs_ = 0;
    size_t points_ = 0;
    bool wanted_ = false;  // forces or virials
};
