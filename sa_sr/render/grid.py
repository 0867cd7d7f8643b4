r"""A table in print, as Markdown, HTML and LaTeX: rows with names, columns in groups, text above and below."""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape as escape_html
from pathlib import Path

from sa_sr.files import write_text
from sa_sr.render.markdown import escape as plain
from sa_sr.render.page import page


@dataclass(frozen=True)
class Cell:
    """One printed cell, Unicode: a number, perhaps in bold, a mark behind it, and what follows it in small print."""

    number: str = ""
    mark: str = ""
    small: str = ""
    bold: bool = False


@dataclass(frozen=True)
class Group:
    """Neighbouring columns under one heading: names, cells by row, and what explains them below the table.

    prefix: stands before each name where there is no heading, in Markdown.
    """

    heading: str
    columns: list[str]
    rows: list[list[Cell]]
    remark: str = ""
    prefix: str = ""


@dataclass(frozen=True)
class Grid:
    """A whole table, Unicode. name: of the LaTeX label; number: "Table II", "" where there is none."""

    name: str
    number: str
    title: str
    above: str
    methods: list[str]
    groups: list[Group]
    last: str = ""

    @property
    def heading(self) -> str:
        """The title with its number; LaTeX counts for itself."""
        return ". ".join(filter(None, [self.number, self.title]))

    @property
    def below(self) -> str:
        """What explains the cells."""
        return " ".join(filter(None, [*(group.remark for group in self.groups), self.last]))

    @property
    def columns(self) -> list[str]:
        return [column for group in self.groups for column in group.columns]

    @property
    def rows(self) -> list[tuple[str, list[Cell]]]:
        """Method and cells of each row."""
        return [(m, [cell for group in self.groups for cell in group.rows[i]]) for i, m in enumerate(self.methods)]


def write(grid: Grid, md: Path, tex: Path, html: Path | None) -> None:
    """Write a table in each format, each file whole or not at all."""
    write_text(md, markdown(grid))
    write_text(tex, latex(grid))
    if html is not None:
        write_text(html, html_page(grid))


def markdown(grid: Grid) -> str:
    """A pipe table whose source is aligned too, so that it reads well in a terminal."""

    def text(cell: Cell) -> str:
        number = f"**{cell.number}**" if cell.bold else cell.number
        return " ".join(filter(None, [number + cell.mark, cell.small]))

    names = [plain(group.prefix + column) for group in grid.groups for column in group.columns]
    lines = [["Method", *names], *([plain(method), *map(text, cells)] for method, cells in grid.rows)]
    first, *others = [max(map(len, column)) for column in zip(*lines, strict=True)]
    drawn = [f"| {' | '.join([m.ljust(first), *map(str.rjust, cells, others)])} |" for m, *cells in lines]
    drawn.insert(1, "|".join(["", f":{'-' * (first + 1)}", *(f"{'-' * (width + 1)}:" for width in others), ""]))
    above, below = (
        textwrap.fill(words, width=min(120, len(drawn[0])), break_on_hyphens=False)
        for words in (grid.above, grid.below)
    )
    return "\n\n".join(filter(None, [f"### {plain(grid.heading)}", above, "\n".join(drawn), below])) + "\n"


def html_page(grid: Grid) -> str:
    """A page of its own, for a browser and for the report."""

    def line(texts: Iterable[str], tag: str = "td") -> str:
        return "<tr>" + "".join(f"<{tag}>{text}</{tag}>" for text in texts) + "</tr>"

    def text(cell: Cell) -> str:
        number = f"<b>{cell.number}</b>" if cell.bold else cell.number
        return number + cell.mark + (f"<br><small>{cell.small}</small>" if cell.small else "")

    headings = "".join(f'<th colspan="{len(g.columns)}">{escape_html(g.heading)}</th>' for g in grid.groups)
    head = f"<tr><td></td>{headings}</tr>\n{line(['Method', *map(escape_html, grid.columns)], 'th')}"
    body = "\n".join(line([escape_html(method), *map(text, cells)]) for method, cells in grid.rows)
    drawn = f"<table>\n<thead>\n{head}\n</thead>\n<tbody>\n{body}\n</tbody>\n</table>"
    return page(grid.name, grid.heading, grid.above, [drawn], grid.below)


LATEX = {
    **{character: rf"\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "−": r"$-$",
    "σ": r"$\sigma$",
    "Δ": r"$\Delta$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "†": r"$\dagger$",
    "–": "--",
    "—": "---",
}


def escape(text: str) -> str:
    """Plain Unicode text as LaTeX: special characters escaped, signs and arrows in mathematics."""
    return "".join(LATEX.get(character, character) for character in text)


def latex(grid: Grid) -> str:
    r"""A `table*` float with booktabs rules; the document needs \usepackage{booktabs} and nothing else.

    Small print stands in a line of its own below its number. A page 516 pt wide, IEEE's, holds all columns.
    """

    def text(cell: Cell) -> str:
        number = rf"\textbf{{{escape(cell.number)}}}" if cell.bold else escape(cell.number)
        return number + (rf"\rlap{{$^{{{cell.mark}}}$}}" if cell.mark else "")

    def line(*cells: str, space: str = "") -> str:
        return f"    {' & '.join(cells)} \\\\{space}"

    def row(method: str, cells: list[Cell]) -> list[str]:
        small = [rf"{{\tiny {escape(cell.small)}}}" if cell.small else "" for cell in cells]
        drawn = line(escape(method), *map(text, cells), space="[-2pt]" if any(small) else "")
        return [drawn, line("", *small)] if any(small) else [drawn]

    headings, rules, first = [], [], 2
    for group in grid.groups:
        last = first + len(group.columns) - 1
        headings.append(rf"\multicolumn{{{len(group.columns)}}}{{c}}{{{escape(group.heading)}}}")
        rules.append(rf"\cmidrule({'l' if group is grid.groups[-1] else 'lr'}){{{first}-{last}}}")
        first = last + 1
    top, *others = grid.rows
    # ten columns fit in \footnotesize, thirteen do not
    size = r"\footnotesize \setlength{\tabcolsep}{3pt}" if first <= 11 else r"\scriptsize \setlength{\tabcolsep}{2pt}"
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table*}[t]",
        r"  \centering",
        rf"  \caption{{{escape(grid.title)}. {escape(grid.above)}}}",
        rf"  \label{{tab:{grid.name}}}",
        rf"  {size}",
        rf"  \begin{{tabular}}{{@{{}}l{'r' * (first - 2)}@{{}}}}",
        r"    \toprule",
        line("", *headings),
        f"    {' '.join(rules)}",
        line("Method", *map(escape, grid.columns)),
        r"    \midrule",
        *row(*top),
        r"    \addlinespace",
        *(text for other in others for text in row(*other)),
        r"    \bottomrule",
        r"  \end{tabular}",
        *([rf"  \par\smallskip \parbox{{\linewidth}}{{{escape(grid.below)}}}"] if grid.below else []),
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"
