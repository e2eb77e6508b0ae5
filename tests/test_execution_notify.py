"""Somebody who does not watch is told by a command of theirs, which holds up nothing and learns no secret."""

import json
import os
import time
from pathlib import Path

import pytest

from history_support import START, began, item, sealed, write_run
from speedproof.execution.notify import Notifier, RunEnded, without_secrets
from speedproof.journal import FailureClass, RunStore, StopCause
from speedproof.journal.events import Event, Judged, LaneOpened, RunLimit
from speedproof.journal.pace import ProviderDown

OPENED = LaneOpened(
    at=START,
    lane="codex · openai/m",
    failure=FailureClass.LOGIN_EXPIRED,
    fingerprint="f",
    message="log in\nagain, not with sk-abcdefghijklmnop",
    attempts=("x/01",),
)
LIMIT = RunLimit(at=START, item="x", limit=StopCause.COST)
DOWN = ProviderDown(at=START, provider="p", failure=FailureClass.QUOTA_EXHAUSTED, message="no money left")
TELL = 'cat >> "$OUT"; echo "$SPEEDPROOF_RUN|$SPEEDPROOF_EVENT|$SPEEDPROOF_MESSAGE" >> "$OUT.said"'


@pytest.fixture
def run(tmp_path: Path) -> RunStore:
    one, other = item("a"), item("b")
    return write_run(tmp_path, [one, other], [began(one), sealed(one)])


def notified(
    run: RunStore, command: str, *events: Event, error: BaseException | None = None, longest_s: float = 20.0
) -> tuple[list[dict[str, object]], list[str], list[str]]:
    """What the command found on its standard input and in its variables, and what we were warned of."""
    out = run.folder / "told"
    warned: list[str] = []
    environ = {**os.environ, "OUT": str(out), "OPENAI_API_KEY": "k" * 20, "DISPLAY": ":0"}
    try:
        with Notifier(command, run, warned.append, longest_s=longest_s, environ=environ) as notifier:
            for event in events:
                notifier.tell(event)
            if error is not None:
                raise error
    except (KeyboardInterrupt, ValueError):
        pass
    said = out.with_suffix(".said")
    lines = out.read_text().splitlines() if out.exists() else []
    return [json.loads(line) for line in lines], said.read_text().splitlines() if said.exists() else [], warned


def test_it_is_told_when_a_lane_opens_money_or_a_login_runs_out_and_the_run_ends(run: RunStore) -> None:
    found, said, warned = notified(run, TELL, began(item()), OPENED, LIMIT, DOWN, Judged(at=START))
    assert [one["event"] for one in found] == ["lane_opened", "run_limit", "provider_down", "run_ended"]
    assert LaneOpened.model_validate(found[0]) == OPENED
    assert RunEnded.model_validate(found[3]).how == "finished"
    assert said[0].startswith(f"{run.id}|lane_opened|") and "sk-" not in said[0]
    assert said[3].endswith("it finished; 1 of 2 items done, 1 completed")
    assert warned == []


def test_the_same_news_of_many_items_is_told_once(run: RunStore) -> None:
    limits = [LIMIT.model_copy(update={"item": str(number)}) for number in range(50)]
    found, _, _ = notified(run, TELL, *limits, DOWN, DOWN)
    assert [one["event"] for one in found] == ["run_limit", "provider_down", "run_ended"]


@pytest.mark.parametrize(
    ("error", "how", "why"),
    [(KeyboardInterrupt(), "stopped", None), (ValueError("no api_key=abcdefghijkl here"), "failed", "no api_key=[")],
)
def test_a_run_that_is_stopped_or_fails_is_told_so(run: RunStore, error: BaseException, how: str, why: str) -> None:
    found, _, _ = notified(run, TELL, error=error)
    ended = RunEnded.model_validate(found[-1])
    assert ended.how == how
    assert ended.why is None if why is None else str(ended.why).startswith(why)
    assert ended.progress is not None and ended.progress.items["done"] == 1


def test_its_environment_holds_no_secret_and_all_else(run: RunStore) -> None:
    notified(run, 'env > "$OUT.env"')
    found = dict(line.split("=", 1) for line in (run.folder / "told.env").read_text().splitlines() if "=" in line)
    assert "OPENAI_API_KEY" not in found
    assert found["DISPLAY"] == ":0" and found["PATH"] == os.environ["PATH"]


@pytest.mark.parametrize(
    ("name", "value", "stays"),
    [
        ("AWS_SECRET_ACCESS_KEY", "x", False),
        ("SLACK_TOKEN", "x", False),
        ("DB_PASS", "x", False),
        ("MINE", "sk-abcdefghijklmnop", False),
        ("PROXY", "http://me:word@proxy:1", False),
        ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/bus", True),
        ("SSH_AUTH_SOCK", "/run/agent", True),
        ("HOME", "/home/me", True),
    ],
)
def test_what_looks_like_a_secret_by_name_or_value_is_one(name: str, value: str, stays: bool) -> None:
    assert (name in without_secrets({name: value})) is stays


def test_a_command_that_fails_is_told_once_and_is_not_fatal(run: RunStore) -> None:
    _, _, warned = notified(run, "exit 3", OPENED, LIMIT)
    assert warned == ["--notify: the command ended with exit code 3"]


def test_a_command_that_hangs_holds_up_nothing_but_the_end_and_all_that_it_started_ends(run: RunStore) -> None:
    mark = f"sleep 61.{os.getpid()}"
    begin = time.monotonic()
    warned: list[str] = []
    with Notifier(f"setsid {mark} & {mark}", run, warned.append, longest_s=0.6) as notifier:
        for event in (OPENED, LIMIT, DOWN):
            notifier.tell(event)
        assert time.monotonic() - begin < 0.5
    assert time.monotonic() - begin < 10
    assert warned == ["--notify: the command was ended after 0.6 s"]
    words = mark.replace(" ", "\0").encode()
    deadline = time.monotonic() + 5
    while left := [p for p in Path("/proc").glob("[0-9]*/cmdline") if words in _read(p)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.02)


def test_without_a_command_nothing_is_run(run: RunStore) -> None:
    with Notifier(None, run, lambda _: pytest.fail("nothing to warn of")) as notifier:
        notifier.tell(OPENED)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
