// The evaluator for one instruction set. Compiled once for each, in a namespace ACE_ISA of its
// own, so that the linker cannot mix code for different processors.
//
// Neighbours lie across the lanes of vectors in the pair stages, atoms in the product stage.
// A batch is W atoms of one species:
//   geometry   unit vectors and distances, grouped by species, padded to W
//   radial     R and dR/du of all columns from the quintic tables
//   A          sum over neighbours of R Y, tile by tile
//   products   nodes, then the bilinear form; the adjoint of all A's
//   forces     sum over n of a R and a R', then the angular part
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ace/cells.hpp"
#include "ace/errors.hpp"
#include "ace/evaluator.hpp"
#include "ace/plan.hpp"

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

namespace ace::ACE_ISA {

#if defined(__AVX512F__)
constexpr int W = 8, tile_radials = 5, tile_components = 5;
#elif defined(__AVX2__)
constexpr int W = 4, tile_radials = 3, tile_components = 3;
#else
constexpr int W = 2, tile_radials = 3, tile_components = 3;
#endif
#include "simd.hpp"
#include "angular.hpp"

constexpr int most_l = 12, most_densities = 4, most_columns = 256, chunk = 4;
// Folded columns of every radial table (Tables has at most four) and the core density.
constexpr int most_direct = 4 * most_densities + 1;
using S = Simd;
using V = S::V;

// ---------------------------------------------------------------- tiles

// acc[n][k] += sum over v of R[v][n] Y[v][k]
template <int N, int K>
void gather_tile(const V* __restrict r, const V* __restrict y, int count, int r_step, int y_step,
                 V* __restrict acc) {
    V a[N * K];
#pragma GCC unroll 32
    for (int q = 0; q < N * K; q++) a[q] = acc[q];
    for (int v = 0; v < count; v++, r += r_step, y += y_step) {
        V rn[N];
#pragma GCC unroll 8
        for (int n = 0; n < N; n++) rn[n] = r[n];
#pragma GCC unroll 8
        for (int k = 0; k < K; k++) {
            const V yk = y[k];
#pragma GCC unroll 8
            for (int n = 0; n < N; n++) a[n * K + k] += rn[n] * yk;
        }
    }
#pragma GCC unroll 32
    for (int q = 0; q < N * K; q++) acc[q] = a[q];
}

// p[k] = sum over n of a[n][k] R[n], d[k] likewise with R', for M neighbour vectors at once
template <int K, int M>
void spread_tile(const V* __restrict r, const V* __restrict slope, int step, int count,
                 const double* __restrict a, V* __restrict p, V* __restrict d, int out_step) {
    V ps[M][K] = {}, ds[M][K] = {};
    for (int n = 0; n < count; n++) {
        V rn[M], sn[M];
#pragma GCC unroll 4
        for (int u = 0; u < M; u++) {
            rn[u] = r[u * step + n];
            sn[u] = slope[u * step + n];
        }
#pragma GCC unroll 8
        for (int k = 0; k < K; k++) {
            const V b = S::set(a[n * K + k]);
#pragma GCC unroll 4
            for (int u = 0; u < M; u++) {
                ps[u][k] += b * rn[u];
                ds[u][k] += b * sn[u];
            }
        }
    }
#pragma GCC unroll 4
    for (int u = 0; u < M; u++)
#pragma GCC unroll 8
        for (int k = 0; k < K; k++) {
            p[u * out_step + k] = ps[u][k];
            d[u * out_step + k] = ds[u][k];
        }
}

struct Tiles {
    using Gather = void (*)(const V*, const V*, int, int, int, V*);
    using Spread = void (*)(const V*, const V*, int, int, const double*, V*, V*, int);
    Gather gather[tile_radials + 1][tile_components + 1];
    Spread spread[3][tile_components + 1];
    Tiles() { fill<1, 1>(); }
    template <int N, int K>
    void fill() {
        gather[N][K] = gather_tile<N, K>;
        if constexpr (N == 1) {
            spread[1][K] = spread_tile<K, 1>;
            spread[2][K] = spread_tile<K, 2>;
        }
        if constexpr (K < tile_components) fill<N, K + 1>();
        else if constexpr (N < tile_radials) fill<N + 1, 1>();
    }
};

// ---------------------------------------------------------------- products

// One block forward: u = C x_column (kept), rho += x_row u.
template <int complex, int R, int P>
ACE_INLINE void block_forward(const Plan& plan, const Block& b, const double* __restrict c,
                              const V* __restrict x, V* __restrict u, V* __restrict rho) {
    V re[R][P] = {}, im[complex ? R : 1][P] = {};
    const int* cr = plan.column_re.data() + b.column;
    const int* ci = plan.column_im.data() + b.column;
    for (int e = 0; e < b.columns; e++, c += R * P) {
        const V xr = x[cr[e]], xi = complex ? x[ci[e]] : V{};
#pragma GCC unroll 4
        for (int r = 0; r < R; r++)
#pragma GCC unroll 4
            for (int p = 0; p < P; p++) {
                const V w = S::set(c[r * P + p]);
                re[r][p] += w * xr;
                if (complex) im[r][p] += w * xi;
            }
    }
    const double sign = b.sign;
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
        const V xr = x[plan.row_re[b.row + r]], xi = complex ? x[plan.row_im[b.row + r]] : V{};
#pragma GCC unroll 4
        for (int p = 0; p < P; p++) {
            rho[p] += xr * re[r][p];
            *u++ = re[r][p];
            if (complex) {
                const V signed_im = im[r][p] * sign;
                rho[p] += xi * signed_im;
                *u++ = signed_im;
            }
        }
    }
}

