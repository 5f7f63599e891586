"""Shared by all tests: where `import oracle` finds its file, hypothesis without clocks or databases."""

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode leaves the tests' own folder out

settings.register_profile("regfast", derandomize=True, deadline=None, database=None,
                          suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
settings.load_profile("regfast")
