"""Time to accuracy of regfast beside whatever other solvers of the lasso and the elastic net are installed.

    python benchmarks/versus.py [PROBLEM ...] [--solvers regfast,glmnet,...] [--limit 60] [--json results.json]
    python benchmarks/versus.py --json results.json --docs

PROBLEM is one of those made here (all of them by default) or file:PATH.npz with X and y, or with data, indices, indptr
and shape of a CSR matrix and y; whole-numbered data are counts and become tf-idf. docs/benchmarks.md has the protocol.
"""

import os

os.environ |= {name: os.environ.get(name, "1") for name in (  # before numpy loads its BLAS
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS")}

import argparse
import json
import platform
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from textwrap import fill

import numpy as np
import scipy.sparse as sp
from benchmarks.peers import FAMILIES, SOLVERS, Problem, Record, make

ROOT = Path(__file__).resolve().parents[1]
TARGETS = ("1e-4", "1e-6", "1e-9")


# ---------------------------------------------------------------------------------------------------- protocol


def installed() -> dict[str, str]:
    """Versions of the solvers that are here, and of what they stand on."""
    found = {"Python": platform.python_version()}
    for name in (*SOLVERS, "numpy", "scipy"):
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    ask = "suppressMessages(library(glmnet)); cat(as.character(packageVersion('glmnet')))"
    with suppress(OSError, subprocess.CalledProcessError):
        found["glmnet"] = subprocess.run(["Rscript", "-e", ask], capture_output=True, text=True, check=True).stdout
    return found


def machine() -> str:
    """The processor's name, and the threads."""
    info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    threads = os.environ["OMP_NUM_THREADS"]
    return f"{model[1] if model else platform.processor()}, {threads} thread{'' if threads == '1' else 's'}"


def ladder(problem: Problem, solver: str, limit: float) -> Iterator[Record]:
    """One run for each tolerance until one takes longer than `limit`; runs below 0.5 s are the best of three."""
    start, tolerances = SOLVERS[solver]
    with start(problem) as (fit, read):
        for tol in tolerances:
            seconds, result = fit(tol)
            if seconds < 0.5:
                seconds = min(seconds, fit(tol)[0], fit(tol)[0])
            coefs, more = read(result)
            objective = problem.objective(coefs)
            if not np.isfinite(objective).all():
                raise FloatingPointError(f"coefficients are not finite at tol {tol:g}")
            nnz = int((coefs[:, [coefs.shape[1] - 1]] != 0).sum())
            yield {"solver": solver, "tol": tol, "seconds": seconds, "objective": objective, "nnz": nnz, **more}
            if seconds > limit:
                return


def measure(name: str, solvers: list[str], versions: dict[str, str], limit: float) -> Record:
    """All runs of all solvers on one problem; the best objective that any run found is what each is compared with.

    Returns
    -------
    dict
        shape, stored (entries of a sparse X, else None), l1_ratio, limit, machine, versions, failed (solver: error) and
        runs, each with solver, tol, seconds, suboptimality (the worst over the path, relative to P_null), nnz (at the
        last α) and, for regfast, n_passes.
    """
    problem = make(name)
    runs: list[Record] = []
    failed: dict[str, str] = {}
    for solver in solvers:
        print(f"{name}: {solver} …", file=sys.stderr, flush=True)
        try:
            runs.extend(ladder(problem, solver, limit))
        except Exception as error:  # a peer may fail in any way; the others go on
            failed[solver] = " ".join(f"{type(error).__name__}: {error}".split())[-200:]
    best = np.min([run["objective"] for run in runs], axis=0) if runs else 0
    for run in runs:
        run["suboptimality"] = float((run.pop("objective") - best).max())
    return {"shape": problem.X.shape, "stored": problem.X.nnz if sp.issparse(problem.X) else None,
            "l1_ratio": problem.l1_ratio, "limit": limit, "machine": machine(), "versions": versions, "failed": failed,
            "runs": runs}


def times(record: Record) -> dict[str, list[tuple[float, bool]]]:
    """For each solver and target (seconds, reached); a peer that never got there counts with its longest run.

    Failed peers without a run are left out; regfast never is: it counts as infinitely slow.
    """
    found = {}
    for solver in dict.fromkeys([*(run["solver"] for run in record["runs"]), *({"regfast"} & {*record["failed"]})]):
        mine = [run for run in record["runs"] if run["solver"] == solver]
        there = [[run["seconds"] for run in mine if run["suboptimality"] <= float(target)] for target in TARGETS]
        never = np.inf if solver == "regfast" else max(run["seconds"] for run in mine)
        found[solver] = [(min(took), True) if took else (never, False) for took in there]
    return found


def best_peers(record: Record) -> list[tuple[str, tuple[float, bool], float]]:
    """For each target the fastest peer, its (seconds, reached), and its seconds over those of regfast."""
    peers = times(record)
    ours = peers.pop("regfast", [])
    names = [min(peers, key=lambda name, k=k: peers[name][k]) for k in range(len(ours))] if peers else []
    return [(name, peers[name][k], peers[name][k][0] / ours[k][0]) for k, name in enumerate(names)]


def means(results: dict[str, Record]) -> list[float]:
    """For each target the geometric mean of best peer / regfast; a target that regfast missed counts as 1e-3."""
    ratios = [[max(ratio, 1e-3) for *_, ratio in best] for record in results.values() if (best := best_peers(record))]
    return np.exp(np.log(ratios).mean(axis=0)).tolist() if ratios else []


# ------------------------------------------------------------------------------------------------------ reports


def short(x: float) -> str:
    """Two digits."""
    return "never" if np.isinf(x) else f"{x:.2g}" if x < 99.5 else f"{x:.0f}"


def cell(seconds: float, reached: bool) -> str:
    """Seconds, after ">" where a peer's longest run stands for a target it did not reach."""
    return short(seconds) if reached or np.isinf(seconds) else f"> {short(seconds)}"


def size(record: Record) -> str:
    """As in 500 × 20 000."""
    shape = " × ".join(f"{k:,}".replace(",", " ") for k in record["shape"])
    return f"{shape} CSR" if record["stored"] else shape


def show(name: str, record: Record) -> None:
    """Print all runs on a problem, and the seconds to each target."""
    print(f"\n{name}: {size(record)}, l1_ratio {record['l1_ratio']:g}, {record['machine']}")
    for run in record["runs"]:
        passes = f"  {run['n_passes']:.0f} passes" if "n_passes" in run else ""
        print(f"  {run['solver']:<13} tol {run['tol']:.0e} {run['seconds']:10.4f} s   suboptimality "
              f"{run['suboptimality']:.1e}   {run['nnz']:6d} non-zeros{passes}")
    for solver, error in record["failed"].items():
        print(f"  {solver} failed: {error}")
    print(f"  {'seconds to':<13}" + "".join(f"{target:>12}" for target in TARGETS))
    for solver, row in times(record).items():
        print(f"  {solver:<13}" + "".join(f"{cell(*took):>12}" for took in row))


def compact(results: dict[str, Record]) -> str:
    """Markdown: for each problem and target regfast beside the best peer."""
    lines = ["| problem | n × p | " + " | ".join(f"{target}: regfast | best peer" for target in TARGETS) + " |",
             "|---|---|" + "---:|---|" * len(TARGETS)]
    ratios = []
    for name, record in results.items():
        row = []
        for ours, (peer, its, ratio) in zip(times(record).get("regfast", []), best_peers(record), strict=False):
            mark = "**" if ratio < 1 else ""
            row += [cell(*ours), f"{cell(*its)} {peer}, {mark}{short(ratio)}×{mark}"]
            ratios.append(ratio)
        if row:
            lines.append(f"| {name} | {size(record)} | {' | '.join(row)} |")
    geometric = ", ".join(f"{short(mean)}× at {target}" for mean, target in zip(means(results), TARGETS, strict=False))
    lost = f"It is below 1 (bold) in {sum(ratio < 1 for ratio in ratios)} of {len(ratios)} cases."
    never = "A peer with > never got there within its tolerances or the time limit: its longest run counts."
    verdict = f"Best peer / regfast, geometric mean: {geometric}. {lost} {never} {made_with(results)}"
    return "\n".join([*lines, "", fill(verdict, 118)])


def full(results: dict[str, Record]) -> str:
    """Markdown: every solver on every problem."""
    lines = ["| problem | solver | " + " | ".join(f"s to {target}" for target in TARGETS)
             + " | best reached | non-zeros | passes over X |", "|---|---|" + "---:|" * (len(TARGETS) + 3)]
    for name, record in results.items():
        for solver, row in times(record).items():
            mine = sorted((run for run in record["runs"] if run["solver"] == solver), key=lambda r: r["suboptimality"])
            reached = [f"{run['suboptimality']:.0e} | {run['nnz']} | {run.get('n_passes', '')}" for run in mine[:1]]
            lines.append(f"| {name}, {size(record)} | {solver} | "
                         + " | ".join([*(cell(*took) for took in row), *reached]) + " |")
        lines += [f"| {name} | {solver} | failed: {error} |" for solver, error in record["failed"].items()]
    return "\n".join([*lines, "", fill(made_with(results), 118)])


def made_with(results: dict[str, Record]) -> str:
    """What was measured with what and without whom; several versions if the problems were run at several times."""
    packages = dict.fromkeys(f"{name} {v}" for record in results.values() for name, v in record["versions"].items())
    machines = dict.fromkeys(f"{record['machine']}, limit {record['limit']:g} s" for record in results.values())
    ran = {name: {run["solver"] for run in record["runs"]} | {*record["failed"]} for name, record in results.items()}
    absent = {solver: [name for name in results if solver not in ran[name]] for solver in SOLVERS}
    without = [solver if len(names) == len(results) else f"{solver} on {', '.join(names)}"
               for solver, names in absent.items() if names]
    missing = f" Not run: {'; '.join(without)}." if without else ""
    return f"{', '.join(packages)}; {'; '.join(machines)}.{missing}"


def picture(results: dict[str, Record], file: Path) -> None:
    """Small multiples, one per problem: accuracy to the right, seconds upwards, a line for each solver."""
    from matplotlib.figure import Figure

    styles = dict(zip(SOLVERS, ("ko-", "C0s--", "C1^-.", "C2v:", "C3D--", "C4P-."), strict=True))
    rows = -(-len(results) // 3)
    fig = Figure(figsize=(9, 0.9 + 2.3 * rows), layout="constrained")
    axes = fig.subplots(rows, 3, sharex=True, squeeze=False).ravel()
    for ax, (name, record) in zip(axes, results.items(), strict=False):
        for solver, style in styles.items():
            runs = [run for run in record["runs"] if run["solver"] == solver]
            accuracy = [2, *np.clip([run["suboptimality"] for run in runs], 1e-13, 1)]
            seconds = [run["seconds"] for run in runs]  # the loosest run also answers for everything looser
            ax.loglog(accuracy, seconds[:1] + seconds if runs else [np.nan], style, label=solver, linewidth=1.3,
                      markersize=4, markevery=slice(1, None))
        for target in TARGETS:
            ax.axvline(float(target), color="0.85", zorder=0)
        ax.set_title(f"{name}, {size(record)}", fontsize=9)
        ax.tick_params(labelsize=8, labelbottom=True)
        ax.tick_params(axis="y", which="minor", labelleft=False)
        low, high = np.log10(ax.get_ylim())
        ax.set_ylim(10 ** np.floor(low), 10 ** np.ceil(high))
    axes[0].set(xlim=(2, 5e-14), xticks=[1, *map(float, TARGETS), 1e-12])
    for ax in axes[len(results):]:
        ax.remove()
    fig.legend(handles=axes[0].lines[:len(styles)], loc="outside upper center", ncols=len(styles), frameon=False)
    fig.supxlabel("worst relative suboptimality over the path", fontsize=10)
    fig.supylabel("seconds", fontsize=10)
    fig.savefig(file, dpi=200)


def rewrite(results: dict[str, Record]) -> None:
    """Tables between the markers of the pages, and the picture, from stored results."""
    known = [name for name in FAMILIES if name in results]
    results = {name: results[name] for name in [*known, *(name for name in results if name not in known)]}
    for page, table in ((ROOT / "README.md", compact), (ROOT / "docs" / "benchmarks.md", full)):
        old, span = page.read_text(encoding="utf-8"), r"(?s)(?<=<!-- versus:begin -->\n).*?(?=<!-- versus:end -->)"
        new, found = re.subn(span, lambda _, table=table: f"\n{table(results)}\n\n", old)
        if found != 1:
            raise SystemExit(f"{page} must have the lines <!-- versus:begin --> and <!-- versus:end --> once")
        page.write_text(new, encoding="utf-8")
    picture(results, ROOT / "docs" / "images" / "versus.png")


def arguments() -> argparse.Namespace:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("problems", nargs="*", metavar="PROBLEM", help=f"{', '.join(FAMILIES)} or file:PATH.npz")
    parser.add_argument("--solvers", default=",".join(SOLVERS), help="default %(default)s")
    parser.add_argument("--limit", type=float, default=60, help="seconds; a longer run is the last of its ladder")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep all runs here, beside those of other problems")
    parser.add_argument("--docs", action="store_true", help="run nothing; rewrite tables and picture from --json")
    args = parser.parse_args()
    args.solvers = args.solvers.split(",")
    files = [name for name in args.problems if name.startswith("file:") and Path(name[5:]).is_file()]
    unknown = [name for name in args.problems if name not in (*FAMILIES, *files)]
    if unknown := unknown + [name for name in args.solvers if name not in SOLVERS]:
        parser.error(f"no such problem, file or solver: {', '.join(unknown)}")
    if args.docs and not (args.json and args.json.is_file()):
        parser.error("--docs needs --json with a file of results")
    return args


def main() -> None:
    args = arguments()
    stored = json.loads(args.json.read_text()) if args.json and args.json.is_file() else {}
    if args.docs:
        return rewrite(stored)
    versions = installed()
    if missing := [name for name in args.solvers if name not in versions]:
        print(f"not installed, left out: {', '.join(missing)}")
    solvers = [name for name in args.solvers if name in versions]
    warnings.simplefilter("ignore")  # that a loose tolerance is loose is no news here
    results = {}
    for problem in args.problems or FAMILIES:
        name = Path(problem).stem if problem.startswith("file:") else problem
        results[name] = measure(problem, solvers, versions, args.limit)
        show(name, results[name])
        if args.json:
            args.json.write_text(json.dumps(stored | results, indent=1) + "\n")
    print(f"\nseconds, and best peer / regfast\n\n{compact(results)}")


if __name__ == "__main__":
    main()
