"""What lives on a node during a training on several: it says what the node is, and starts agents of
ranks. It trains nothing itself."""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psutil

from epochmark._version import __version__
from epochmark.bench.interpreters.interpreter import Interpreter, choose_interpreter
from epochmark.bench.process.importable import with_our_package
from epochmark.bench.process.lock import measuring_alone
from epochmark.bench.process.temporary import temporary_folder
from epochmark.bench.request import RunRequest, find_workload
from epochmark.bench.scaling import cores
from epochmark.bench.scaling.nodes.contract import About, Door, Files
from epochmark.bench.session import written_files
from epochmark.datasets import get_data
from epochmark.engines import get_engine
from epochmark.errors import EpochmarkError
from epochmark.hardware.gpus.described import gpus_here
from epochmark.hardware.machine import describe_machine, machine_id
from epochmark.judge.results import ResultFiles
from epochmark.system import usual_niceness

AGENT = "epochmark.bench.scaling.nodes.agent"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Of Linux: nodes with the same one are on one machine, be they containers or not."""
ASK_VERSIONS = """
import json, platform, sys
from epochmark.engines import get_engine
print(json.dumps([platform.python_version(), get_engine(sys.argv[1]).versions()]))
"""
VERSIONS_S = 60.0


class OnNode:
    """A node. ``address`` is where others reach it; ``hidden`` are beginnings of names of variables
    that no worker sees, such as those that the cluster sets for its own programs."""

    def __init__(self, address: str, hidden: Sequence[str] = ()) -> None:
        self._address, self._hidden = address, tuple(hidden)
        self._owned = contextlib.ExitStack()
        self._agents: list[subprocess.Popen[bytes]] = []

    def about(self, engine: str, python: str | None, keeps: bool) -> About:
        """What it is; asked for first. Nothing else measures here until ``leave``. ``keeps``: a
        document is to be kept, which needs this machine's id.

        Raises ``EpochmarkError`` where the engine is not installed, or another run measures.
        """
        self._owned.enter_context(measuring_alone(_refuse_to_wait))
        niceness = usual_niceness()
        self._interpreter = choose_interpreter(get_engine(engine).info, python)
        self._owned.enter_context(self._interpreter.in_use())
        self._folder = self._owned.enter_context(temporary_folder("node"))
        self._environment = with_our_package(self._folder, self._variables(self._interpreter))
        own_id = machine_id(ResultFiles.of_user().folder) if keeps else None
        version, versions = self._ask_versions(engine)
        return About(
            epochmark=__version__,
            python=version,
            versions=versions,
            interpreter=self._interpreter.kind,
            machine=msgspec.json.encode(describe_machine(own_id, gpus=gpus_here())),
            host=_host() or self._address,
            cores=cores.usable(),
            niceness=niceness,
        )

    def prepare(self, engine: str, workload: str, seed: int) -> None:
        """Get data and initial weights. Raises ``EpochmarkError`` where that cannot be."""
        trained = find_workload(workload)
        data = get_data([trained], None, lambda what, done, total: None)
        files = written_files(RunRequest(engine, workload=trained, seed=seed), self._folder)
        self._files = Files(
            data_folder=str(data.absolute()),
            weights_file=str(files.weights),
            replay_weights_file=str(files.replay_weights),
        )

    def open(self, first: bool) -> Door:
        """Start the agent of a rank; ``first``: of the first one."""
        token = secrets.token_hex(16)
        given = {
            "address": self._address,
            "token": token,
            "first": first,
            "python": str(self._interpreter.python),
            "environment": self._environment,
            "folder": str(self._folder),
            "files": self._files,
        }
        agent = subprocess.Popen(
            [sys.executable, "-m", AGENT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._agents.append(agent)
        assert agent.stdin is not None
        assert agent.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            agent.stdin.write(json.dumps(given).encode() + b"\n")
            agent.stdin.flush()
        line = agent.stdout.readline()
        if not line:
            raise EpochmarkError(f"no rank can be started: {_last_line(agent)}")
        said = json.loads(line)
        return Door(address=self._address, port=said["port"], token=token, meeting=said["meeting"])

    def leave(self) -> None:
        """End what is left, and let others measure here."""
        for agent in self._agents:
            with contextlib.suppress(BrokenPipeError):
                assert agent.stdin is not None
                agent.stdin.close()
        for agent in self._agents:
            agent.wait()
            for pipe in (agent.stdout, agent.stderr):
                assert pipe is not None
                pipe.close()
        self._owned.close()

    def _variables(self, interpreter: Interpreter) -> dict[str, str]:
        """The environment of a worker: without what is hidden, and with the interface by which gloo
        and NCCL reach the other nodes, unless the user has chosen others. (NCCL takes a name
        without ``=`` for the beginning of one.)"""
        found = {
            name: value
            for name, value in interpreter.environment.items()
            if not name.startswith(self._hidden)
        }
        interface = interface_of(self._address)
        if interface is None:
            return found
        chosen = {"GLOO_SOCKET_IFNAME": interface, "NCCL_SOCKET_IFNAME": f"={interface}"}
        return {**chosen, **found}

    def _ask_versions(self, engine: str) -> tuple[str, dict[str, str]]:
        done = subprocess.run(
            [str(self._interpreter.python), "-c", ASK_VERSIONS, engine],
            env=self._environment,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=VERSIONS_S,
            check=False,
        )
        try:
            version, versions = json.loads(done.stdout.splitlines()[-1])
        except (ValueError, IndexError):
            said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["nothing"]
            raise EpochmarkError(
                f"{self._interpreter.python} does not say which versions it has: {said[0][:300]}"
            ) from None
        return version, versions


def interface_of(address: str) -> str | None:
    """The network interface with this address; None where there is none."""
    return next(
        (
            name
            for name, places in psutil.net_if_addrs().items()
            if any(place.address.partition("%")[0] == address for place in places)
        ),
        None,
    )


def _refuse_to_wait(holder: str) -> None:
    raise EpochmarkError(f"another run measures there: {holder}")


def _host() -> str | None:
    try:
        return BOOT_ID.read_text("ascii").strip()
    except OSError:
        return None


def _last_line(agent: subprocess.Popen[bytes]) -> str:
    assert agent.stderr is not None
    said = agent.stderr.read().decode(errors="replace").strip().splitlines()
    return said[-1][:300] if said else f"its agent ended with exit status {agent.wait()}"
