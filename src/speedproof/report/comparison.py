"""A comparison in the terminal and as Markdown, from the same parts."""

from rich.console import Console
from rich.text import Text

from speedproof.analysis.comparison import Comparison
from speedproof.report.comparison_parts import parts
from speedproof.report.tables import cell, new_table
from speedproof.report.text import markdown, markdown_table, one_line


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print it. What strangers wrote is shown as text."""
    for part in parts(comparison):
        console.print()
        if not part.lines:
            console.print(Text(one_line(part.title), style="bold"))
        else:
            table = new_table(one_line(part.title), *part.header)
            for line in part.lines:
                table.add_row(*map(cell, line))
            console.print(table)
        for sentence in part.said:
            console.print(Text(one_line(sentence, 1000)))


def comparison_markdown(comparison: Comparison) -> str:
    """The same as Markdown; what strangers wrote is escaped."""
    text = ["# Comparison"]
    for part in parts(comparison):
        text.append(f"## {markdown(part.title)}")
        if part.lines:
            text.append(markdown_table(part.header, ([markdown(c) for c in line] for line in part.lines)))
        if part.said:
            text.append("\n".join(f"- {markdown(sentence, 1000)}" for sentence in part.said))
    return "\n\n".join(text) + "\n"
