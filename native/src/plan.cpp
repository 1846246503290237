#include "ace/plan.hpp"

#include "plan_coupling.hpp"
#include "plan_form.hpp"
#include "plan_layout.hpp"
#include "plan_nodes.hpp"
#include "plan_terms.hpp"

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
