"""The command line: outputs that would destroy inputs, and text that would steer a terminal."""

import gzip
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from sklrank import Run
from sklrank._cli import _warmup, main
from sklrank.data._display import printable_lines

ROOT = Path(__file__).parents[1]
ESCAPE = "\x1b]0;owned\x07"  # sets the title of a terminal's window
STEERING = [ESCAPE, "\x9b31m", "\r", "\x7f", "\u202e", "\u2028"]


def call(capsys, *argv):
    """Status, output and errors of a command."""
    try:
        status = main([str(arg) for arg in argv])
    except SystemExit as stop:
        status = stop.code
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture
def files(tmp_path):
    """Small files of every kind, by name."""
    texts = {
        "corpus.tsv": "d1\theat flows\nd2\tcold air\nd3\theat and air\n",
        "queries.tsv": "q1\theat\nq2\tair\n",
        "qrels": "q1 0 d1 1\nq2 0 d3 2\n",
        "a.run": "q1 Q0 d1 1 2.0 a\nq2 Q0 d2 1 1.0 a\n",
        "b.run": "q1 Q0 d3 1 2.0 b\nq2 Q0 d3 1 1.0 b\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return {name: tmp_path / name for name in texts}


COMMANDS = {
    "search": (["corpus.tsv", "queries.tsv"], []),
    "tune": (["corpus.tsv", "queries.tsv", "qrels"], ["--folds", 2]),
    "fuse": (["a.run", "b.run"], []),
}
INPUTS = [(command, name) for command, (names, _) in COMMANDS.items() for name in names]


@pytest.mark.parametrize("way", ["path", "relative path", "symbolic link", "hard link"])
@pytest.mark.parametrize(("command", "name"), INPUTS)
def test_an_output_that_is_an_input_is_refused(command, name, way, files, tmp_path, capsys, monkeypatch):
    names, options = COMMANDS[command]
    output = files[name]
    if way == "relative path":
        monkeypatch.chdir(tmp_path)
        output = Path("..", tmp_path.name, name)
    elif way != "path":
        output = tmp_path / "link"
        make = output.symlink_to if way == "symbolic link" else output.hardlink_to
        make(files[name])
    before = {path: path.read_bytes() for path in files.values()}
    status, out, err = call(capsys, command, *(files[name] for name in names), *options, "-o", output)
    assert (status, out) == (2, "")
    assert err == (
        f"sklrank {command}: -o {output}: this is the input file {files[name]}; give the output another name\n"
    )
    assert {path: path.read_bytes() for path in files.values()} == before


def test_judgments_of_a_diagnosis_are_an_input(files, capsys):
    argv = ["fuse", files["a.run"], files["b.run"], "--diagnose", "--qrels", files["qrels"], "-o", files["qrels"]]
    assert call(capsys, *argv)[0] == 2
    assert files["qrels"].read_text().startswith("q1 0 d1 1")


def test_an_older_output_is_replaced(files, tmp_path, capsys):
    (tmp_path / "run").write_text("old")
    assert call(capsys, "search", files["corpus.tsv"], files["queries.tsv"], "-o", tmp_path / "run")[0] == 0
    assert len(Run.from_trec(tmp_path / "run")) == 2


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="needs /dev/stdout")
def test_standard_output_by_name_is_a_stream(files, tmp_path, capsys):
    _, expected, _ = call(capsys, "search", files["corpus.tsv"], files["queries.tsv"], "-o", "-")
    argv = ["-m", "sklrank", "search", files["corpus.tsv"], files["queries.tsv"], "-o", "/dev/stdout"]
    piped = subprocess.run([sys.executable, *argv], capture_output=True, text=True, cwd=ROOT, check=True)
    assert piped.stdout == expected
    (tmp_path / "all.run").write_text("before\n")
    with open(tmp_path / "all.run", "a") as out:
        subprocess.run([sys.executable, *argv], stdout=out, stderr=subprocess.DEVNULL, cwd=ROOT, check=True)
    assert (tmp_path / "all.run").read_text() == "before\n" + expected


