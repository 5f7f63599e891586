"""Print what a path needs above its input: the growth of VmHWM of a fresh process, after loading and one tiny fit.

    python benchmarks/memory.py [FILE.npz [NAME=VALUE ...]]

FILE holds a CSR matrix as data, indices, indptr and shape (or a dense X), and y; without it, a seeded 5574 × 50505
text problem with 148335 entries, most of its columns having an identical twin. Options (JSON) go to `fit_path`, as in
eps=0.08 standardize=false.
"""

import sys
from pathlib import Path

from benchmarks.growth import measure


def main() -> None:
    found = measure(Path(sys.argv[1]) if len(sys.argv) > 1 else None, *sys.argv[2:])
    bound = 0.25 * found["input"] + 10 * (found["p_vector"] + found["n_vector"])
    square = 16 * found["active"] ** 2
    print(f"{found['n']} × {found['p']}, {found['stored']} stored; {found['alphas']} alphas, at most {found['active']} "
          "active columns")  # fmt: skip
    for label, size in (
        ("growth", found["growth"]),
        ("input", found["input"]),
        ("one p-vector", found["p_vector"]),
        ("coefficients of the path", found["coefficients"]),
        ("Gram and factor of the active columns", square),
        ("0.25 inputs + 10 p- and n-vectors", bound),
        ("these + Gram, factor and coefficients", bound + square + found["coefficients"]),
    ):
        print(f"{label:40}{size / 2**20:9.2f} MiB")


if __name__ == "__main__":
    main()
