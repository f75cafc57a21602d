"""What the figures were taken on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.contenders import PEERS

OURS = ("apache-airflow", "msgspec", "requests", "pyarrow", "duckdb", "apache-airflow-providers-http")
THEIRS = ("dlt", "airbyte-cdk", "pandas", "pyarrow")


BUSY = 2
"""Load a core, from other work, that no figure survives; making environments leaves less behind."""


def described() -> dict[str, Any]:
    """Cores, memory, system, and versions of all that ran; to be asked before anything is measured."""
    cores, (load, _, _) = len(os.sched_getaffinity(0)), os.getloadavg()
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    linux = platform.release().partition("-")[0]
    system = re.search(r'PRETTY_NAME="(.+)"', Path("/etc/os-release").read_text())
    return {
        "cores": f"{cores} x {cpu[1] if cpu else platform.machine()}",
        "memory": f"{memory_bytes() / 2**30:.0f} GB",
        "system": f"{system[1] if system else platform.system()}, Linux {linux}",
        "load": round(load, 1),
        "busy": load > BUSY * cores,
        "Python": platform.python_version(),
        "versions": ", ".join(_versions(OURS)),
        "peers": ", ".join(_peers()),
    }


def memory_bytes() -> int:
    """Memory of the machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _versions(names: tuple[str, ...]) -> list[str]:
    found = []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return found


def _peers() -> list[str]:
    if not PEERS.exists():
        return []
    command = [str(PEERS), "-m", "benchmarks.machine"]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


if __name__ == "__main__":
    sys.stdout.write("\n".join(_versions(THEIRS)))
