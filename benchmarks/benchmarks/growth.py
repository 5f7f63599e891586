"""How much memory a fit takes above its input: the growth of a fresh process's high-water mark (Linux).

``python -m benchmarks.growth FILE.npz [NAME=VALUE ...]`` is that process; `measure` starts it. Values are JSON, for
`fit_path`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from .problems import dense, text

SHAPE = (5574, 50505, 148335)
"""(n, p, nnz) of a text problem: short messages against words and pairs of words."""


def save(file: Path, X: Any, y: Any) -> None:
    """Uncompressed, so that reading leaves no buffers behind."""
    if sp.issparse(X):
        np.savez(file, data=X.data, indices=X.indices, indptr=X.indptr, shape=X.shape, y=y)
    else:
        np.savez(file, X=X, y=y)


def read(file: Path) -> tuple[Any, Any]:
    """X (CSR parts data, indices, indptr, shape, or dense X) and y; a file without y gets a seeded one."""
    with np.load(file, allow_pickle=False) as archive:
        if "data" in archive:
            parts = archive["data"].astype(np.float64, copy=False), archive["indices"], archive["indptr"]
            X = sp.csr_array(parts, shape=tuple(int(size) for size in archive["shape"]))
        else:
            X = archive["X"]
        y = archive["y"] if "y" in archive else np.random.default_rng(0).standard_normal(X.shape[0])
    return X, np.asarray(y, dtype=np.float64)


def mark(name: str) -> int:
    """VmHWM or VmRSS of this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {name}")


def grow(file: Path, **options: Any) -> dict[str, int]:
    """Load, fit something tiny (imports, lazily bound libraries), then see what a path adds."""
    import regfast

    X, y = read(file)
    regfast.fit_path(*(text(40, 20, 60) if sp.issparse(X) else dense(40, 20)))
    with suppress(OSError):  # where allowed, the mark falls to what is in use now, so that loading hides nothing
        Path("/proc/self/clear_refs").write_text("5")
    before = mark("VmHWM")
    path = regfast.fit_path(X, y, **options)
    after = mark("VmHWM")
    size = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes if sp.issparse(X) else X.nbytes
    return {"n": X.shape[0], "p": X.shape[1], "stored": int(X.nnz if sp.issparse(X) else X.size),
            "growth": after - before, "input": size, "p_vector": 8 * X.shape[1], "n_vector": 8 * X.shape[0],
            "coefficients": 12 * path.coefs.nnz, "alphas": len(path.alphas), "active": int(path.n_nonzero.max())}


def measure(file: Path | None = None, *options: str) -> dict[str, int]:
    """`grow` in a fresh process, for the problem in `file`, or the seeded one of `SHAPE`."""
    with tempfile.TemporaryDirectory() as folder:
        if file is None:
            file = Path(folder, "text.npz")
            save(file, *text(*SHAPE))
        command = [sys.executable, "-m", "benchmarks.growth", str(file.resolve()), *options]
        here = Path(__file__).resolve().parent.parent
        out = subprocess.run(command, cwd=here, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(out))


if __name__ == "__main__":
    given = (option.split("=", 1) for option in sys.argv[2:])
    print(json.dumps(grow(Path(sys.argv[1]), **{name: json.loads(value) for name, value in given})))
