"""CPU time of small changes of a corpus: one document more, one less, one replaced.

python benchmarks/changing_corpora.py 200000 1000000
"""

import sys
import time

from sklrank import Corpus

N_REPEATS = 20


def corpus_of(n):
    """Return a corpus of n documents of ten words."""
    words = [f"w{i}" for i in range(1000)]
    return Corpus({f"d{i}": " ".join(words[(i * 7 + 13 * j * j) % 1000] for j in range(10)) for i in range(n)})


def cpu_times(make, n=N_REPEATS):
    """Return the CPU time of the first call and the mean of the others, in milliseconds."""
    times = []
    for i in range(n + 1):
        start = time.process_time()
        make(i)
        times.append(1000 * (time.process_time() - start))
    return times[0], sum(times[1:]) / n


def changes(corpus):
    """Yield the name of each change and a function that makes it, of a number."""
    yield "without one", lambda i: corpus.without([f"d{i}"])
    yield "extended by one", lambda i: corpus.extended({f"x{i}": "new text"})
    yield "one replaced", lambda i: corpus.replaced({f"d{i}": "other text"})
    changed = corpus.extended({"y": "new"}).without(["d9"])
    yield "extended again", lambda i: changed.extended({f"x{i}": "new text"})
    chain = [corpus]
    yield "without, one after the other", lambda i: chain.append(chain[-1].without([f"d{i}"]))
    longer = [corpus]
    yield "extended, one after the other", lambda i: longer.append(longer[-1].extended({f"z{i}": "new text"}))


def main():
    """Print a table."""
    print(f"{'documents':>10} {'change':<30} {'first, ms':>10} {'mean, ms':>10}")
    for n in map(int, sys.argv[1:] or ["200000"]):
        corpus = corpus_of(n)
        corpus.rows(["d0"])
        for name, make in changes(corpus):
            first, mean = cpu_times(make)
            print(f"{n:>10} {name:<30} {first:>10.3f} {mean:>10.3f}")


if __name__ == "__main__":
    main()
