"""The HTML report: stand-alone, complete, linked to its evidence, and deaf to what attempts put into it."""

import os
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from record_builder import GENUINE, HOSTILE, HOSTILE_TEXT, PATCH, Kind, big_run, build, demo_run, plan
from speedproof.analysis import RunReport, run_report
from speedproof.errors import RecordError
from speedproof.journal import RunStore
from speedproof.report import WrittenReport, write_report
from speedproof.report.charts import forest

VOID = {"meta", "input", "br", "img", "link", "hr"}


class Page(HTMLParser):
    """Collects tags, links, ids and text; checks that tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def values(self, name: str) -> list[str]:
        return [attrs[name] or "" for _, attrs in self.tags if name in attrs]


def check(path: Path) -> Page:
    """A page is balanced, loads nothing, runs nothing but its own script, and every link leads somewhere."""
    page = Page(path.read_text())
    names = [tag for tag, _ in page.tags]
    assert names.count("script") == names.count("style") == 1
    assert not {"img", "iframe", "object", "embed", "link", "base", "form", "foreignobject"} & set(names)
    for _, attrs in page.tags:
        assert not [a for a in attrs if a.startswith("on") or a in ("style", "src", "srcset", "xlink:href")]
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    for href in page.values("href"):
        target, _, fragment = href.partition("#")
        assert ":" not in href and not href.startswith("/")
        if target:
            assert (path.parent / unquote(target)).exists(), href
        else:
            assert fragment in ids, href
    return page


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    return demo_run(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def written(run: RunStore, tmp_path_factory: pytest.TempPathFactory) -> WrittenReport:
    return write_report(run, tmp_path_factory.mktemp("reports") / "one" / "two")


def test_the_report_is_one_page_that_loads_nothing_and_whose_links_lead_somewhere(written: WrittenReport) -> None:
    assert written.beside == ()
    check(written.html)


def test_the_page_says_everything_without_its_script(written: WrittenReport) -> None:
    text = check(written.html).text
    for words in (
        "fast but wrong",
        "claims success, nothing changed",
        "quota exhausted",
        "The provider refused 3 of 4 calls: insufficient_quota.",
        "calls.jsonl:4",
        "Add credit or raise the quota with the provider.",
        "1.42× [1.38, 1.46]",
        "Not passed on the patch, though on base and expert: 2 tests",
        "return out + left[i:] + right[j:]",
        "no outcome: cut off with the harness",
        "not started",
        "correct and faster than base by the method declared beforehand, and clean, by it or by a signature",
    ):
        assert words in text, words


def test_every_number_of_the_funnel_opens_into_its_attempts(run: RunStore, written: WrittenReport) -> None:
    page = written.html.read_text()
    funnel = page[page.index('id="funnel"') : page.index('id="attempts"')]
    for rung in run_report(run).funnel.rungs:
        for name in (*rung.last.reached, *rung.first.reached):
            assert f"#a-{name.split('/')[1]}-{name.split('/')[2]}" in funnel


def test_json_and_markdown_stand_beside_it(run: RunStore, written: WrittenReport) -> None:
    assert RunReport.model_validate_json(written.json.read_text()) == run_report(run)
    assert written.markdown.read_text().startswith("# Speedproof report")


def test_the_same_record_gives_the_same_report(run: RunStore, written: WrittenReport) -> None:
    again = write_report(run, written.html.parent)
    before = written.html.read_bytes()
    assert again.html.read_bytes() == before


def test_hostile_content_is_text(tmp_path: Path) -> None:
    run = build(tmp_path / "state", [(plan(HOSTILE_TEXT, HOSTILE_TEXT, HOSTILE_TEXT), [HOSTILE, GENUINE])])
    page = check(write_report(run, tmp_path / "out").html)
    assert "document.title='owned'" in page.text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", (tmp_path / "out" / "report.html").read_text())


def test_hostile_names_are_text_in_the_chart(tmp_path: Path) -> None:
    run = build(tmp_path, [(plan(HOSTILE_TEXT, HOSTILE_TEXT, "m"), [GENUINE])])
    svg = forest(run_report(run), lambda _: "#x")
    page = Page(svg)
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert "<script>document" in page.text
    assert set(page.values("href")) == {"#x"}


def test_a_huge_patch_is_cut_with_a_note_of_its_size_and_place(tmp_path: Path) -> None:
    huge = Kind(diff=PATCH + "+x = 1\n" * 500_000 + "+" + "y" * 100_000)
    run = build(tmp_path / "state", [(plan("a", "codex", "m"), [huge])])
    paths = write_report(run, tmp_path / "out")
    text = check(paths.html).text
    assert "Shown up to 60 kB; the whole stands in patch.diff" in text and "3,601 kB" in text
    assert paths.html.stat().st_size < 400_000


def test_a_long_line_is_cut_with_its_length(tmp_path: Path) -> None:
    run = build(tmp_path / "state", [(plan("a", "codex", "m"), [Kind(diff=PATCH + "+" + "y" * 5000)])])
    assert "(5,001 characters in this line)" in check(write_report(run, tmp_path / "out").html).text


def test_a_report_with_nothing_measured_has_no_chart(tmp_path: Path) -> None:
    run = build(tmp_path / "state", [(plan("a", "codex", "m"), [Kind(judged=False)])])
    page = check(write_report(run, tmp_path / "out").html)
    assert "speedups" not in page.values("id")
    assert "not judged" in page.text


def test_an_empty_run_is_a_report_too(tmp_path: Path) -> None:
    run = build(tmp_path / "state", [(plan("a", "codex", "m"), [])])
    assert "not started" in check(write_report(run, tmp_path / "out").html).text


def test_damaged_records_are_named_in_the_page(tmp_path: Path) -> None:
    run = build(tmp_path / "state", [(plan("a", "codex", "m"), [GENUINE])])
    (next(run.attempts()).folder / "attempt.json").write_text("{")
    assert "unreadable record" in check(write_report(run, tmp_path / "out").html).text


def test_many_attempts_get_pages_of_their_own(tmp_path: Path) -> None:
    run = big_run(tmp_path / "state", attempts=64)
    paths = write_report(run, tmp_path / "out")
    assert len(paths.beside) == 64
    check(paths.html)
    page = check(paths.beside[0])
    assert "../report.html" in page.values("href")


def test_a_place_that_holds_no_folder_is_a_clear_error(tmp_path: Path, run: RunStore) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match=r"report\.md: cannot be written: Not a directory\n  next: .*--output"):
        write_report(run, tmp_path / "file" / "out")


@pytest.mark.parametrize("attempts", [3, 64])
def test_a_disk_that_fills_up_leaves_every_file_of_the_earlier_report_whole(
    tmp_path: Path, full_disk: Path, attempts: int
) -> None:
    run, out = big_run(tmp_path / "state", attempts=attempts), full_disk / "out"
    subprocess.run(["mount", "-o", "remount,size=16m", str(full_disk)], check=True)
    write_report(run, out)
    earlier = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    filler = full_disk / "filler"
    free = os.statvfs(full_disk)
    half = len(earlier[out / "report.html"]) // 2
    filler.write_bytes(b"x" * (free.f_bavail * free.f_frsize - half))
    with pytest.raises(RecordError, match=r"report\.\w+: cannot be written: No space left on device"):
        write_report(run, out)
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == earlier
    filler.unlink()
    write_report(run, out)
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == earlier
