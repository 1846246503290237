#include "ace/rows.hpp"

#include "ace/errors.hpp"
#include "ace/evaluator.hpp"

namespace ace {

#if defined(ACE_X86)
std::unique_ptr<RowBuilder> make_rows_avx512(Tables tables);
std::unique_ptr<RowBuilder> make_rows_avx2(Tables tables);
#endif
std::unique_ptr<RowBuilder> make_rows_baseline(Tables tables);

// Here, so that the type is known here alone and not in every instruction set.
RowBuilder::~RowBuilder() = default;

std::unique_ptr<RowBuilder> make_row_builder(Tables tables, const std::string& name) {
    if (tables.embeddings.present) throw Error("rows: a nonlinear model has no design matrix");
    if (tables.functions == 0) throw Error("rows: these tables do not hold the functions");
    if (tables.radial.empty()) throw Error("rows: these tables hold no radial functions");
    require_instruction_set(name);
#if defined(ACE_X86)
    if (name == "avx512") return make_rows_avx512(std::move(tables));
    if (name == "avx2") return make_rows_avx2(std::move(tables));
#endif
    return make_rows_baseline(std::move(tables));
}

}  // namespace ace
