"""How large a basis is before it is built, and what its functions are on an atom.

    pip install .
    python examples/03_basis.py

Prints both.
"""

import numpy as np

from acepot import BasisSpec, Structure, basis_size, descriptors, resolve


def main() -> None:
    print("functions of silicon by order and degree")
    for order in (1, 2, 3, 4):
        for degree in (8, 12, 16):
            size = basis_size(resolve(BasisSpec(("Si",), order=order, degree=degree)))
            print(f"  order {order}, degree {degree:2d}: {size['total']}")

    # Scalars (0e) and vectors that are odd under inversion (1o), of the atoms of water.
    spec = resolve(
        BasisSpec(("H", "O"), order=2, degree=5, cutoff=3.0, r0=1.0, irreps=("0e", "1o"))
    )
    water = Structure([8, 1, 1], [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]])
    ((scalars, vectors),) = descriptors(spec, [water])  # each [atom, function, component]
    print(f"\n{scalars.shape[1]} scalars; a descriptor of oxygen begins with:")
    print(np.array2string(scalars[0, scalars[0, :, 0] != 0][:4, 0], precision=4))
    print(f"{vectors.shape[1]} vectors; on oxygen they point along the dipole (y, z, x):")
    print(np.array2string(vectors[0, np.abs(vectors[0]).max(axis=1) > 0][:3], precision=4))


if __name__ == "__main__":
    main()