// One block backward: w_row += F u, w_column += C (F x_row).
template <int complex, int R, int P>
ACE_INLINE void block_backward(const Plan& plan, const Block& b, const double* __restrict c,
                               const V* __restrict x, const V* __restrict u, V* __restrict w,
                               const V* __restrict slope) {
    V re[R][P], im[complex ? R : 1][P];
    const double sign = b.sign;
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
        const int at_re = plan.row_re[b.row + r], at_im = plan.row_im[b.row + r];
        const V xr = x[at_re], xi = complex ? x[at_im] * sign : V{};
        V wr = V{}, wi = V{};
#pragma GCC unroll 4
        for (int p = 0; p < P; p++) {
            re[r][p] = slope[p] * xr;
            wr += slope[p] * *u++;
            if (complex) {
                im[r][p] = slope[p] * xi;
                wi += slope[p] * *u++;
            }
        }
        w[at_re] += wr;
        if (complex) w[at_im] += wi;
    }
    const int* cr = plan.column_re.data() + b.column;
    const int* ci = plan.column_im.data() + b.column;
    for (int e = 0; e < b.columns; e++, c += R * P) {
        V wr = V{}, wi = V{};
#pragma GCC unroll 4
        for (int r = 0; r < R; r++)
#pragma GCC unroll 4
            for (int p = 0; p < P; p++) {
                const V k = S::set(c[r * P + p]);
                wr += k * re[r][p];
                if (complex) wi += k * im[r][p];
            }
        w[cr[e]] += wr;
        if (complex) w[ci[e]] += wi;
    }
}

template <int P>
void form_forward(const Plan& plan, const double* c, const V* x, V* u, V* rho) {
    V r[P] = {};
    for (const Block& b : plan.blocks) {
        const double* bc = c + b.coefficient * P;
        const int which = 4 * b.complex + b.rows;
        switch (which) {
            case 1: block_forward<0, 1, P>(plan, b, bc, x, u, r); break;
            case 2: block_forward<0, 2, P>(plan, b, bc, x, u, r); break;
            case 4: block_forward<0, 4, P>(plan, b, bc, x, u, r); break;
            case 5: block_forward<1, 1, P>(plan, b, bc, x, u, r); break;
            case 6: block_forward<1, 2, P>(plan, b, bc, x, u, r); break;
            default: block_forward<1, 4, P>(plan, b, bc, x, u, r); break;
        }
        u += (b.complex ? 2 : 1) * b.rows * P;
    }
    for (int p = 0; p < P; p++) rho[p] = r[p];
}

template <int P>
void form_backward(const Plan& plan, const double* c, const V* x, const V* u, V* w,
                   const V* slope) {
    for (const Block& b : plan.blocks) {
        const double* bc = c + b.coefficient * P;
        switch (4 * b.complex + b.rows) {
            case 1: block_backward<0, 1, P>(plan, b, bc, x, u, w, slope); break;
            case 2: block_backward<0, 2, P>(plan, b, bc, x, u, w, slope); break;
            case 4: block_backward<0, 4, P>(plan, b, bc, x, u, w, slope); break;
            case 5: block_backward<1, 1, P>(plan, b, bc, x, u, w, slope); break;
            case 6: block_backward<1, 2, P>(plan, b, bc, x, u, w, slope); break;
            default: block_backward<1, 4, P>(plan, b, bc, x, u, w, slope); break;
        }
        u += (b.complex ? 2 : 1) * b.rows * P;
    }
}

inline void nodes_forward(const Plan& plan, V* __restrict x) {
    for (const OpRange& range : plan.op_ranges) {
        const Op *o = &plan.ops[range.begin], *end = o + (range.end - range.begin);
        switch (range.kind) {
            case Op::real_real:
                for (; o < end; o++) x[o->out_re] = x[o->a_re] * x[o->b_re];
                break;
            case Op::real_complex:
                for (; o < end; o++) {
                    const V a = x[o->a_re];
                    x[o->out_re] = a * x[o->b_re];
                    x[o->out_im] = a * x[o->b_im];
                }
                break;
            case Op::product:
                for (; o < end; o++) {
                    const V a = x[o->a_re], b = x[o->a_im], c = x[o->b_re], d = x[o->b_im];
                    x[o->out_re] = a * c - b * d;
                    x[o->out_im] = a * d + b * c;
                }
                break;
            case Op::mixed:
                for (; o < end; o++) {
                    const V a = x[o->a_re], b = x[o->a_im], c = x[o->b_re], d = x[o->b_im];
                    x[o->out_re] = a * c + b * d;
                    x[o->out_im] = b * c - a * d;
                }
                break;
            case Op::product_real:
                for (; o < end; o++)
                    x[o->out_re] = x[o->a_re] * x[o->b_re] - x[o->a_im] * x[o->b_im];
                break;
            default:
                for (; o < end; o++)
                    x[o->out_re] = x[o->a_re] * x[o->b_re] + x[o->a_im] * x[o->b_im];
        }
    }
}

inline void nodes_backward(const Plan& plan, const V* __restrict x, V* __restrict w) {
    for (auto range = plan.op_ranges.rbegin(); range != plan.op_ranges.rend(); ++range) {
        for (int k = range->begin; k < range->end; k++) {
            const Op& o = plan.ops[k];
            const V g = w[o.out_re], h = o.out_im < 0 ? V{} : w[o.out_im];
            const V a = x[o.a_re], c = x[o.b_re];
            if (range->kind == Op::real_real) {
                w[o.a_re] += g * c;
                w[o.b_re] += g * a;
                continue;
            }
            const V d = x[o.b_im];
            if (range->kind == Op::real_complex) {
                w[o.a_re] += g * c + h * d;
                w[o.b_re] += g * a;
                w[o.b_im] += h * a;
                continue;
            }
            const V b = x[o.a_im];
            if (range->kind == Op::product || range->kind == Op::product_real) {
                w[o.a_re] += g * c + h * d;
                w[o.a_im] += h * c - g * d;
                w[o.b_re] += g * a + h * b;
                w[o.b_im] += h * a - g * b;
            } else {
                w[o.a_re] += g * c - h * d;
                w[o.a_im] += g * d + h * c;
                w[o.b_re] += g * a + h * b;
                w[o.b_im] += g * b - h * a;
            }
        }
    }
}

// ---------------------------------------------------------------- one central species

// Tables of one source in the order the radial stage reads them; one more bin holds zeros.
struct Interval {
    double begin, inverse, limit;  // limit: number of bins
    double silent;                 // from this bin on every column is zero
    bool refuse;                   // pairs closer than `begin` are an error
    const double* rows;            // [bin][6][padded]
};

