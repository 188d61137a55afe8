"""Says on what and beside how much other work something was measured."""

import os
import platform
import subprocess
from pathlib import Path

import coverslip

HERE = Path(__file__).parent


def described(folder: Path) -> dict[str, str]:
    """Return what a record needs to be read later."""
    return {
        "processor": f"{_from('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores",
        "memory": f"{int(_from('/proc/meminfo', 'MemTotal').split()[0]) / 1e6:.0f} GB",
        "file system": _first_line(["findmnt", "-n", "-o", "FSTYPE", "-T", str(folder)]),
        "system": f"{platform.system()} {platform.release()}",
        "cp": _first_line(["cp", "--version"]).rpartition(" ")[2],
        "coverslip": f"{coverslip.__version__}, Python {platform.python_version()}",
        "commit": _first_line(["git", "-C", str(HERE), "describe", "--always", "--dirty"]),
        "load average at the start": load(),
    }


def load() -> str:
    """Return the load averages of the last 1, 5 and 15 minutes."""
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def _from(path: str, name: str) -> str:
    lines = Path(path).read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "0")


def _first_line(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else "unknown"
