// Fills sites: finds neighbours, evaluates radial functions and harmonics, sums up. Included by
// row_engine.hpp.
#pragma once

// The internal order of the atoms of a structure: by species, in compact blocks of W places.
struct Order {
    std::vector<int> original, species;  // by place
    std::vector<int> place;              // by the cell list's sorted number
    std::vector<int> sorted;             // by place
    int blocks = 0;
    int span = 0;                        // places in a vector before they repeat
};

class Geometry {
  public:
    Geometry(const Tables& tables, const std::vector<Family>& families)
        : tables_(tables), families_(families), harmonics_(tables.lmax) {
        for (int pair = 0; pair < tables.species * tables.species; pair++) {
            grids_.emplace_back();
            int first = 0;
            for (const RadialTable& t : tables.radial) {
                grids_.back().push_back(grid(t, pair, first));
                first += t.channels;
            }
            channels_ = first;
        }
    }

    struct Scratch {
        std::vector<Run> runs;
        std::vector<double> x, y, z, square;   // of the neighbours
        std::vector<double> limit;             // largest square, by species
        std::vector<int> place, lane, blocks;  // of the neighbours; blocks they touch
        std::vector<int> images, layers, start;  // by place; by block and table; by block
        std::vector<int> kind;                   // species of vector q
        // Of a site: [xyz and r][q]; R/r and R', [channel][q][2]; what A_lm is made of, [used q].
        Buffer<V> vector, radial;
        Buffer<Pieces> pieces;
    };

    // -dA_v/dr for all A's of one family, `step` apart.
    __attribute__((noinline)) void slopes(const Site& site, const Family& family, const Touched& t,
                                          int span, V* out, int step) const {
        layer<false>(site, family, t.q, out, step);
        for (int k = 1; k < t.layers; k++) layer<true>(site, family, t.q + k, out, step);
        if (span == W) return;
        for (int v = 0; v < family.columns; v++, out += step)
            for (int q = 0; q < 3; q++) out[q] = repeats(out[q], span);
    }

    void fill(Site& site, const Cells& cells, const Order& order, Scratch& w) const {
        collect(site, cells, order, w);
        for (size_t k = 0; k < w.place.size(); k++) prefetch(site, order, w.place[k], w.square[k]);
        arrange(site, order, w);
        site.channels = channels_;
        site.harmonics = harmonics_.size();
        site.records.need(site.vectors * site.record());
        w.radial.need(size_t(2) * channels_ * site.vectors);
        for (int q = 0; q < site.vectors; q++) {
            direct(site, q, w.vector.data());
            harmonics_.evaluate(site.unit(q), site.harmonic(q));
            for (const Grid& g : grids_[order.species[site.place] * tables_.species + w.kind[q]])
                radial(g, site, q, order, w);
        }
    }

    // A's of all families.
    int columns() const { return families_.back().begin + families_.back().columns; }

    // The sums of all A's of one atom of a batch; channels share what belongs to lm.
    template <bool virial>
    __attribute__((noinline)) void sum(const Site& site, Scratch& w, V* sums) const {
        for (size_t f = 0; f < families_.size(); f++) {
            const Family& family = families_[f];
            const std::vector<int>& used = site.used[f];
            for (int l = 0, lm = 0; l <= family.lmax; l++)
                for (int m = 0; m <= 2 * l; m++, lm++) {
                    pieces(site, used, l, lm, w);
                    for (const Shell& shell : family.shells) {
                        if (shell.l != l) continue;
                        const size_t column = family.begin + shell.column + m;
                        total<virial>(used, w.radial.data() + size_t(2) * shell.channel * site.vectors,
                                      w.vector.data(), site.vectors, w.pieces.data(),
                                      sums + column * W * sum_vectors);
                    }
                }
        }
    }

    // The sums of a batch with the atoms in lanes begin ... end: A's and moments.
    void turn(const RowPlan& plan, const V* sums, int begin, int end, V* a, V* moments) const {
        for (size_t f = 0; f < families_.size(); f++) {
            V* to = moments + static_cast<size_t>(plan.patterns[f].begin) * moment_count;
            for (const Shell& shell : families_[f].shells)
                for (int m = 0; m <= 2 * shell.l; m++, to += moment_count) {
                    V turned[sum_vectors * W];
                    for (int k = 0; k < sum_vectors; k++) {
                        for (int q = 0; q < W; q++)
                            turned[k * W + q] =
                                q >= begin && q < end ? sums[q * sum_vectors + k] : V{};
                        transpose(turned + k * W);
                    }
                    std::copy_n(turned, moment_count, to);
                    a[shell.v + m] = turned[sum_value];
                    sums += W * sum_vectors;
                }
        }
    }