struct Centre {
    Plan plan;
    std::vector<std::unique_ptr<Scratch<double>>> storage;  // [source * species + neighbour]
    std::vector<std::vector<Interval>> intervals;  // [source][neighbour]

    Centre(const Tables& tables, int centre)
        : plan(tables, centre, W, tile_components), storage(), intervals() {
        for (const Source& source : plan.sources) {
            intervals.emplace_back();
            for (int z = 0; z < tables.species; z++) add(tables, centre, source, z);
        }
    }

  private:
    void add(const Tables& tables, int centre, const Source& source, int z) {
        const RadialTable& grid = source.grid < 0 ? tables.core[0] : tables.radial[source.grid];
        const int pair = centre * tables.species + z, bins = grid.count[pair];
        storage.push_back(std::make_unique<Scratch<double>>());
        storage.back()->zero(static_cast<size_t>(bins + 1) * 6 * source.padded);
        double* rows = storage.back()->data();
        for (size_t c = 0; c < source.columns.size(); c++)
            for (int bin = 0; bin < bins; bin++)
                for (int k = 0; k < 6; k++)
                    rows[(static_cast<size_t>(bin) * 6 + k) * source.padded + c] =
                        value(tables, source, source.columns[c], pair, z, bin, k);
        int silent = bins;
        const size_t size = static_cast<size_t>(6) * source.padded;
        while (silent > 0 && std::all_of(rows + (silent - 1) * size, rows + silent * size,
                                         [](double v) { return v == 0.0; }))
            silent--;
        intervals.back().push_back({grid.begin[pair], 1.0 / grid.spacing[pair], double(bins),
                                    double(silent), !grid.zero_inside[pair], rows});
    }

    double value(const Tables& tables, const Source& source, const Column& column, int pair, int z,
                 int bin, int k) const {
        if (column.kind == Column::core) return tables.core[0].row(pair, bin)[k];
        if (column.kind == Column::channel) {
            const RadialTable& t = tables.radial[column.table];
            return t.row(pair, bin)[k * t.channels + column.index];
        }
        double sum = 0;
        for (const Fold& fold : plan.folds) {
            if (fold.species != z || !grid_of(source, fold.table, tables)) continue;
            const RadialTable& t = tables.radial[fold.table];
            sum += fold.weight[column.index] * t.row(pair, bin)[k * t.channels + fold.channel];
        }
        return sum * 0.28209479177387814;  // Y_00
    }

    static bool grid_of(const Source& source, int table, const Tables& tables) {
        if (source.grid < 0) return false;
        const RadialTable &a = tables.radial[source.grid], &b = tables.radial[table];
        return a.begin == b.begin && a.spacing == b.spacing && a.count == b.count &&
               a.zero_inside == b.zero_inside;
    }
};

// ---------------------------------------------------------------- embedding

// PACE's switch: 1 below end - width, 0 from end on.
inline void inner_switch(double r, double end, double width, double& value, double& slope) {
    value = r < end ? 1.0 : 0.0;
    slope = 0.0;
    if (width <= 0.0 || r <= end - width || r >= end) return;
    const double x = 1.0 - 2.0 * (1.0 + (r - end) / width), s = x * x;
    value = 0.5 + 3.75 * x * (0.25 - s * (1.0 / 6) + s * s * 0.05);
    slope = -2.0 / width * 3.75 * (0.25 - s * 0.5 + s * s * 0.25);
}

inline void embed(bool shifted, double m, double rho, double& value, double& slope) {
    const double a = std::abs(rho), sign = rho < 0 ? -1.0 : 1.0;
    if (shifted) {
        if (m == 1.0) {
            value = rho;
            slope = 1.0;
            return;
        }
        const double nu = 1.0 / m, e = std::exp(-a);
        const double x = std::pow(nu, nu / (1 - nu)), y = std::pow(nu, 1 / (1 - nu));
        const double base = x * e + a;
        value = sign * (std::pow(base, m) - y * e);
        slope = m * (1 - x * e) * std::pow(base, m - 1) + y * e;
        return;
    }
    constexpr double w = 1e6;
    const double scale = std::pow(w, 1 - m);
    if (a <= 1e-10) {
        value = scale * rho;
        slope = scale;
        return;
    }
    const double cube = w * w * w * a * a * a;
    const double g = cube > 30.0 ? 0.0 : std::exp(-cube);
    const double dg = -3.0 * w * w * w * a * a * g, power = std::pow(a, m);
    value = sign * ((1 - g) * power + scale * g * a);
    slope = (1 - g) * m * power / a - dg * power + scale * (dg * a + g);
}

// ---------------------------------------------------------------- the engine

// Runs work(0) ... work(threads - 1) at once; the first exception is passed on.
template <class F>
void in_threads(int threads, F&& work) {
    std::exception_ptr failure;
    std::mutex lock;
    const auto guarded = [&](int t) {
        try {
            work(t);
        } catch (...) {
            const std::lock_guard<std::mutex> guard(lock);
            if (!failure) failure = std::current_exception();
        }
    };
    std::vector<std::thread> pool;
    int started = 1;
    try {
        for (pool.reserve(threads); started < threads; started++) pool.emplace_back(guarded, started);
    } catch (const std::exception&) {
        // The machine gives no more threads: the caller does their work itself, below.
    }
    guarded(0);
    for (int t = started; t < threads; t++) guarded(t);
    for (std::thread& thread : pool) thread.join();
    if (failure) std::rethrow_exception(failure);
}

// What one thread works with; nothing is allocated once it has grown.
struct Workspace {
    struct Atom {
        Scratch<double> x, y, z, inverse, distance;
        Scratch<int32_t> neighbour;
        Scratch<V> radial, slope;
        std::vector<int> groups;  // first neighbour vector of each species, and their end
        int index = 0, original = 0;
    };
    Atom atoms[W];
    Scratch<V> harmonics, accumulator, variables, adjoints, rows;
    Scratch<double> components, pulls, forces, raw[3];
    Scratch<int32_t> raw_owner;
    std::vector<Run> runs;
};

// What all threads share and nobody changes.
struct Shared {
    const Tables tables;
    std::vector<std::unique_ptr<Centre>> centres;
    const Tiles tiles;
    const AngularTable<V, most_l> angular;
    std::vector<double> cutoff_squared;

