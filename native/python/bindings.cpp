// The compiled module of Python. This folder alone knows nanobind.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <exception>
#include <string>

#include "ace/errors.hpp"
#include "ace/evaluator.hpp"
#include "ace/limits.hpp"
#include "charges.hpp"
#include "contacts.hpp"
#include "edges.hpp"
#include "evaluator_handle.hpp"
#include "row_handle.hpp"

using ace::python::Handle;
using ace::python::RowHandle;

NB_MODULE(_native, module) {
    // Hosts may keep what they were given until the process ends, as OpenMM 8.6 keeps the callable
    // of every PythonForce it has read from XML: nothing a user could act on.
    nb::set_leak_warnings(false);
    nb::register_exception_translator([](const std::exception_ptr& p, void*) {
        try {
            std::rethrow_exception(p);
        } catch (const ace::Error& e) {
            PyErr_SetString(PyExc_ValueError, e.what());
        }
    });
    ace::python::find_main_thread();
    module.attr("most_l") = ace::most_l;
    module.def("instruction_sets", &ace::instruction_sets);
    module.def("built_instruction_sets", &ace::built_instruction_sets);
    module.def("keep_apart", &ace::python::keep_apart, nb::arg("chosen").noconvert(),
               nb::arg("numbers"), nb::arg("positions"), nb::arg("cells"), nb::arg("periodic"),
               nb::arg("least"));
    module.def("edges", &ace::python::edges, nb::arg("positions"), nb::arg("species"),
               nb::arg("cell"), nb::arg("pbc"), nb::arg("inverse"), nb::arg("cutoff"));
    module.def("gaussian_matrix", &ace::python::gaussians<ace::gaussian_matrix>,
               nb::arg("positions"), nb::arg("widths"));
    module.def("gaussian_slopes", &ace::python::gaussians<ace::gaussian_slopes>,
               nb::arg("positions"), nb::arg("widths"));
    module.def("gaussian_pull", &ace::python::gaussian_pull, nb::arg("positions"),
               nb::arg("widths"), nb::arg("left"), nb::arg("right"));
    nb::class_<ace::python::PairsHandle>(module, "ScreenedPairs")
        .def(nb::init<ace::python::In<double, -1, 3>, ace::python::In<int32_t, -1>,
                      ace::python::Line, ace::python::In<double, 3, 3>,
                      ace::python::In<double, 3, 3>, ace::python::In<double, -1, -1>, double>(),
             nb::arg("positions"), nb::arg("kinds"), nb::arg("widths"), nb::arg("cell"),
             nb::arg("inverse"), nb::arg("reach"), nb::arg("sigma"))
        .def("arrays", &ace::python::PairsHandle::arrays)
        .def("within", &ace::python::PairsHandle::within, nb::arg("distance"))
        .def("product", &ace::python::PairsHandle::product, nb::arg("charges"))
        .def("pull", &ace::python::PairsHandle::pull, nb::arg("left"), nb::arg("right"));
    nb::class_<ace::python::SplinesHandle>(module, "MeshSplines")
        .def(nb::init<ace::python::In<double, -1, 3>, ace::python::In<int32_t, 3>, int>(),
             nb::arg("fractions"), nb::arg("shape"), nb::arg("order"))
        .def("spread", &ace::python::SplinesHandle::spread, nb::arg("charges"))
        .def("gather", &ace::python::SplinesHandle::gather, nb::arg("mesh"))
        .def("gather_slopes", &ace::python::SplinesHandle::gather_slopes, nb::arg("mesh"));
    nb::class_<Handle>(module, "Evaluator")
        .def(nb::init<nb::bytes, const std::string&, const std::string&>(), nb::arg("tables"),
             nb::arg("instruction_set"), nb::arg("precision") = "double")
        .def_prop_ro("instruction_set", &Handle::instruction_set)
        .def_prop_ro("rows", &Handle::rows)
        .def_prop_ro("is_energy", &Handle::is_energy)
        .def("evaluate", &Handle::evaluate, nb::arg("positions"), nb::arg("species"),
             nb::arg("first"), nb::arg("cells"), nb::arg("pbc"), nb::arg("threads"),
             nb::arg("outputs"), nb::arg("energies").noconvert().none(),
             nb::arg("forces").noconvert().none(), nb::arg("virials").noconvert().none(),
             nb::arg("virial").noconvert().none(), nb::arg("weights") = nb::none())
        .def("values", &Handle::values, nb::arg("positions"), nb::arg("species"),
             nb::arg("first"), nb::arg("cells"), nb::arg("pbc"), nb::arg("threads"),
             nb::arg("out").noconvert())
        .def("jvp", &Handle::jvp, nb::arg("positions"), nb::arg("species"), nb::arg("first"),
             nb::arg("cells"), nb::arg("pbc"), nb::arg("threads"), nb::arg("displacements"),
             nb::arg("strains"), nb::arg("out").noconvert())
        .def("pullback", &Handle::pullback, nb::arg("positions"), nb::arg("species"),
             nb::arg("first"), nb::arg("cells"), nb::arg("pbc"), nb::arg("threads"),
             nb::arg("adjoints"), nb::arg("forces").noconvert().none(),
             nb::arg("virials").noconvert().none())
        .def("pull_deviation", &Handle::pull_deviation, nb::arg("positions"), nb::arg("species"),
             nb::arg("first"), nb::arg("cells"), nb::arg("pbc"), nb::arg("threads"),
             nb::arg("mean"), nb::arg("rows"), nb::arg("triangular"), nb::arg("weights"),
             nb::arg("products").noconvert(), nb::arg("sigma").noconvert(),
             nb::arg("forces").noconvert().none(), nb::arg("virial").noconvert().none())
        .def("evaluate_one", &Handle::evaluate_one, nb::arg("positions"), nb::arg("species"),
             nb::arg("cell"), nb::arg("pbc"), nb::arg("threads"))
        .def("evaluate_list", &Handle::evaluate_list, nb::arg("positions"), nb::arg("species"),
             nb::arg("first"), nb::arg("neighbours"), nb::arg("threads"), nb::arg("outputs"));
    nb::class_<RowHandle>(module, "RowBuilder")
        .def(nb::init<nb::bytes, const std::string&>(), nb::arg("tables"),
             nb::arg("instruction_set"))
        .def_prop_ro("instruction_set", &RowHandle::instruction_set)
        .def_prop_ro("functions", &RowHandle::functions)
        .def("fill", &RowHandle::fill, nb::arg("positions"), nb::arg("species"), nb::arg("cell"),
             nb::arg("pbc"), nb::arg("threads"), nb::arg("out").noconvert(), nb::arg("energy"),
             nb::arg("forces"), nb::arg("virial"));
}
