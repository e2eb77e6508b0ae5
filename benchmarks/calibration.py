"""How often does the decision rule err? Thousands of simulated comparisons on machines that misbehave.

    python benchmarks/calibration.py                      tables (Markdown)
    python benchmarks/calibration.py --json               one JSON object
    python benchmarks/calibration.py --plot docs/calibration.svg

Each comparison is one judging: blocks of four arms (base, expert, patch, control) in random order, one run after the
other on one simulated machine, looked at as the method declares. Beside our rule, on the same runs: our interval
without threshold and bias, plain bootstraps (the 99 % percentile interval lies off 0 at any look), and the ±5 % rule
with the arms measured one after the other.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import altair
import numpy as np
from numpy.typing import NDArray

from speedproof.evaluation.decision import decide
from speedproof.evaluation.statistics import Floats, Interval, bootstrap_interval, signed_rank_bounds
from speedproof.journal import Method

METHOD = Method()
ARMS = 4
STEPS = ARMS * METHOD.looks[-1]
SPEEDUPS = (0.0, 0.02, 0.05, 0.4, 1.0)
CHUNK = 500
RULES = {
    "blocks": "blocks (ours)",
    "interval": "our interval off 0",
    "mean": "bootstrap of the mean",
    "mean_once": "the same, 12 blocks only",
    "median": "bootstrap of the median",
    "five_percent_12": "±5 %, 12 runs an arm",
    "five_percent": "±5 %, one run an arm",
}

Random = np.random.Generator
# A machine draws, for `count` comparisons, the log slowdown and the seconds stalled of each of its runs;
# a run of base takes one second on it when nothing disturbs it.
Machine = Callable[[Random, int], tuple[Floats, Floats]]


def heavy_tails(rng: Random, count: int) -> tuple[Floats, Floats]:
    """Independent noise of 12 % with Student's t3 tails."""
    return 0.12 * rng.standard_t(3, (count, STEPS)) / np.sqrt(3), np.zeros((count, STEPS))


def quiet(rng: Random, count: int) -> tuple[Floats, Floats]:
    """Independent normal noise of 1 %."""
    return rng.normal(0, 0.01, (count, STEPS)), np.zeros((count, STEPS))


def drift(rng: Random, count: int) -> tuple[Floats, Floats]:
    """A trend of up to ±50 % over the judging, a random walk on top, and noise of 3 %."""
    trend = rng.uniform(-0.5, 0.5, (count, 1)) * np.linspace(0, 1, STEPS)
    walk = np.cumsum(rng.normal(0, 0.02, (count, STEPS)), axis=1)
    return trend + walk + rng.normal(0, 0.03, (count, STEPS)), np.zeros((count, STEPS))


def bursts(rng: Random, count: int) -> tuple[Floats, Floats]:
    """Neighbours that come (2 % of runs), stay some seven runs and slow all down by 20 to 200 %; noise of 2 %."""
    busy = _switching(rng, count, come=0.02, go=0.15)
    level = rng.uniform(np.log(1.2), np.log(3), (count, 1))
    return busy * level + rng.normal(0, 0.02, (count, STEPS)), np.zeros((count, STEPS))


def two_clocks(rng: Random, count: int) -> tuple[Floats, Floats]:
    """A clock that jumps between two speeds 25 % apart every ten runs or so; noise of 1 %."""
    slow = _switching(rng, count, come=0.1, go=0.1)
    return slow * np.log(1.25) + rng.normal(0, 0.01, (count, STEPS)), np.zeros((count, STEPS))


def autocorrelated(rng: Random, count: int) -> tuple[Floats, Floats]:
    """Noise of 12 % of which each run inherits nine tenths from the one before."""
    noise = rng.normal(0, 0.12, (count, STEPS))
    for step in range(1, STEPS):
        noise[:, step] = 0.9 * noise[:, step - 1] + np.sqrt(1 - 0.9**2) * noise[:, step]
    return noise, np.zeros((count, STEPS))


def stalls(rng: Random, count: int) -> tuple[Floats, Floats]:
    """Pauses that add time, not a share of it: in 30 % of runs, 0.2 s on average; noise of 2 %."""
    pauses = rng.exponential(0.2, (count, STEPS)) * (rng.random((count, STEPS)) < 0.3)
    return rng.normal(0, 0.02, (count, STEPS)), pauses


def _switching(rng: Random, count: int, come: float, go: float) -> Floats:
    state = np.empty((count, STEPS), dtype=bool)
    chance = rng.random((count, STEPS))
    state[:, 0] = chance[:, 0] < come / (come + go)
    for step in range(1, STEPS):
        state[:, step] = np.where(state[:, step - 1], chance[:, step] >= go, chance[:, step] < come)
    return state.astype(np.float64)


