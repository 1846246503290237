#include "plan/layout.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace ace {
namespace {

// Complex Condon-Shortley harmonics are this times q(z) (x + iy)^m, q being d^m P_l/dz^m
// divided by its leading coefficient (2l - 1)!!/(l - m)!. For m > 0 times sqrt 2, so that
// A_lm = (cosine + i sine)/sqrt 2, and rotations keep the sum of squares of a shell.
double norm(int l, int m) {
    double ratio = 1, leading = m ? M_SQRT2 : 1;
    for (int k = l - m + 1; k <= l + m; k++) ratio *= k;
    for (int k = 1; k <= l; k++) leading *= 2 * k - 1;
    for (int k = 1; k <= l - m; k++) leading /= k;
    return (m % 2 ? -1 : 1) * std::sqrt((2 * l + 1) / (4 * M_PI) / ratio) * leading;
}

// Of the first of as few tiles as `count` components need, all about as wide.
int tile_width(int count, int most) {
    const int tiles = (count + most - 1) / most;
    return (count + tiles - 1) / tiles;
}

void add_folded(Source& source, int begin, int end) {
    for (int d = begin; d < end; d++) source.columns.push_back({Column::folded, 0, d});
}

}  // namespace

Layout::Layout(Plan& plan, const Tables& tables, const std::vector<Term>& terms,
               const Widths& widths)
    : plan_(plan), tables_(tables), widths_(widths), linear_(nullptr) {
    place(terms);
}

Layout::Layout(Plan& plan, const Tables& tables, const std::vector<Term>& terms,
               const Widths& widths, const std::vector<Column>& linear)
    : plan_(plan), tables_(tables), widths_(widths), linear_(&linear) {
    place(terms);
}

void Layout::place(const std::vector<Term>& terms) {
    place_columns(terms);
    place_components();
    order_pulls();
    plan_.apart = tables_.together ? 1 : tables_.species;
    plan_.one = plan_.components * plan_.apart;
    plan_.linear_first = plan_.one + 1;
    plan_.variables = plan_.linear_first + plan_.linear * tables_.species;
}

int Layout::linear(const Column& column, int species) const {
    return plan_.linear_first + species * plan_.linear +
           linears_.at({column.kind, column.table, column.index});
}

int Layout::shell(int f) const {
    const Channel channel = channel_of(tables_, tables_.a_channel[f]);
    if (tables_.a_l[f] == 0 && linears_.count({Column::channel, channel.table, channel.index}))
        return linear({Column::channel, channel.table, channel.index}, tables_.a_species[f]);
    return plan_.first_of(tables_.a_species[f]) +
           shells_.at({channel.table, channel.index, tables_.a_l[f]});
}

void Layout::place_columns(const std::vector<Term>& terms) {
    // Channels that each l needs, over all neighbour species.
    std::map<std::pair<int, int>, std::set<int>> needed;  // (table, l) -> channels
    for (const Term& term : terms)
        for (const int f : term.key) {
            const Channel channel = channel_of(tables_, tables_.a_channel[f]);
            needed[{channel.table, tables_.a_l[f]}].insert(channel.index);
        }
    for (int t = 0; t < static_cast<int>(tables_.radial.size()); t++) source_of(t);
    std::vector<std::pair<std::pair<int, int>, std::vector<int>>> wanted;
    for (const auto& [which, set] : needed)
        wanted.emplace_back(which, std::vector<int>(set.begin(), set.end()));
    std::stable_sort(wanted.begin(), wanted.end(), [](const auto& a, const auto& b) {
        return a.second.size() > b.second.size();
    });
    for (const auto& [which, channels] : wanted) {
        std::vector<Column> run;
        for (const int c : channels) run.push_back({Column::channel, which.first, c});
        std::vector<Column>& have = plan_.sources[source_of(which.first)].columns;
        const auto equal = [](const Column& a, const Column& b) {
            return a.kind == b.kind && a.table == b.table && a.index == b.index;
        };
        auto at = std::search(have.begin(), have.end(), run.begin(), run.end(), equal);
        const int begin = static_cast<int>(at - have.begin());
        if (at == have.end()) have.insert(have.end(), run.begin(), run.end());
        groups_.push_back({which.first, which.second, begin, static_cast<int>(run.size()), 0});
        plan_.lmax = std::max(plan_.lmax, which.second);
    }
    if (linear_) place_linear();
    else place_direct();
    for (Source& source : plan_.sources) {
        source.first = plan_.columns;
        const int count = static_cast<int>(source.columns.size());
        source.padded = source.narrow ? count : padded(count);
        plan_.columns += source.padded;
    }
    for (int s = 0; s < static_cast<int>(plan_.sources.size()); s++) {
        const Source& source = plan_.sources[s];
        for (int c = 0; c < static_cast<int>(source.columns.size()); c++)
            if (!source.linear && source.columns[c].kind != Column::channel)
                plan_.directs.push_back({s, source.first + c, source.columns[c]});
    }
    for (Group& group : groups_) group.column += plan_.sources[source_of(group.table)].first;
    for (const Source& source : plan_.sources) {
        if (!source.linear) continue;
        const int count = static_cast<int>(source.columns.size());
        plan_.linears.push_back({source.first, count, source.padded, plan_.linear});
        for (const Column& c : source.columns) linears_[{c.kind, c.table, c.index}] = plan_.linear++;
        plan_.linear += source.padded - count;
    }
}

