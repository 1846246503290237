"""Test errors on the mlearn data of Zuo et al. (2020), one set of defaults for all elements.

    python benchmarks/accuracy.py [--data FOLDER] [--sizes small large] [--elements Si Cu Ni Li]

FOLDER holds {Si,Cu,Ni,Li}_{train,test}.extxyz.xz (github.com/materialsvirtuallab/mlearn as
extended XYZ, energies in eV, forces in eV/Å). Energies and forces are fitted; nothing is tuned
per element. GAP and MTP are the published values of Zuo et al., J. Phys. Chem. A 124, 731 (2020).
"""

import argparse
import time
from pathlib import Path

import acepot

SIZES = {"small": [20, 16, 12], "large": [25, 21, 17]}
#: Published test MAE: GAP and MTP energies in meV/atom, forces in eV/Å.
PUBLISHED = {
    "Ni": ((0.42, 0.02), (0.48, 0.01)),
    "Cu": ((0.46, 0.01), (0.41, 0.01)),
    "Li": ((0.49, 0.01), (0.49, 0.01)),
    "Si": ((2.91, 0.07), (2.21, 0.06)),
}


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = Path(__file__).parents[2] / "shared" / "data" / "mlearn_zuo2020"
    options.add_argument("--data", type=Path, default=default)
    options.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    options.add_argument("--elements", nargs="+", choices=PUBLISHED, default=list(PUBLISHED))
    chosen = options.parse_args()
    head = f"{'':3}{'functions':>10}{'E MAE':>9}{'E RMSE':>9}{'F MAE':>9}{'F RMSE':>9}"
    print(f"{head}{'GAP E':>8}{'MTP E':>8}{'GAP F':>8}{'MTP F':>8}{'s':>6}   (meV/atom, meV/Å)")
    for element in chosen.elements:
        train, test = (chosen.data / f"{element}_{part}.extxyz.xz" for part in ("train", "test"))
        if not train.exists():
            print(f"{element}: skipped, {train} is not there")
            continue
        for size in chosen.sizes:
            begin = time.monotonic()
            fit = acepot.run_fit(
                {
                    "data": {
                        "train": str(train),
                        "test": str(test),
                        "fit": ["energy", "forces"],
                    },
                    "basis": {"order": 3, "degree": SIZES[size]},
                }
            )
            errors = fit.report["test"]["all"]
            (gap_e, gap_f), (mtp_e, mtp_f) = PUBLISHED[element]
            print(
                f"{element:3}{fit.report['basis']['total']:10d}"
                f"{errors['E']['mae']:9.3f}{errors['E']['rmse']:9.3f}"
                f"{errors['F']['mae']:9.2f}{errors['F']['rmse']:9.2f}"
                f"{gap_e:8.2f}{mtp_e:8.2f}{1000 * gap_f:8.0f}{1000 * mtp_f:8.0f}"
                f"{time.monotonic() - begin:6.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
