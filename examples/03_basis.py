"""How large a basis is before it is built, and what its functions are on an atom.

    pip install .
    python examples/03_basis.py

Prints both.
"""

import numpy as np

from acepot.basis.choices import resolve
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.evaluate.reference import ReferenceEvaluator
from acepot.lowering import lower
from acepot.structure import Structure


def main() -> None:
    print("functions of silicon by order and degree")
    for order in (1, 2, 3, 4):
        for degree in (8, 12, 16):
            size = basis_size(resolve(BasisSpec(("Si",), order=order, degree=degree)))
            print(f"  order {order}, degree {degree:2d}: {size['total']}")

    # Vectors instead of scalars: L = 1, odd under inversion, on an oxygen atom of water.
    spec = resolve(
        BasisSpec(("H", "O"), order=2, degree=5, cutoff=3.0, r0=1.0, total_l=1, parity=-1)
    )
    count = basis_size(spec)["total"]
    water = Structure([8, 1, 1], [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]])
    (sites,) = ReferenceEvaluator(lower(spec)).values([water])
    (values,) = sites.values  # [atom, function, component]
    print(f"\n{count} vector functions; on oxygen they point along the dipole (y, z, x):")
    print(np.array2string(values[0, np.abs(values[0]).max(axis=1) > 0][:3], precision=4))


if __name__ == "__main__":
    main()
