"""Fit a small silicon potential in Python and look at its errors.

    pip install .
    python examples/01_fit.py

Writes small.acepot into the current folder.
"""

from pathlib import Path

import acepot

DATA = Path(__file__).parent / "data"


def main() -> None:
    fit = acepot.run_fit(
        {
            "data": {
                "train": str(DATA / "Si_train.extxyz.xz"),
                "test": str(DATA / "Si_test.extxyz.xz"),
            },
            "basis": {"order": 3, "degree": [14, 12, 8]},
        },
        say=print,
    )
    for quantity, errors in fit.report["test"]["all"].items():
        print(f"test {quantity}: MAE {errors['mae']:.1f}, RMSE {errors['rmse']:.1f}")
    acepot.save(fit.model, "small.acepot")
    print("saved small.acepot:", Path("small.acepot").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
