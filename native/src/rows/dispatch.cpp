#include "ace/rows.hpp"

#include <algorithm>

#include "ace/errors.hpp"
#include "ace/evaluator.hpp"

namespace ace {

std::unique_ptr<RowBuilder> make_rows_avx512(Tables tables);
std::unique_ptr<RowBuilder> make_rows_avx2(Tables tables);
std::unique_ptr<RowBuilder> make_rows_baseline(Tables tables);

// Here, so that the type is known here alone and not in every instruction set.
RowBuilder::~RowBuilder() = default;

std::unique_ptr<RowBuilder> make_row_builder(Tables tables, const std::string& name) {
    if (tables.embeddings.present) throw Error("rows: a nonlinear model has no design matrix");
    if (tables.irreps.size() != 1 || tables.irreps[0].l != 0 || tables.irreps[0].parity != 1 ||
        std::any_of(tables.products.begin(), tables.products.end(), [](const Products& p) {
            return std::any_of(p.imaginary.begin(), p.imaginary.end(),
                               [](double c) { return c != 0; });
        }))
        throw Error("rows: only true scalars have design rows here; these tables are " +
                    tables.description());
    if (tables.functions == 0) throw Error("rows: these tables do not hold the functions");
    if (tables.radial.empty()) throw Error("rows: these tables hold no radial functions");
    require_instruction_set(name);
#if defined(ACE_WITH_AVX512)
    if (name == "avx512") return make_rows_avx512(std::move(tables));
#endif
#if defined(ACE_WITH_AVX2)
    if (name == "avx2") return make_rows_avx2(std::move(tables));
#endif
    return make_rows_baseline(std::move(tables));
}

}  // namespace ace
