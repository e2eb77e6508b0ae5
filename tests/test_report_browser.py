"""A real browser opens the report from a file: no request, no error, and nothing of an attempt's runs."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from record_builder import GENUINE, HOSTILE, HOSTILE_TEXT, build, demo_run, plan
from speedproof.report import write_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium here (apt-get install chromium)")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --enable-logging=stderr "
    "--virtual-time-budget=3000"
)


def visit(page: Path, profile: Path) -> tuple[str, list[str]]:
    """The page's DOM after its script ran, and what the browser's console said."""
    assert BROWSER is not None
    command = [BROWSER, *FLAGS.split(), f"--user-data-dir={profile}", "--dump-dom", page.as_uri()]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        dom, log = process.communicate(timeout=90)
    finally:
        with contextlib.suppress(ProcessLookupError):  # it may have ended by itself, children and all
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return dom, [line for line in log.splitlines() if "CONSOLE" in line]


@pytest.fixture
def listener() -> Iterator[tuple[int, list[bytes]]]:
    """A port of this machine, and what was said to it."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    heard.append(connection.recv(200))

        thread = threading.Thread(target=listen)
        thread.start()
        yield server.getsockname()[1], heard
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_the_report_opens_offline_without_an_error_and_its_table_can_be_filtered(tmp_path: Path) -> None:
    page = write_report(demo_run(tmp_path / "state"), tmp_path / "out").html
    dom, console = visit(page, tmp_path / "profile")
    assert console == []
    assert '<input type="search"' in dom
    assert "fast but wrong" in dom


def test_hostile_content_neither_runs_nor_calls_home(tmp_path: Path, listener: tuple[int, list[bytes]]) -> None:
    port, heard = listener
    home = f"http://127.0.0.1:{port}"
    text = (
        f"{HOSTILE_TEXT}<img src={home}/i><link rel=stylesheet href={home}/c><iframe src={home}/f></iframe>"
        f"<style>@import '{home}/s'</style><svg onload=document.title='owned'>"
        f"<meta http-equiv=refresh content='0;{home}'>"
    )
    kind = replace(HOSTILE, message=text, diff=f"diff --git a b\n@@ @@\n+{text}\n", reasons=(text,), diagnosis=text)
    run = build(tmp_path / "state", [(plan(text, text, text), [kind, GENUINE])])
    page = write_report(run, tmp_path / "out").html
    dom, console = visit(page, tmp_path / "profile")
    assert console == [] and heard == []
    assert re.search("<title>Speedproof: ", dom)


def test_even_markup_that_got_through_could_not_run(tmp_path: Path, listener: tuple[int, list[bytes]]) -> None:
    """The second wall: the page's policy, tried by planting what escaping would have stopped."""
    port, heard = listener
    page = write_report(demo_run(tmp_path / "state"), tmp_path / "out").html
    planted = (
        f"<script>document.title='owned'</script><img src=http://127.0.0.1:{port}/i onerror=document.title='owned'>"
    )
    page.write_text(page.read_text().replace("<main>", f"<main>{planted}"))
    dom, console = visit(page, tmp_path / "profile")
    assert console and all("Content Security Policy" in line for line in console)
    assert heard == [] and re.search("<title>Speedproof: ", dom)


def test_the_table_of_attempts_sorts_and_filters(tmp_path: Path) -> None:
    page = write_report(demo_run(tmp_path / "state"), tmp_path / "out").html
    clicks = """<script>
      const table = document.querySelector("table.attempts");
      const heading = [...table.tHead.rows[0].cells].find((c) => c.textContent.startsWith("Speed")).firstChild;
      heading.click(); heading.click();
      const first = table.tBodies[0].rows[0].textContent;
      document.querySelector(".outcomes button").click();
      const left = [...document.querySelectorAll("table.attempts tbody tr")].filter((r) => !r.hidden).length;
      document.title = `${first.includes("3.10×")} ${left} ${document.querySelector("output").value}`;
    </script>"""
    text = re.sub('<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
    page.write_text(text.replace("</body>", f"{clicks}</body>"))
    dom, console = visit(page, tmp_path / "profile")
    assert console == []
    assert "<title>true 2 2 of 11</title>" in dom
