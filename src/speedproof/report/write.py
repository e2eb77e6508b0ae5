"""All forms of a run's report into one folder."""

from dataclasses import dataclass
from pathlib import Path

from speedproof.analysis import RunReport, run_report
from speedproof.journal import RunStore
from speedproof.report.html import write_file, write_html
from speedproof.report.markdown import to_markdown


@dataclass(frozen=True)
class WrittenReport:
    """A report and where it stands."""

    report: RunReport
    """What it says."""
    html: Path
    """report.html, to be opened in a browser; it needs no network."""
    markdown: Path
    """report.md."""
    json: Path
    """report.json: `analysis.RunReport`."""
    beside: tuple[Path, ...]
    """One page an attempt, when they are too many or too large for report.html."""


def write_report(run: RunStore, folder: Path) -> WrittenReport:
    """Write report.html, report.md and report.json of `run` into `folder`, which is made when missing.

    Raises RecordError when the run's manifest cannot be read or the disk refuses.
    """
    report = run_report(run)
    write_file(folder / "report.md", to_markdown(report))
    write_file(folder / "report.json", report.model_dump_json(indent=1) + "\n")
    html, *beside = write_html(report, run, folder)
    return WrittenReport(report, html, folder / "report.md", folder / "report.json", tuple(beside))
