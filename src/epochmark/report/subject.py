"""What a report is about: the records, which of them are this machine's, and the one in focus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from epochmark.analysis.comparing.comparability import ComparabilityKey, key_of
from epochmark.analysis.comparing.references import Reference
from epochmark.analysis.timing.intervals import Interval, median_interval
from epochmark.engines import is_hidden
from epochmark.records.dates import age_order
from epochmark.records.documents.race import Race
from epochmark.records.documents.scaling import Scaling
from epochmark.records.fields import Validity
from epochmark.records.machine.identity import machine_identity, processor_of
from epochmark.records.machine.machine_limits import Limits
from epochmark.records.record import Machine, Record
from epochmark.report.figures import device_id, device_name, machine_name


@dataclass(frozen=True)
class Subject:
    """``records``, ``races`` and ``scalings`` are oldest first; ``focus`` is the run the answer is
    about, None without any.

    ``limits`` are what some machine can do, this one's or not; None where they were not measured.
    """

    records: tuple[Record, ...]
    references: tuple[Reference, ...]
    focus: Record | None
    limits: Limits | None = None
    races: tuple[Race, ...] = ()
    scalings: tuple[Scaling, ...] = ()

    @property
    def own(self) -> list[Record]:
        """The records of the machine that the focus was measured on, oldest first."""
        return [record for record in self.records if self.is_own(record)]

    def is_own(self, record: Record) -> bool:
        """Whether a record is of the machine that the focus was measured on."""
        if self.focus is None:
            return False
        return machine_identity(record.machine) == machine_identity(self.focus.machine)

    def newest_own(self) -> list[Record]:
        """Of this machine, the best believable run of each way to train: the newest valid one of
        each engine, device, tuning and precision, else the newest disturbed one. Only runs with the
        workload and the variant of the focus.
        """
        return [] if self.focus is None else self._own_by_variant().get(_variant(self.focus), [])

    def best_covered(self) -> list[list[Record]]:
        """The same, of the variant of the focus; then, if it was trained in more ways, of that
        variant which was trained in most: ``run --all --quick`` after one full run."""
        groups = self._own_by_variant()
        own = self.newest_own()
        most = max((groups[variant] for variant in sorted(groups)), key=len, default=[])
        return [group for group in (own, most if len(most) > len(own) else []) if group]

    def beside(self, key: ComparabilityKey) -> Record | None:
        """The run of this machine to stand beside others of a key, for orientation: the most
        believable with its workload and variant, else that in focus, if it is of that workload.
        Never one whose work was wrong."""
        own = [record for record in self.own if record.headline.steady_epoch_s is not None]
        own = [record for record in own if key_of(record).workload == key.workload]
        right = [record for record in own if record.headline.validity != "invalid"]
        of_variant = [record for record in right if key_of(record).variant == key.variant]
        if self.focus in of_variant or not of_variant:
            return self.focus if self.focus in right else None
        return max(of_variant, key=_prominence)

    def _own_by_variant(self) -> dict[tuple[str, ...], list[Record]]:
        kept: dict[tuple[str, ...], dict[tuple[str, ...], Record]] = {}
        for record in self.own:
            if record.headline.validity not in ("valid", "disturbed"):
                continue
            key = key_of(record)
            assert self.focus is not None, "there are own records"
            if key.workload != key_of(self.focus).workload:
                continue
            setups = kept.setdefault(key.variant, {})
            setup = (record.engine.name, device_id(record), key.tuning, key.precision)
            before = setups.get(setup)
            if before is None or _belief(record) >= _belief(before):
                setups[setup] = record
        return {
            variant: [setups[setup] for setup in sorted(setups)] for variant, setups in kept.items()
        }


@dataclass(frozen=True)
class MachineFigure:
    """What the runs of one machine and device say under one comparability key: the valid ones, or
    a disturbed one where there are no valid ones."""

    own: bool
    machine: str
    device: str
    steady_epoch: Interval
    runs: int
    disturbed: bool = False


def figures_of(
    subject: Subject, key: ComparabilityKey, *, disturbed: bool = False
) -> list[MachineFigure]:
    """One figure for each machine and device with valid runs of this key, fastest first: of several
    runs the median with its interval, of one run its own. With ``disturbed`` also those that have
    disturbed runs only, of which the newest counts."""
    groups: dict[tuple[bool, str, str], list[Record]] = {}
    for record in subject.records:
        if (is_ranked(record) or (disturbed and is_timed(record))) and key_of(record) == key:
            name = (subject.is_own(record), machine_name(record), device_name(record))
            groups.setdefault(name, []).append(record)
    figures = []
    for name, records in groups.items():
        ranked = [record for record in records if is_ranked(record)]
        counted = ranked or records[-1:]
        figures.append(MachineFigure(*name, _figure(counted), len(counted), not ranked))
    return sorted(figures, key=lambda figure: (figure.steady_epoch.median, figure.machine))


def is_ranked(record: Record) -> bool:
    """Whether a run may be ranked among others of its key."""
    return record.headline.validity == "valid" and is_timed(record)


def is_timed(record: Record) -> bool:
    """Whether a run did the right work, the whole of it, and has a figure, however disturbed."""
    headline = record.headline
    return headline.validity in ("valid", "disturbed") and headline.steady_epoch_s is not None


def _figure(records: Sequence[Record]) -> Interval:
    steady = [r.headline.steady_epoch_s for r in records if r.headline.steady_epoch_s is not None]
    low, high = records[0].headline.steady_epoch_low_s, records[0].headline.steady_epoch_high_s
    if len(steady) == 1 and low is not None and high is not None:
        return Interval(steady[0], low, high, 1)
    return median_interval(steady)


def subject_of(
    records: Sequence[Record],
    references: Sequence[Reference],
    machine: Machine | None,
    limits: Limits | None = None,
    races: Sequence[Race] = (),
    scalings: Sequence[Scaling] = (),
) -> Subject:
    """The report's subject: of this machine if it has records, else of the newest.

    In focus is the newest run of the best validity, without a variant if there is such a one.
    """
    ordered = tuple(sorted(records, key=age_order))
    focus = max(measured_here(ordered, machine), key=_prominence, default=None)
    return Subject(ordered, tuple(references), focus, limits, tuple(races), tuple(scalings))


def measured_here(records: Sequence[Record], machine: Machine | None) -> Sequence[Record]:
    """Those of this machine, however much of it could be used; all, where it has none among them.

    Another machine that shares the home folder has its id as well.
    """
    if machine is None or machine.machine_id is None:
        return records
    here = (machine.machine_id, *processor_of(machine))
    found = [r for r in records if (r.machine.machine_id, *processor_of(r.machine)) == here]
    return found or records


_BELIEF: tuple[Validity, ...] = ("invalid", "partial", "disturbed", "valid")


def _prominence(record: Record) -> tuple[int, bool, tuple[bool, str, str]]:
    whole = not record.workload.variant and not is_hidden(record.engine.family)
    return (_BELIEF.index(record.headline.validity), whole, age_order(record))


def _belief(record: Record) -> tuple[bool, tuple[bool, str, str]]:
    return (record.headline.validity == "valid", age_order(record))


def _variant(record: Record) -> tuple[str, ...]:
    return key_of(record).variant
