"""The name of the processor, which times are recorded with."""

from __future__ import annotations

import platform
import subprocess
import sys
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
NAMES = ("model name", "Model")
"""Where Linux names the processor: on x86, and on boards such as the Raspberry Pi."""


@lru_cache(maxsize=1)
def processor_name() -> str:
    """The name that its maker gave it, such as "AMD EPYC 7B13"; where that is not known, its architecture."""
    name = ""
    with suppress(OSError, subprocess.SubprocessError):
        if sys.platform == "darwin":
            command = ("/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string")
            name = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout  # noqa: S603
        elif CPU_INFO.exists():
            name = read_cpu_info(CPU_INFO.read_text(errors="replace"))
    return " ".join(name.split()) or platform.processor() or platform.machine() or "unknown"


def read_cpu_info(text: str) -> str:
    """The name of the processor in the text of /proc/cpuinfo; empty if it has none."""
    entries = {key.strip(): value.strip() for key, colon, value in (line.partition(":") for line in text.splitlines())}
    return next((entries[name] for name in NAMES if entries.get(name)), "")
