"""How a run departed from the workload and from the whole machine, derived from its record alone.

What was typed is not asked: the threads are those the worker had, the variables and files those it
was surrounded by, the build that of the kernels it loaded.
"""

from __future__ import annotations

from collections.abc import Iterator

from epochmark.analysis.timing.headline import workload_of
from epochmark.engines import engine_names, get_engine
from epochmark.engines._shared.variables import known_variables
from epochmark.records.record import Record, WorkloadRun

RELEASED_BUILD = "Release"
"""What the kernels say of their build when they were compiled as they are released."""


def departures(record: Record, threads_asked: int | None = None) -> list[str]:
    """Every departure, sorted: the variant of this record.

    ``threads_asked`` is what ``--threads`` said. It is not in the record: there a label about
    threads counts as asked for as long as it is true (``threads_named``).
    """
    found = [*_work(record.workload), *_threads(record, threads_asked), *_placement(record)]
    return sorted([*found, *_switches(record), *_build(record)])


def threads_named(record: Record) -> int | None:
    """The number of threads in the record's own label about them."""
    for departure in record.workload.variant:
        words = departure.split()
        if len(words) == 4 and words[1] == "of" and words[3] == "threads" and words[0].isdecimal():
            return int(words[0])
    return None


def influences_text(record: Record) -> str:
    """What surrounds the run and may be the cause of what went wrong, as the end of a sentence;
    empty where nothing does."""
    places = known_variables().places
    named = [
        _named(name, value)
        for name, value in sorted(record.environment.items())
        if name in ("CC", "CXX") or name not in places
    ]
    return f"; set there: {', '.join(named)}" if named else ""


def _work(run: WorkloadRun) -> Iterator[str]:
    """Where less, more or other work was asked for than the workload has."""
    workload = workload_of(run)
    if run.batch_size != workload.batch_size:
        yield f"batch {run.batch_size}"
    if run.max_steps is not None:
        yield f"{run.max_steps} step{'' if run.max_steps == 1 else 's'}"
    elif run.epochs != workload.epochs and not run.settle:
        yield f"{run.epochs} epoch{'' if run.epochs == 1 else 's'}"
    if run.quick:
        yield "quick"
    if run.settle:
        yield "settle"


def _threads(record: Record, asked: int | None) -> Iterator[str]:
    """The threads the engine had, where they are not those it takes by itself on the whole machine:
    fewer than its cores (some engines leave hyper-threads idle), or limited by a variable."""
    cores = record.machine.usable_cores
    threads = _engine_threads(record)
    threads = asked if threads is None else threads
    if threads is None or threads == cores:
        return
    limited = asked is not None or any(
        name in record.environment for name in known_variables().threads
    )
    if threads > cores or limited or threads < _cores_taken(record):
        yield f"{threads} of {cores} threads"


def _placement(record: Record) -> Iterator[str]:
    """Threads that had to share fewer cores than there are."""
    placement, cores = record.placement, record.machine.usable_cores
    if placement is None or not _on_cpu(record):
        return
    threads = _engine_threads(record) or cores
    if placement.cpus < min(placement.threads, threads, cores):
        yield f"on {placement.cpus} of {cores} cores"


def _switches(record: Record) -> Iterator[str]:
    """Variables and files of the user's that can change the work. How many threads came of theirs
    is known where the engine reports it."""
    seen = _engine_threads(record) is not None
    engine = record.engine.name
    own = get_engine(engine).info.variables.own if engine in engine_names() else ()
    known = known_variables()
    for name, value in record.environment.items():
        harmless = name in known.places or (seen and name in known.threads)
        if name in own or not harmless:
            yield _named(name, value)


def _build(record: Record) -> Iterator[str]:
    build = record.engine.settings.get("build")
    if build is not None and build != RELEASED_BUILD:
        yield f"build: {build}"[:300]


def _named(name: str, value: str) -> str:
    """A variable as it is set, or a file and what it says."""
    return f"{name}{'=' if name.isupper() else ': '}{value}"[:300]


def _engine_threads(record: Record) -> int | None:
    """The threads it says it had on the CPU; None where it does not say."""
    said = record.engine.settings.get("threads", "")
    return int(said) if _on_cpu(record) and said.isdecimal() and len(said) < 10 else None


def _on_cpu(record: Record) -> bool:
    return record.device.resolved == "cpu"


def _cores_taken(record: Record) -> int:
    """Cores that any engine keeps busy by itself."""
    machine = record.machine
    return min(machine.usable_cores, machine.physical_cores or machine.usable_cores)
