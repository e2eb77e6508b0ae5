"""All forms of a survey into one folder."""

from dataclasses import dataclass
from pathlib import Path

from speedproof.analysis.survey.document import Survey
from speedproof.report.html import write_file
from speedproof.report.survey.html import to_html
from speedproof.report.survey.markdown import to_markdown
from speedproof.report.survey.text import to_text


@dataclass(frozen=True)
class WrittenSurvey:
    """Where a survey stands."""

    html: Path
    """survey.html, to be opened in a browser; it needs no network."""
    markdown: Path
    """survey.md."""
    text: Path
    """survey.txt."""
    json: Path
    """survey.json: `analysis.survey.Survey`, which `speedproof claims check` takes."""


def write_survey(survey: Survey, folder: Path) -> WrittenSurvey:
    """Write survey.{html,md,txt,json} into `folder`, made when missing. Raises RecordError when the disk refuses."""
    forms = {
        "md": to_markdown(survey),
        "txt": to_text(survey),
        "json": survey.model_dump_json(indent=1) + "\n",
        "html": to_html(survey),
    }
    for name, content in forms.items():
        write_file(folder / f"survey.{name}", content)
    html, markdown, text, json = (folder / f"survey.{name}" for name in ("html", "md", "txt", "json"))
    return WrittenSurvey(html, markdown, text, json)
