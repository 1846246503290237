// Design rows of structures.
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "ace/input.hpp"
#include "results.hpp"
#include "structures.hpp"
#include "verdicts.hpp"

namespace ace::c_api {
namespace {

// The first row of a quantity of `height` rows, -1 where it is not wanted.
ptrdiff_t row(const int64_t* rows, int64_t s, int64_t height, const ace_rows& out,
              const char* name) {
    if (!rows || rows[s] < 0) return -1;
    if (rows[s] > out.stride - height)
        throw Error(std::string("rows.") + name + ": expected " + std::to_string(height) +
                    " rows from " + std::to_string(rows[s]) + " on to be below the stride of " +
                    std::to_string(out.stride));
    return rows[s];
}

RowMatrix matrix(const ace_rows& out, int64_t s, int64_t atoms) {
    RowMatrix one;
    one.data = out.data;
    one.stride = static_cast<size_t>(out.stride);
    one.energy = row(out.energy, s, 1, out, "energy");
    one.forces = row(out.forces, s, 3 * atoms, out, "forces");
    one.virial = row(out.virial, s, 6, out, "virial");
    return one;
}

void no_numbers(const RowMatrix& out, int functions, int64_t atoms) {
    const struct {
        ptrdiff_t begin;
        int64_t height;
    } parts[] = {{out.energy, 1}, {out.forces, 3 * atoms}, {out.virial, 6}};
    for (const auto& part : parts)
        for (int k = 0; k < functions && part.begin >= 0; k++)
            for (int64_t r = 0; r < part.height; r++)
                out.data[k * out.stride + part.begin + r] =
                    std::numeric_limits<double>::quiet_NaN();
}

}  // namespace
}  // namespace ace::c_api

using namespace ace::c_api;

extern "C" int ace_fill_rows(ace_evaluator* e, const ace_structures* given, const ace_rows* rows) {
    return guarded_structures([&] {
        ace::RowBuilder& builder = model(e).rows();
        const Structures structures(given);
        const ace_rows out = sized(rows, "rows");
        if (structures.count() && !out.data)
            throw ace::Error("rows.data: expected an array, got null");
        for (int64_t s = 0; s < structures.count(); s++) matrix(out, s, structures.atoms(s));
        Verdicts verdicts(structures.count(), out.status, out.messages, out.message_size);
        std::vector<ace::Structure> in;
        std::vector<ace::Results> none;
        structures.split({}, in, none);
        Stop stop(structures.given().stop, structures.given().stop_context);
        for (int64_t s = 0; s < structures.count(); s++) {
            const ace::Structure& one = in[s];
            const ace::RowMatrix to = matrix(out, s, structures.atoms(s));
            try {
                ace::check_input(one, structures.threads());
                ace::Crystal crystal{one.atoms, one.positions, one.species, one.cell, {}};
                for (int k = 0; k < 3; k++) crystal.pbc[k] = one.pbc[k];
                builder.fill(crystal, structures.threads(), to);
                if (stop.watch() && stop.watch()->stop()) stop.watch()->check();
            } catch (const ace::Error& error) {
                verdicts.fail(s, error);
                no_numbers(to, builder.functions(), structures.atoms(s));
            }
        }
        verdicts.finish();
    });
}
