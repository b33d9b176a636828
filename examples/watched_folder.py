"""
A watched folder, whose index follows the files
===============================================

A thread looks at the text files of a folder from time to time, and tells the index which files are new, changed or
gone; each look is one update. Meanwhile, queries are read from standard input. A search sees the files of before an
update or those of after it, and never some of both.

.. code-block:: sh

    python examples/watched_folder.py notes
    python examples/watched_folder.py notes --index notes.index

With ``--index``, the index is saved after each update, and opened at the next start: then only files that have changed
since are read. A file counts as changed if its content has another hash. Only files with another size or time are read.
"""

import argparse
import os
import sys
import threading
import time
from hashlib import blake2b
from pathlib import Path

import sklrank
from sklrank import Corpus
from sklrank.encoders import TermVectorizer
from sklrank.retrievers import BM25Retriever

SUFFIXES = {".md", ".rst", ".txt"}
SETTLED = 2  # seconds; a file that is younger may change again without another time or size


class FolderIndex:
    """Search the text files of a folder. The id of a file is its path in the folder.

    The stamp and the hash of a file are columns of the corpus, so that they are saved with the index.
    """

    def __init__(self, folder, saved=None):
        self.folder, self.saved = Path(folder), saved
        self.retriever = None  # there is none without files
        self.files = {}  # id → stamp and hash of each file that is indexed
        if saved is not None and Path(saved).exists():
            self.retriever = sklrank.load(saved)
            corpus = self.retriever.corpus_
            states = zip(corpus["stamp"].tolist(), corpus["hash"].tolist())
            self.files = dict(zip(corpus.ids.tolist(), states))

    def sync(self):
        """Follow the files; return the numbers of files that were read anew and that are gone."""
        files, changed = {}, []
        for docid, path in self._found():
            try:
                stamp = stamp_of(path)
                old_stamp, old_hash = self.files.get(docid, ("", ""))
                if stamp and stamp == old_stamp:
                    files[docid] = old_stamp, old_hash
                    continue
                content = path.read_bytes()
            except FileNotFoundError:  # it went after it was found
                continue
            except OSError as error:  # it stays as it was
                print(error, file=sys.stderr)
                if docid in self.files:
                    files[docid] = self.files[docid]
                continue
            files[docid] = stamp, blake2b(content, digest_size=16).hexdigest()
            if files[docid][1] != old_hash:
                text = content.decode(errors="replace")
                changed.append({"docid": docid, "text": text, "stamp": stamp, "hash": files[docid][1]})
        gone = [docid for docid in self.files if docid not in files]
        if not files:
            self.retriever = None
        elif self.retriever is None:
            vectorizer = TermVectorizer(language="english")
            self.retriever = BM25Retriever(Corpus(changed), vectorizer=vectorizer, field="text").fit(None)
        elif changed or gone:
            self.retriever.update(remove=gone, upsert=changed or None)
        self.files = files  # last, so that an update that fails is tried again
        if self.saved is not None and files and (changed or gone):
            sklrank.save(self.retriever, self.saved)
        return len(changed), len(gone)

    def watch(self, interval, stopped):
        """Call `sync` every `interval` seconds until the event `stopped` is set."""
        while not stopped.wait(interval):
            changed, gone = self.sync()
            if changed or gone:
                print(f"{changed} files are new or changed, {gone} are gone; {len(self.files)} files", file=sys.stderr)

    def search(self, query, k=5):
        """Return lines that show the best files for a query."""
        retriever = self.retriever
        if retriever is None:
            return []
        found = retriever.search(query, k=k).to_records(fields="text")
        return [f"{one['score']:6.2f}  {one['docid']}: {' '.join(one['text'].split())[:60]}" for one in found]

    def _found(self):
        """Yield the id and the path of each text file."""
        for path in sorted(self.folder.rglob("*")):
            if path.suffix.lower() in SUFFIXES and path.is_file():
                name = os.fsencode(path.relative_to(self.folder).as_posix())
                yield name.decode(errors="backslashreplace"), path


def stamp_of(path):
    """Return the time and the size of a file as text; an empty text if it was written just now."""
    status = path.stat()
    if abs(time.time() - status.st_mtime) < SETTLED:
        return ""
    return f"{status.st_mtime_ns} {status.st_size}"


def main(arguments=None, queries=sys.stdin):
    parser = argparse.ArgumentParser(description="Search the text files of a folder, while they change.")
    parser.add_argument("folder")
    parser.add_argument("--index", help="folder to keep the index in")
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between two looks at the folder")
    arguments = parser.parse_args(arguments)

    index, stopped = FolderIndex(arguments.folder, arguments.index), threading.Event()
    index.sync()
    print(f"{len(index.files)} files; a query per line:", file=sys.stderr)
    watcher = threading.Thread(target=index.watch, args=(arguments.interval, stopped))
    watcher.start()
    try:
        for query in queries:
            print("\n".join(index.search(query)), flush=True)
    finally:
        stopped.set()
        watcher.join()


if __name__ == "__main__":
    main()
