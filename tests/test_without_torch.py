"""`regfast.torch` where PyTorch is not installed, and where it is but nobody has asked for it."""

import subprocess
import sys

import pytest

ABSENT = """
import sys

class Absent:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent)
"""


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-P", *command], capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("name", ["Prox", "penalty", "sparsity", "prox_path", "last_layer_path"])
def test_it_says_what_to_install(name: str) -> None:
    done = run("-c", f"{ABSENT}from regfast.torch import {name}")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (f"ImportError: regfast.torch.{name} needs PyTorch, which is not installed: "
                                            "pip install 'regfast[torch]'")


def test_nothing_is_imported_until_it_is_used() -> None:
    done = run("-W", "error", "-c", f"{ABSENT}import regfast, regfast.torch\n"
               "assert 'torch' not in regfast.__all__, 'a star import would hide PyTorch'\n"
               "print(dir(regfast.torch))\n"
               "try: regfast.torch.Proxy\nexcept AttributeError as error: print(error)")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("['NetworkPath', 'Prox', 'Sparsity', 'last_layer_path', 'penalty', 'prox_path', "
                           "'sparsity']\nmodule 'regfast.torch' has no attribute 'Proxy'\n")


def test_it_is_no_program_and_hides_nothing() -> None:
    done = run("-m", "regfast.torch")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
