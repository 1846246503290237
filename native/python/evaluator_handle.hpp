// The evaluator for Python.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ace/concatenated.hpp"
#include "ace/evaluator.hpp"
#include "ace/input.hpp"
#include "arrays.hpp"
#include "signals.hpp"

namespace nb = nanobind;

namespace ace::python {

class Handle {
  public:
    Handle(nb::bytes tables, const std::string& instruction_set,
           const std::string& precision)
        : evaluator_(ace::make_evaluator(
              ace::Tables::read(reinterpret_cast<const unsigned char*>(tables.c_str()),
                                tables.size()),
              instruction_set, ace::precision_named(precision))) {}

    std::string instruction_set() const { return evaluator_->instruction_set(); }

    // Values of a site, and whether there are energies.
    int rows() const { return evaluator_->tables().rows(); }
    bool is_energy() const { return evaluator_->tables().is_energy(); }

    // Structures that follow one another: positions [atoms, 3], species [atoms], first [structures
    // + 1], cells [structures, 3, 3] and pbc [structures, 3]. Results are written into arrays of the
    // caller's, None where they are not wanted: energies [outputs, atoms], forces [outputs, atoms,
    // 3], virials of atoms [1, atoms, 3, 3], which are those of the model, and virial [outputs,
    // structures, 3, 3]. With weights [outputs, structures] or [outputs, atoms] forces, virials and
    // virial are of one output, the sum of all with these weights. Returns the structures that could
    // not be evaluated, and why.
    nb::list evaluate(In<double, -1, 3> positions, In<int32_t, -1> species, In<int64_t, -1> first,
                      In<double, -1, 3, 3> cells, In<int32_t, -1, 3> pbc, int threads, int outputs,
                      std::optional<To<2>> energies, std::optional<To<3>> forces,
                      std::optional<To<4>> virials, std::optional<To<4>> virial,
                      std::optional<In<double, -1, -1>> weights) {
        const size_t count = cells.shape(0), atoms = positions.shape(0), o = outputs;
        check_outputs(outputs);
        if (first.shape(0) != count + 1 || pbc.shape(0) != count || species.shape(0) != atoms ||
            first.data()[count] != static_cast<int64_t>(atoms))
            throw ace::Error("evaluate: arrays do not fit together");
        ace::Results all;
        all.outputs = outputs;
        all.model_virials = true;
        if (weights) {
            if (weights->shape(0) != o || (weights->shape(1) != count && weights->shape(1) != atoms))
                throw ace::Error("weights: expected one for each output and structure or atom");
            (weights->shape(1) == count ? all.weights : all.site_weights) = weights->data();
        }
        const size_t derived = weights ? 1 : o;
        all.energies = place(energies, {o, atoms}, "energies");
        all.forces = place(forces, {derived, atoms, 3}, "forces");
        all.virials = place(virials, {1, atoms, 3, 3}, "virials");
        all.virial = place(virial, {derived, count, 3, 3}, "virial");
        std::vector<ace::Structure> in;
        std::vector<ace::Results> out;
        ace::split({count, first.data(), positions.data(), species.data(), cells.data(), pbc.data()},
                   all, in, out);
        if (count) ace::check_input(in[0], threads);
        ace::Failures failures;
        run(in.data(), count, out.data(), threads, &failures);
        nb::list failed;
        for (const ace::Failure& failure : failures.all)
            failed.append(nb::make_tuple(failure.structure, failure.error.what()));
        return failed;
    }

    // The values of the sites of structures as above are written into `out` [atoms, rows]. Returns
    // the structures that could not be evaluated, and why.
    nb::list values(In<double, -1, 3> positions, In<int32_t, -1> species, In<int64_t, -1> first,
                    In<double, -1, 3, 3> cells, In<int32_t, -1, 3> pbc, int threads, To<2> out) {
        const std::vector<ace::Structure> in =
            structures(positions, species, first, cells, pbc, threads);
        const std::vector<double*> to = sites(out.data(), out.shape(0), out.shape(1), first);
        return run(threads, [&](const ace::Options& options) {
            evaluator_->values(in.data(), static_cast<int>(in.size()), to.data(), options);
        });
    }

    // Their derivatives along displacements [atoms, 3] and strains [structures, 3, 3].
    nb::list jvp(In<double, -1, 3> positions, In<int32_t, -1> species, In<int64_t, -1> first,
                 In<double, -1, 3, 3> cells, In<int32_t, -1, 3> pbc, int threads,
                 In<double, -1, 3> displacements, In<double, -1, 3, 3> strains, To<2> out) {
        const std::vector<ace::Structure> in =
            structures(positions, species, first, cells, pbc, threads);
        if (displacements.shape(0) != positions.shape(0) || strains.shape(0) != in.size())
            throw ace::Error("jvp: arrays do not fit together");
        std::vector<ace::Motion> motions;
        for (size_t k = 0; k < in.size(); k++)
            motions.push_back({displacements.data() + 3 * first.data()[k], strains.data() + 9 * k});
        const std::vector<double*> to = sites(out.data(), out.shape(0), out.shape(1), first);
        return run(threads, [&](const ace::Options& options) {
            evaluator_->jvp(in.data(), static_cast<int>(in.size()), motions.data(), to.data(),
                            options);
        });
    }

