"""How much of what this machine can compute the training gets, and where the rest stays."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from epochmark.analysis.machine.arithmetic import Ceiling, direct_gflop_per_s, flops_of
from epochmark.analysis.machine.arithmetic import ceiling_of as peak_of
from epochmark.analysis.timing.headline import workload_of
from epochmark.records.quantities import GIGA
from epochmark.report.explanations._rule import SAME_RATE, Evidence, Rule, Sentence, milliseconds
from epochmark.report.explanations.setup import few_busy
from epochmark.report.figures import percent, rate

NEAR_PEAK = 0.7
"""Of the peak: the best hand-written kernels stay between 70 and 90 % on whole steps."""
SLOW_PRODUCT = 0.6
"""Of the peak: large products of a good BLAS reach 80 to 95 %."""
SLOW_CONVOLUTION = 0.5
"""Of the engine's own matrix product, to which convolutions are commonly reduced."""
FORWARD_SHARE = 0.5
"""Of a step: what the arithmetic would take at the engine's own rates."""
FASTER_SET = 1.3
"""So much faster another instruction set must be to matter."""


def ceiling_of(evidence: Evidence) -> Ceiling | None:
    """On the processor the peak of the run's precision, unless a busy machine was measured; on
    other devices, whose peak is not measured, the engine's own matrix product."""
    if evidence.on_cpu:
        limits = evidence.run_limits
        if limits is None or not limits.steady:
            return None
        return peak_of(msgspec.structs.replace(evidence.record, limits=limits))
    product = _product_rate(evidence)
    return Ceiling(product, f"its own matrix product on {evidence.device}") if product else None


def achieved(evidence: Evidence) -> float:
    """GFLOP/s of the steady epoch, counted as direct arithmetic."""
    workload = workload_of(evidence.record.workload)
    reached = direct_gflop_per_s(evidence.record, workload.train_samples / evidence.epoch_s)
    assert reached is not None, "there is a steady epoch"
    return reached


def is_near_peak(evidence: Evidence) -> bool:
    """Whether no rule need look for what keeps the arithmetic slow."""
    ceiling = ceiling_of(evidence)
    return ceiling is not None and achieved(evidence) >= NEAR_PEAK * ceiling.gflop_per_s


def near_peak(evidence: Evidence) -> Iterator[Sentence]:
    """How much of the peak it gets, where that is most of it."""
    ceiling, reached = ceiling_of(evidence), achieved(evidence)
    if ceiling is None or not is_near_peak(evidence):
        return
    share = reached / ceiling.gflop_per_s
    above = "; over 100% means that it saves multiplications, as minimal filtering does"
    below = ": direct arithmetic has little left to gain"
    yield Sentence(
        f"It trains at {rate(reached)} GFLOP/s, counted as direct arithmetic, {percent(share)} of "
        f"the {rate(ceiling.gflop_per_s)} GFLOP/s of {ceiling.source}"
        f"{above if share > 1 else below}.",
        _shares(reached, ceiling),
    )


def below_peak(evidence: Evidence) -> Iterator[Sentence]:
    """How much of the peak it gets, where that is not all."""
    ceiling, reached = ceiling_of(evidence), achieved(evidence)
    if ceiling is None or is_near_peak(evidence):
        return
    yield Sentence(
        f"It trains at {rate(reached)} GFLOP/s, counted as direct arithmetic: "
        f"{percent(reached / ceiling.gflop_per_s)} of the {rate(ceiling.gflop_per_s)} GFLOP/s of "
        f"{ceiling.source}.",
        _shares(reached, ceiling),
    )


