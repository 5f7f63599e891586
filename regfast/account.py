"""The report of a cross-validation: as text, or as one HTML file with its pictures inside."""

from __future__ import annotations

import base64
import io
import os
from html import escape
from typing import Any

from ._version import __version__
from .cvpath import CVPath
from .displays import draw
from .findings import Section, findings
from .rules import Rule

STYLE = """
body { font: 15px/1.45 Georgia, "Times New Roman", serif; color: #111; max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2rem; border-bottom: 1px solid #999 }
table { border-collapse: collapse; font: 13px/1.35 Verdana, "DejaVu Sans", sans-serif; margin: .6rem 0 }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #ddd; vertical-align: top }
th { border-bottom: 1px solid #111 } th:first-child, td:first-child, td.words, th.words { text-align: left }
td:first-child { min-width: 8rem; overflow-wrap: break-word } .scroll { overflow-x: auto }
img { max-width: 100%; height: auto }
.warnings { border-left: 4px solid #D55E00; padding-left: 2rem }
@media print { body { margin: 0; font-size: 11pt } h2, img, tr { break-inside: avoid } h2 { break-after: avoid } }
""".strip()

ALT = {"curve": "Held-out score against the penalty, with a band of one standard error and the chosen strengths.",
       "balance": "Deviance of training and held-out rows against the penalty.",
       "path": "Coefficients against the penalty, the largest named."}


class Report:
    """What a cross-validation says; ``print`` it, or ``save`` it as a page.

    Parameters
    ----------
    cv : CVPath
    rule : str, int or tuple
        The model whose features are listed.
    X, y, **data
        The data of the fit, with its `sample_weight` and `offset`; without them there are no correlated competitors,
        and no rules that go back to the data unless the fit kept its criteria.

    Attributes
    ----------
    sections : list of Section
    """

    def __init__(self, cv: CVPath, rule: Rule = "min", X: Any = None, y: Any = None, **data: Any) -> None:
        self.cv = cv
        self.sections: list[Section] = findings(cv, rule, X, y, **data)

    def __repr__(self) -> str:
        return "\n\n".join(_text(section) for section in self.sections)

    def html(self) -> str:
        """The page: no scripts, nothing to load, readable in print."""
        title = f"Choosing the penalty: {self.cv.path.family}, {len(self.cv.path.scales):,} features"
        body = "\n".join(self._section(section) for section in self.sections)
        return (f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
                f'<link rel="icon" href="data:,">\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n'
                f"<h1>{escape(title)}</h1>\n{body}\n<p><small>regfast {escape(__version__)}</small></p>\n"
                "</body>\n</html>\n")

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write the page."""
        page = self.html()
        with open(file, "w", encoding="utf-8") as out:
            out.write(page)

    def _section(self, section: Section) -> str:
        out = [f"<h2>{escape(section.title)}</h2>"]
        if section.title == "Warnings":
            out.append('<ul class="warnings">' + "".join(f"<li>{escape(line)}</li>" for line in section.text) + "</ul>")
        else:
            out += [f"<p>{escape(line)}</p>" for line in section.text]
        if section.rows:
            words = {k for k in range(len(section.head)) if _words(section, k)}
            head = "".join(_cell("th", name, k in words) for k, name in enumerate(section.head))
            rows = "\n".join("<tr>" + "".join(_cell("td", cell, k in words) for k, cell in enumerate(row)) + "</tr>"
                             for row in section.rows)
            out.append(f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>')
            out.append("</table></div>")
        if section.picture and (self.cv.path.alphas > 0).any():
            out.append(f'<img alt="{escape(ALT[section.picture])}" src="{picture(self.cv, section.picture)}">')
        return "\n".join(out)


def _cell(tag: str, cell: str, words: bool) -> str:
    kind = ' class="words"' if words else ""
    return f"<{tag}{kind}>{escape(cell)}</{tag}>"


def _words(section: Section, k: int) -> bool:
    """Whether a column holds words, to be read from the left."""
    return k == 0 or any(" " in row[k].replace(" ± ", "") for row in section.rows)


def picture(cv: CVPath, name: str) -> str:
    """A drawing as a data URI."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("matplotlib is not installed; pip install 'regfast[plot]' brings it") from error
    figure, out = Figure(figsize=(8, 4.8)), io.BytesIO()
    draw(cv, name, figure)
    figure.savefig(out, format="png", dpi=120)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def _text(section: Section) -> str:
    lines = [section.title, "-" * len(section.title), *section.text]
    if section.rows:
        shown = [section.head, *section.rows]
        kept = [k for k in range(len(section.head)) if k == 0 or any(row[k] for row in section.rows)]
        width = {k: max(len(row[k]) for row in shown) for k in kept}
        words = {k for k in kept if _words(section, k)}
        for row in shown:
            cells = (row[k].ljust(width[k]) if k in words else row[k].rjust(width[k]) for k in kept)
            lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
