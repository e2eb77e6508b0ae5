"""The parts of an imported attempt: files, names, what was recorded, patch, tokens, calls, clock, settings."""

import re
from functools import lru_cache
from typing import Literal

from speedproof.journal.base import Evidence, Record
from speedproof.journal.failure import FailureClass
from speedproof.journal.usage import Usage

Layout = Literal[
    "perf-agents-bench", "trae", "codex", "claude", "mini-swe-agent", "swe-bench-predictions", "speedproof"
]
"""What the files of an attempt are: the earlier harness's folder, one agent's own records, a line of a prediction
file, or an attempt of Speedproof itself."""

SourceOfUsage = Literal["wire", "trajectory", "summary_box", "last_cumulative_line", "agent_result", "total_only"]
"""Where tokens are told, best first: each call as seen on the wire; each answer in the agent's own trajectory; the box
that closes a console log; the last line of a running total; what the agent reports at its end; one number for all."""

USAGE_ORDER: tuple[SourceOfUsage, ...] = (
    "wire",
    "trajectory",
    "summary_box",
    "last_cumulative_line",
    "agent_result",
    "total_only",
)

ForeignPatchStatus = Literal["missing", "empty", "no_effect", "tests_only", "present"]
"""present: it changes code, as far as the text tells; whether it applies is not known without its repository."""


class ForeignFile(Record):
    """One file of an imported attempt."""

    path: str
    """Path relative to the attempt's folder."""
    size: int
    """Bytes."""
    kind: str
    """What its content is: journal, summary, prediction, prompt, targets, trajectory, log, patch, rollout, events,
    result, config (settings), report (a text that says something of settings), text, json, empty, copy (equal to
    another file of the attempt), other."""
    problem: str | None = None
    """What is wrong with it; null when it was read whole."""


class Told(Record):
    """Who did it, as told by what the files hold; labels of folders and journals beside it."""

    value: str | None
    """The answer; null when nothing tells."""
    version: str | None = None
    """Version of the program that it names; null when it names none."""
    confidence: Literal["direct", "inferred", "label", "none"]
    """direct: the agent's own records say so; inferred: it follows from what they look like; label: only a name that a
    folder, journal or summary gives; none: nothing says."""
    evidence: tuple[Evidence, ...] = ()
    """Where it stands."""
    labels: dict[str, str] = {}
    """What labels say, by their place: true or not."""

    @property
    def contradicted(self) -> tuple[str, ...]:
        """Places of the labels that name another than the evidence does; none where nothing but labels tells."""
        if self.confidence not in ("direct", "inferred"):
            return ()
        return tuple(at for at, label in self.labels.items() if plain_name(label) != plain_name(self.value or ""))


_ROUTE = re.compile(r"^(?:.*/)?(?:(?:us|eu|apac|global)[.-])?(?:anthropic|openai)?[.-]?")
_RELEASE = re.compile(r"-v\d+[:-]\d+$|-\d{4}-?\d\d-?\d\d(?=-|$)")


def maker_name(model: str) -> str:
    """A model's name as its maker gives it: without the route by which it was reached, and that route's release."""
    return re.sub(r"-v\d+[:-]\d+$", "", _ROUTE.sub("", model, count=1))


@lru_cache(maxsize=4_096)
def plain_name(name: str) -> str:
    """The name of an agent or a model without route, date and spelling: the same for all names of one."""
    plain = _ROUTE.sub("", name.casefold(), count=1)
    plain = _RELEASE.sub("", _RELEASE.sub("", plain))
    return "".join(each for each in plain if each.isalnum())


class Recorded(Record):
    """What the archive claims of the attempt, as it stands there."""

    status: str | None = None
    """Its status."""
    success: bool | None = None
    """Whether that means success; null when there is no status."""
    error: str | None = None
    """Its error text."""
    error_type: str | None = None
    """The kind of its error."""
    exit_code: int | None = None
    """The exit code as written: negative for a signal."""
    wall_s: float | None = None
    """Seconds it says the agent ran."""
    written: float | None = None
    """When it says it was written, seconds since 1970."""


class ForeignPatch(Record):
    """The patch that an attempt left, as its text tells."""

    file: str
    """The file that holds it, relative to the attempt's folder."""
    sha256: str
    """SHA-256 of its bytes."""
    size: int
    """Bytes."""
    files: tuple[str, ...]
    """Paths that it changes, adds or removes."""
    added: int
    """Lines added."""
    removed: int
    """Lines removed."""
    hunks: int
    """Places it changes; 0 when it only adds or removes empty files."""
    new_files: tuple[str, ...] = ()
    """Paths that it adds."""
    own_file: bool
    """Whether it holds the file model_patch.diff: itself."""
    tests: tuple[str, ...] = ()
    """Paths in it that are tests."""
    scratch: tuple[str, ...] = ()
    """Paths in it that are no part of the program: patches, logs, notes, its own file."""
    comments_only: bool
    """Whether every line it changes outside of those is blank or a comment."""


