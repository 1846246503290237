// What LAMMPS calls when it loads the plugin.
// SPDX-License-Identifier: GPL-2.0-only
#include "lammps.h"
#include "pair_acepot.h"

#if __has_include("version.h")
#include "version.h"  // LAMMPS' source has it, its installed headers do not
#else
#define LAMMPS_VERSION ACEPOT_LAMMPS_VERSION
#endif

namespace {

// The record that LAMMPS' plugin loader reads, as its manual describes it; the installed headers
// leave it out.
struct Plugin {
    const char *version, *style, *name, *info, *author;
    void *(*creator)(void *);
    void *handle;
};
using Register = void (*)(Plugin *, void *);

void *make(void *lmp) {
    return new LAMMPS_NS::PairACEPot(static_cast<LAMMPS_NS::LAMMPS *>(lmp));
}

}  // namespace

extern "C" __attribute__((visibility("default"))) void lammpsplugin_init(void *lmp, void *handle,
                                                                         void *regfunc) {
    Plugin plugin = {LAMMPS_VERSION, "pair", "acepot", "atomic cluster expansion, acepot",
                     "the acepot developers", make, handle};
    reinterpret_cast<Register>(regfunc)(&plugin, lmp);
}
