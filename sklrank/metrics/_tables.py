"""Tables for documents: Markdown and LaTeX."""

import re

_TEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", **{c: "\\" + c for c in "&%$#_{}"},
}  # fmt: skip
_TEX = str.maketrans(_TEX)
_MARKDOWN = re.compile(r"([\\`*<>\[\]|~$&]|(?<![^\W_])_|_(?![^\W_]))")  # not an underscore inside a word


def escape_latex(text):
    """Return a text on one line, with all characters escaped that have a meaning in LaTeX."""
    return " ".join(text.translate(_TEX).splitlines())


def escape_markdown(text):
    """Return a text on one line, with all characters escaped that have a meaning in Markdown."""
    return " ".join(_MARKDOWN.sub(r"\\\1", text).splitlines())


def markdown_table(rows, n_names):
    """Return a Markdown table.

    Parameters
    ----------
    rows : list of list of str
        The cells, escaped; the first row is a header.
    n_names : int
        Number of columns with names, on the left. The other columns hold figures.

    Returns
    -------
    str
    """
    header, *others = rows
    aligned = ["---"] * n_names + ["---:"] * (len(header) - n_names)
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, aligned, *others])


def latex_table(rows, n_names):
    """Return a LaTeX table in the style of booktabs.

    Parameters
    ----------
    rows : list of list of str
        The cells, escaped; the first row is a header.
    n_names : int
        Number of columns with names, on the left. The other columns hold figures.

    Returns
    -------
    str
    """
    header, *others = ([" & ".join(row) + r" \\"] for row in rows)
    columns = "l" * n_names + "r" * (len(rows[0]) - n_names)
    lines = [[rf"\begin{{tabular}}{{{columns}}}", r"\toprule"], header, [r"\midrule"], *others]
    return "\n".join([line for part in lines for line in part] + [r"\bottomrule", r"\end{tabular}"])


def latex_comment(text):
    """Return a text as LaTeX comments, one per line."""
    return "\n".join(f"% {line}" for line in text.splitlines())