    explicit Shared(Tables given) : tables(std::move(given)) {
        if (tables.lmax > most_l)
            throw Error("tables: l up to " + std::to_string(most_l) + " is supported, got " +
                        std::to_string(tables.lmax));
        if (tables.densities > most_densities || tables.outputs * tables.densities > most_columns)
            throw Error("tables: up to " + std::to_string(most_densities) + " densities and " +
                        std::to_string(most_columns - 1) + " committee members are supported");
        for (int s = 0; s < tables.species; s++)
            centres.push_back(std::make_unique<Centre>(tables, s));
    }
};

// The evaluation of one structure by one or several threads.
class Job {
  public:
    explicit Job(const Shared& shared)
        : tables_(shared.tables), centres_(shared.centres), tiles_(shared.tiles),
          angular_(shared.angular) {}

    void evaluate(const Structure& in, int threads, const Results& out) {
        for (int i = 0; i < in.points; i++)
            if (in.species[i] < 0 || in.species[i] >= tables_.species)
                throw Error("species: atom " + std::to_string(i) + " has an unknown species");
        if (in.first == nullptr)
            cells_.build(in.atoms, in.positions, in.cell, in.pbc, in.species,
                         tables_.longest_cutoff());
        in_ = &in;
        out_ = &out;
        make_batches();
        while (workspaces_.size() < static_cast<size_t>(threads))
            workspaces_.push_back(std::make_unique<Workspace>());
        const size_t stride = static_cast<size_t>(in.points) * 4;
        for (int t = 0; t < threads; t++) workspaces_[t]->forces.zero(stride * out.outputs);
        run(threads);
        reduce(threads, stride);
    }

  private:
    struct Batch {
        int species, begin, count;
    };

    int sorted_atom(int k) const { return in_->first ? k : cells_.original(k); }

    // Atoms of one species in the order of the cell list, W at a time.
    void make_batches() {
        batches_.clear();
        members_.resize(in_->atoms);
        int at = 0;
        for (int s = 0; s < tables_.species; s++) {
            const int begin = at;
            for (int k = 0; k < in_->atoms; k++)
                if (in_->species[sorted_atom(k)] == s) members_[at++] = k;
            for (int k = begin; k < at; k += W) batches_.push_back({s, k, std::min(W, at - k)});
        }
    }

    // Each thread takes one contiguous part of the batches, so results do not depend on timing.
    void run(int threads) {
        if (threads == 1) {
            for (const Batch& b : batches_) batch(b, *workspaces_[0]);
            return;
        }
        const size_t count = batches_.size();
        in_threads(threads, [&](int t) {
            for (size_t k = count * t / threads; k < count * (t + 1) / threads; k++)
                batch(batches_[k], *workspaces_[t]);
        });
    }

    void reduce(int threads, size_t stride) {
        if (!out_->forces) return;
        for (int o = 0; o < out_->outputs; o++)
            for (int k = 0; k < in_->points; k++) {
                double f[3] = {0, 0, 0};
                for (int t = 0; t < threads; t++) {
                    const double* from = workspaces_[t]->forces.data() + o * stride + 4 * size_t(k);
                    for (int d = 0; d < 3; d++) f[d] += from[d];
                }
                const int i = in_->first ? k : cells_.original(k);
                double* to = out_->forces + (static_cast<size_t>(o) * in_->points + i) * 3;
                for (int d = 0; d < 3; d++) to[d] = f[d];
            }
    }

    void batch(const Batch& b, Workspace& w) {
        const Centre& c = *centres_[b.species];
        const Plan& plan = c.plan;
        for (int a = 0; a < b.count; a++) {
            w.atoms[a].index = members_[b.begin + a];
            w.atoms[a].original = sorted_atom(w.atoms[a].index);
            neighbours(plan, w, w.atoms[a]);
        }
        radial(c, w, b.count);
        const int total = plan.components * tables_.species;
        w.components.zero(static_cast<size_t>(W) * total);
        double folded[W][most_columns], core[W] = {};
        for (int a = 0; a < b.count; a++) one_particle(plan, w, a, total, folded[a], core[a]);
        w.variables.need(plan.variables);
        V* x = w.variables.data();
        transpose_in(plan, w, total, x);
        x[plan.one] = S::set(1.0);
        nodes_forward(plan, x);
        w.rows.need(plan.largest_rows * tables_.densities);
        w.adjoints.need(plan.variables);
        for (int o = 0; o < out_->outputs; o++) {
            V rho[16], slope[16];
            forward(plan, o, x, w.rows.data(), rho);
            double core_weight[W] = {}, nearest_weight[W] = {};
            int nearest[W] = {};
            for (int a = 0; a < b.count; a++)
                embedding(b.species, w.atoms[a], a, o, rho, folded[a] + o * tables_.densities,
                          core[a], slope, core_weight[a], nearest_weight[a], nearest[a]);
            if (!out_->forces && !out_->virials) continue;
            for (int p = 0; p < tables_.densities; p++)
                for (int a = b.count; a < W; a++) slope[p][a] = 0.0;
            backward(plan, o, x, w.rows.data(), w.adjoints.data(), slope);
            transpose_out(plan, w, total, w.adjoints.data());
            for (int a = 0; a < b.count; a++)
                forces(c, w, a, o, total, slope, core_weight[a], nearest_weight[a], nearest[a]);
        }
    }

    // ---- geometry

