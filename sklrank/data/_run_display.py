"""Runs as text and as HTML."""

import html

from sklrank.data._display import printable, snippet, table_lines

_N_SHOWN = 5  # queries, and documents of each


def run_text(run):
    """Return the first documents of the first queries as lines of text."""
    lines = []
    for query, entries, n in _first_rankings(run, 60):
        lines.append(query)
        if not n:
            lines.append("  nothing found")
        lines += [f"  {line}" for line in table_lines(entries)]
        if n > len(entries):
            lines.append(f"  … {n - len(entries)} more")
    if len(run) > _N_SHOWN:
        lines.append(f"… {len(run) - _N_SHOWN} more queries")
    return "\n".join(lines) or "no queries"


def run_html(run):
    """Return the first documents of the first queries as HTML tables."""
    parts = [f"<p>{html.escape(repr(run))}</p>"]
    names = ["docid", ""]
    if run.has_order:
        names = ["rank", "docid", "score", ""]
    for query, entries, n in _first_rankings(run, 120):
        lines = [_row("th", names)]
        if not n:
            lines = ["<tr><td>nothing found</td></tr>"]
        lines += [_row("td", entry) for entry in entries]
        if n > len(entries):
            lines.append(f"<tr><td colspan=4>… {n - len(entries)} more</td></tr>")
        parts.append(f"<table><caption>{html.escape(query)}</caption>{''.join(lines)}</table>")
    return "".join(parts)


def _row(tag, cells):
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _first_rankings(run, width):
    """Yield the text of each of the first queries, its first documents as tuples of str, and their total number."""
    names_of_texts = []
    if run.corpus is not None:
        names_of_texts = [name for name in ("title", "text") if run.corpus.kinds.get(name) == "text"]
    for i in range(min(len(run), _N_SHOWN)):
        ranking = run[i]
        shown = ranking.head(_N_SHOWN)
        docids = list(map(printable, shown.flat_docids.tolist()))
        snippets = [""] * len(docids)
        if names_of_texts:
            texts = [run.corpus.take(name, shown.rows).tolist() for name in names_of_texts]
            found = (next(filter(None, of_document), "") for of_document in zip(*texts))
            snippets = [snippet(text, width) for text in found]
        entries = zip(docids, snippets)
        if run.has_order:
            ranks, scores = range(1, len(docids) + 1), shown.scores.tolist()
            entries = ((str(r), d, f"{s:.6g}", t) for r, d, s, t in zip(ranks, docids, scores, snippets))
        names = []
        if run.has_ids or "text" not in run.queries.columns:
            names.append(ranking.qids[0])
        if "text" in run.queries.columns:
            names.append(ranking.queries.texts[0])
        yield printable(": ".join(names)), list(entries), len(ranking.flat_docids)
