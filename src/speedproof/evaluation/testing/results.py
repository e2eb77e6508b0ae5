"""The task's own tests on one arm: run in a fresh sandbox on a throwaway copy, read from JUnit XML."""

import json
import math
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Literal
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from speedproof.errors import TaskError
from speedproof.evaluation.arms import ArmTree, writable
from speedproof.evaluation.prepared import PreparedTask
from speedproof.evaluation.running import run_command
from speedproof.journal import TestsReport
from speedproof.journal.base import digest_of
from speedproof.journal.files import write_atomically
from speedproof.journal.measurement import BASE
from speedproof.sandbox import Box, Mount, Sandbox
from speedproof.sandbox.box import OUT
from speedproof.workspace.reading import read_untrusted
from speedproof.workspace.tree import give_to, remove

Result = Literal["passed", "failed", "error", "skipped"]
REPEATS = 3
"""Runs of the tests on base and expert that tell which are flaky."""
_LARGEST_XML = 16 << 20
_BETTER_FIRST: tuple[Result, ...] = ("passed", "skipped", "failed", "error")


class TestsBroken(TaskError):
    """A test command left no results."""


def read_junit(content: bytes) -> dict[str, Result]:
    """Result by test id (class::name) of a JUnit XML document. Raises TestsBroken when it is none.

    An id that occurs twice keeps its worst result.
    """
    try:
        root: Element = fromstring(content)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise TestsBroken(f"the test results are no JUnit XML: {error}", kind="base_broken") from error
    results: dict[str, Result] = {}
    for case in root.iter("testcase"):
        name = f"{case.get('classname', '')}::{case.get('name', '')}"
        result: Result = "passed"
        for tag, meaning in (("skipped", "skipped"), ("failure", "failed"), ("error", "error")):
            if case.find(tag) is not None:
                result = meaning  # type: ignore[assignment]
        _merge(results, {name: result})
    return results


def _merge(results: dict[str, Result], more: dict[str, Result]) -> None:
    """Add results; an id that has one already keeps the worse."""
    for name, result in more.items():
        results[name] = max(result, results.get(name, "passed"), key=_BETTER_FIRST.index)


def run_tests(prepared: PreparedTask, arm: ArmTree, sandbox: Sandbox, scratch: Path) -> TestsReport:
    """Every test command of the task on `arm`. Raises TestsBroken when one leaves no results."""
    results: dict[str, Result] = {}
    seconds = 0.0
    for number, tests in enumerate(prepared.task.tests, 1):
        folder = scratch / f"tests-{arm.name}-{number}"
        out = folder / "out"
        out.mkdir(parents=True)
        give_to(out, sandbox.uid)
        workspace = arm.workspace(folder / "copy")
        box = Box(
            argv=("/bin/sh", "-c", tests.command),
            env={**prepared.variables(), "SPEEDPROOF_JUNIT": f"{OUT}/junit.xml"},
            mounts=(writable(workspace), Mount(out, OUT, True), *prepared.mounts()),
            interpreters=prepared.interpreters,
        )
        try:
            done = run_command(sandbox, box, tests.timeout_s, prepared.task.limits)
            content = read_untrusted(out / "junit.xml", _LARGEST_XML)
        finally:
            workspace.remove()
            remove(folder)
        seconds += done.finished.wall_s
        if done.beyond is not None:
            raise TestsBroken(
                f"task {prepared.task.name}: the test command {done.beyond} on {arm.name}:\n{done.tail(15)}",
                kind="base_broken",
                hint=f"the command is: {tests.command}",
            )
        if content is None or done.timed_out:
            raise TestsBroken(
                f"task {prepared.task.name}: the test command {done.how} on {arm.name} and left no results "
                f"at $SPEEDPROOF_JUNIT:\n{done.tail(15)}",
                kind="base_broken",
                hint=f"the command is: {tests.command}",
            )
        try:
            found = read_junit(content)
        except TestsBroken as error:
            raise TestsBroken(
                f"task {prepared.task.name}: on {arm.name}, {error.what}",
                kind="base_broken",
                hint=f"the command is: {tests.command}",
            ) from error
        if done.finished.exit_code != 0 and not {"failed", "error"} & set(found.values()):
            raise TestsBroken(
                f"task {prepared.task.name}: the test command {done.how} on {arm.name}, but its results name no "
                f"failure:\n{done.tail(15)}",
                kind="base_broken",
                hint=f"the command is: {tests.command}",
            )
        _merge(results, {k: v for k, v in found.items() if k not in tests.known_failures})
    return TestsReport(arm=arm.name, results=results, seconds=seconds)


