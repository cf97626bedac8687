"""numpy's time for the value at risk and expected shortfall of many trades: see crates/xtask/src/domain/portfolio.rs.

    python bench.py DIRECTORY ROUNDS

Reading is not counted. Prints one JSON object; the median of the rounds counts.
"""

import json
import sys
import time

import numpy as np
import pandas as pd

LEVELS = (0.95, 0.975, 0.99)


def once(instrument, counterparty, units, worth):
    started = time.perf_counter()
    if instrument.dtype == object:
        # The names as they come, to places; those of instruments in the order of the columns.
        instrument, names = pd.factorize(instrument, sort=True)
        counterparty, _ = pd.factorize(counterparty)
        worth = worth[:, [int(name[2:]) - 1 for name in names]]
    places = counterparty.max() + 1
    # As ours: by instrument and counterparty, then by instrument.
    lots = np.bincount(instrument * places + counterparty, weights=units, minlength=worth.shape[1] * places)
    held = lots.reshape(worth.shape[1], places).sum(axis=1) / 1e6
    netted = time.perf_counter() - started
    value = held * worth[-1]
    losses = np.sort(-((worth[1:] / worth[:-1] - 1.0) @ value))
    n, told = len(losses), []
    for level in LEVELS:
        rank = int(np.ceil(round(n * level, 9)))
        var = losses[rank - 1]
        es = (losses[rank:].sum() + (rank - n * level) * var) / (n * (1 - level))
        told.append((var, es))
    return time.perf_counter() - started, netted, told[-1][0]


def main(directory, rounds):
    trades = np.fromfile(f"{directory}/trades.bin", dtype="<i8").reshape(-1, 3)
    instrument, counterparty, units = (np.ascontiguousarray(column) for column in trades.T)
    worth = np.loadtxt(f"{directory}/worth.csv", delimiter=",")
    units = units.astype(float)
    told = {}
    for subject, columns in {"places": (instrument, counterparty), "names": named(instrument, counterparty)}.items():
        runs = sorted(once(*columns, units, worth) for _ in range(int(rounds)))
        told[f"{subject}_s"], told[f"{subject}_netting_s"], told["value_at_risk"] = map(float, runs[len(runs) // 2])
    print(json.dumps(told))


def named(instrument, counterparty):
    """Columns of texts, as a file or an answer has them; every row its own object, as it would be read."""
    own = lambda text: "".join(list(text))
    return (
        np.array([own(f"ZZ{place + 1:010}") for place in instrument], dtype=object),
        np.array([own(f"CPTY-{place:02}") for place in counterparty], dtype=object),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