  private:
    static Grid grid(const RadialTable& t, int pair, int first) {
        const double end = t.begin[pair] + t.spacing[pair] * t.count[pair];
        Grid g{t.begin[pair], 1.0 / t.spacing[pair], end * end, t.count[pair], !t.zero_inside[pair],
               first, t.channels, (t.channels + W - 1) / W, {}};
        g.rows = std::make_unique<Buffer<V>>();
        double* rows = reinterpret_cast<double*>(
            g.rows->zeroed((static_cast<size_t>(t.count[pair]) + 1) * 6 * g.padded));
        for (int row = 0; row < 6 * t.count[pair]; row++)
            std::copy_n(t.row(pair, row / 6) + static_cast<size_t>(row % 6) * t.channels,
                        t.channels, rows + static_cast<size_t>(row) * g.padded * W);
        return g;
    }

    // All points in reach of a table of their species.
    void collect(const Site& site, const Cells& cells, const Order& order, Scratch& w) const {
        const int sorted = order.sorted[site.place], self = cells.place(sorted);
        cells.runs(sorted, w.runs);
        size_t room = 0;
        for (const Run& run : w.runs) room += run.end - run.begin;
        for (std::vector<double>* v : {&w.x, &w.y, &w.z, &w.square}) v->resize(room);
        w.place.resize(room);
        w.limit.assign(tables_.species, 0.0);
        for (int z = 0; z < tables_.species; z++)
            for (const Grid& g : grids_[order.species[site.place] * tables_.species + z])
                w.limit[z] = std::max(w.limit[z], g.reach);
        const double at[3] = {cells.x[self], cells.y[self], cells.z[self]};
        size_t count = 0;
        for (const Run& run : w.runs)
            for (int p = run.begin; p < run.end; p++) {
                const double x = cells.x[p] - at[0], y = cells.y[p] - at[1], z = cells.z[p] - at[2];
                const double square = x * x + y * y + z * z;
                if (!(square > 0) && p != self)
                    coincide(cells.original(sorted), cells.original(cells.owner[p]));
                w.x[count] = x;
                w.y[count] = y;
                w.z[count] = z;
                w.square[count] = square;
                w.place[count] = order.place[cells.owner[p]];
                count += square < w.limit[order.species[w.place[count]]] && p != self;
            }
        for (std::vector<double>* v : {&w.x, &w.y, &w.z, &w.square}) v->resize(count);
        w.place.resize(count);
    }

    [[noreturn]] static void coincide(int i, int j) {
        throw Error("positions: atoms " + std::to_string(std::min(i, j)) + " and " +
                    std::to_string(std::max(i, j)) + " sit at the same point");
    }

    // Species by species, every neighbour goes to the lane of its place.
    void arrange(Site& site, const Order& order, Scratch& w) const {
        const size_t count = w.place.size();
        const int repeats = W / order.span;
        w.lane.resize(count);
        w.images.resize(order.blocks * W, 0);  // all zero between calls, as the next
        w.layers.resize(order.blocks * tables_.radial.size(), 0);
        w.start.resize(order.blocks, -1);
        site.touched.resize(families_.size());
        site.used.resize(families_.size());
        for (auto& touched : site.touched) touched.clear();
        for (auto& used : site.used) used.clear();
        site.vectors = 0;
        w.kind.clear();
        for (int z = 0; z < tables_.species; z++) {
            const auto& grids = grids_[order.species[site.place] * tables_.species + z];
            double nearest = grids[0].reach;
            for (const Grid& g : grids) nearest = std::min(nearest, g.reach);
            w.blocks.clear();
            // Images in reach of all tables come first: others then have fewer layers.
            for (const bool near : {true, false})
                for (size_t k = 0; k < count; k++) {
                    const int p = w.place[k], block = p / W;
                    if (order.species[p] != z || (w.square[k] < nearest) != near) continue;
                    w.lane[k] = w.images[p]++;
                    if (w.start[block] < 0) w.blocks.push_back(block);
                    w.start[block] = 0;
                    int* layers = w.layers.data() + block * grids.size();
                    for (size_t t = 0; t < grids.size(); t++)
                        if (w.square[k] < grids[t].reach)
                            layers[t] = std::max(layers[t], w.lane[k] / repeats + 1);
                }
            touch(site, z, w);
            for (size_t k = 0; k < count; k++) {
                const int p = w.place[k];
                if (order.species[p] != z) continue;
                const int image = w.lane[k], first = w.start[p / W];
                w.lane[k] = first + image / repeats * W + image % repeats * order.span + p % W;
                w.images[p] = 0;
            }
            for (const int block : w.blocks) w.start[block] = -1;
        }
        place(site, w);
    }