def slow_product(evidence: Evidence) -> Iterator[Sentence]:
    """A BLAS that does not use the processor."""
    ceiling, product = ceiling_of(evidence), _product_rate(evidence)
    if not evidence.on_cpu or ceiling is None or product is None or is_near_peak(evidence):
        return
    if evidence.record.precision.observed != "float32":  # the product is one, the peak is not
        return
    if product >= SLOW_PRODUCT * ceiling.gflop_per_s:
        return
    lesser = _instruction_set_that_explains(evidence, product, ceiling)
    engine = evidence.record.engine.name
    why = ""
    if lesser is not None:
        why = (
            f"; that is no more than {lesser.source} give ({rate(lesser.gflop_per_s)}), so its "
            "library seems to use nothing better on this processor"
        )
    figures: dict[str, float | str] = {
        "product_gflop_per_s": product,
        "peak_gflop_per_s": ceiling.gflop_per_s,
    }
    if lesser is not None:
        figures |= {"lesser_set": lesser.source, "lesser_gflop_per_s": lesser.gflop_per_s}
    yield Sentence(
        f"This {engine} multiplies matrices at {rate(product)} of this processor's "
        f"{rate(ceiling.gflop_per_s)} GFLOP/s ({percent(product / ceiling.gflop_per_s)}){why}.",
        figures,
        f"try a build of {engine} with another matrix library, or another engine",
    )


def slow_convolution(evidence: Evidence) -> Iterator[Sentence]:
    """Convolutions far slower than matrix products of the same engine."""
    product, convolution = _product_rate(evidence), _convolution_rate(evidence)
    if product is None or convolution is None or is_near_peak(evidence):
        return
    if not flops_of(evidence.record).training_convolutions:
        return
    if convolution >= SLOW_CONVOLUTION * product:
        return
    engine = evidence.record.engine.name
    yield Sentence(
        f"Its 3x3 convolution reaches {rate(convolution)} GFLOP/s, its matrix product "
        f"{rate(product)}: convolutions are what is slow in this {engine} on {evidence.device}.",
        {"convolution_gflop_per_s": convolution, "product_gflop_per_s": product},
        f"try another version or build of {engine}, or another engine",
    )


def step_arithmetic(evidence: Evidence) -> Iterator[Sentence]:
    """How much of a step is arithmetic at the engine's own rates, where that is most of it."""
    share = _forward_share(evidence)
    if share is None or not FORWARD_SHARE <= share <= 1:
        return
    step_s = evidence.step_s
    yield Sentence(
        f"Of a step of {milliseconds(step_s)}, {percent(share)} is arithmetic at the "
        f"{_rates(evidence)}.",
        {"step_s": step_s, "arithmetic_s": share * step_s},
    )


def beyond_forward(evidence: Evidence) -> Iterator[Sentence]:
    """Steps that take far longer than their arithmetic does forwards."""
    share = _forward_share(evidence)
    if share is None or share >= FORWARD_SHARE or is_near_peak(evidence):
        return
    step_s = evidence.step_s
    yield Sentence(
        f"At the {_rates(evidence)} the arithmetic of a step would take "
        f"{milliseconds(share * step_s)}; a step takes {milliseconds(step_s)}. The rest goes into "
        "what those do not show: gradients, activations, optimizer, input and dispatch.",
        {"step_s": step_s, "arithmetic_s": share * step_s},
    )


def _shares(reached: float, ceiling: Ceiling) -> dict[str, float | str]:
    return {
        "achieved_gflop_per_s": reached,
        "peak_gflop_per_s": ceiling.gflop_per_s,
        "peak_source": ceiling.source,
    }


def _product_rate(evidence: Evidence) -> float | None:
    limits = evidence.engine_limits
    return limits.product.timed.per_s.median if limits and limits.product else None


def _convolution_rate(evidence: Evidence) -> float | None:
    limits = evidence.engine_limits
    return limits.convolution.per_s.median if limits and limits.convolution else None


def _forward_share(evidence: Evidence) -> float | None:
    """Arithmetic of a step at the engine's own rates, as a share of the step. Only for stock
    runs."""
    product, convolution = _product_rate(evidence), _convolution_rate(evidence)
    flops = flops_of(evidence.record)
    if product is None or evidence.stock_limits is None:
        return None
    if convolution is None and flops.training_convolutions:
        return None
    workload = workload_of(evidence.record.workload)
    convolutions_s = flops.training_convolutions / convolution if convolution else 0.0
    sample_s = (convolutions_s + flops.training_rest / product) / GIGA
    return sample_s * workload.train_samples / evidence.epoch_s


