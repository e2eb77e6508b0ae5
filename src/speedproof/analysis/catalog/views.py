"""The views: questions that are asked often. Second copies, controls and attempts under way are in none of them."""

from speedproof.analysis.catalog.table import View

_WHO = {
    "agent": "The agent; null where nothing tells.",
    "model": "The model; null where nothing tells.",
    "model_confidence": "What the model's name rests on: direct, inferred, label, none.",
    "attempts": "Attempts that count.",
}
_BY_WHO = "FROM attempts WHERE counted GROUP BY agent, model, model_confidence ORDER BY agent, model, model_confidence"


def _known(column: str, name: str, unknown: str) -> str:
    """A sum over what is known, and how many were not."""
    return f"sum({column}) AS {name}, count(*) FILTER ({column} IS NULL) AS {unknown}"


_SUCCESS_RULES = View(
    "success_rules",
    "The five success rules side by side, by agent and model.",
    {
        **_WHO,
        "recorded": "Attempts that their archive calls a success.",
        "recorded_unknown": "Attempts of which it says nothing.",
        "exit_and_patch": "Attempts with exit code 0 and patch bytes.",
        "strict": "Attempts with exit code 0, a patch with an effect and no error.",
        "confirmed": "Strict ones where the agent's own word and calls agree.",
        "proven": "Attempts with a judged patch that is correct, faster and clean.",
        "proven_unknown": "Attempts that nobody judged.",
    },
    f"""
SELECT agent, model, model_confidence, count(*) AS attempts,
    count(*) FILTER (recorded_success) AS recorded,
    count(*) FILTER (recorded_success IS NULL) AS recorded_unknown,
    count(*) FILTER (exit_and_patch) AS exit_and_patch,
    count(*) FILTER (strict) AS strict,
    count(*) FILTER (confirmed) AS confirmed,
    count(*) FILTER (proven) AS proven,
    count(*) FILTER (proven IS NULL) AS proven_unknown
{_BY_WHO}""",
)

_COSTS = View(
    "costs",
    "What attempts cost, by agent and model: billed beside computed. Each sum is of what is known.",
    {
        **_WHO,
        "billed_usd": "US dollars that agents say they cost.",
        "billed_unknown": "Attempts that do not say.",
        "cost_usd": "US dollars at the list prices of each attempt's day.",
        "cost_unknown": "Attempts without tokens, model, day or price.",
        "uncached_input": "Input tokens read afresh.",
        "cache_read": "Input tokens from the cache.",
        "cache_write": "Input tokens written to the cache.",
        "output": "Output tokens.",
        "tokens_unknown": "Attempts of which input or output is unknown.",
        "wall_s": "Seconds that the agents ran.",
        "wall_unknown": "Attempts of which that is unknown.",
    },
    f"""
SELECT agent, model, model_confidence, count(*) AS attempts,
    {_known("billed_usd", "billed_usd", "billed_unknown")},
    {_known("cost_usd", "cost_usd", "cost_unknown")},
    sum(usage_uncached_input) AS uncached_input, sum(usage_cache_read) AS cache_read,
    sum(usage_cache_write) AS cache_write, sum(usage_output) AS output,
    count(*) FILTER (usage_total IS NULL) AS tokens_unknown,
    {_known("wall_s", "wall_s", "wall_unknown")}
{_BY_WHO}""",
)

_ERRORS = View(
    "errors",
    "Failures by fingerprint: equal failures are one row, the most frequent first.",
    {
        "fingerprint": "The failure without its particulars, as in `attempts.fingerprint`.",
        "failure": "Its class.",
        "message": "What its first attempt says.",
        "attempts": "Attempts with it.",
        "runs": "Runs with it.",
        "commits": "Commits with it.",
        "first_seen": "When first.",
        "last_seen": "When last.",
        "wall_s": "Seconds that those attempts ran.",
        "wall_unknown": "Attempts of which that is unknown.",
        "steps": "Steps that they took.",
        "steps_unknown": "Attempts of which they are unknown.",
        "tokens": "Tokens that they used, input and output together.",
        "tokens_unknown": "Attempts of which they are unknown.",
        "cost_usd": "US dollars at list prices.",
        "cost_unknown": "Attempts of which they are unknown.",
    },
    f"""
SELECT fingerprint, min(diagnosis_failure) AS failure,
    coalesce(arg_min(diagnosis_message, concluded), min(diagnosis_message)) AS message, count(*) AS attempts,
    count(DISTINCT (archive, run)) AS runs, count(DISTINCT commit) AS commits,
    min(concluded) AS first_seen, max(concluded) AS last_seen,
    {_known("wall_s", "wall_s", "wall_unknown")},
    {_known("steps", "steps", "steps_unknown")},
    {_known("usage_total", "tokens", "tokens_unknown")},
    {_known("cost_usd", "cost_usd", "cost_unknown")}
FROM attempts WHERE counted AND fingerprint IS NOT NULL
GROUP BY fingerprint ORDER BY attempts DESC, fingerprint""",
)