    void neighbours(const Plan& plan, Workspace& w, Workspace::Atom& atom) {
        const int count = in_->first ? from_list(w, atom) : from_cells(w, atom);
        const size_t room = (static_cast<size_t>(count) / W + tables_.species + 1) * W;
        for (Scratch<double>* s : {&atom.x, &atom.y, &atom.z, &atom.inverse, &atom.distance})
            s->need(room);
        atom.neighbour.need(room);
        atom.groups.assign(tables_.species + 1, 0);
        size_t at = 0;
        const int32_t* owner = w.raw_owner.data();
        for (int z = 0; z < tables_.species; z++) {
            if (tables_.species == 1) {
                std::memcpy(atom.x.data(), w.raw[0].data(), count * sizeof(double));
                std::memcpy(atom.y.data(), w.raw[1].data(), count * sizeof(double));
                std::memcpy(atom.z.data(), w.raw[2].data(), count * sizeof(double));
                std::memcpy(atom.neighbour.data(), owner, count * sizeof(int32_t));
                at = count;
            } else {
                for (int k = 0; k < count; k++) {
                    atom.x[at] = w.raw[0][k];
                    atom.y[at] = w.raw[1][k];
                    atom.z[at] = w.raw[2][k];
                    atom.neighbour[at] = owner[k];
                    at += species_of(owner[k]) == z;
                }
            }
            for (; at % W; at++) {  // far away: every table is zero there
                atom.x[at] = atom.y[at] = 0.0;
                atom.z[at] = 1e3;
                atom.neighbour[at] = atom.index;
            }
            atom.groups[z + 1] = static_cast<int>(at / W);
        }
        atom.radial.need(at / W * plan.columns);
        atom.slope.need(at / W * plan.columns);
        for (size_t k = 0; k < at; k += W) {
            const V x = S::load(&atom.x[k]), y = S::load(&atom.y[k]), z = S::load(&atom.z[k]);
            const V square = x * x + y * y + z * z, inverse = reciprocal_root(square);
            S::store(&atom.x[k], x * inverse);
            S::store(&atom.y[k], y * inverse);
            S::store(&atom.z[k], z * inverse);
            S::store(&atom.inverse[k], inverse);
            S::store(&atom.distance[k], square * inverse);
        }
    }

    int species_of(int sorted) const {
        return in_->species[in_->first ? sorted : cells_.original(sorted)];
    }

    int from_list(Workspace& w, const Workspace::Atom& atom) {
        const int i = atom.index;
        const int64_t begin = in_->first[i], end = in_->first[i + 1];
        const size_t room = static_cast<size_t>(end - begin) + W;
        for (Scratch<double>& s : w.raw) s.need(room);
        w.raw_owner.need(room);
        const double limit = tables_.longest_cutoff() * tables_.longest_cutoff();
        int count = 0;
        for (int64_t k = begin; k < end; k++) {
            const int j = in_->neighbours[k];
            double square = 0;
            for (int d = 0; d < 3; d++) {
                const double v = in_->positions[3 * size_t(j) + d] - in_->positions[3 * size_t(i) + d];
                w.raw[d][count] = v;
                square += v * v;
            }
            w.raw_owner[count] = j;
            if (!(square > 0)) coincide(i, j);
            count += square < limit;
        }
        return count;
    }

    int from_cells(Workspace& w, const Workspace::Atom& atom) {
        cells_.runs(atom.index, w.runs);
        size_t room = W;
        for (const Run& run : w.runs) room += run.end - run.begin + W;
        for (Scratch<double>& s : w.raw) s.need(room);
        w.raw_owner.need(room);
        const int self = cells_.place(atom.index);
        const double cutoff = tables_.longest_cutoff(), limit = cutoff * cutoff;
        const double ax = cells_.x[self], ay = cells_.y[self], az = cells_.z[self];
        double *rx = w.raw[0].data(), *ry = w.raw[1].data(), *rz = w.raw[2].data();
        int32_t* owner = w.raw_owner.data();
        int count = 0, same = 0;
        for (const Run& run : w.runs) {
#if defined(__AVX512F__)
            const __m512d px = _mm512_set1_pd(ax), py = _mm512_set1_pd(ay), pz = _mm512_set1_pd(az);
            const __m512d far = _mm512_set1_pd(limit), zero = _mm512_setzero_pd();
            for (int p = run.begin; p < run.end; p += 8) {
                const __mmask8 tail = run.end - p >= 8 ? 0xff : (1u << (run.end - p)) - 1;
                const __m512d dx = _mm512_sub_pd(_mm512_loadu_pd(&cells_.x[p]), px);
                const __m512d dy = _mm512_sub_pd(_mm512_loadu_pd(&cells_.y[p]), py);
                const __m512d dz = _mm512_sub_pd(_mm512_loadu_pd(&cells_.z[p]), pz);
                const __m512d square =
                    _mm512_fmadd_pd(dx, dx, _mm512_fmadd_pd(dy, dy, _mm512_mul_pd(dz, dz)));
                const __mmask8 near = _mm512_mask_cmp_pd_mask(tail, square, far, _CMP_LT_OQ);
                const __mmask8 apart = _mm512_mask_cmp_pd_mask(near, square, zero, _CMP_GT_OQ);
                same += __builtin_popcount(near ^ apart);
                _mm512_storeu_pd(rx + count, _mm512_maskz_compress_pd(apart, dx));
                _mm512_storeu_pd(ry + count, _mm512_maskz_compress_pd(apart, dy));
                _mm512_storeu_pd(rz + count, _mm512_maskz_compress_pd(apart, dz));
                _mm256_storeu_si256(
                    reinterpret_cast<__m256i*>(owner + count),
                    _mm256_maskz_compress_epi32(
                        apart, _mm256_loadu_si256(
                                   reinterpret_cast<const __m256i*>(&cells_.owner[p]))));
                count += __builtin_popcount(apart);
            }
#else
            for (int p = run.begin; p < run.end; p++) {
                const double dx = cells_.x[p] - ax, dy = cells_.y[p] - ay, dz = cells_.z[p] - az;
                const double square = dx * dx + dy * dy + dz * dz;
                rx[count] = dx;
                ry[count] = dy;
                rz[count] = dz;
                owner[count] = cells_.owner[p];
                same += square == 0.0;
                count += square < limit && square > 0.0;
            }
#endif
        }
        if (same != 1) {
            for (const Run& run : w.runs)
                for (int p = run.begin; p < run.end; p++)
                    if (p != self && cells_.x[p] == ax && cells_.y[p] == ay && cells_.z[p] == az)
                        coincide(atom.original, cells_.original(cells_.owner[p]));
            throw Error("positions: atom " + std::to_string(atom.original) +
                        " cannot be told apart from another");
        }
        return count;
    }

    [[noreturn]] static void coincide(int i, int j) {
        throw Error("positions: atoms " + std::to_string(std::min(i, j)) + " and " +
                    std::to_string(std::max(i, j)) + " sit at the same point");
    }

