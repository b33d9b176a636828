"""Saving that is killed at every step, and damaged manifests and arrays, from a seed.

``python tests/survival.py 100000`` kills at every step of 20 states, and tries so many mutations; the tests try some.
"""

import json
import os
import random
import signal
import sys
import tempfile
import traceback
import zlib
from pathlib import Path
from unittest import mock

import sklrank
from sklrank import Corpus
from sklrank.retrievers import BM25FRetriever, BM25Retriever
from sklrank.storage import _arrays

# Calls of a save that change files, by the object that has them.
STEPS = [
    (_arrays._Summing, "write"),
    (os, "fsync"),
    (os, "replace"),
    (os, "rmdir"),
    (os, "unlink"),
    (os, "chmod"),
    (Path, "mkdir"),
    (Path, "unlink"),
    (Path, "rmdir"),
]
QUERIES = ["heat", "cold rests", "naïve wind"]


class Steps:
    """Count the steps of a save, and do something before one of them."""

    def __init__(self, number, act):
        self.number, self.act, self.n = number, act, 0

    def __enter__(self):
        self.patches = [mock.patch.object(owner, name, self._counted(owner, name)) for owner, name in STEPS]
        for patch in self.patches:
            patch.start()
        return self

    def __exit__(self, *error):
        for patch in self.patches:
            patch.stop()

    def _counted(self, owner, name):
        function = getattr(owner, name)

        def call(*args, **kwargs):
            self.n += 1
            if self.n == self.number:
                self.act()
            return function(*args, **kwargs)

        return call


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def n_steps(estimator, folder):
    """Return the number of steps of a save into a folder that holds another state."""
    with Steps(0, kill) as steps:
        sklrank.save(estimator, folder)
    return steps.n


def killed_before(number, act):
    """Do something in another process, which is killed before a step; return whether it was."""
    child = os.fork()
    if not child:
        try:
            with Steps(number, kill):
                act()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def check_files(writers, folder):
    """Kill the writers of single files before each step; the old content or the new one must be there.

    `writers` has, by the name of the file, a function from a path and a number, which writes other content for each
    number. Returns the number of kills.
    """
    n_kills = 0
    for name, write in writers.items():
        path = Path(folder, name)
        write(path, 1)
        new = path.read_bytes()
        write(path, 0)
        old = path.read_bytes()
        assert old != new
        number, is_killed = 1, True
        while is_killed:
            write(path, 0)
            is_killed = killed_before(number, lambda path=path, write=write: write(path, 1))
            assert path.read_bytes() in (old, new)
            n_kills += is_killed
            number += 1
        assert path.read_bytes() == new
    return n_kills


def states(n):
    """Yield pairs of a state and of the next one: after additions, removals, merges."""
    texts = ["heat flows", "cold rests", "naïve heat", "wind", "heat heat", "cold wind flows"]
    retriever = BM25Retriever(Corpus({"a": "heat flows", "b": "cold rests"})).fit(None)
    for i in range(n):
        before = sklrank_copy(retriever)
        if i % 4 == 3:
            retriever.merge_segments()
        elif i % 4 == 2:
            retriever.remove([f"n{i - 1}"])
        else:
            retriever.add({f"n{i}": texts[i % len(texts)]})
        yield before, sklrank_copy(retriever)


def sklrank_copy(retriever):
    """Return a retriever of the same state, which later changes do not touch."""
    new = object.__new__(type(retriever))
    vars(new).update(vars(retriever))
    return new


def rankings(retriever):
    """Return what a retriever finds, and its documents."""
    return retriever.predict(QUERIES).to_dict(), retriever.corpus_.to_dict()