class UsageSource(Record):
    """Tokens as one source tells them."""

    source: SourceOfUsage
    """Which."""
    file: str
    """The file, relative to the attempt's folder."""
    line: int | None = None
    """The line; null where it stands in many places."""
    place: str | None = None
    """The JSON path; null for text."""
    usage: Usage
    """Tokens by what they are."""
    input: int | None = None
    """Input tokens as the source counts them: with the cached part where the provider counts so."""
    total: int | None = None
    """The one number of a source that tells no more."""
    records: int = 1
    """Answers it sums up."""
    unknown: int = 0
    """Answers without tokens, not in the sum."""
    models: dict[str, Usage] = {}
    """The same by model, where the source tells them apart."""
    impossible: tuple[str, ...] = ()
    """What cannot be: more cached than input, negative numbers."""
    impossible_usage: Usage = Usage()
    """Tokens of the records that cannot be, as they stand; they are in `usage`, but for their uncached input."""

    @property
    def possible(self) -> Usage | None:
        """Tokens without those of the records that cannot be; null when there are no others."""
        if not self.impossible:
            return self.usage
        if self.records <= len(self.impossible):
            return None
        wrong = self.impossible_usage.model_dump(exclude={"uncached_input"})
        told = self.usage.model_dump(exclude_none=True)
        return Usage(**{name: value - (wrong.get(name) or 0) for name, value in told.items()})


class FailedCall(Record):
    """One model call that failed, however often a log repeats it."""

    failure: FailureClass
    """What kind of failure."""
    call_id: str | None = None
    """The tool call that the provider complains of; null when it names none."""
    mentions: int
    """How often the logs repeat it: retries, tracebacks, boxes. Not a number of failures."""
    evidence: Evidence
    """Where it stands first."""


class Clock(Record):
    """How the times of an attempt were brought to UTC."""

    offset_s: int | None
    """Seconds by which the zone of the agent's own times lies ahead of UTC; null when it is not known."""
    basis: str
    """What that rests on."""


class Legacy(Record):
    """What naive reading of the logs gives: wrong, and kept to explain published figures."""

    first_input: int | None = None
    """Input tokens of the first running total in the console log."""
    first_output: int | None = None
    """Output tokens of it."""
    step_as_text: int | None = None
    """The largest step number, compared as text: 9 beats 40."""
    greatest_step: int | None = None
    """The largest step number in the console log."""
    no_tool_output_matches: int = 0
    """Text matches of "No tool output found for function call"."""
    retry_lines: int = 0
    """Lines that announce another try."""


class ShownOfExpert(Record):
    """Something of the expert's change that the agent could see."""

    what: Literal["hash", "diff", "diffstat"]
    """hash: the first digits of its commit; diff, diffstat: a change, or its summary, in the prompt."""
    where: Literal["prompt", "log", "trajectory"]
    """In what kind of file."""
    times: int
    """How often in that file."""
    evidence: Evidence
    """Where first."""


class SecretSeen(Record):
    """A key that stands in a file of an attempt."""

    kind: str
    """What it looks like."""
    times: int
    """How often, as far as it was looked for."""
    evidence: Evidence
    """Where first; the value is taken out."""


class SettingSeen(Record):
    """One setting where a file shows it: a line of settings.jsonl. Several places may contradict each other."""

    key: str
    """Its name as written there, such as parallel_tool_calls; in a sentence, the name with underscores."""
    value: str | None
    """Its value as text, truth as true or false; null when it is unknown, null, a secret, or not clear from the
    sentence."""
    path: str | None = None
    """Its place in a configuration or record, such as agents.trae_agent.max_steps; null for a sentence."""
    how: Literal["claimed", "configured", "sent"]
    """claimed: a report says so; configured: a configuration, or the harness's record of one, has it; sent: the agent's
    own record of its run names it as what the run was made with."""
    denied: bool = False
    """Whether the sentence denies something of it: never applied, was not disabled. Its value is then null."""
    file: str
    """The file, relative to the archive's root."""
    line: int | None = None
    """The line; null when it could not be told."""
    excerpt: str = ""
    """What stands there, secrets taken out, cut to 400 characters; of a configuration the key and its value."""
    attempt: str | None = None
    """Id of the attempt whose folder or record holds it; null when it belongs to none or several."""