    // Forces [1, atoms, 3] and virials [1, atoms, 3, 3] of adjoints [atoms, rows].
    nb::list pullback(In<double, -1, 3> positions, In<int32_t, -1> species, In<int64_t, -1> first,
                      In<double, -1, 3, 3> cells, In<int32_t, -1, 3> pbc, int threads,
                      In<double, -1, -1> adjoints, std::optional<To<3>> forces,
                      std::optional<To<4>> virials) {
        const size_t atoms = positions.shape(0);
        ace::Results all;
        all.forces = place(forces, {1, atoms, 3}, "forces");
        all.virials = place(virials, {1, atoms, 3, 3}, "virials");
        std::vector<ace::Results> out;
        const std::vector<ace::Structure> in =
            structures(positions, species, first, cells, pbc, threads, all, &out);
        const std::vector<const double*> from =
            sites(adjoints.data(), adjoints.shape(0), adjoints.shape(1), first);
        return run(threads, [&](const ace::Options& options) {
            evaluator_->pullback(in.data(), static_cast<int>(in.size()), from.data(), out.data(),
                                 options);
        });
    }

    // Of sums b of the values over the sites of each structure, with c ~ N(mean, G^T G): c b (mean),
    // and its deviation sigma; forces [1, atoms, 3] and virial [1, structures, 3, 3] of w0 mean b +
    // w1 sigma with weights [structures, 2]. `rows` of G: those of a Factor.
    nb::list pull_deviation(In<double, -1, 3> positions, In<int32_t, -1> species,
                            In<int64_t, -1> first, In<double, -1, 3, 3> cells,
                            In<int32_t, -1, 3> pbc, int threads, In<double, -1> mean,
                            In<double, -1> rows, bool triangular, In<double, -1, 2> weights,
                            To<1> products, To<1> sigma, std::optional<To<3>> forces,
                            std::optional<To<4>> virial) {
        const size_t atoms = positions.shape(0), count = cells.shape(0), width = mean.shape(0);
        if (width != static_cast<size_t>(evaluator_->tables().rows()))
            throw ace::Error("mean: expected " + std::to_string(evaluator_->tables().rows()) +
                             " numbers, got " + std::to_string(width));
        if (weights.shape(0) != count || products.shape(0) != count || sigma.shape(0) != count)
            throw ace::Error("weights, products, sigma: expected one for each structure");
        const size_t height = triangular || !width ? width : rows.shape(0) / width;
        if (rows.shape(0) != (triangular ? width * (width + 1) / 2 : width * height))
            throw ace::Error("rows: expected those of a matrix of " + std::to_string(width) +
                             " columns, got " + std::to_string(rows.shape(0)) + " numbers");
        const ace::Factor factor{rows.data(), static_cast<int>(height), static_cast<int>(width),
                                 triangular};
        ace::Results all;
        all.forces = place(forces, {1, atoms, 3}, "forces");
        all.virial = place(virial, {1, count, 3, 3}, "virial");
        std::vector<ace::Results> out;
        const std::vector<ace::Structure> in =
            structures(positions, species, first, cells, pbc, threads, all, &out);
        const auto slopes_of = [&](int begin, int some, const double* b, double* slopes) {
            evaluator_->deviations(factor, b, some, sigma.data() + begin, slopes);
            for (int k = 0; k < some; k++) {
                const double* w = weights.data() + 2 * static_cast<size_t>(begin + k);
                const double* sums = b + k * width;
                double* slope = slopes + k * width;
                double product = 0;
                for (size_t c = 0; c < width; c++) {
                    product += mean.data()[c] * sums[c];
                    slope[c] = w[0] * mean.data()[c] + w[1] * slope[c];
                }
                products.data()[begin + k] = product;
            }
        };
        return run(threads, [&](const ace::Options& options) {
            evaluator_->pull_sums(in.data(), static_cast<int>(in.size()), slopes_of, out.data(),
                                  options);
        });
    }

    // One structure without committee or per-atom virials: energies [n], forces [n, 3] and the
    // virial [3, 3]. What a step of dynamics of a small system needs, with the least around it.
    nb::tuple evaluate_one(In<double, -1, 3> positions, In<int32_t, -1> species,
                           In<double, 3, 3> cell, In<int32_t, 3> pbc, int threads) {
        const size_t n = positions.shape(0);
        if (species.shape(0) != n) throw ace::Error("species: expected one per atom");
        ace::Structure in;
        in.atoms = in.points = static_cast<int>(n);
        in.positions = positions.data();
        in.species = species.data();
        in.cell = cell.data();
        for (int d = 0; d < 3; d++) in.pbc[d] = pbc.data()[d];
        ace::check_input(in, threads);
        Owned energies({n}), forces({n, 3}), virial({3, 3});
        Out e = energies.numpy(), f = forces.numpy(), v = virial.numpy();
        const ace::Results out{1, energies.data, forces.data, nullptr, virial.data};
        run(&in, 1, &out, threads, nullptr);
        return nb::make_tuple(e, f, v);
    }