def _sequence(rule: str) -> str:
    mark = f"CASE WHEN {rule} THEN '+' WHEN NOT {rule} THEN '-' ELSE '?' END"
    return f"string_agg({mark}, '' ORDER BY concluded, attempt)"


_COMMITS = View(
    "commits",
    "What became of each commit, attempt after attempt. Commits without a name are not in it.",
    {
        "commit": "The expert's commit.",
        "repository": "The repository, by its label.",
        "attempts": "Attempts that count.",
        "runs": "Runs that they belong to.",
        "first_at": "When the first was concluded.",
        "last_at": "When the last was.",
        "recorded_sequence": "In time order, by what was recorded: + success, - none, ? not known.",
        "strict_sequence": "The same by the strict rule.",
        "first_recorded": "Place of the first recorded success in it, from 1; null when there is none.",
        "first_strict": "Place of the first strict one; null when there is none.",
        "last_recorded": "Whether the last attempt is recorded as a success.",
        "last_strict": "Whether the last attempt is strict.",
        "last_failure": "Class of the last attempt's diagnosis; null when it has none.",
    },
    f"""
WITH each AS (
    SELECT commit, min(repository) AS repository, count(*) AS attempts, count(DISTINCT (archive, run)) AS runs,
        min(concluded) AS first_at, max(concluded) AS last_at,
        {_sequence("recorded_success")} AS recorded_sequence, {_sequence("strict")} AS strict_sequence,
        list(recorded_success ORDER BY concluded, attempt)[-1] AS last_recorded,
        list(strict ORDER BY concluded, attempt)[-1] AS last_strict,
        list(diagnosis_failure ORDER BY concluded, attempt)[-1] AS last_failure
    FROM attempts WHERE counted AND commit IS NOT NULL GROUP BY commit
)
SELECT commit, repository, attempts, runs, first_at, last_at, recorded_sequence, strict_sequence,
    nullif(strpos(recorded_sequence, '+'), 0) AS first_recorded,
    nullif(strpos(strict_sequence, '+'), 0) AS first_strict,
    last_recorded, last_strict, last_failure
FROM each ORDER BY first_at, commit""",
)

_RUNGS = {
    "launched": (
        "the agent ran for some time, took a step or called the model",
        "CASE WHEN calls > 0 OR steps > 0 OR wall_s IS NOT NULL THEN true END",
    ),
    "called the model": (
        "a call was answered or failed, or there are output tokens; not when infrastructure failed before",
        "coalesce(calls > 0, usage_output > 0, CASE WHEN diagnosis_failure LIKE 'infrastructure/%' THEN false END)",
    ),
    "finished": ("the process completed, by our rules", "run_status = 'completed'"),
    "patched": ("it left patch bytes", "patch_status NOT IN ('missing', 'empty')"),
    "changes code": ("more than comments, tests and scratch", "patch_status NOT IN ('no_effect', 'tests_only')"),
    "correct": (
        "tests and outputs are those of base and expert",
        "CASE WHEN correctness <> 'unknown' THEN correctness = 'pass' END",
    ),
    "faster than base": (
        "the whole interval lies beyond the threshold",
        "CASE WHEN speed <> 'not_measured' THEN speed = 'faster' END",
    ),
    "as good as the expert": ("not slower than the expert by more than the margin", "as_good_as_expert"),
}
"""Rung → what it takes, and how an attempt shows it: yes, no or unknown."""


def _rungs() -> str:
    columns = ", ".join(f"{shown} AS r{number}" for number, (_, shown) in enumerate(_RUNGS.values(), 1))
    came, lines = "true", []
    for number, (name, (meaning, _)) in enumerate(_RUNGS.items(), 1):
        lines.append(
            f"SELECT {number} AS rung, '{name}' AS name, count(*) FILTER ({came} AND r{number}) AS reached, "
            f"count(*) FILTER ({came} AND NOT r{number}) AS missed, "
            f"count(*) FILTER ({came} AND r{number} IS NULL) AS unknown, '{meaning}' AS meaning FROM shown"
        )
        came = f"{came} AND r{number}"
    judged = "(SELECT attempt, correctness, speed, as_good_as_expert FROM evaluations WHERE counts)"
    shown = f"SELECT {columns} FROM attempts LEFT JOIN {judged} USING (attempt) WHERE counted"
    return f"WITH shown AS ({shown})\n" + "\nUNION ALL ".join(lines) + "\nORDER BY rung"


_FUNNEL = View(
    "funnel",
    "How far attempts came: each rung is reached by those that reached all before it and show this one too.",
    {
        "rung": "Its place, from 1.",
        "name": "Its name.",
        "reached": "Attempts that came this far.",
        "missed": "Attempts that reached the rung before, and not this one.",
        "unknown": "Attempts that reached the rung before, and nobody knows about this one.",
        "meaning": "What the rung takes.",
    },
    _rungs(),
)

VIEWS = (_SUCCESS_RULES, _COSTS, _ERRORS, _COMMITS, _FUNNEL)
"""All views."""