def test_the_report_of_tune_and_its_run_do_not_share_standard_output(files, capsys):
    argv = [files[name] for name in ("corpus.tsv", "queries.tsv", "qrels")]
    status, out, err = call(capsys, "tune", *argv, "-o", "-")
    assert status == 2 and out == "" and "-o - would write the run" in err


# --- terminals


@pytest.mark.parametrize("text", STEERING, ids=ascii)
def test_what_steers_a_terminal_is_written_as_an_escape(text):
    shown = printable_lines(f"a{text}b\n\tç 検索 👩‍🔬")
    assert shown.startswith("a\\u") and shown.endswith("b\n\tç 検索 👩‍🔬")
    assert shown.replace("\n", "").replace("\t", "").replace("👩‍🔬", "").isprintable()
    assert json.loads(f'"{printable_lines(text)}"') == text


def hostile(files, text):
    """The files, with `text` in every id."""
    for path in files.values():
        lines = path.read_text().replace("q1", f"q{text}1").replace("d3", f"d{text}3").replace(" a\n", f" a{text}\n")
        path.write_bytes(lines.encode())
    return files


@pytest.mark.parametrize("text", [ESCAPE, "\x9b31m", "\u202e"], ids=ascii)
def test_ids_cannot_steer_the_terminal_of_evaluate(text, files, capsys):
    files = hostile(files, text)
    for argv in (["-q"], ["-q", "--json"], ["--format", "markdown"], ["--format", "latex"]):
        status, out, err = call(capsys, "evaluate", files["qrels"], files["a.run"], *argv)
        assert status == 0 and text not in out + err
        if "--json" in argv:
            assert f"q{text}1" in json.loads(out)["runs"][0]["per_query"]
    status, out, err = call(capsys, "evaluate", files["qrels"], files["a.run"], files["b.run"], "-q")
    assert status == 0 and text not in out + err


def test_ids_cannot_steer_the_terminal_by_an_error(files, capsys):
    files["qrels"].write_text(f"q1 0 d1 {ESCAPE}\n")
    for argv in (
        ["evaluate", files["qrels"], files["a.run"]],
        ["search", f"{ESCAPE}.csv", files["queries.tsv"], "-o", "-"],
        ["evaluate", "-l", ESCAPE, "a", "b"],
    ):
        status, _, err = call(capsys, *argv)
        assert status == 2 and ESCAPE not in err and ("\\u001b" in err or "\\x1b" in err)


def test_a_warning_is_one_line(capsys, monkeypatch):
    monkeypatch.setattr(_warmup, "run", lambda args: warnings.warn(f"strange\n{ESCAPE}", stacklevel=1))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        _, _, err = call(capsys, "warmup")
    assert err == "sklrank warmup: warning: strange \\u001b]0;owned\\u0007\n"


def test_a_piped_run_keeps_its_bytes(files, tmp_path, capsys):
    files = hostile(files, ESCAPE)
    call(capsys, "fuse", files["a.run"], files["b.run"], "-o", tmp_path / "run")
    argv = ["-m", "sklrank", "fuse", files["a.run"], files["b.run"], "-o", "-"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, *map(str, argv)], capture_output=True, cwd=ROOT, env=environment, check=True)
    assert ESCAPE.encode() in done.stdout
    assert done.stdout == (tmp_path / "run").read_bytes()


def test_a_run_on_a_terminal_steers_nothing(files, capsys, monkeypatch):
    files = hostile(files, ESCAPE)
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True, raising=False)
    status, out, _ = call(capsys, "fuse", files["a.run"], files["b.run"], "-o", "-")
    assert status == 0 and ESCAPE not in out and "\\u001b" in out


def test_a_terminal_without_unicode_shows_escapes(tmp_path):
    (tmp_path / "qrels").write_text("é 0 d 1\n", encoding="utf-8")
    with gzip.open(tmp_path / "run.gz", "wt", encoding="utf-8") as out:
        out.write("é Q0 d 1 1.0 t\n")
    argv = ["-m", "sklrank", "evaluate", "-q", "-m", "map", tmp_path / "qrels", tmp_path / "run.gz"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, *map(str, argv)], capture_output=True, cwd=ROOT, env=environment, check=True)
    assert done.stdout.split()[:3] == [b"map", b"\\xe9", b"1.0000"]