    // One structure with a caller's full neighbour list.
    nb::tuple evaluate_list(In<double, -1, 3> positions, In<int32_t, -1> species,
                            In<int64_t, -1> first, In<int32_t, -1> neighbours, int threads,
                            int outputs) {
        const size_t points = positions.shape(0), n = first.shape(0) ? first.shape(0) - 1 : 0;
        if (species.shape(0) != points || n == 0 || n > points)
            throw ace::Error("evaluate_list: arrays do not fit together");
        const int64_t* starts = first.data();
        check_outputs(outputs);
        if (starts[n] > static_cast<int64_t>(neighbours.shape(0)))
            throw ace::Error("evaluate_list: first points beyond the neighbours");
        ace::Structure in;
        in.atoms = static_cast<int>(n);
        in.points = static_cast<int>(points);
        in.positions = positions.data();
        in.species = species.data();
        in.first = starts;
        in.neighbours = neighbours.data();
        ace::check_input(in, threads);
        const size_t o = outputs;
        Owned energies({o, n}), forces({o, points, 3}), virials({o, n, 3, 3});
        Out e = energies.numpy(), f = forces.numpy(), v = virials.numpy();
        const ace::Results out{outputs, energies.data, forces.data, virials.data};
        run(&in, 1, &out, threads, nullptr);
        return nb::make_tuple(e, f, v);
    }

  private:
    static std::vector<ace::Structure> structures(
        const In<double, -1, 3>& positions, const In<int32_t, -1>& species,
        const In<int64_t, -1>& first, const In<double, -1, 3, 3>& cells,
        const In<int32_t, -1, 3>& pbc, int threads, const ace::Results& all = {},
        std::vector<ace::Results>* results = nullptr) {
        const size_t count = cells.shape(0), atoms = positions.shape(0);
        if (first.shape(0) != count + 1 || pbc.shape(0) != count || species.shape(0) != atoms ||
            first.data()[count] != static_cast<int64_t>(atoms))
            throw ace::Error("arrays do not fit together");
        std::vector<ace::Structure> in;
        std::vector<ace::Results> none;
        ace::split({count, first.data(), positions.data(), species.data(), cells.data(), pbc.data()},
                   all, in, results ? *results : none);
        if (count) ace::check_input(in[0], threads);
        return in;
    }

    // Where the values of the sites of each structure lie.
    template <class P>
    std::vector<P*> sites(P* data, size_t atoms, size_t width, const In<int64_t, -1>& first) const {
        const size_t rows = evaluator_->tables().rows(), count = first.shape(0) - 1;
        if (width != rows || static_cast<int64_t>(atoms) != first.data()[count])
            throw ace::Error("values of sites: expected " + std::to_string(rows) +
                             " for each atom, got " + std::to_string(width));
        std::vector<P*> out;
        for (size_t k = 0; k < count; k++) out.push_back(data + first.data()[k] * rows);
        return out;
    }

    // Before arrays are made for them.
    void check_outputs(int outputs) const {
        const int most = evaluator_->tables().outputs;
        if (outputs < 1 || outputs > most)
            throw ace::Error("outputs: expected 1 to " + std::to_string(most) + ", got " +
                             std::to_string(outputs));
    }

    // Without the lock of the interpreter. The main thread of Python, which alone is told of
    // signals, looks for them now and then: Ctrl-C ends the call.
    template <class F>
    static void run(int threads, ace::Failures* failures, F&& verb) {
        ace::Watch watch(signalled, nullptr);
        const bool main = PyThread_get_thread_ident() == main_thread;
        try {
            const nb::gil_scoped_release release;
            verb(ace::Options{threads, main ? &watch : nullptr, failures});
        } catch (const ace::Interrupted&) {
            throw nb::python_error();  // that of the handler of the signal
        }
    }
    void run(const ace::Structure* in, size_t count, const ace::Results* out, int threads,
             ace::Failures* failures) {
        run(threads, failures, [&](const ace::Options& options) {
            evaluator_->evaluate(in, static_cast<int>(count), out, options);
        });
    }
    // The structures that fail, and why.
    template <class F>
    static nb::list run(int threads, F&& verb) {
        ace::Failures failures;
        run(threads, &failures, std::forward<F>(verb));
        nb::list failed;
        for (const ace::Failure& failure : failures.all)
            failed.append(nb::make_tuple(failure.structure, failure.error.what()));
        return failed;
    }

    std::unique_ptr<ace::Evaluator> evaluator_;
};

}  // namespace ace::python
