"""Timings of regfast: `cd benchmarks && asv machine --yes && asv run --python=same`."""

import os

# One thread each, or the figures depend on what else the machine does. Before NumPy is imported.
for library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")
