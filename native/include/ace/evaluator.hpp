// The evaluator as its callers see it; one implementation per instruction set.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ace/failures.hpp"
#include "ace/interrupt.hpp"
#include "ace/tables.hpp"

namespace ace {

// One structure. Either a cell (the library finds the neighbours) or a caller's full list, in
// which atoms beyond `atoms` are ghosts: they have neighbours' forces but no energy.
struct Structure {
    int atoms = 0, points = 0;        // points = atoms + ghosts
    const double* positions = nullptr;  // [points][3], A
    const int32_t* species = nullptr;   // [points]
    const double* cell = nullptr;       // [3][3], rows, or null with a list
    int pbc[3] = {0, 0, 0};
    const int64_t* first = nullptr;     // [atoms + 1], or null with a cell
    const int32_t* neighbours = nullptr;
};

// Where results go; null means not wanted. The outputs are the model, then its committee.
struct Results {
    int outputs = 1;
    double* energies = nullptr;  // [output][atoms], eV
    double* forces = nullptr;    // [output][points][3], eV/A
    double* virials = nullptr;   // of each atom, [output][atoms][3][3], eV
    double* virial = nullptr;    // their sum, [output][3][3]
    // Of the model alone and by the neighbour p, as heat fluxes need it: the sum over atoms i of
    // -r_ip (x) dE_i/dr_p, [points][3][3]. The flux of potential energy through the forces is its
    // product with the velocities.
    double* centroid_virials = nullptr;
    // From one output to the next in these arrays, where they belong to several structures: atoms
    // (of energies and virials), points, structures. 0: the array is this structure's own.
    size_t atom_stride = 0, point_stride = 0, structure_stride = 0;
    bool model_virials = false;  // `virials` are of the first output alone
    // With weights of the outputs, of the structure or of each atom, forces and virials are those of
    // one output, the sum of all with these weights: for the price of one. Of all structures of a
    // call or of none.
    const double* weights = nullptr;       // [output], structure_stride
    const double* site_weights = nullptr;  // [output][atoms], atom_stride

    bool combined() const { return weights || site_weights; }
};

// A direction that the positions of a structure move along; null: they do not.
struct Motion {
    const double* displacements = nullptr;  // [points][3], A
    const double* strain = nullptr;         // [3][3], r -> r (1 + strain), vectors as rows
};

// Derivatives of a loss by the sums over sites of the values, of structures first, first + 1, ...:
// sums and slopes are [count][Tables::rows]. The sums of structures that failed are zero.
using SlopesOfSums =
    std::function<void(int first, int count, const double* sums, double* slopes)>;

// A matrix G, its rows one after the other: of an upper triangle without what is left of its
// diagonal, or of `columns` numbers each.
struct Factor {
    const double* rows = nullptr;
    int height = 0, columns = 0;
    bool triangular = false;
};

struct Options {
    int threads = 1;
    Watch* watch = nullptr;        // asked now and then whether to go on
    Failures* failures = nullptr;  // null: the first one is thrown
};

class Evaluator {
  public:
    virtual ~Evaluator();
    // One object serves one caller at a time (others wait), with as many threads as asked for.
    // Results do not depend on timing, but may differ in rounding between numbers of threads.
    //
    // A structure that cannot be evaluated, or whose results are not finite, has no number in its
    // results; the others are what they would be without it.
    virtual void evaluate(const Structure* structures, int count, const Results* results,
                          const Options& options) = 0;
    void evaluate(const Structure* structures, int count, int threads, const Results* results) {
        evaluate(structures, count, results, {threads});
    }

    // Values of sites (docs/conventions.md, "Site outputs"), of Tables of any kind, energies or not:
    // `values` of every structure, [atoms][Tables::rows].
    virtual void values(const Structure* structures, int count, double* const* values,
                        const Options& options) = 0;
    // Their derivatives along a motion of each structure.
    virtual void jvp(const Structure* structures, int count, const Motion* motions,
                     double* const* derivatives, const Options& options) = 0;
    // The forces and virials of a loss with these derivatives by the values. Results have one output;
    // their energies are left alone.
    virtual void pullback(const Structure* structures, int count, const double* const* adjoints,
                          const Results* results, const Options& options) = 0;
    // The same of a loss that depends on the sums of the values over the sites of a structure alone:
    // little more than one pullback, the values included. `slopes_of` is called by the caller's
    // thread, for all structures in turn, some at a time.
    virtual void pull_sums(const Structure* structures, int count, const SlopesOfSums& slopes_of,
                           const Results* results, const Options& options) = 0;

    // The deviation of a sum of coefficients c ~ N(m, G^T G) times numbers b, sigma = |G b|, and its
    // derivatives by b, G^T G b / sigma: of several b, [count][columns]. Zero where sigma is.
    virtual void deviations(const Factor& g, const double* b, int count, double* sigma,
                            double* slopes) const = 0;

    virtual const char* instruction_set() const = 0;
    virtual const Tables& tables() const = 0;
};

// Instruction sets, the best last: "baseline", "avx2", "avx512", or "neon" on aarch64; those this
// library was built with, and those of them that this machine has.
std::vector<std::string> built_instruction_sets();
std::vector<std::string> instruction_sets();
std::string best_instruction_set();
// Throws Error, which names those there are, if this machine or build lacks one.
void require_instruction_set(const std::string& name);

// Everything up to the distances of neighbours is in double, and sums over atoms are. Beyond:
//   full    all in double
//   mixed   what is computed for each neighbour in float, A's and all that is made of them in double
//   single  all in float
enum class Precision { full, mixed, single };
// "double", "mixed" or "single"; throws Error for other names.
Precision precision_named(const std::string& name);
std::unique_ptr<Evaluator> make_evaluator(Tables tables, const std::string& instruction_set,
                                          Precision precision = Precision::full);

}  // namespace ace
