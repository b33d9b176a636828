"""Damaged files of every form that is read, from a seed.

`python tests/mutations.py 20000` tries so many for each form and a tenth for each command; the tests try some hundreds.
"""

import gzip
import io
import random
import sys
import tempfile
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import bm25s
from ciff_messages import ciff

from sklrank import Qrels, Run
from sklrank._cli import main
from sklrank.datasets import read_beir, read_bm25s, read_ciff, read_letor
from sklrank.datasets._single import read_documents, read_judgments, read_queries

RUN = b"q1 Q0 d1 1 2.5 tag\nq1 Q0 d2 2 1e-3 tag\n# comment\nq2 Q0 d\xc3\xa9 1 -7 tag\n"
QRELS = b"q1 0 d1 1\nq1 0 d2 0\nq2 1 d\xc3\xa9 2\n"
TSV = b"query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td\xc3\xa9\t2\n"
DOCUMENTS = (
    b'{"_id": "d1", "title": "Heat", "text": "It flows.", "metadata": {"year": 1999}}\n'
    b'{"_id": "d\\u00e9", "title": "", "text": "Cold \\ud834\\udd1e air", "metadata": {}}\n'
)
QUERIES = b'{"_id": "q1", "text": "heat"}\n{"_id": "q2", "text": "a\xc3\xafr"}\n'
PAIRS = b"2 qid:1 1:0.5 3:1 # d1\n0 qid:1 2:-1e3\n1 qid:7 1:1 2:2\n"

INDEX = ciff({"cold": {1: 2}, "heat": {0: 1, 200: 300}}, {f"d{i}": i for i in range(201)})

# Name of the file, content, reader.
FORMS = {
    "run": ("run", RUN, Run.from_trec),
    "run with rows": ("run", RUN, lambda path: Run.from_trec(path, ties="row", score_dtype="float64")),
    "qrels": ("qrels", QRELS, Qrels.from_trec),
    "subtopics": ("qrels", QRELS, lambda path: Qrels.from_trec(path, subtopics=True)),
    "qrels.tsv": ("qrels.tsv", TSV, read_judgments),
    "corpus.jsonl": ("corpus.jsonl", DOCUMENTS, read_documents),
    "corpus.tsv": ("corpus.tsv", b"d1\tIt flows.\tHeat\nd2\tCold air\n", read_documents),
    "corpus.txt": ("corpus.txt", b"It flows.\n\nCold air\n", read_documents),
    "queries.jsonl": ("queries.jsonl", QUERIES, read_queries),
    "letor": ("pairs.txt", PAIRS, read_letor),
    "ciff": (
        "index.ciff",
        ciff({"cold": {1: 2}, "heat": {0: 1, 200: 300}}, {f"d{i}": i for i in range(201)}),
        read_ciff,
    ),
}
BEIR = {"corpus.jsonl": DOCUMENTS, "queries.jsonl": QUERIES, "qrels.tsv": TSV}


def _bm25s_files():
    with tempfile.TemporaryDirectory() as folder:
        index, documents = bm25s.BM25(), ["heat flows", "cold rests"]
        index.index([text.split() for text in documents], show_progress=False)
        index.save(folder, corpus=documents, show_progress=False)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir() if "mmindex" not in path.name}


FOLDERS = {"beir": (BEIR, read_beir), "bm25s": (dict(sorted(_bm25s_files().items())), read_bm25s)}

