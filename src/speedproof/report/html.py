"""The HTML report: one file that works offline; the attempts' details move to files beside it when they are many.

Safety, in three layers: every value passes `clean` and is escaped by the template engine; links taken from records
are relative or none; and a content security policy allows only this page's own style and script, by their hashes.
"""

import base64
import hashlib
import os
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from speedproof.analysis import Row, RunReport, detail
from speedproof.journal import AttemptStore, RunStore
from speedproof.journal.output import write_output
from speedproof.report import progress, text
from speedproof.report.attempt_view import attempt_view
from speedproof.report.charts import forest
from speedproof.report.curves import curves
from speedproof.report.parameters import never_asked, seen, value
from speedproof.report.qualified import detectable, flaky, noise, standing
from speedproof.report.scores import correction_words, score_tables, works
from speedproof.report.signed import opinion, opinions, signatures
from speedproof.report.verdict import Headline, cause, given, headline, short

if TYPE_CHECKING:
    from jinja2 import Environment

INLINE_ATTEMPTS = 60
"""Up to so many attempts, their details stand in the report itself."""
INLINE_BYTES = 1_500_000
"""And up to so many bytes of details."""
BESIDE = "report-files"


def write_html(report: RunReport, run: RunStore, folder: Path) -> list[Path]:
    """Write report.html into `folder`, and the attempts' pages beside it when they are many or large.

    The pages come first and report.html last, so that a report that stands is whole. Returns the paths, report.html
    first. Raises RecordError when the disk refuses.
    """
    to_run = Path(os.path.relpath(run.folder.resolve(), folder.resolve())).as_posix()
    siblings = _siblings(report)
    details, written = _inline(report, run, to_run, siblings), []
    if details is None:
        for row in report.rows:
            if row.folder is not None:
                links = _links(row, siblings, "{}.html")
                page = _attempt(
                    row, run, f"../{to_run}", links, "attempt_page.html", report=report, home="../report.html"
                )
                written.append(folder / BESIDE / f"{anchor(row)}.html")
                write_file(written[-1], page)
    targets = {r.name: _target(r, beside=details is None) for r in report.rows}
    page = render(
        "report.html",
        report=report,
        heads={r.name: headline(r) for r in report.rows},
        outcomes=_outcomes(report),
        made_again=report.made_again,
        targets=targets,
        plot=Markup(forest(report, targets.__getitem__)),
        score_tables=score_tables(report.scores),
        corrected=correction_words(report.scores),
        curves=Markup(curves(report.scores)),
        details=details,
        to_run=to_run,
    )
    write_file(folder / "report.html", page)
    return [folder / "report.html", *written]


def anchor(row: Row) -> str:
    """A name for the row's details that is safe in an address and in a file system."""
    safe = "".join(c if c.isascii() and c.isalnum() else "-" for c in row.item)
    return f"a-{safe}-{row.number or 0:02d}"


def write_file(path: Path, content: str) -> None:
    """Write a file of the report, whole or not at all. Raises RecordError when the disk refuses."""
    write_output(path, content, hint="free space, or choose another folder with --output")


def _siblings(report: RunReport) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in report.rows:
        found.setdefault(row.item, []).append(row)
    return found


def _links(row: Row, siblings: dict[str, list[Row]], form: str) -> tuple[tuple[int, str | None], ...]:
    """The attempts of the row's item with links of this form, none to itself."""
    return tuple((r.number or 0, None if r is row else form.format(anchor(r))) for r in siblings[row.item])


def _inline(report: RunReport, run: RunStore, to_run: str, siblings: dict[str, list[Row]]) -> list[Markup] | None:
    """The details of all attempts, or null when they are too many or too large for one page."""
    rows = [r for r in report.rows if r.folder is not None]
    if len(rows) > INLINE_ATTEMPTS:
        return None
    pages, size = [], 0
    for row in rows:
        links = _links(row, siblings, "#{}")
        pages.append(Markup(_attempt(row, run, to_run, links, "attempt_inline.html")))
        size += len(pages[-1])
        if size > INLINE_BYTES:
            return None
    return pages


def _attempt(
    row: Row, run: RunStore, to_run: str, links: tuple[tuple[int, str | None], ...], template: str, **more: Any
) -> str:
    opened = detail(AttemptStore(run.folder / (row.folder or "")), row)
    return render(
        template, view=attempt_view(row, opened, to_run, links), row=row, head=headline(row), id=anchor(row), **more
    )


def _target(row: Row, *, beside: bool) -> str:
    if row.folder is None:
        return "#attempts"
    return f"{BESIDE}/{anchor(row)}.html" if beside else f"#{anchor(row)}"


def _outcomes(report: RunReport) -> list[tuple[Headline, list[str]]]:
    """What items that call a model came to, in words, with their last attempts; good ones first, then by number."""
    found: dict[str, tuple[Headline, list[str]]] = {}
    last = {item.last for item in report.items}
    for row in report.rows:
        if row.control is None and row.name in last:
            head = headline(row)
            found.setdefault(head.words, (head, []))[1].append(row.name)
    order = ("good", "bad", "warn", "plain", "outside")
    return sorted(found.values(), key=lambda f: (order.index(f[0].tone), -len(f[1])))


def render(template: str, **values: Any) -> str:
    """A page from a template, every value cleaned and escaped."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined  # most commands write no HTML

    environment = Environment(
        loader=PackageLoader("speedproof.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: text.clean(value) if type(value) is str else value,
    )
    for name in (
        "bounds",
        "count",
        "interval",
        "model",
        "moment",
        "one_line",
        "percent",
        "plural",
        "seconds",
        "size",
        "times",
        "tokens",
        "usd",
    ):
        environment.filters[name] = getattr(text, name)
    environment.filters |= {
        "short": short,
        "given": given,
        "cause": cause,
        "yes_no": text.yes_no,
        "link": text.link,
        "setting": text.setting,
        "works": works,
    }
    environment.filters |= {"seen": seen, "value": value, "never_asked": never_asked}
    environment.filters |= {"standing": standing, "noise": noise, "detectable": detectable, "flaky": flaky}
    environment.filters |= {"signatures": signatures, "opinions": opinions, "opinion": opinion}
    for words in (
        progress.cause_of,
        progress.counted,
        progress.lane_ended,
        progress.lane_spent,
        progress.names_left_out,
        progress.not_done,
        progress.of_all,
        progress.of_items,
        progress.of_known,
        progress.of_patches,
        progress.repeated,
        progress.warnings,
    ):
        environment.filters[words.__name__] = words
    style, script = (_asset(name) for name in ("style.css", "report.js"))
    environment.globals |= {
        "style": Markup(style),
        "script": Markup(script),
        "policy": f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'",
    }
    return environment


def _asset(name: str) -> str:
    return (files("speedproof.report") / "templates" / name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
