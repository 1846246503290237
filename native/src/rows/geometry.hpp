// Fills sites: finds neighbours, evaluates radial functions and harmonics, sums up. Included by
// rows/engine.hpp.
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
        : tables_(tables), families_(families), harmonics_(tables.lmax),
          reaches_(static_cast<int>(families.size()) / tables.species) {
        const std::vector<int> number = ace::reaches(tables);
        for (int pair = 0; pair < tables.species * tables.species; pair++) {
            grids_.emplace_back();
            squares_.emplace_back(reaches_, 0.0);
            int first = 0;
            for (size_t t = 0; t < tables.radial.size(); t++) {
                grids_.back().emplace_back(tables.radial[t], pair, first);
                first += tables.radial[t].channels;
                double& square = squares_.back()[number[t]];
                square = std::max(square, grids_.back().back().reach);
            }
            channels_ = first;
        }
    }

    struct Scratch {
        std::vector<Run> runs;
        std::vector<double> x, y, z, square;   // of the neighbours
        std::vector<double> limit;             // largest square, by species
        std::vector<int> place, lane, blocks;  // of the neighbours; blocks they touch
        std::vector<int> images, layers, start;  // by place; by block and reach; by block
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
        for (size_t k = 0; k < w.place.size(); k++) {
            const double r = std::sqrt(w.square[k]);
            for (const Grid& g : grids_[order.species[site.place] * tables_.species +
                                        order.species[w.place[k]]])
                g.prefetch(r);
        }
        arrange(site, order, w);
        site.channels = channels_;
        site.harmonics = harmonics_.size();
        site.records.need(site.vectors * site.record());
        w.radial.need(size_t(2) * channels_ * site.vectors);
        for (int q = 0; q < site.vectors; q++) {
            direct(site, q, w.vector.data());
            harmonics_.evaluate(site.unit(q), site.harmonic(q));
            radial(site, q, order, w);
        }
    }

    // A's of all families.
    int columns() const { return families_.back().begin + families_.back().columns; }

    // The sums of all A's of one atom of a batch; channels share what belongs to lm.
    template <bool virial>
    __attribute__((noinline)) void sum(const Site& site, Scratch& w, V* sums) const {
        const size_t n = site.vectors;
        for (size_t f = 0; f < families_.size(); f++) {
            const Family& family = families_[f];
            const std::vector<int>& used = site.used[f];
            for (int l = 0, lm = 0; l <= family.lmax; l++)
                for (int m = 0; m <= 2 * l; m++, lm++) {
                    Pieces* made = w.pieces.need(used.size());
                    pieces(harmonics_, site, used, l, lm, w.vector.data() + 3 * n, made);
                    for (const Shell& shell : family.shells) {
                        if (shell.l != l) continue;
                        const size_t column = family.begin + shell.column + m;
                        moments<virial>(used, w.radial.data() + 2 * n * shell.channel,
                                        w.vector.data(), n, made, sums + column * W * sum_vectors);
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
    // All points in reach of a table of their species.
    void collect(const Site& site, const Cells& cells, const Order& order, Scratch& w) const {
        const int sorted = order.sorted[site.place], self = cells.place(sorted);
        cells.runs(sorted, w.runs);
        size_t room = 0;
        for (const Run& run : w.runs) room += run.end - run.begin;
        if (room > 8 * most_neighbours)
            crowded(cells.original(sorted), static_cast<double>(room),
                    2 * tables_.longest_cutoff());
        for (std::vector<double>* v : {&w.x, &w.y, &w.z, &w.square}) v->resize(room);
        w.place.resize(room);
        w.limit.assign(tables_.species, 0.0);
        for (int z = 0; z < tables_.species; z++)
            for (const double square : squares_[order.species[site.place] * tables_.species + z])
                w.limit[z] = std::max(w.limit[z], square);
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
        if (count > most_neighbours)
            crowded(cells.original(sorted), static_cast<double>(count), tables_.longest_cutoff());
    }

    [[noreturn]] static void coincide(int i, int j) {
        throw Error("positions: atoms # and # sit at the same point", std::min(i, j),
                    std::max(i, j), Fault::too_close);
    }

    // Species by species, every neighbour goes to the lane of its place.
    void arrange(Site& site, const Order& order, Scratch& w) const {
        const size_t count = w.place.size();
        const int repeats = W / order.span;
        w.lane.resize(count);
        w.images.resize(order.blocks * W, 0);  // all zero between calls, as the next
        w.layers.resize(order.blocks * static_cast<size_t>(reaches_), 0);
        w.start.resize(order.blocks, -1);
        site.touched.resize(families_.size());
        site.used.resize(families_.size());
        for (auto& touched : site.touched) touched.clear();
        for (auto& used : site.used) used.clear();
        site.vectors = 0;
        w.kind.clear();
        for (int z = 0; z < tables_.species; z++) {
            const auto& squares = squares_[order.species[site.place] * tables_.species + z];
            const double nearest = *std::min_element(squares.begin(), squares.end());
            w.blocks.clear();
            // Images in reach of all tables come first: others then have fewer layers.
            for (const bool near : {true, false})
                for (size_t k = 0; k < count; k++) {
                    const int p = w.place[k], block = p / W;
                    if (order.species[p] != z || (w.square[k] < nearest) != near) continue;
                    w.lane[k] = w.images[p]++;
                    if (w.start[block] < 0) w.blocks.push_back(block);
                    w.start[block] = 0;
                    int* layers = w.layers.data() + block * squares.size();
                    for (size_t t = 0; t < squares.size(); t++)
                        if (w.square[k] < squares[t])
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
        const size_t count = reaches_;
        std::sort(w.blocks.begin(), w.blocks.end());
        for (const int block : w.blocks) {
            int* layers = w.layers.data() + block * count;
            w.start[block] = site.vectors * W;
            int most = 0;
            for (size_t k = 0; k < count; k++) {
                if (layers[k] > 0)
                    site.touched[z * count + k].push_back({block, site.vectors, layers[k]});
                for (int q = 0; q < layers[k]; q++)
                    site.used[z * count + k].push_back(site.vectors + q);
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

    // R/r and R' of all channels for vector q.
    ACE_INLINE void radial(Site& site, int q, const Order& order, Scratch& w) const {
        const size_t n = site.vectors;
        const V r = w.vector.data()[3 * n + q];
        for (const Grid& g : grids_[order.species[site.place] * tables_.species + w.kind[q]]) {
            for (int k = 0; k < W; k++)
                if (r[k] < g.begin && g.refuse) closer(site, order, q * W + k, g.begin, w);
            g.evaluate(r, site.radial(q) + 2 * g.first, w.radial.data() + 2 * (g.first * n + q), n);
        }
    }

    // Refuses the neighbour in a lane.
    [[noreturn]] static void closer(const Site& site, const Order& order, int lane, double begin,
                                    const Scratch& w) {
        const size_t k = std::find(w.lane.begin(), w.lane.end(), lane) - w.lane.begin();
        throw Error("atoms # and # are " + std::to_string(std::sqrt(w.square[k])) +
                        " A apart; this model's tables begin at " + std::to_string(begin) + " A",
                    order.original[site.place], order.original[w.place[k]], Fault::too_close);
    }

    const Tables& tables_;
    const std::vector<Family>& families_;
    const Harmonics harmonics_;
    const int reaches_;  // how many different distances tables end at
    std::vector<std::vector<double>> squares_;  // of these: [centre * species + neighbour][reach]
    std::vector<std::vector<Grid>> grids_;      // [centre * species + neighbour][table]
    int channels_ = 0;
};
