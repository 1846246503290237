#include "ace/plan.hpp"

#include "plan/coupling.hpp"
#include "plan/form.hpp"
#include "plan/layout.hpp"
#include "plan/nodes.hpp"
#include "plan/terms.hpp"

namespace ace {

Plan::Plan(const Tables& tables, int centre, const Widths& widths) {
    Terms terms(tables, centre);
    folds = terms.folds;
    const Layout layout(*this, tables, terms.all, widths);
    Form form(tables.outputs, tables.densities);
    const std::vector<const Term*> rest = couple(*this, tables, terms.all, layout, form);
    Nodes(*this, tables, terms, layout, form).add(rest);
    form.write(*this);
}

}  // namespace ace