    static ACE_INLINE V reciprocal_root(V square) {
#if defined(__AVX512F__)
        V y = (V)_mm512_rsqrt14_pd((__m512d)square);
        const V half = square * 0.5;
        for (int k = 0; k < 3; k++) y = y * (1.5 - half * y * y);
        return y;
#else
        V root;
#pragma GCC unroll 8
        for (int q = 0; q < W; q++) root[q] = std::sqrt(square[q]);
        return 1.0 / root;
#endif
    }

    // ---- radial functions

    void radial(const Centre& c, Workspace& w, int count) {
        const Plan& plan = c.plan;
        for (size_t s = 0; s < plan.sources.size(); s++)
            for (int z = 0; z < tables_.species; z++) {
                int most = 0;
                for (int a = 0; a < count; a++)
                    most = std::max(most, w.atoms[a].groups[z + 1] - w.atoms[a].groups[z]);
                // In step over the batch, so that the same rows of the table stay close.
                for (int q = 0; q < most; q++)
                    for (int a = 0; a < count; a++) {
                        Workspace::Atom& atom = w.atoms[a];
                        const int v = atom.groups[z] + q;
                        if (v < atom.groups[z + 1])
                            interpolate(plan.sources[s], c.intervals[s][z], atom, v, plan.columns);
                    }
            }
    }

    void interpolate(const Source& source, const Interval& t, Workspace::Atom& atom, int v,
                     int columns) {
        const V r = S::load(&atom.distance[static_cast<size_t>(v) * W]);
        V place = (r - t.begin) * t.inverse;
        const V nearest = S::set(S::least(place));
        if (nearest[0] < 0) {
            for (int q = 0; q < W; q++)
                if (place[q] < 0) {
                    if (t.refuse) too_close(atom, v * W + q, t.begin);
                    place[q] = t.limit;
                }
        }
        V* value = atom.radial.data() + static_cast<size_t>(v) * columns + source.first;
        V* slope = atom.slope.data() + static_cast<size_t>(v) * columns + source.first;
        if (nearest[0] >= t.silent) {
            for (int k = 0; k < source.padded; k++) value[k] = slope[k] = V{};
            return;
        }
        place = place < t.limit ? place : S::set(t.limit);
        const S::I bins = __builtin_convertvector(place, S::I);
        const V fraction = place - __builtin_convertvector(bins, V);
        double u[W];
        const double* row[W];
#pragma GCC unroll 8
        for (int q = 0; q < W; q++) {
            u[q] = fraction[q];
            row[q] = t.rows + static_cast<size_t>(bins[q]) * 6 * source.padded;
        }
        for (int k = 0; k < source.padded; k += W) {
            V f[W], d[W];
#pragma GCC unroll 8
            for (int q = 0; q < W; q++) {
                const double* c = row[q] + k;
                const V x = S::set(u[q]);
                V value_q = S::load(c + 5 * source.padded), slope_q = value_q;
                value_q = value_q * x + S::load(c + 4 * source.padded);
#pragma GCC unroll 4
                for (int power = 3; power >= 0; power--) {
                    slope_q = slope_q * x + value_q;
                    value_q = value_q * x + S::load(c + power * source.padded);
                }
                f[q] = value_q;
                d[q] = slope_q;
            }
            S::transpose(f);
            S::transpose(d);
#pragma GCC unroll 8
            for (int q = 0; q < W; q++) {
                value[k + q] = f[q];
                slope[k + q] = d[q];
            }
        }
    }

    [[noreturn]] void too_close(Workspace::Atom& atom, int k, double begin) {
        const int j = atom.neighbour[k];
        const int other = in_->first ? j : cells_.original(j);
        const double r = atom.distance[k];
        throw Error("atoms " + std::to_string(atom.original) + " and " + std::to_string(other) +
                    " are " + std::to_string(r) + " A apart; this model's tables begin at " +
                    std::to_string(begin) + " A");
    }

    // ---- A

    void one_particle(const Plan& plan, Workspace& w, int a, int total, double* folded,
                      double& core) {
        Workspace::Atom& atom = w.atoms[a];
        const int width = (plan.lmax + 1) * (plan.lmax + 1);
        w.harmonics.need(static_cast<size_t>(chunk) * width);
        w.accumulator.need(plan.components + W);
        V* y = w.harmonics.data();
        V* acc = w.accumulator.data();
        const int densities = tables_.outputs * tables_.densities;
        for (int d = 0; d < densities; d++) folded[d] = 0;
        core = 0;
        for (int z = 0; z < tables_.species; z++) {
            std::memset(static_cast<void*>(acc), 0, sizeof(V) * plan.components);
            const int end = atom.groups[z + 1];
            for (int v0 = atom.groups[z]; v0 < end; v0 += chunk) {
                const int count = std::min(chunk, end - v0);
                for (int v = 0; v < count; v++) {
                    const size_t k = static_cast<size_t>(v0 + v) * W;
                    angular_.harmonics[plan.lmax](S::load(&atom.x[k]), S::load(&atom.y[k]),
                                                  S::load(&atom.z[k]), y + v * width);
                }
                const V* r = atom.radial.data() + static_cast<size_t>(v0) * plan.columns;
                for (const Group& g : plan.groups) {
                    const int parts = (g.count + tile_radials - 1) / tile_radials;
                    for (const Tile& tile : g.tiles)
                        for (int q = 0, n = 0; q < parts; q++) {
                            const int some = (g.count - n + parts - q - 1) / (parts - q);
                            tiles_.gather[some][tile.width](
                                r + g.column + n, y + g.l * g.l + tile.k0, count, plan.columns,
                                width, acc + tile.offset + n * tile.width);
                            n += some;
                        }
                }
            }
            for (const Source& source : plan.sources)
                for (size_t c = 0; c < source.columns.size(); c++) {
                    if (source.columns[c].kind == Column::channel) continue;
                    V sum = V{};
                    for (int v = atom.groups[z]; v < end; v++)
                        sum += atom.radial[static_cast<size_t>(v) * plan.columns + source.first + c];
                    (source.columns[c].kind == Column::core ? core
                                                            : folded[source.columns[c].index]) +=
                        S::total(sum);
                }
            double* out = w.components.data() + static_cast<size_t>(a) * total + z * plan.components;
            for (int k = 0; k < plan.components; k += W) S::store(out + k, S::sums(acc + k));
        }
    }

