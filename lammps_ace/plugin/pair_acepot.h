// pair_style acepot: atomic cluster expansion potentials on acepot's native kernel.
// SPDX-License-Identifier: GPL-2.0-only
#ifndef LMP_PAIR_ACEPOT_H
#define LMP_PAIR_ACEPOT_H

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ace/c_api.h"
#include "pair.h"

namespace LAMMPS_NS {

class PairACEPot : public Pair {
  public:
    explicit PairACEPot(class LAMMPS *);
    ~PairACEPot() override;
    void compute(int, int) override;
    void settings(int, char **) override;
    void coeff(int, char **) override;
    void init_style() override;
    double init_one(int, int) override;
    // "ace_uncertainty_flag": 1 asks for the spread in the next step (fix pair sets it).
    void *extract(const char *, int &) override;
    // "ace_uncertainty": spread of the committee's energies of each atom, in LAMMPS' unit.
    void *extract_peratom(const char *, int &) override;
    double memory_usage() override;

  private:
    struct Destroy {
        void operator()(ace_evaluator *e) const { ace_destroy(e); }
    };
    using Evaluator = std::unique_ptr<ace_evaluator, Destroy>;
    Evaluator evaluator;
    double unit = 1;  // an eV in LAMMPS' unit of energy; angstrom are LAMMPS' as well
    int wants_uncertainty = 0;
    bool masses_checked = false, with_e0 = true;
    int precision = ACE_DOUBLE;

    // The neighbour list and the order of atoms in it, renewed when LAMMPS renews its own.
    // Point k is LAMMPS' atom order[k]; empty where the two agree. Atoms that `neigh_modify exclude`
    // takes all pairs of are no centres.
    std::vector<int32_t> order, neighbours;
    std::vector<int64_t> first;
    int centres = 0, points = 0;
    // Of one step; vectors grow and never shrink.
    std::vector<int32_t> species;
    std::vector<double> packed, energies, forces, virials, centroids, weights, uncertainty;

    std::string file_bytes(const char *);
    void read_model(const char *name, const std::string &bytes);
    static Evaluator open(const std::string &bytes, int precision);
    void tell_precision(const std::string &bytes);
    void set_unit();
    void check_masses();
    void check_heat_flux();
    void renew_list();
    void choose_centres();
    const double *positions();
    bool evaluate(const ace_results &);
    std::string failure(int concerned, const int64_t *points);
    void add_forces();
    void add_energies();
    void add_virials();
    void add_centroid_virials();
    void find_uncertainty(int outputs);
    int atom_of(int point) const { return order.empty() ? point : order[point]; }
};

}  // namespace LAMMPS_NS
#endif
