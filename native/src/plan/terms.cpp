#include "plan/terms.hpp"

#include <algorithm>

namespace ace {

Channel channel_of(const Tables& tables, int channel) {
    int table = 0;
    for (; channel >= tables.radial[table].channels; table++)
        channel -= tables.radial[table].channels;
    return {table, channel};
}

Terms::Terms(const Tables& tables, int centre) : tables_(tables) {
    const Products& products = tables.products[centre];
    const int padding = static_cast<int>(tables.a_l.size());
    for (int t = 0; t < products.terms; t++) {
        Term term;
        for (int s = 0; s < products.order; s++)
            if (const int f = products.factors[size_t(t) * products.order + s]; f < padding)
                term.key.push_back(f);
        bool used = false;
        for (int d = 0; d < tables.outputs * tables.densities; d++) {
            term.weight.push_back(products.weights[size_t(d) * products.terms + t]);
            used = used || term.weight.back() != 0;
        }
        if (!used) continue;
        if (term.key.size() == 1 && tables.a_l[term.key[0]] == 0) {
            const int f = term.key[0];
            const Channel channel = channel_of(tables, tables.a_channel[f]);
            const int own = tables.a_species[f];
            for (int z = own < 0 ? 0 : own; z < (own < 0 ? tables.species : own + 1); z++)
                folds.push_back({channel.table, channel.index, z, term.weight});
        } else {
            std::sort(term.key.begin(), term.key.end());
            merge(std::move(term));
        }
    }
}

// Terms that are permutations or conjugates of each other are one: with sum m = 0 (all that
// invariants have) the real parts agree; otherwise up to (-1)^(sum m).
void Terms::merge(Term term) {
    const Key other = mirror(term.key);
    double sign = 1;
    if (other < term.key) {
        sign = parity(term.key);
        term.key = other;
    }
    const auto [at, fresh] = index_.emplace(term.key, all.size());
    if (fresh) all.push_back({term.key, std::vector<double>(term.weight.size(), 0.0)});
    for (size_t d = 0; d < term.weight.size(); d++)
        all[at->second].weight[d] += sign * term.weight[d];
}

Key Terms::mirror(const Key& key) const {
    Key out;
    for (const int f : key) out.push_back(f - 2 * tables_.a_m[f]);
    std::sort(out.begin(), out.end());
    return out;
}

double Terms::parity(const Key& key) const {
    int sum = 0;
    for (const int f : key) sum += tables_.a_m[f];
    return sum % 2 ? -1 : 1;
}

}  // namespace ace
