"""Writes golden.json: the risk of the generated sandbox's portfolios as numpy and pandas compute it.

    riskmesh generate instruments > D/instruments.csv; … prices …; … trades …      # seed 1, until 2026-01-01, the defaults
    python golden.py D

`cargo test -p riskmesh-market` holds our own figures against it, without Python.
"""

import json
import sys
from pathlib import Path

import figures
import files

ROOT = Path(__file__).resolve().parents[2]
BASES = {"sandbox-1": "EUR", "sandbox-2": "USD", "sandbox-3": "GBP"}


def main(directory):
    model = figures.model(ROOT / "models/portfolio-1.toml")
    instruments, prices, trades = files.market(directory)
    rate = files.rates(ROOT / "models/refdata/fx-sample-1.toml")
    golden = {}
    for portfolio, base in BASES.items():
        own = trades[trades["portfolio_id"] == portfolio]
        as_of = max(prices["date"].max(), own["executed_at"].max().tz_convert(None).normalize())
        told = figures.figures(own, prices, instruments, rate(base), base, as_of, model)
        # Every twenty-fifth day is enough to tell one series from another.
        told["gains"] = dict(list(told["gains"].items())[::25])
        golden[portfolio] = {"base": base, **told}
    rounded = json.loads(json.dumps(golden), parse_float=lambda text: round(float(text), 6))
    (Path(__file__).parent / "golden.json").write_text(json.dumps(rounded, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