// Columns that enter the energy directly: beside the channels of their grid, those of a committee
// apart.
void Layout::place_direct() {
    std::set<int> grids;
    for (const Fold& fold : plan_.folds) grids.insert(source_of(fold.table));
    const int densities = tables_.densities, outputs = tables_.outputs * densities;
    for (const int s : grids) {
        add_folded(plan_.sources[s], 0, densities);
        if (outputs == densities) continue;
        plan_.sources.push_back({plan_.sources[s].grid, false, true, {}, 0, 0});
        add_folded(plan_.sources.back(), densities, outputs);
    }
    if (!tables_.core.empty()) place_core();
}

// Apart from the other channels of their grid.
void Layout::place_linear() {
    std::map<int, int> made;  // source of the other channels -> of these
    for (const Column& column : *linear_) {
        const int like = source_of(column.table);
        if (made.emplace(like, int(plan_.sources.size())).second) {
            plan_.sources.push_back({plan_.sources[like].grid, false, false, {}, 0, 0, true});
        }
        plan_.sources[made.at(like)].columns.push_back(column);
    }
}

// In the padding of a wide source on the same grid, else alone.
void Layout::place_core() {
    const Column core{Column::core, 0, 0};
    for (Source& source : plan_.sources) {
        const int count = static_cast<int>(source.columns.size());
        if (!source.committee && padded(count + 1) == padded(count) &&
            tables_.radial[source.grid].same_grid(tables_.core[0])) {
            source.columns.push_back(core);
            return;
        }
    }
    plan_.sources.push_back({-1, true, false, {core}, 0, 0});
}

int Layout::source_of(int table) {
    for (size_t k = 0; k < plan_.sources.size(); k++)
        if (plan_.sources[k].grid >= 0 &&
            tables_.radial[plan_.sources[k].grid].same_grid(tables_.radial[table]))
            return static_cast<int>(k);
    plan_.sources.push_back({table, false, false, {}, 0, 0});
    return static_cast<int>(plan_.sources.size()) - 1;
}

// Components begin ... end of a group.
void Layout::add_tiles(const Group& group, int begin, int end) {
    for (int n = 0, some = 0; n < group.count; n += some) {
        some = tile_width(group.count - n, widths_.tile_radials);
        plan_.tiles.push_back({group.column + n, some, group.l * group.l + begin, end - begin,
                               plan_.components});
        plan_.components += some * (end - begin);
    }
    for (int n = 0; n < group.count; n++)
        for (int k = begin; k < end; k++) {
            plan_.norms.push_back(norm(group.l, (k + 1) / 2));
            plan_.places.push_back(group.first + n * (2 * group.l + 1) + k);
        }
}

void Layout::place_components() {
    for (Group& group : groups_) {
        const int width = 2 * group.l + 1, first = group.first = plan_.components;
        for (int k0 = 0, wide = 0; k0 < width; k0 += wide) {
            wide = tile_width(width - k0, widths_.tile_components);
            add_tiles(group, k0, k0 + wide);
        }
        for (const Source& source : plan_.sources) {
            const int begin = group.column - source.first;
            if (begin < 0 || begin >= source.padded) continue;
            for (int n = 0; n < group.count; n++)
                shells_[{group.table, source.columns[begin + n].index, group.l}] =
                    first + n * width;
        }
    }
    plan_.used = plan_.components;
    plan_.components = padded(plan_.components);
    plan_.norms.resize(plan_.components, 0.0);
    for (int k = plan_.used; k < plan_.components; k++) plan_.places.push_back(k);
}

// Sums of nothing where no group has this l.
void Layout::add_pull(int l, int begin, int end) {
    const size_t first = plan_.pulls.size();
    for (const Group& group : groups_) {
        if (group.l != l) continue;
        plan_.pulls.push_back({l * l + begin, group.column, group.count, false});
        for (int n = 0; n < group.count; n++)
            for (int k = begin; k < end; k++) {
                plan_.pull_order.push_back(group.first + n * (2 * l + 1) + k);
                plan_.pull_norms.push_back(norm(l, (k + 1) / 2));
            }
    }
    if (plan_.pulls.size() == first) plan_.pulls.push_back({l * l + begin, 0, 0, false});
    plan_.pulls.back().last = true;
}

void Layout::order_pulls() {
    plan_.pull_first.assign(widths_.pull_components + 1, 0);
    for (int width = widths_.pull_components; width > 0; width--) {
        plan_.pull_first[width] = static_cast<int>(plan_.pulls.size());
        for (int l = 0; l <= plan_.lmax; l++)
            for (int k0 = 0, wide = 0; k0 < 2 * l + 1; k0 += wide) {
                wide = tile_width(2 * l + 1 - k0, widths_.pull_components);
                if (wide == width) add_pull(l, k0, k0 + wide);
            }
    }
    plan_.pull_first[0] = static_cast<int>(plan_.pulls.size());
    plan_.pull_order.resize(plan_.components, 0);
    plan_.pull_norms.resize(plan_.components, 0.0);
}

}  // namespace ace