TOKENS = [
    *(
        b"\0",
        b"\xff",
        b"\xc3",
        b"\xc2\xa0",
        b"\xe2\x80\xa8",
        b"\xef\xbb\xbf",
        b"\r",
        b"\n",
        b"\r\n",
        b"\t",
        b" ",
        b"\v",
    ),
    *(b"#", b'"', b"'", b"\\", b",", b":", b"{", b"}", b"[", b"]", b"{}", b"[]", b"null", b"true", b'""', b"\x1b[31m"),
    *(b"[" * 1500, b'{"a":' * 1500 + b"1" + b"}" * 1500, b"[" * 1500 + b"]" * 1500, b"9" * 5000, b"1" + b"0" * 400),
    *(b"1e999", b"-1e999", b"nan", b"inf", b"-0", b"1_0", b"0x1F", b"18446744073709551616", b"1180591620717411303424"),
    *(
        b"\\ud800",
        b"\\u0000",
        b'"\\udc00"',
        b"\xf0\x9f\x98\x80",
        b"\xd9\xa1",
        b"qid:",
        b"q1",
        b"d1",
        b"0",
        b"-1",
        b"2.5",
    ),
    *(b'"_id"', b'"text"', b'"title"', b'"metadata"'),
]
NAMES = [b'"_id"', b'"text"', b'"title"', b'"metadata"', b'"year"', b'""', b'"docid"', b'"a\\u001bb"', b'"\\ud800"']
VALUES = [
    b"3",
    b"4.5",
    b"true",
    b"null",
    b'"x"',
    b"[1, 2]",
    b"[1, [2]]",
    b"{}",
    b"1e999",
    b"NaN",
    b"123456789012345678901",
]


def mutate(content, rng):
    """`content` after one to four changes."""
    for _ in range(rng.randint(1, 4)):
        change = rng.choice((_insert, _replace, _member, _remove, _cut, _flip, _lines))
        content = change(content, rng)
    return content


def _span(content, rng):
    start = rng.randint(0, len(content))
    return start, min(len(content), start + rng.choice((1, 1, 2, 5, 20)))


def _insert(content, rng):
    start, _ = _span(content, rng)
    return content[:start] + rng.choice(TOKENS) + content[start:]


def _replace(content, rng):
    start, stop = _span(content, rng)
    return content[:start] + rng.choice(TOKENS) + content[stop:]


def _member(content, rng):
    """One more member in the first or last JSON object."""
    if b"}" not in content:
        return content
    head, brace, rest = content.rpartition(b"}") if rng.random() < 0.5 else content.partition(b"}")
    return head + b", " + rng.choice(NAMES) + b": " + rng.choice(VALUES) + brace + rest


def _remove(content, rng):
    start, stop = _span(content, rng)
    return content[:start] + content[stop:]


def _cut(content, rng):
    return content[: rng.randint(0, len(content))]


def _flip(content, rng):
    if not content:
        return content
    i = rng.randrange(len(content))
    return content[:i] + bytes([rng.randrange(256)]) + content[i + 1 :]


def _lines(content, rng):
    lines = content.split(b"\n")
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    return b"\n".join(rng.choice((lines[:i] + lines[j:], lines + [lines[i]], lines[:i] + lines[i + 1 :])))


def write_mutated(folder, name, content, rng):
    """Write `content`, mutated, perhaps packed and mutated again; return the path."""
    content = mutate(content, rng)
    path = Path(folder, name)
    if rng.random() < 0.25:
        path = path.with_name(f"{name}.gz")
        content = gzip.compress(content, mtime=0)
        if rng.random() < 0.7:
            content = mutate(content, rng)
    path.write_bytes(content)
    return path


def complaint(read, path):
    """None if `path` is read, or refused as it should be; else what is wrong with the refusal."""
    try:
        read(path)
    except (ValueError, OSError) as error:
        message = str(error)
        if str(Path(path).parent) not in message:
            return f"{error!r} does not name the file"
        if "\n" in message or len(message) > 1000:
            return f"{error!r} is not one line"
    except Exception as error:
        return f"{error!r} is not an error of ours"
    return None