MACHINES: dict[str, Machine] = {
    "quiet": quiet,
    "heavy tails": heavy_tails,
    "drift": drift,
    "bursts": bursts,
    "two clocks": two_clocks,
    "autocorrelated": autocorrelated,
    "stalls": stalls,
}


def judge(machine: Machine, speedup: float, count: int, rng: Random) -> dict[str, NDArray[Any]]:
    """The outcome of `count` judgings by every rule, our interval's coverage at all looks, and the blocks it took."""
    slowdown, pauses = machine(rng, count)
    order = np.argsort(rng.random((count, METHOD.looks[-1], ARMS)), axis=-1)
    first = ARMS * np.arange(METHOD.looks[-1])

    def log_seconds(steps: NDArray[np.intp], faster_by: float) -> Floats:
        disturbed = np.take_along_axis(slowdown, steps, axis=1) - np.log1p(faster_by)
        seconds: Floats = np.log(np.exp(disturbed) + np.take_along_axis(pauses, steps, axis=1))
        return seconds

    base = log_seconds(first + order[..., 0], 0)
    patch = base - log_seconds(first + order[..., 2], speedup)
    control = base - log_seconds(first + order[..., 3], 0)

    ours = np.zeros(count, dtype=int)
    plain = {"mean": np.zeros(count, dtype=int), "median": np.zeros(count, dtype=int)}
    blocks = np.full(count, METHOD.looks[-1])
    covered = np.ones(count, dtype=bool)
    outcome: dict[str, NDArray[Any]] = {}
    for look in METHOD.looks:
        error = METHOD.alpha / len(METHOD.looks)
        _, low, high = signed_rank_bounds(patch[:, :look], error)
        covered &= (low <= np.log1p(speedup)) & (np.log1p(speedup) <= high)
        _, control_low, control_high = signed_rank_bounds(control[:, :look], error)
        bias = np.maximum(0, np.maximum(control_low, -control_high))
        decided = _decide(low, high, bias)
        blocks = np.where((ours == 0) & (decided != 0), look, blocks)
        ours = np.where(ours == 0, decided, ours)
        if speedup == 0:
            for name, interval in (("mean", _bootstrap_mean), ("median", bootstrap_interval)):
                low, high = interval(patch[:, :look], 1 - METHOD.alpha)
                plain[name] = np.where(plain[name] == 0, (low > 0) * 1 - (high < 0), plain[name])
            outcome.setdefault("mean_once", plain["mean"])
    outcome |= plain | {"blocks": ours, "needed": blocks, "covered": covered, "interval": (~covered).astype(int)}
    for name, runs in (("five_percent_12", 12), ("five_percent", 1)):
        before = np.exp(log_seconds(np.tile(np.arange(runs), (count, 1)), 0)).mean(axis=1)
        after = np.exp(log_seconds(np.tile(np.arange(runs, 2 * runs), (count, 1)), speedup)).mean(axis=1)
        outcome[name] = np.where(before / after > 1.05, 1, np.where(after / before > 1.05, -1, 2))
    return outcome


def _bootstrap_mean(rows: Floats, level: float, resamples: int = 2000) -> tuple[Floats, Floats]:
    """Percentile bootstrap interval of the mean for every row; all rows share the resamples' draws."""
    n = rows.shape[-1]
    shares = np.random.default_rng(n).multinomial(n, np.full(n, 1 / n), size=resamples) / n
    means = rows @ shares.T
    cut = int(resamples * (1 - level) / 2)
    means.partition([cut, resamples - 1 - cut], axis=-1)
    return means[:, cut], means[:, resamples - 1 - cut]


def _decide(low: Floats, high: Floats, bias: Floats) -> NDArray[Any]:
    """`decide` of the product, interval by interval: 1 faster, -1 slower, 2 same, 0 inconclusive."""
    codes = {"faster": 1, "slower": -1, "same": 2, "inconclusive": 0}
    return np.array(
        [
            codes[decide(Interval((a + b) / 2, a, b), METHOD, c)]
            for a, b, c in zip(low.tolist(), high.tolist(), bias.tolist(), strict=True)
        ]
    )


