"""A Python interpreter that has certain packages: that of a test may lack what tools/setup gives the system's
own."""
import os
import subprocess
import sys


def python_with(packages):
    """DWGF_DOCS_PYTHON, this interpreter or the system's own, whose packages tools/setup installs: the first
    that has these; or none."""
    for python in (os.environ.get("DWGF_DOCS_PYTHON"), sys.executable, "/usr/bin/python3"):
        if python and os.access(python, os.X_OK) and not subprocess.run([python, "-c",
            "import " + ", ".join(packages)],
                                                                      stderr=subprocess.DEVNULL).returncode:
            return python
    return None