    void transpose_in(const Plan& plan, Workspace& w, int total, V* x) {
        for (int k = 0; k < total; k += W) {
            V t[W];
#pragma GCC unroll 8
            for (int q = 0; q < W; q++)
                t[q] = S::load(w.components.data() + static_cast<size_t>(q) * total + k);
            S::transpose(t);
            const double* norm = plan.norms.data() + k % plan.components;
#pragma GCC unroll 8
            for (int q = 0; q < W; q++) x[k + q] = t[q] * norm[q];
        }
    }

    void transpose_out(const Plan& plan, Workspace& w, int total, const V* adjoint) {
        w.pulls.need(static_cast<size_t>(W) * total);
        for (int k = 0; k < total; k += W) {
            V t[W];
            const double* norm = plan.norms.data() + k % plan.components;
#pragma GCC unroll 8
            for (int q = 0; q < W; q++) t[q] = adjoint[k + q] * norm[q];
            S::transpose(t);
#pragma GCC unroll 8
            for (int q = 0; q < W; q++)
                S::store(w.pulls.data() + static_cast<size_t>(q) * total + k, t[q]);
        }
    }

    // ---- products

    void forward(const Plan& plan, int output, const V* x, V* rows, V* rho) {
        const double* c = plan.coefficients[output].data();
        switch (tables_.densities) {
            case 1: form_forward<1>(plan, c, x, rows, rho); break;
            case 2: form_forward<2>(plan, c, x, rows, rho); break;
            case 3: form_forward<3>(plan, c, x, rows, rho); break;
            default: form_forward<4>(plan, c, x, rows, rho); break;
        }
    }

    void backward(const Plan& plan, int output, const V* x, const V* rows, V* w, const V* slope) {
        std::memset(static_cast<void*>(w), 0, sizeof(V) * plan.variables);
        const double* c = plan.coefficients[output].data();
        switch (tables_.densities) {
            case 1: form_backward<1>(plan, c, x, rows, w, slope); break;
            case 2: form_backward<2>(plan, c, x, rows, w, slope); break;
            case 3: form_backward<3>(plan, c, x, rows, w, slope); break;
            default: form_backward<4>(plan, c, x, rows, w, slope); break;
        }
        nodes_backward(plan, x, w);
    }

    // Energy of atom a, dE/d rho into slope[p][a], and the weights of what only pairs carry.
    void embedding(int s, Workspace::Atom& atom, int a, int output, const V* rho,
                   const double* folded, double core, V* slope, double& core_weight,
                   double& nearest_weight, int& nearest) {
        double energy = 0;
        const Embeddings& e = tables_.embeddings;
        if (!e.present) {
            energy = rho[0][a] + folded[0];
            slope[0][a] = 1.0;
        } else {
            const int P = tables_.densities;
            for (int p = 0; p < P; p++) {
                double f, df;
                embed(e.shifted[s] != 0, e.exponent[s * P + p], rho[p][a] + folded[p], f, df);
                energy += e.weight[s * P + p] * f;
                slope[p][a] = e.weight[s * P + p] * df;
            }
            if (!tables_.core.empty()) {
                double f = 1, df = 0;
                if (e.mode == 2) {
                    nearest = nearest_neighbour(s, atom, f, df);
                    nearest_weight = (energy - core) * df;
                    core_weight = 1 - f;
                } else {
                    inner_switch(core, e.core_limit[s], e.core_width[s], f, df);
                    core_weight = 1 + energy * df;
                }
                energy = energy * f + core * (e.mode == 2 ? 1 - f : 1.0);
                for (int p = 0; p < P; p++) slope[p][a] *= f;
            }
        }
        if (out_->energies)
            out_->energies[static_cast<size_t>(output) * in_->atoms + atom.original] =
                energy + tables_.e0[s];
    }

