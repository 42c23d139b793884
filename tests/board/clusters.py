"""A PostgreSQL cluster of the tests' own, in a temporary folder, run by an unprivileged user."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

_PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
INITDB = shutil.which("initdb", path=os.pathsep.join(map(str, [*_PLACES, *os.get_exec_path()])))


class Cluster:
    """A running cluster, reached through a socket in its folder."""

    def __init__(self, folder: Path, user: str | None) -> None:
        self._folder = folder
        self._user = user
        self._names = count(1)

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs as the cluster's user."""
        assert INITDB is not None
        path = Path(INITDB).parent / program
        done = subprocess.run(
            [str(path if path.exists() else program), *arguments],
            user=self._user,
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        assert done.returncode == 0, done.stdout.decode()

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"board_{next(self._names)}"
        self.run("createdb", "-h", str(self._folder), "-U", "postgres", name)
        return f"postgresql+psycopg://postgres@/{name}?host={self._folder}"


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster for as long as the block lasts. PostgreSQL refuses to be root: then it runs as the
    user that Debian's package made."""
    user = "postgres" if os.getuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="epochmark-pg-", dir="/tmp"))  # short: it holds a socket
    if user is not None:
        owner = pwd.getpwnam(user)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    made = Cluster(folder, user)
    data = str(folder / "data")
    try:
        made.run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-k {folder} -c listen_addresses=''"
        made.run("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield made
        finally:
            made.run("pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)
