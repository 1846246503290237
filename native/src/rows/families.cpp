#include "rows/families.hpp"

#include <algorithm>
#include <cmath>

namespace ace::rows {
namespace {

bool end_alike(const RadialTable& a, const RadialTable& b) {
    for (size_t p = 0; p < a.begin.size(); p++) {
        const int pair = static_cast<int>(p);
        if (std::abs(b.end(pair) - a.end(pair)) > 1e-9 * a.end(pair)) return false;
    }
    return true;
}

}  // namespace

std::vector<int> reaches(const Tables& tables) {
    std::vector<int> out;
    int count = 0;
    for (const RadialTable& t : tables.radial) {
        size_t k = 0;
        while (k < out.size() && !end_alike(t, tables.radial[k])) k++;
        out.push_back(k < out.size() ? out[k] : count++);
    }
    return out;
}

std::vector<Family> families(const Tables& tables) {
    const std::vector<int> reach = reaches(tables);
    const int count = 1 + *std::max_element(reach.begin(), reach.end());
    std::vector<Family> out(tables.species * count, {0, 0, 0, {}, {}});
    for (int v = 0; v < static_cast<int>(tables.a_l.size()); v += 2 * tables.a_l[v] + 1) {
        int table = 0;
        for (int c = tables.a_channel[v]; c >= tables.radial[table].channels; table++)
            c -= tables.radial[table].channels;
        const int own = tables.a_species[v];
        for (int z = own < 0 ? 0 : own; z < (own < 0 ? tables.species : own + 1); z++) {
            Family& family = out[z * count + reach[table]];
            const Shell shell{tables.a_channel[v], tables.a_l[v], v, family.columns};
            family.shells.push_back(shell);
            family.by_l.resize(std::max<size_t>(family.by_l.size(), shell.l + 1));
            family.by_l[shell.l].push_back(shell);
            family.columns += 2 * tables.a_l[v] + 1;
            family.lmax = std::max(family.lmax, tables.a_l[v]);
        }
    }
    for (Family& family : out)  // tables that no A reads make families without shells
        family.by_l.resize(std::max<size_t>(family.by_l.size(), family.lmax + 1));
    for (size_t f = 1; f < out.size(); f++) out[f].begin = out[f - 1].begin + out[f - 1].columns;
    return out;
}

}  // namespace ace::rows
