"""Where the binary is."""

import shutil
import sysconfig
from pathlib import Path


def find_binary() -> str:
    """The path of the binary: that of this environment's wheel, else the first on the path.

    Raises FileNotFoundError where there is none.
    """
    installed = Path(sysconfig.get_path("scripts")) / "cxlake"
    found = str(installed) if installed.exists() else shutil.which("cxlake")
    if found is None:
        raise FileNotFoundError("failed to find the binary cxlake: install the wheel, or put it on PATH")
    return found
