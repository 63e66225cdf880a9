# SPDX-License-Identifier: MIT
"""Files that appear complete or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["replace_file"]


def replace_file(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Write a file through a temporary one next to it; on failure the old one stays.

    What is no plain file (a device, a named pipe) is written directly.

    Raises:
        OSError: if the folder does not exist or cannot be written.
    """
    target = path.resolve()
    if target.exists() and not target.is_file():
        with target.open("wb") as file:
            file.writelines(parts)
        return
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with unfinished.open("xb") as file:
            file.writelines(parts)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
