"""The earlier harness's files: journal, run summary, prediction, prompt, targets. Every field is kept as a fact."""

import hashlib
from collections.abc import Iterator
from typing import Any

from speedproof.agents.reading import mapping, text
from speedproof.archives.exported import BLOCK
from speedproof.archives.gathered import Gathered, number, place, whole
from speedproof.archives.kind import Content, predictions
from speedproof.archives.prompt import better, of_parts
from speedproof.archives.settings import line_of, recorded
from speedproof.journal.attempt import HarnessError
from speedproof.journal.foreign_parts import Recorded

_MOST_FACTS = 2_000
_LONGEST_FACT = 2_000
_DEEPEST = 12
_SUCCESS = {"success", "ok", "passed", "completed", "resolved"}


def flatten(value: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every leaf of a JSON value with its path: a.b, c[0].d."""
    if isinstance(value, dict) and value and depth < _DEEPEST:
        for key, each in value.items():
            yield from flatten(each, f"{path}.{key}" if path else str(key), depth + 1)
    elif isinstance(value, list) and value and depth < _DEEPEST:
        for index, each in enumerate(value):
            yield from flatten(each, f"{path}[{index}]", depth + 1)
    else:
        yield path, value


def add_facts(found: Gathered, file: str, value: Any, prefix: str = "") -> None:
    """Keep every field of a JSON value as a foreign fact; long texts by size and digest, a patch always."""
    for path, leaf in flatten(value, prefix):
        if len(found.facts) >= _MOST_FACTS:
            found.facts[f"{file}:…"] = "more fields than are kept"
            return
        kept = leaf
        if isinstance(leaf, str) and (len(leaf) > _LONGEST_FACT or path.endswith("model_patch")):
            data = leaf.encode(errors="surrogatepass")
            kept = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        elif isinstance(leaf, dict | list) and leaf:
            kept = f"nested deeper than {_DEEPEST}"
        found.facts[f"{file}:{path}"[:400]] = kept


def read_journal(found: Gathered, content: Content) -> None:
    """journal.json: what happened, by the harness's own word. The block that holds the exit code names the agent."""
    journal, file, data = content.mapping, content.name, content.data
    found.exported = journal.get(BLOCK)
    add_facts(found, file, {name: value for name, value in journal.items() if name != BLOCK})
    found.journal = True
    commits, metrics = mapping(journal.get("commits")), mapping(journal.get("metrics"))
    written = number(mapping(journal.get("timestamps")).get("written"))
    block_name, block = next(
        ((name, value) for name, value in journal.items() if isinstance(value, dict) and "returncode" in value),
        (None, {}),
    )
    status, error = text(journal.get("status"), 200), text(journal.get("error"))
    found.recorded = Recorded(
        status=status,
        success=None if status is None else status.lower() in _SUCCESS,
        error=error,
        error_type=text(journal.get("error_type"), 200),
        exit_code=whole(block.get("returncode")),
        wall_s=number(block.get("duration_s")),
        written=written,
    )
    found.recorded_place = place(file, data, "status")
    found.exit_place = place(file, data, "returncode") if block else None
    if error or found.recorded.error_type:
        kind = found.recorded.error_type or "Exception"
        found.harness = HarnessError(stage="run", kind=kind, message=error or "", traceback="")
        found.harness_place = place(file, data, "error" if error else "error_type")
    minutes = number(block.get("time_budget_minutes"))
    found.budget_s = None if minutes is None else minutes * 60
    if block_name and minutes is not None:
        name = "time_budget_minutes"
        path = f"{block_name[:100]}.{name}"
        recorded(found.settings, path, block.get(name), file, line_of(data, name), "configured")
    for name, value in list(mapping(journal.get("experiment")).items())[:50]:
        recorded(found.settings, f"experiment.{name[:100]}", value, file, line_of(data, name), "configured")
    found.commits = whole(metrics.get("commit_count"))
    found.task = text(journal.get("task_id"), 200)
    found.commit, found.pre = text(commits.get("human"), 64), text(commits.get("pre"), 64)
    meta = mapping(journal.get("run_metadata"))
    found.run = text(meta.get("run_path"), 400)
    found.repository = text(meta.get("repo"), 200)
    if block_name:
        found.labels["agent"][f"{file}:{block_name}"] = block_name[:100]
    _labels(found, f"{file}:run_metadata", meta)


def read_summary(found: Gathered, content: Content) -> None:
    """run_summary.json: written afterwards, from labels."""
    summary = content.mapping
    add_facts(found, content.name, summary)
    meta, commits = mapping(summary.get("meta")), mapping(summary.get("commits"))
    _labels(found, f"{content.name}:meta", meta)
    found.item = text(meta.get("item_id"), 200)
    found.task = found.task or text(meta.get("task_id"), 200)
    found.repository = found.repository or text(meta.get("repo"), 200)
    found.commit = found.commit or text(commits.get("human"), 64)
    found.pre = found.pre or text(commits.get("pre"), 64)
    if not found.journal:
        status = text(mapping(summary.get("agent")).get("status"), 200)
        success = None if status is None else status.lower() in _SUCCESS
        found.recorded = Recorded(status=status, success=success)
        found.recorded_place = place(content.name, content.data, "status")


def read_prompt(found: Gathered, content: Content) -> None:
    """prompt.json: the task as it was put."""
    prompt = content.mapping
    add_facts(found, content.name, prompt)
    found.prompt = better(found.prompt, of_parts(content.name, content.data, prompt))
    commits = mapping(prompt.get("commits"))
    found.commit = found.commit or text(commits.get("human"), 64)
    found.pre = found.pre or text(commits.get("pre"), 64)


def read_targets(found: Gathered, content: Content) -> None:
    """diff_targets.json: which paths were changed, and which were allowed."""
    add_facts(found, content.name, content.value)


def read_prediction(found: Gathered, content: Content) -> None:
    """prediction.jsonl beside an attempt: its fields, the patch by size and digest."""
    for at, entry in predictions(content)[:20]:
        add_facts(found, content.name, entry, at)
        model = text(entry.get("model_name_or_path"), 200)
        if model:
            found.labels["model"][f"{content.name}:{at}.model_name_or_path"] = model


def _labels(found: Gathered, at: str, meta: dict[str, Any]) -> None:
    for name in ("agent", "model", "model_full"):
        label = text(meta.get(name), 200)
        if label and label != "default":
            found.labels["agent" if name == "agent" else "model"][f"{at}.{name}"] = label
