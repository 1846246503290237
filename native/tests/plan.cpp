// What the plan compiler makes of products: pairs coupled to L where they are invariants.
#include "ace/plan.hpp"

#include <algorithm>
#include <array>

#include "cases.hpp"

namespace ace::test {
namespace {

constexpr int most_l = 4;

// One element, four radial functions, l up to most_l; products of four A's of one l with all four
// radial functions: x (a . b)(c . d) + y (a . c)(b . d), as often as pays for the pairs.
Tables products_of_four(int l, double x, double y) {
    Tables t;
    t.species = 1;
    t.densities = 64;
    t.lmax = most_l;
    t.radial.resize(1);
    t.radial[0].channels = 4;
    for (int channel = 0; channel < 4; channel++)
        for (int k = 0; k <= most_l; k++)
            for (int m = -k; m <= k; m++) {
                t.a_species.push_back(0);
                t.a_channel.push_back(channel);
                t.a_l.push_back(k);
                t.a_m.push_back(m);
            }
    t.products.resize(1);
    Products& p = t.products[0];
    p.order = 4;
    std::vector<double> weights;
    const auto a = [&](int channel, int m) {
        return channel * (most_l + 1) * (most_l + 1) + l * l + l + m;
    };
    const auto add = [&](std::array<int, 4> order, double weight) {
        for (int m = -l; m <= l; m++)
            for (int n = -l; n <= l; n++) {
                const int numbers[4] = {m, -m, n, -n};
                for (int k = 0; k < 4; k++) p.factors.push_back(a(order[k], numbers[k]));
                weights.push_back((m + n) % 2 ? -weight : weight);
                p.terms++;
            }
    };
    add({0, 1, 2, 3}, x);
    add({0, 2, 1, 3}, y);
    for (int d = 0; d < t.densities; d++)
        p.weights.insert(p.weights.end(), weights.begin(), weights.end());
    return t;
}

Plan plan_of(const Tables& tables) { return Plan(tables, 0, {4, 3, 4, 3}); }

void a_product_of_dot_products_needs_two_pairs() {
    const Plan plan = plan_of(products_of_four(2, 1.5, 0));
    demand(plan.couplings.size() == 2 && plan.ops.empty(), "expected two coupled pairs");
    for (const Coupling& c : plan.couplings)
        demand(c.count == 1 && plan.coupled[c.first].l == 0 && !c.odd, "expected L = 0");
}

void invariants_are_coupled_through_every_l() {
    for (int l = 1; l <= most_l; l++) {
        const Plan plan = plan_of(products_of_four(l, 1.5, -0.7));
        demand(plan.ops.empty() && !plan.couplings.empty(), "expected coupled pairs only");
        int found[2] = {0, 0};
        for (const Coupling& c : plan.couplings) {
            demand(c.count >= 1 && c.count <= most_coupled, "too many L in one coupling");
            found[c.odd] += c.count;
            for (int k = 0; k < c.count; k++)
                demand(plan.coupled[c.first + k].place + 2 * plan.coupled[c.first + k].l <
                           plan.variables,
                       "a coupled shell lies outside the variables");
        }
        // (a . b)(c . d) + (a . c)(b . d) as pairs a d and b c: L = 0 ... 2l of both parities.
        demand(found[0] == 2 * (l + 1) && found[1] == 2 * l, "expected every L of both pairs");
    }
}

void what_is_no_invariant_is_left_as_products() {
    for (const double change : {1e-9, 0.1, -1.0}) {
        Tables t = products_of_four(2, 1.5, -0.7);
        t.products[0].weights[7] *= 1 + change;
        const Plan plan = plan_of(t);
        demand(plan.couplings.empty() && !plan.ops.empty(), "expected products of A's");
    }
    Tables one = products_of_four(3, 1.0, 0.0);  // a single product of an l that has many
    one.products[0].terms = 1;
    one.products[0].factors.resize(4);
    one.products[0].weights.resize(one.densities);
    demand(plan_of(one).couplings.empty(), "expected a product of A's");
}

// l = 0 ... l - 1 have no A's here: their sums must be there all the same, as sums of nothing.
void every_component_is_pulled_once() {
    for (int l = 0; l <= most_l; l++) {
        const Plan plan = plan_of(products_of_four(l, 1.0, 0.5));
        std::vector<int> pulled((l + 1) * (l + 1));
        int adjoints = 0;
        for (int width = 3; width > 0; width--)
            for (int k = plan.pull_first[width]; k < plan.pull_first[width - 1]; k++) {
                const Pull& pull = plan.pulls[k];
                adjoints += width * pull.count;
                for (int q = 0; pull.last && q < width; q++) pulled.at(pull.place + q)++;
            }
        demand(std::count(pulled.begin(), pulled.end(), 1) == (l + 1) * (l + 1),
               "a component is pulled twice or not at all");
        demand(adjoints == plan.used, "an adjoint is used twice or not at all");
    }
}

}  // namespace
}  // namespace ace::test

int main() {
    using namespace ace::test;
    return run({
        {"a product of dot products needs two pairs", a_product_of_dot_products_needs_two_pairs},
        {"invariants are coupled through every L", invariants_are_coupled_through_every_l},
        {"what is no invariant is left as products", what_is_no_invariant_is_left_as_products},
        {"every component is pulled once", every_component_is_pulled_once},
    });
}
