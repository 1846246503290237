// Fills sites: finds neighbours, evaluates radial functions and harmonics, sums up. Included by
// row_engine.hpp.
#pragma once

// The internal order of the atoms of a structure: by species, in compact blocks of W places.
struct Order {
    std::vector<int> original, species;  // by place
    std::vector<int> place;              // by the cell list's sorted number
    std::vector<int> sorted;             // by place
    int blocks = 0;
};

class Geometry {
  public:
    explicit Geometry(const Tables& tables) : tables_(tables), harmonics_(tables.lmax) {
        for (int pair = 0; pair < tables.species * tables.species; pair++) {
            grids_.emplace_back();
            int first = 0;
            for (const RadialTable& t : tables.radial) {
                grids_.back().push_back(grid(t, pair, first));
                first += t.channels;
            }
            channels_ = first;
        }
        for (size_t v = 0; v < tables.a_l.size(); v++)
            lm_.push_back(tables.a_l[v] * tables.a_l[v] + tables.a_l[v] + tables.a_m[v]);
    }

    struct Scratch {
        std::vector<Run> runs;
        std::vector<double> x, y, z;           // of the neighbours
        std::vector<int> place, lane, blocks;  // of the neighbours; blocks they touch
        std::vector<int> images, layers, start;  // by place; by block
        Buffer<V> value, slope;
    };

    int lm(size_t v) const { return lm_[v]; }

    void fill(Site& site, const Cells& cells, const Order& order, Scratch& w) const {
        collect(site, cells, order, w);
        arrange(site, order, w);
        const size_t n = site.vectors;
        site.unit.need(3 * n);
        site.distance.need(n);
        site.radial.zeroed(channels_ * n);
        site.stretch.zeroed(3 * channels_ * n);
        site.harmonics.need(harmonics_.size() * n);
        site.gradient.need(3 * harmonics_.size() * n);
        for (size_t q = 0; q < n; q++) angular(site, q);
        for (size_t k = 0; k < w.place.size(); k++)
            radial(site, order, w.place[k], w.lane[k], w);
        for (int c = 0; c < channels_; c++)
            for (size_t q = 0; q < n; q++) {
                V* s = site.stretch.data() + 3 * c * n + q;
                const V slope = s[0];
                for (int d = 0; d < 3; d++) s[d * n] = slope * site.unit.data()[d * n + q];
            }
    }

    // The sums of all A's; A itself also goes to a[v * W].
    template <bool virial>
    void sum(Site& site, double* a) const {
        V* out = site.sums.need(tables_.a_l.size() * sum_vectors);
        for (size_t v = 0; v < tables_.a_l.size(); v++, out += sum_vectors) {
            const auto& touched = site.touched[tables_.a_species[v]];
            const int begin = touched.empty() ? 0 : touched.front().q;
            const int end = touched.empty() ? 0 : touched.back().q + touched.back().layers;
            site.sum<virial>(tables_.a_channel[v], lm_[v], begin, end, out);
            a[v * W] = reinterpret_cast<const double*>(out)[sum_value];
        }
    }

  private:
    static Grid grid(const RadialTable& t, int pair, int first) {
        Grid g{t.begin[pair], 1.0 / t.spacing[pair], t.count[pair], !t.zero_inside[pair],
               first, t.channels, (t.channels + W - 1) / W, {}};
        g.rows = std::make_unique<Buffer<V>>();
        double* rows = reinterpret_cast<double*>(
            g.rows->zeroed(static_cast<size_t>(t.count[pair]) * 6 * g.padded));
        for (int row = 0; row < 6 * t.count[pair]; row++)
            std::copy_n(t.row(pair, row / 6) + static_cast<size_t>(row % 6) * t.channels,
                        t.channels, rows + static_cast<size_t>(row) * g.padded * W);
        return g;
    }

    // All points within the cut-off.
    void collect(const Site& site, const Cells& cells, const Order& order, Scratch& w) const {
        const int sorted = order.sorted[site.place], self = cells.place(sorted);
        cells.runs(sorted, w.runs);
        w.x.clear();
        w.y.clear();
        w.z.clear();
        w.place.clear();
        const double cutoff = tables_.longest_cutoff(), limit = cutoff * cutoff;
        for (const Run& run : w.runs)
            for (int p = run.begin; p < run.end; p++) {
                const double x = cells.x[p] - cells.x[self], y = cells.y[p] - cells.y[self],
                             z = cells.z[p] - cells.z[self], square = x * x + y * y + z * z;
                if (square >= limit || p == self) continue;
                if (!(square > 0)) coincide(cells.original(sorted), cells.original(cells.owner[p]));
                w.x.push_back(x);
                w.y.push_back(y);
                w.z.push_back(z);
                w.place.push_back(order.place[cells.owner[p]]);
            }
    }

    [[noreturn]] static void coincide(int i, int j) {
        throw Error("positions: atoms " + std::to_string(std::min(i, j)) + " and " +
                    std::to_string(std::max(i, j)) + " sit at the same point");
    }