def _rates(evidence: Evidence) -> str:
    """What ``_forward_share`` is computed from, in words."""
    if not flops_of(evidence.record).training_convolutions:
        return "rate of the engine's own matrix product"
    return "rates of the engine's own matrix product and forward convolution"


def _instruction_set_that_explains(
    evidence: Evidence, product: float, ceiling: Ceiling
) -> Ceiling | None:
    """The slowest instruction set whose multiply-adds reach the product, if it is far from the
    fastest; of a run that left cores idle, fewer threads of the fastest are as good a reason."""
    processor = evidence.limits.processor if evidence.limits else None
    known = [
        (measured.threads, measured.instruction_set, measured.timed.per_s.high)
        for measured in (processor.multiply_adds if processor else [])
        if measured.precision == "float32"
    ]
    most = max((threads for threads, _, _ in known), default=1)
    fewer = max((reached for threads, _, reached in known if threads < most), default=0.0)
    if few_busy(evidence) is not None and product <= SAME_RATE * fewer:
        return None
    best: dict[str, float] = {}
    for _, name, reached in known:
        best[name] = max(best.get(name, 0.0), reached)
    for name, reached in sorted(best.items(), key=lambda item: item[1]):
        if product <= SAME_RATE * reached:
            is_lesser = reached * FASTER_SET <= ceiling.gflop_per_s
            return Ceiling(reached, f"{name} multiply-adds") if is_lesser else None
    return None


RULES = (
    Rule(
        name="near-peak",
        question="limit",
        needs="figure",
        says_when=(
            f"the training reaches at least {percent(NEAR_PEAK)} of the measured peak (on devices "
            "other "
            "than the CPU: of the engine's own matrix product)"
        ),
        reason=(
            "the best hand-written kernels reach 70 to 90 % in whole steps: direct arithmetic has "
            "little left to gain; over 100%, where multiplications are saved, the limit is unknown"
        ),
        apply=near_peak,
    ),
    Rule(
        name="below-peak",
        question="limit",
        needs="time",
        says_when=f"the training reaches less than {percent(NEAR_PEAK)} of that",
        reason="how much is left to gain",
        apply=below_peak,
    ),
    Rule(
        name="slow-product",
        question="limit",
        needs="figure",
        says_when=(
            "on the CPU in float32, the engine's own matrix product reaches less than "
            f"{percent(SLOW_PRODUCT)} of the peak; not near the peak. An instruction set is "
            "named where the product reaches no more than its multiply-adds (and "
            f"{percent(SAME_RATE - 1)}), and the peak is {FASTER_SET} times that; not of a run "
            "that left cores idle, where fewer threads of the best set explain it as well"
        ),
        reason="large products of a good BLAS reach 80 to 95 %",
        apply=slow_product,
    ),
    Rule(
        name="slow-convolution",
        question="limit",
        needs="figure",
        says_when=(
            f"the engine's own convolution reaches less than {percent(SLOW_CONVOLUTION)} of its "
            "matrix product; not near the peak"
        ),
        reason=(
            "a convolution can be computed as a matrix product; its copies do not cost half the "
            "time"
        ),
        apply=slow_convolution,
    ),
    Rule(
        name="step-arithmetic",
        question="time",
        needs="time",
        says_when=(
            "the arithmetic of a step, at the rates of the engine's own product and (where the "
            "workload has any) convolution, is "
            f"{percent(FORWARD_SHARE)} to 100% of it; stock runs only"
        ),
        reason="limits of engines are measured with stock settings",
        apply=step_arithmetic,
    ),
    Rule(
        name="beyond-forward",
        question="limit",
        needs="time",
        says_when=(
            "the arithmetic of a step, at those rates, is less than "
            f"{percent(FORWARD_SHARE)} of it; stock runs only; not near the peak"
        ),
        reason=(
            "each gradient has the arithmetic of the forward pass, so an engine with gradients as "
            "good as that needs less than twice the time"
        ),
        apply=beyond_forward,
    ),
)