    // Gives vectors to the blocks of one species, and the blocks to its families in reach.
    void touch(Site& site, int z, Scratch& w) const {
        const size_t tables = tables_.radial.size();
        std::sort(w.blocks.begin(), w.blocks.end());
        for (const int block : w.blocks) {
            int* layers = w.layers.data() + block * tables;
            w.start[block] = site.vectors * W;
            int most = 0;
            for (size_t k = 0; k < tables; k++) {
                if (layers[k] > 0)
                    site.touched[z * tables + k].push_back({block, site.vectors, layers[k]});
                for (int q = 0; q < layers[k]; q++)
                    site.used[z * tables + k].push_back(site.vectors + q);
                most = std::max(most, layers[k]);
                layers[k] = 0;
            }
            site.vectors += most;
            w.kind.resize(site.vectors, z);
        }
    }

    // Coordinates into their lanes; empty lanes are out of any reach.
    static void place(const Site& site, Scratch& w) {
        const size_t n = site.vectors;
        double* at = reinterpret_cast<double*>(w.vector.zeroed(4 * n));
        std::fill_n(at + 2 * n * W, n * W, 1e9);
        const std::vector<double>* from[3] = {&w.x, &w.y, &w.z};
        for (int d = 0; d < 3; d++)
            for (size_t k = 0; k < w.lane.size(); k++) at[d * n * W + w.lane[k]] = (*from[d])[k];
    }

    // The unit vectors and distances of vector q.
    static void direct(Site& site, int q, V* at) {
        const int n = site.vectors;
        const V x = at[q], y = at[n + q], z = at[2 * n + q], square = x * x + y * y + z * z;
        V r;
        for (int k = 0; k < W; k++) r[k] = std::sqrt(square[k]);
        const V inverse = 1.0 / r;
        V* unit = site.unit(q);
        at[3 * n + q] = r;
        unit[0] = x * inverse;
        unit[1] = y * inverse;
        unit[2] = z * inverse;
    }

    template <bool add>
    ACE_INLINE void layer(const Site& site, const Family& family, int q, V* out, int step) const {
        V gradient[3 * (most_l + 1) * (most_l + 1)];
        harmonics_.gradients(family.lmax, site.harmonic(q), gradient);
        for (const Shell& shell : family.shells) {
            site.slopes<add>(shell.channel, shell.l, q, gradient, out, step);
            out += (2 * shell.l + 1) * step;
        }
    }

    // Tables are larger than the near caches, and a row of them is read once: it is asked for long
    // before.
    void prefetch(const Site& site, const Order& order, int neighbour, double square) const {
        const int pair = order.species[site.place] * tables_.species + order.species[neighbour];
        for (const Grid& g : grids_[pair]) {
            const int bin = static_cast<int>((std::sqrt(square) - g.begin) * g.inverse);
            if (bin < 0 || bin >= g.bins) continue;
            const char* row = reinterpret_cast<const char*>(g.rows->data() + size_t(bin) * 6 * g.padded);
            for (size_t b = 0; b < 6 * g.padded * sizeof(V); b += 64) __builtin_prefetch(row + b, 0, 2);
        }
    }

