"""Whose Linux this is: the machine's own, a container's, or that of Windows (WSL)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from epochmark.hardware.sensors._contract import text_in

_MARKS = {".dockerenv": "Docker", "run/.containerenv": "Podman", ".singularity.d": "Apptainer"}
"""Files and folders that a container's runtime puts into its root, and what it is called."""


def container(root: Path = Path("/"), variables: Mapping[str, str] = os.environ) -> str | None:
    """What kind of container we are in; None outside of one, as far as can be seen.

    ``root`` is where ``proc`` and ``run`` lie.
    """
    for mark, name in _MARKS.items():
        if (root / mark).exists():
            return name
    if "KUBERNETES_SERVICE_HOST" in variables:
        return "Kubernetes"
    named = text_in(root / "run/systemd/container")  # systemd.io/CONTAINER_INTERFACE
    return None if named in (None, "wsl") else named


def wsl_version(root: Path = Path("/")) -> int | None:
    """1 or 2 in the Windows Subsystem for Linux; None elsewhere.

    The kernel of WSL 2 is called ``5.15.146.1-microsoft-standard-WSL2``, what WSL 1 shows
    ``4.4.0-19041-Microsoft``.
    """
    release = text_in(root / "proc/sys/kernel/osrelease") or ""
    if "microsoft" not in release.lower():
        return None
    return 1 if release.endswith("-Microsoft") else 2