def cached_tests(
    prepared: PreparedTask,
    arm: ArmTree,
    sandbox: Sandbox,
    scratch: Path,
    expected: Collection[str] = (),
    *,
    repeats: int = 1,
) -> TestsReport:
    """The same for base and expert, remembered by content: of one run, or of REPEATS where `repeats` asks for more.

    All REPEATS are made, too, where something that should pass does not (on base anything, elsewhere one of the
    `expected` tests): only repetition tells a flaky test from a broken one. What more runs said is preferred.

    Raises TestsBroken when a run leaves no results, and on base TaskError as `require_sound_base` does.
    """
    task, cache = prepared.task, prepared.cache
    content = [
        "tests/3",
        arm.tree,
        [t.model_dump(mode="json") for t in task.tests],
        task.build,
        prepared.environment.digest if prepared.environment else None,
        prepared.files.name if prepared.files else None,
        prepared.variables(),
        sandbox.kind,
    ]
    once, repeated = (digest_of([*content, runs], 32) for runs in (1, REPEATS))
    runs = REPEATS if repeats > 1 or (cache.root / "tests" / repeated).is_dir() else 1
    made: list[TestsReport] = []

    def make(folder: Path) -> None:
        made.append(run_tests(prepared, arm, sandbox, scratch))
        while len(made) < (REPEATS if _in_doubt(made, arm, expected) else runs):
            made.append(run_tests(prepared, arm, sandbox, scratch))
        report = merged(made)
        if arm.name == BASE:
            require_sound_base(prepared, report)  # what a mended machine may pass is not to be remembered
        write_atomically(folder / "report.json", report.model_dump_json())

    entry = cache.entry("tests", once if runs == 1 else repeated, make)
    report = TestsReport.model_validate(json.loads((entry / "report.json").read_text()))
    return report.model_copy(update={"arm": arm.name, "cached": not made})


def _in_doubt(reports: Sequence[TestsReport], arm: ArmTree, expected: Collection[str]) -> bool:
    """Whether a run so far says what only repetition explains."""
    if any(report.results.get(name) != "passed" for report in reports for name in expected):
        return True
    return arm.name == BASE and any({"failed", "error"} & set(report.results.values()) for report in reports)


def merged(reports: Sequence[TestsReport]) -> TestsReport:
    """Several runs on the same code as one: of each test the worst result, and which tests are flaky.

    Flaky is a test that passes in one run, and in another does not, or is missing.
    """
    results: dict[str, Result] = {}
    for report in reports:
        _merge(results, report.results)
    seen = {name: {report.results.get(name) == "passed" for report in reports} for name in results}
    return TestsReport(
        arm=reports[0].arm,
        results=results,
        seconds=math.fsum(report.seconds for report in reports),
        flaky=tuple(sorted(name for name, passes in seen.items() if len(passes) > 1)),
        runs=len(reports),
    )


def require_sound_base(prepared: PreparedTask, base: TestsReport) -> None:
    """Raises TaskError when base has no tests that pass, or fails some; flaky ones are no proof of either."""
    steady = {name: result for name, result in base.results.items() if name not in base.flaky}
    bad = [name for name, result in steady.items() if result in {"failed", "error"}]
    if bad:
        raise TaskError(
            f"task {prepared.task.name}: {len(bad)} tests fail on the base commit itself: {', '.join(bad[:5])}",
            kind="base_broken",
            hint="mend the environment, deselect them in the test command, or list them in known_failures",
        )
    if "passed" not in steady.values():
        besides = f"; {len(base.flaky)} are flaky: {', '.join(base.flaky[:5])}" if base.flaky else ""
        raise TaskError(
            f"task {prepared.task.name}: no test passes on the base commit{besides}",
            kind="base_broken",
            hint="check the test command and its paths",
        )


def require_common(prepared: PreparedTask, base: TestsReport, expert: TestsReport) -> None:
    """Raises TaskError when no test passes on base and expert both: such tests cannot tell right from wrong."""
    if not must_pass(base, expert):
        flaky = quarantined((base, expert))
        besides = f"; {len(flaky)} are flaky: {', '.join(flaky[:5])}" if flaky else ""
        raise TaskError(
            f"task {prepared.task.name}: no test that passes on the base commit passes on the expert commit{besides}",
            kind="base_broken",
            hint="choose tests that both commits pass",
        )


def must_pass(base: TestsReport, expert: TestsReport) -> list[str]:
    """The tests that pass on base and expert in every run, hence must pass on a patch."""
    flaky = {*base.flaky, *expert.flaky}
    return [
        name
        for name, result in base.results.items()
        if result == "passed" and expert.results.get(name) == "passed" and name not in flaky
    ]


def quarantined(references: Iterable[TestsReport]) -> tuple[str, ...]:
    """The tests that are flaky on base or expert: named, and left out of what a patch must pass."""
    return tuple(sorted({name for report in references for name in report.flaky}))
