"""A page of its own for one table: for a browser, and for Snakemake's report.

The results page shows what is in its <main> element, with a style of its own.
"""

from collections.abc import Sequence
from html import escape

PAGE = """<!doctype html>
<meta charset="utf-8">
<title>{name}</title>
<style>
  body {{ margin: 1.5em; font: 15px/1.45 Georgia, "Times New Roman", serif; color: #1a1a1a; background: white }}
  table {{ border-collapse: collapse; border: solid #1a1a1a; border-width: 1.5px 0 }}
  h1, p {{ max-width: 52em }}
  h1 {{ font-size: 1em; margin: 0 0 .3em }}
  th, td {{ padding: .15em .7em; text-align: right; font-weight: normal }}
  td {{ white-space: nowrap; font-variant-numeric: tabular-nums }}
  th:first-child, td:first-child, .words * {{ text-align: left }}
  .words td {{ white-space: normal }}
  thead tr:last-child > * {{ border-bottom: 1px solid #1a1a1a }}
  th[colspan] {{ text-align: center; border-bottom: 1px solid #c8c8c8 }}
  p {{ color: #6b6b6b; font-size: 13px }}
  .scroll {{ overflow-x: auto }}
</style>
<main>
<h1>{title}</h1>
{header}{tables}{notes}</main>
"""


def page(name: str, title: str, header: str, tables: Sequence[str], notes: str) -> str:
    """The page of one table, or of a few that belong together.

    name: of the browser's tab; title, header, notes: plain text above and below the table, the last two may be empty;
    tables: HTML.
    """

    def paragraph(text: str) -> str:
        return f"<p>{escape(text)}</p>\n" if text else ""

    return PAGE.format(
        name=escape(name),
        title=escape(title),
        header=paragraph(header),
        tables="".join(map(scrolling, tables)),
        notes=paragraph(notes),
    )


def scrolling(table: str) -> str:
    """A table in a box that scrolls where it is too wide."""
    return f'<div class="scroll">{table}</div>\n'