    // zbl: f = P(width - d; width, width), d = min_j (r_j - bound_j); returns that neighbour.
    int nearest_neighbour(int s, Workspace::Atom& atom, double& f, double& df) {
        double least = 1e300, width = 0;
        int best = 0;
        for (int z = 0; z < tables_.species; z++) {
            const double* inner = &tables_.embeddings.inner[2 * (s * tables_.species + z)];
            for (int k = atom.groups[z] * W; k < atom.groups[z + 1] * W; k++)
                if (atom.distance[k] - inner[0] < least && atom.distance[k] < 900) {
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

    void forces(const Centre& c, Workspace& w, int a, int output, int total, const V* slope,
                double core_weight, double nearest_weight, int nearest) {
        const Plan& plan = c.plan;
        Workspace::Atom& atom = w.atoms[a];
        double* buffer = w.forces.data() + static_cast<size_t>(output) * in_->points * 4;
        constexpr int room = (most_l + 1) * (most_l + 1);
        V p[2 * room], d[2 * room];
        V sum[3] = {}, virial[9] = {};
        const int P = tables_.densities;
        for (int z = 0; z < tables_.species; z++) {
            const double* adjoint =
                w.pulls.data() + static_cast<size_t>(a) * total + z * plan.components;
            const double scale = plan.sources.empty() ? 0.0 : c.intervals[0][z].inverse;
            // Columns that enter the energy directly: place, and dE/d(column) per unit of r.
            int direct = 0, place[most_direct];
            double weight[most_direct];
            for (size_t s = 0; s < plan.sources.size(); s++)
                for (size_t q = 0; q < plan.sources[s].columns.size(); q++) {
                    const Column& column = plan.sources[s].columns[q];
                    if (column.kind == Column::channel ||
                        (column.kind == Column::folded && column.index / P != output))
                        continue;
                    place[direct] = plan.sources[s].first + static_cast<int>(q);
                    weight[direct++] = (column.kind == Column::core ? core_weight
                                                                    : slope[column.index % P][a]) *
                                       c.intervals[s][z].inverse;
                }
            for (int v = atom.groups[z]; v < atom.groups[z + 1];) {
                const int some = v + 1 < atom.groups[z + 1] ? 2 : 1;
                const size_t at = static_cast<size_t>(v) * plan.columns;
                spread(c, plan, z, adjoint, atom.radial.data() + at, atom.slope.data() + at, some,
                       p, d, room);
                for (int u = 0; u < some; u++, v++) {
                    const size_t k = static_cast<size_t>(v) * W;
                    const V x = S::load(&atom.x[k]), y = S::load(&atom.y[k]), zz = S::load(&atom.z[k]);
                    const V inverse = S::load(&atom.inverse[k]);
                    V radial, gx, gy, gz;
                    angular_.pull[plan.lmax](x, y, zz, p + u * room, d + u * room, radial, gx, gy,
                                             gz);
                    radial *= scale;
                    const V* own = atom.slope.data() + static_cast<size_t>(v) * plan.columns;
                    for (int q = 0; q < direct; q++) radial += own[place[q]] * weight[q];
                    if (nearest_weight != 0 && nearest / W == v) radial[nearest % W] += nearest_weight;
                    const V along = radial - (gx * x + gy * y + gz * zz) * inverse;
                    const V fx = along * x + gx * inverse, fy = along * y + gy * inverse,
                            fz = along * zz + gz * inverse;
                    sum[0] += fx;
                    sum[1] += fy;
                    sum[2] += fz;
                    if (out_->virials) {
                        const V r = S::load(&atom.distance[k]);
                        const V rx = r * x, ry = r * y, rz = r * zz;
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
                    }
                    scatter(buffer, atom.neighbour.data() + k, fx, fy, fz);
                }
            }
        }
        double* own = buffer + 4 * static_cast<size_t>(atom.index);
        for (int k = 0; k < 3; k++) own[k] += S::total(sum[k]);
        if (out_->virials) {
            double* to = out_->virials + (static_cast<size_t>(output) * in_->atoms + atom.original) * 9;
            for (int k = 0; k < 9; k++) to[k] = -S::total(virial[k]);
        }
    }

    // p = sum_n a R, d = sum_n a R' for one or two neighbour vectors. Groups of one l in several
    // sources add up; their slopes count in the units of the first source.
    void spread(const Centre& c, const Plan& plan, int z, const double* adjoint, const V* r,
                const V* slope, int some, V* p, V* d, int room) {
        V more_p[2 * tile_components], more_d[2 * tile_components];
        uint32_t seen = 0;
        for (const Group& g : plan.groups) {
            const bool again = seen >> g.l & 1;
            seen |= 1u << g.l;
            for (const Tile& tile : g.tiles) {
                const int at = g.l * g.l + tile.k0;
                if (!again && plan.sources.size() == 1) {
                    tiles_.spread[some][tile.width](r + g.column, slope + g.column, plan.columns,
                                                    g.count, adjoint + tile.offset, p + at, d + at,
                                                    room);
                    continue;
                }
                tiles_.spread[some][tile.width](r + g.column, slope + g.column, plan.columns,
                                                g.count, adjoint + tile.offset, more_p, more_d,
                                                tile_components);
                size_t s = 0;
                while (s + 1 < plan.sources.size() && g.column >= plan.sources[s + 1].first) s++;
                const double ratio = c.intervals[s][z].inverse / c.intervals[0][z].inverse;
                for (int u = 0; u < some; u++)
                    for (int k = 0; k < tile.width; k++) {
                        const V add_p = more_p[u * tile_components + k];
                        const V add_d = more_d[u * tile_components + k] * ratio;
                        V &to_p = p[u * room + at + k], &to_d = d[u * room + at + k];
                        to_p = again ? to_p + add_p : add_p;
                        to_d = again ? to_d + add_d : add_d;
                    }
            }
        }
        for (int l = 0; l <= plan.lmax; l++)
            if (!(seen >> l & 1))
                for (int u = 0; u < some; u++)
                    for (int k = l * l; k < (l + 1) * (l + 1); k++)
                        p[u * room + k] = d[u * room + k] = V{};
    }

    static ACE_INLINE void scatter(double* buffer, const int32_t* to, V x, V y, V z) {
        typedef double D4 __attribute__((vector_size(32), aligned(8), may_alias));
        for (int q = 0; q < W; q++) {
            D4& f = *reinterpret_cast<D4*>(buffer + 4 * static_cast<size_t>(to[q]));
            f -= D4{x[q], y[q], z[q], 0.0};
        }
    }

    const Tables& tables_;
    const std::vector<std::unique_ptr<Centre>>& centres_;
    const Tiles& tiles_;
    const AngularTable<V, most_l>& angular_;
    std::vector<std::unique_ptr<Workspace>> workspaces_;
    std::vector<Batch> batches_;
    std::vector<int> members_;
    Cells cells_;
    const Structure* in_ = nullptr;
    const Results* out_ = nullptr;
};

class Engine final : public Evaluator {
  public:
    explicit Engine(Tables tables) : shared_(std::move(tables)) {}

    const char* instruction_set() const override { return ACE_ISA_NAME; }
    const Tables& tables() const override { return shared_.tables; }

    void evaluate(const Structure* in, int count, int threads, const Results* out) override {
        if (threads < 1) throw Error("evaluate: expected at least one thread");
        for (int k = 0; k < count; k++)
            if (out[k].outputs < 1 || out[k].outputs > shared_.tables.outputs)
                throw Error("evaluate: this model has " +
                            std::to_string(shared_.tables.outputs - 1) + " committee members");
        while (jobs_.size() < static_cast<size_t>(threads))
            jobs_.push_back(std::make_unique<Job>(shared_));
        // Many structures: each thread takes its own; few: all threads share each.
        if (count < threads || threads == 1) {
            for (int k = 0; k < count; k++) jobs_[0]->evaluate(in[k], threads, out[k]);
            return;
        }
        in_threads(threads, [&](int t) {
            for (int k = t; k < count; k += threads) jobs_[t]->evaluate(in[k], 1, out[k]);
        });
    }

  private:
    const Shared shared_;
    std::vector<std::unique_ptr<Job>> jobs_;
};

}  // namespace ace::ACE_ISA

namespace ace {
std::unique_ptr<Evaluator> ACE_MAKE(Tables tables) {
    return std::make_unique<ACE_ISA::Engine>(std::move(tables));
}
}  // namespace ace