def calibrate(count: int, seed: int) -> dict[str, Any]:
    """All figures, as `--json` prints them; rates are shares of 1."""
    begin = time.perf_counter()
    errors: dict[str, dict[str, float]] = {}
    effects: dict[str, dict[str, dict[str, float]]] = {}
    for number, (name, machine) in enumerate(MACHINES.items()):
        effects[name] = {}
        for speedup in SPEEDUPS:
            rng = np.random.default_rng([seed, number, round(speedup * 1000)])
            chunks = [judge(machine, speedup, min(CHUNK, count - at), rng) for at in range(0, count, CHUNK)]
            outcome = {key: np.concatenate([chunk[key] for chunk in chunks]) for key in chunks[0]}
            if speedup == 0:
                errors[name] = {rule: float((np.abs(outcome[rule]) == 1).mean()) for rule in RULES}
            effects[name][f"{speedup:.0%}"] = {
                "faster": float((outcome["blocks"] == 1).mean()),
                "slower": float((outcome["blocks"] == -1).mean()),
                "same": float((outcome["blocks"] == 2).mean()),
                "inconclusive": float((outcome["blocks"] == 0).mean()),
                "coverage": float(outcome["covered"].mean()),
                "blocks_mean": float(outcome["needed"].mean()),
            }
    return {
        "comparisons": count,
        "seed": seed,
        "method": METHOD.model_dump(mode="json"),
        "errors_on_identical_code": errors,
        "ours_by_true_speedup": effects,
        "seconds": round(time.perf_counter() - begin, 1),
    }


def tables(figures: dict[str, Any]) -> str:
    """The figures as two Markdown tables."""
    errors, effects = figures["errors_on_identical_code"], figures["ours_by_true_speedup"]
    lines = [
        f"Identical code: share of {figures['comparisons']:,} judgings that call it faster or slower.",
        "",
        "| machine | " + " | ".join(RULES.values()) + " |",
        "|---|" + "---:|" * len(RULES),
    ]
    for machine, rates in errors.items():
        lines.append(f"| {machine} | " + " | ".join(f"{rates[rule]:.2%}" for rule in RULES) + " |")
    lines += [
        "",
        "Our rule by true speedup: decisions, share of judgings whose intervals at all looks hold the truth, blocks.",
        "",
        "| machine | true speedup | faster | same | inconclusive | slower | coverage | mean blocks |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for machine, by_speedup in effects.items():
        for speedup, row in by_speedup.items():
            shares = [f"{row[key]:.1%}" for key in ("faster", "same", "inconclusive")]
            shares += [f"{row[key]:.2%}" for key in ("slower", "coverage")]
            lines.append(f"| {machine} | {speedup} | {' | '.join(shares)} | {row['blocks_mean']:.0f} |")
    return "\n".join(lines)


def plot(figures: dict[str, Any], target: Path) -> None:
    """The errors on identical code, as a chart in `target` (.svg or .png)."""
    rows = [
        {"machine": machine, "rule": label, "error": rates[rule]}
        for machine, rates in figures["errors_on_identical_code"].items()
        for rule, label in RULES.items()
    ]
    base = altair.Chart({"values": rows})
    bars = base.mark_bar().encode(
        x=altair.X("error:Q", title="identical code called faster or slower", axis=altair.Axis(format="%")),
        y=altair.Y("rule:N", title=None, sort=list(RULES.values()), axis=altair.Axis(labels=False, ticks=False)),
        color=altair.Color(
            "rule:N",
            title=None,
            sort=list(RULES.values()),
            scale=altair.Scale(range=["#0072b2", "#56b4e9", "#d55e00", "#e69f00", "#f0c674", "#999999", "#555555"]),
            legend=altair.Legend(orient="bottom", columns=3, labelLimit=300),
        ),
    )
    shares = base.mark_text(align="left", dx=3, fontSize=9).encode(
        x="error:Q", y=altair.Y("rule:N", sort=list(RULES.values())), text=altair.Text("error:Q", format=".2%")
    )
    line = base.mark_rule(strokeDash=[3, 3], color="#333333").encode(x=altair.datum(METHOD.alpha))
    chart = (bars + shares + line).properties(width=520, height=98)
    chart = chart.facet(
        row=altair.Row(
            "machine:N", title=None, sort=list(MACHINES), header=altair.Header(labelAngle=0, labelAlign="left")
        )
    ).properties(title=f"Errors on identical code ({figures['comparisons']:,} judgings each; dashed: the declared 1 %)")
    chart.configure_view(stroke=None).save(str(target))


def main() -> None:
    """Run, and print tables or JSON."""
    parser = argparse.ArgumentParser(description="How often does the decision rule err on simulated machines?")
    parser.add_argument("--comparisons", type=int, default=4000, help="judgings per machine and true speedup")
    parser.add_argument("--seed", type=int, default=1, help="seed of the simulation")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--plot", type=Path, help="write the chart of errors to this .svg or .png file")
    options = parser.parse_args()
    figures = calibrate(options.comparisons, options.seed)
    if options.plot:
        plot(figures, options.plot)
    print(json.dumps(figures) if options.json else tables(figures))


if __name__ == "__main__":
    main()
