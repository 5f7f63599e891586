"""Print how much faster regfast is than the same algorithm in plain Python and in NumPy.

    python benchmarks/against_reference.py

Five α's of a lasso path, one million stored entries, all three to a certified relative duality gap of 1e-4.
"""

from benchmarks.against import PROBLEMS, SOLVERS, seconds

SHAPES = {"dense": "1000 × 1000", "CSR": "20000 × 20000"}


def main() -> None:
    print("| X, 1e6 entries | plain Python | NumPy | regfast | × plain Python | × NumPy |")
    print("|---|---:|---:|---:|---:|---:|")
    for kind in PROBLEMS:
        took = {solver: seconds(PROBLEMS[kind](), SOLVERS[solver], 0.02, f"{solver}, {kind}") for solver in SOLVERS}
        ratios = [took[solver] / took["regfast"] for solver in ("reference", "NumPy")]
        times = " | ".join(f"{took[solver]:.3g} s" for solver in SOLVERS)
        print(f"| {kind}, {SHAPES[kind]} | {times} | {ratios[0]:.0f} | {ratios[1]:.1f} |", flush=True)


if __name__ == "__main__":
    main()
