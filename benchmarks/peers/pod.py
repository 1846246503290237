"""Proper orthogonal descriptors: LAMMPS' `fitpod` and `pair_style pod`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from peers.lammps import run, write_extxyz

from acepot import Structure

#: Radial functions and angular degrees of two to five bodies.
SIZES = {
    "small": (6, (5, 4), (0, 0), (0, 0)),
    "medium": (8, (6, 5), (5, 3), (0, 0)),
    "large": (9, (8, 6), (6, 4), (4, 3)),
    "extra": (11, (10, 6), (8, 5), (6, 4)),
}
_FIT = """\
file_format extxyz
file_extension xyz
path_to_training_data_set train
fitting_weight_energy 100.0
fitting_weight_force 1.0
fitting_regularization_parameter 1e-10
error_analysis_for_training_data_set 0
error_analysis_for_test_data_set 0
basename_for_output_files fitted
precision_for_pod_coefficients 12
"""


def fit(folder: Path, size: str, element: str, train: Sequence[Structure], cutoff: float) -> dict:
    """Fit one; its pair style, how many coefficients, and seconds."""
    two, three, four, five = SIZES[size]
    (folder / "train").mkdir(parents=True, exist_ok=True)
    write_extxyz(folder / "train" / "data.xyz", train)
    (folder / "param.pod").write_text(
        f"species {element}\npbc 1 1 1\nrin 1.0\nrcut {cutoff:g}\n"
        "bessel_polynomial_degree 4\ninverse_polynomial_degree 10\nonebody 1\n"
        f"twobody_number_radial_basis_functions {two}\n"
        f"threebody_number_radial_basis_functions {three[0]}\nthreebody_angular_degree {three[1]}\n"
        f"fourbody_number_radial_basis_functions {four[0]}\nfourbody_angular_degree {four[1]}\n"
        f"fivebody_number_radial_basis_functions {five[0]}\nfivebody_angular_degree {five[1]}\n"
    )
    (folder / "data.pod").write_text(_FIT)
    began = time.monotonic()
    run(folder, "fitpod param.pod data.pod")
    (coefficients,) = folder.glob("fitted*coefficients.pod")
    count = len(coefficients.read_text().split()) - 2
    style = ["pair_style pod", f"pair_coeff * * param.pod {coefficients.name} {element}"]
    return {"style": style, "coefficients": count, "seconds": time.monotonic() - began}