    // Species by species, every neighbour goes to the lane of its place.
    void arrange(Site& site, const Order& order, Scratch& w) const {
        const size_t count = w.place.size();
        w.lane.resize(count);
        w.images.resize(order.blocks * W, 0);  // all zero between calls, as are the layers
        w.layers.resize(order.blocks, 0);
        w.start.resize(order.blocks);
        site.touched.assign(tables_.species, {});
        site.vectors = 0;
        for (int z = 0; z < tables_.species; z++) {
            w.blocks.clear();
            for (size_t k = 0; k < count; k++) {
                const int p = w.place[k], block = p / W;
                if (order.species[p] != z) continue;
                w.lane[k] = w.images[p]++;
                if (w.layers[block] == 0) w.blocks.push_back(block);
                w.layers[block] = std::max(w.layers[block], w.images[p]);
            }
            std::sort(w.blocks.begin(), w.blocks.end());
            for (const int block : w.blocks) {
                site.touched[z].push_back({block, site.vectors, w.layers[block]});
                w.start[block] = site.vectors;
                site.vectors += w.layers[block];
                w.layers[block] = 0;
            }
            for (size_t k = 0; k < count; k++) {
                const int p = w.place[k];
                if (order.species[p] != z) continue;
                w.lane[k] = (w.start[p / W] + w.lane[k]) * W + p % W;
                w.images[p] = 0;
            }
        }
        place(site, w);
    }

    // Coordinates into their lanes; empty lanes hold something harmless of no weight.
    static void place(Site& site, const Scratch& w) {
        const size_t n = site.vectors;
        double* at = reinterpret_cast<double*>(site.vector.zeroed(3 * n));
        std::fill_n(at + 2 * n * W, n * W, 1e3);
        const std::vector<double>* from[3] = {&w.x, &w.y, &w.z};
        for (int d = 0; d < 3; d++)
            for (size_t k = 0; k < w.lane.size(); k++) at[d * n * W + w.lane[k]] = (*from[d])[k];
    }

    void angular(Site& site, size_t q) const {
        const size_t n = site.vectors;
        V at[3], square = V{}, distance;
        for (int d = 0; d < 3; d++) {
            at[d] = site.vector.data()[d * n + q];
            square += at[d] * at[d];
        }
        for (int k = 0; k < W; k++) distance[k] = std::sqrt(square[k]);
        const V inverse = 1.0 / distance;
        site.distance.data()[q] = distance;
        for (int d = 0; d < 3; d++) site.unit.data()[d * n + q] = at[d] = at[d] * inverse;
        harmonics_.evaluate(at, inverse, site.harmonics.data() + q, site.gradient.data() + q, n);
    }

    // R and R' of all channels of one neighbour, lanes across channels.
    void radial(Site& site, const Order& order, int neighbour, int lane, Scratch& w) const {
        const int centre = order.species[site.place], z = order.species[neighbour];
        const double r = reinterpret_cast<const double*>(site.distance.data())[lane];
        const size_t step = static_cast<size_t>(site.vectors) * W;
        double* value = reinterpret_cast<double*>(site.radial.data()) + lane;
        double* slope = reinterpret_cast<double*>(site.stretch.data()) + lane;
        for (const Grid& g : grids_[static_cast<size_t>(centre) * tables_.species + z]) {
            if (r < g.begin) {
                if (g.refuse)
                    closer(order.original[site.place], order.original[neighbour], r, g.begin);
                continue;
            }
            const double t = (r - g.begin) * g.inverse;
            const int bin = static_cast<int>(t);
            if (bin >= g.bins) continue;
            const double u = t - bin;
            const V* row = g.rows->data() + static_cast<size_t>(bin) * 6 * g.padded;
            V* f = w.value.need(g.padded);
            V* df = w.slope.need(g.padded);
            for (int c = 0; c < g.padded; c++, row++) {
                V a = row[5 * g.padded], b = V{};
                for (int k = 4; k >= 0; k--) {
                    b = b * u + a;
                    a = a * u + row[k * g.padded];
                }
                f[c] = a;
                df[c] = b * g.inverse;
            }
            for (int c = 0; c < g.channels; c++) {
                value[(g.first + c) * step] = reinterpret_cast<double*>(f)[c];
                slope[3 * (g.first + c) * step] = reinterpret_cast<double*>(df)[c];
            }
        }
    }

    [[noreturn]] static void closer(int i, int j, double r, double begin) {
        throw Error("atoms " + std::to_string(i) + " and " + std::to_string(j) + " are " +
                    std::to_string(r) + " A apart; this model's tables begin at " +
                    std::to_string(begin) + " A");
    }

    const Tables& tables_;
    const Harmonics harmonics_;
    std::vector<std::vector<Grid>> grids_;  // [centre * species + neighbour][table]
    std::vector<int> lm_;                   // of every A
    int channels_ = 0;
};
