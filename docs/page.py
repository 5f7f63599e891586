"""Run the Python of a page, in its order, where its pictures belong.

    python docs/page.py docs/dropout.md
"""

import os
import re
import sys
from pathlib import Path
from typing import Any


def run(page: Path, folder: Path) -> dict[str, Any]:
    """The names that the blocks of a page leave behind; files land in `folder`."""
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    before = Path.cwd()
    os.chdir(folder)
    try:
        exec(compile("\n".join(blocks), str(page), "exec"), names)
    finally:
        os.chdir(before)
    return names


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "agg")
    source = Path(sys.argv[1]).resolve()
    run(source, source.parent / "images")