def check_kills(n_states, every=1):
    """Kill saves; each time, the old state or the new one must be there. Return the number of kills."""
    n_kills = 0
    for before, after in states(n_states):
        with tempfile.TemporaryDirectory() as folder:
            sklrank.save(before, folder)
            total = n_steps(after, folder)
            for number in range(1, total + 1, every):
                sklrank.save(before, folder)
                n_kills += killed_before(number, lambda folder=folder, after=after: sklrank.save(after, folder))
                found = rankings(sklrank.load(folder, check=True))
                assert found in (rankings(before), rankings(after)), number
    return n_kills


def mutated(content, rng):
    """Return damaged bytes."""
    content = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        i = rng.randrange(len(content))
        how = rng.randrange(6)
        if how == 0:
            content[i] ^= 1 << rng.randrange(8)
        elif how == 1:
            del content[i : i + rng.randint(1, 40)]
        elif how == 2:
            content[i:i] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 8)))
        elif how == 3:
            j = rng.randrange(len(content))
            content[i:i] = content[j : j + rng.randint(1, 200)]
        elif how == 4:
            content[i : i + 1] = rng.choice([b"9" * 30, b"-1", b"null", b"{}", b"[]", b'"x"', b"1e999", b"[" * 2000])
        else:
            del content[i:]
        if not content:
            content += b"{"
    return bytes(content)


def check_mutations(n, seed=0):
    """Load damaged folders: they load, or raise a ValueError or an OSError; return the number of errors."""
    rng, n_errors = random.Random(seed), 0
    retriever = list(states(3))[-1][1]
    with tempfile.TemporaryDirectory() as folder:
        sklrank.save(retriever, folder)
        manifest = Path(folder, "manifest.json")
        files = sorted(Path(folder).glob("data-*/*.npy"))
        for _ in range(n):
            path = manifest if rng.random() < 0.7 else rng.choice(files)
            content = path.read_bytes()
            if path == manifest:
                damaged = mutated(content, rng)
            else:  # the header, which is read without a checksum
                damaged = mutated(content[:128], rng)[:128].ljust(128) + content[128:]
            path.write_bytes(damaged)
            try:
                sklrank.load(folder, mmap=rng.random() < 0.5)
            except (ValueError, OSError) as error:
                n_errors += 1
                assert folder in str(error), error
            path.write_bytes(content)
        assert rankings(sklrank.load(folder)) == rankings(retriever)
    return n_errors


def check_contents(n, seed=0):
    """Search folders whose arrays were changed together with their checksums, as by a stranger; return the errors."""
    rng, n_errors = random.Random(seed), 0
    corpus = Corpus({f"d{i}": f"heat w{i % 7} cold w{i}" for i in range(60)})
    for retriever in (BM25Retriever(corpus), BM25FRetriever(corpus)):
        retriever.fit(None).add({"x": "heat wind"}).remove(["d7", "d9"]).upsert({"d3": "cold"})
        with tempfile.TemporaryDirectory() as folder:
            sklrank.save(retriever, folder)
            path = Path(folder, "manifest.json")
            manifest = json.loads(path.read_text(encoding="utf-8"))
            arrays = sorted(name for name in manifest["files"] if name.endswith(".npy"))
            for _ in range(n):
                file = Path(folder, manifest["data"], rng.choice(arrays))
                content = file.read_bytes()
                damaged = bytearray(content)
                for _ in range(rng.randint(1, 4)):
                    damaged[rng.randrange(128, len(content))] = rng.choice([0, 1, 127, 255, rng.randrange(256)])
                file.write_bytes(damaged)
                checksums = {**manifest["files"], file.name: [len(content), zlib.crc32(damaged)]}
                path.write_text(json.dumps({**manifest, "files": checksums}), encoding="utf-8")
                try:
                    sklrank.load(folder, check=True).predict(QUERIES)
                except (ValueError, OSError):
                    n_errors += 1
                file.write_bytes(content)
    return n_errors


if __name__ == "__main__":
    print(check_kills(20), "kills, none lost")
    print(check_mutations(int(sys.argv[1])), "errors, no crash")
    print(check_contents(int(sys.argv[1])), "errors of contents, no crash")
