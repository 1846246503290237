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
    Nodes nodes(*this, tables, terms, layout);
    nodes.add(rest, form);
    nodes.order_ops();
    form.write(*this);
}

}  // namespace ace