def complaints(form, n, seed):
    """Complaints about `n` mutations of a form, each with the content that led to it."""
    rng = random.Random(f"{form} {seed}")
    found = []
    for _ in range(n):
        with tempfile.TemporaryDirectory() as folder:
            if form in FOLDERS:
                contents, read = FOLDERS[form]
                name = rng.choice(list(contents))
                for other, content in contents.items():
                    Path(folder, other).write_bytes(content)
                Path(folder, name).unlink()
                path = write_mutated(folder, name, contents[name], rng)
                said = complaint(lambda path, read=read: read(path.parent), path)
            else:
                name, content, read = FORMS[form]
                path = write_mutated(folder, name, content, rng)
                said = complaint(read, path)
            if said is not None:
                found.append((path.name, path.read_bytes()[:300], said[:600]))
    return found


SHELL = {
    "evaluate": ["qrels", "run"],
    "fuse": ["run", "other.run"],
    "search": ["corpus.jsonl", "queries.jsonl"],
    "tune": ["corpus.jsonl", "queries.jsonl", "qrels.tsv"],
}
OPTIONS = {
    "evaluate": [
        ["-q"],
        ["-c"],
        ["-J"],
        ["-m", "all_trec"],
        ["--json"],
        ["-M", "1"],
        ["-l", "2"],
    ],
    "fuse": [["--method", "weighted"], ["--method", "condorcet"], ["--diagnose"], ["--norm", "z-score"], ["--k", "1"]],
    "search": [["--language", "english"], ["--field", "title"], ["--k", "1"], ["--method", "bm25l"], ["--k1", "0"]],
    "tune": [["--json"], ["--metric", "map"], ["--k", "1"]],
}


def shell_command(command, folder, rng):
    """Arguments of a command over files in `folder`, of which one is mutated."""
    contents = (
        {name: content for name, content, _ in FORMS.values()} | BEIR | {"other.run": RUN.replace(b"tag", b"other")}
    )
    damaged, argv = rng.choice(SHELL[command]), [command]
    for name in SHELL[command]:
        if name == damaged:
            argv.append(str(write_mutated(folder, name, contents[name], rng)))
        else:
            Path(folder, name).write_bytes(contents[name])
            argv.append(str(Path(folder, name)))
    for option in rng.sample(OPTIONS[command], rng.randint(0, 2)):
        argv += option
    if command in ("fuse", "search") and "--diagnose" not in argv:
        argv += ["-o", str(Path(folder, "out"))]
    if command == "tune":
        argv += ["--folds", "2", "--k1", "1", "--b", "0.5"]
    return argv


def call(argv):
    """Status, output and errors of a command, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("default")  # the shell prints a warning as a line
        status = main(argv)
    return status, out.getvalue(), err.getvalue()


def shell_complaints(command, n, seed, call):
    """Complaints about `n` calls of a command; ``call(argv)`` gives status, output and errors."""
    rng = random.Random(f"{command} {seed}")
    found = []
    for _ in range(n):
        with tempfile.TemporaryDirectory() as folder:
            argv = shell_command(command, folder, rng)
            try:
                status, out, err = call(argv)
            except Exception as error:
                found.append((argv, repr(error)))
                continue
            lines = err.splitlines()
            if "Traceback" in err or status not in (0, 1, 2):
                found.append((argv, err[-600:]))
            elif status == 2 and not (lines and lines[-1].startswith(f"sklrank {command}: ") and len(err) < 2000):
                found.append((argv, err[-600:]))
            elif status == 2 and Path(folder, "out").exists():
                found.append((argv, "it failed, and wrote"))
    return found


if __name__ == "__main__":
    n, seed = int(sys.argv[1]), int((sys.argv[2:] or ["0"])[0])
    for form in [*FORMS, *FOLDERS]:
        found = complaints(form, n, seed)
        print(f"{form}: {n} mutations, {len(found)} complaints", flush=True)
        for item in found[:20]:
            print("   ", *item, sep="\n    ")
    for command in SHELL:
        found = shell_complaints(command, max(1, n // 10), seed, call)
        print(f"{command}: {max(1, n // 10)} calls, {len(found)} complaints", flush=True)
        for item in found[:20]:
            print("   ", *item, sep="\n    ")