    // R/r and R' of the channels of one table for vector q. Lanes are channels first, then
    // neighbours; what is out of reach, and lanes without a neighbour, read the last row, of zeros.
    ACE_INLINE void radial(const Grid& g, Site& site, int q, const Order& order, Scratch& w) const {
        const V r = w.vector.data()[3 * site.vectors + q], inverse = 1.0 / r;
        const V* row[W];
        V u[W];
        for (int k = 0; k < W; k++) {
            if (r[k] < g.begin && g.refuse) closer(site, order, q * W + k, g.begin, w);
            const double t = (r[k] - g.begin) * g.inverse;
            const bool within = t >= 0 && t < g.bins;
            const int bin = within ? static_cast<int>(t) : g.bins;
            u[k] = V{} + (within ? t - bin : 0.0);
            row[k] = g.rows->data() + static_cast<size_t>(bin) * 6 * g.padded;
        }
        V* to = site.radial(q) + 2 * g.first;
        V* also = w.radial.data() + size_t(2) * (size_t(g.first) * site.vectors + q);
        for (int c = 0; c < g.padded; c++) {
            V f[W], df[W];
#pragma GCC unroll 8
            for (int k = 0; k < W; k++) {
                f[k] = row[k][5 * g.padded + c];
                df[k] = V{};
            }
#pragma GCC unroll 5
            for (int n = 4; n >= 0; n--)
#pragma GCC unroll 8
                for (int k = 0; k < W; k++) {
                    df[k] = df[k] * u[k] + f[k];
                    f[k] = f[k] * u[k] + row[k][n * g.padded + c];
                }
            transpose(f);
            transpose(df);
            const int channels = std::min(W, g.channels - c * W);
            for (int k = 0; k < channels; k++, to += 2, also += 2 * site.vectors) {
                to[0] = also[0] = inverse * f[k];
                to[1] = also[1] = df[k] * g.inverse;
            }
        }
    }

    // With h = grad(r^l Y) - l u Y and k = u Y, where r = 1: dA/dr = R/r h + R' k, and A = R/r (r Y).
    void pieces(const Site& site, const std::vector<int>& used, int l, int lm, Scratch& w) const {
        const V* r = w.vector.data() + 3 * static_cast<size_t>(site.vectors);
        Pieces* to = w.pieces.need(used.size());
        for (const int q : used) {
            const V *u = site.unit(q), y = site.harmonic(q)[lm];
            harmonics_.gradient(lm, site.harmonic(q), to->across);
            for (int d = 0; d < 3; d++) {
                to->along[d] = u[d] * y;
                to->across[d] -= double(l) * to->along[d];
            }
            to->value = r[q] * y;
            to++;
        }
    }

    // All sums of one A; positions [xyz][q].
    template <bool virial>
    ACE_INLINE static void total(const std::vector<int>& used, const V* radial, const V* at,
                                 size_t step, const Pieces* p, V* out) {
        V t[sum_vectors * W] = {};
        for (const int q : used) {
            const V value = radial[2 * q], slope = radial[2 * q + 1];
            t[sum_value] += value * p->value;
            if constexpr (virial) {
                const V x = at[q], y = at[step + q], z = at[2 * step + q];
                const V dx = value * p->across[0] + slope * p->along[0],
                        dy = value * p->across[1] + slope * p->along[1],
                        dz = value * p->across[2] + slope * p->along[2];
                t[0] -= x * dx;
                t[1] -= y * dy;
                t[2] -= z * dz;
                t[3] -= y * dz;
                t[4] -= x * dz;
                t[5] -= x * dy;
                t[6] += dx;
                t[7] += dy;
                t[8] += dz;
            } else {
#pragma GCC unroll 3
                for (int d = 0; d < 3; d++) {
                    t[sum_move + d] += value * p->across[d];
                    t[sum_move + d] += slope * p->along[d];
                }
            }
            p++;
        }
#pragma GCC unroll 8
        for (int k = 0; k < sum_count / W; k++) out[k] = lane_sums<W>(t + k * W);
        if constexpr (sum_count % W != 0)
            out[sum_vectors - 1] = lane_sums<sum_count % W>(t + sum_count / W * W);
    }

    // Refuses the neighbour in a lane.
    [[noreturn]] static void closer(const Site& site, const Order& order, int lane, double begin,
                                    const Scratch& w) {
        const size_t k = std::find(w.lane.begin(), w.lane.end(), lane) - w.lane.begin();
        closer(order.original[site.place], order.original[w.place[k]], std::sqrt(w.square[k]), begin);
    }

    [[noreturn]] static void closer(int i, int j, double r, double begin) {
        throw Error("atoms " + std::to_string(i) + " and " + std::to_string(j) + " are " +
                    std::to_string(r) + " A apart; this model's tables begin at " +
                    std::to_string(begin) + " A");
    }

    const Tables& tables_;
    const std::vector<Family>& families_;
    const Harmonics harmonics_;
    std::vector<std::vector<Grid>> grids_;  // [centre * species + neighbour][table]
    int channels_ = 0;
};
