"""Asks a running server for the risk of each portfolio, computes the same anew from what the API exports, and compares.

    RISKMESH_TOKEN=… python check.py http://127.0.0.1:8080 DIRECTORY

Trades, prices, instruments and rates come over REST and are left as CSV in DIRECTORY, where worked.sql of DuckDB computes one
portfolio's value at risk once more. `cargo xtask portfolio` starts the server and runs this. Exits with 1 where anything differs.
"""

import http.client
import json
import os
import sys
import time
import urllib.parse
from pathlib import Path

import duckdb
import pandas as pd

import figures

ROOT = Path(__file__).resolve().parents[2]


class Api:
    def __init__(self, base):
        self.connection = http.client.HTTPConnection(urllib.parse.urlparse(base).netloc, timeout=60)
        self.headers = {"Authorization": f"Bearer {os.environ['RISKMESH_TOKEN']}"}

    def get(self, path, **query):
        query = urllib.parse.urlencode({key: value for key, value in query.items() if value is not None})
        self.connection.request("GET", f"{path}?{query}", headers=self.headers)
        answer = self.connection.getresponse()
        body = json.loads(answer.read())
        if answer.status != 200:
            raise SystemExit(f"GET {path}: {answer.status} {body}")
        return body

    def all(self, path, key):
        items, cursor = [], None
        while True:
            page = self.get(path, limit=1000, cursor=cursor)
            items += page[key]
            cursor = page["page"].get("nextCursor")
            if not cursor:
                return items


def export(api, directory):
    """What the API knows of the market, as frames and as CSV."""
    instruments = pd.DataFrame(api.all("/v1/instruments", "instruments"))
    instruments = instruments.rename(columns={"instrumentId": "instrument_id"})
    prices = [price for one in instruments["instrument_id"] for price in api.all(f"/v1/instruments/{one}/prices", "prices")]
    prices = pd.DataFrame(prices).rename(columns={"instrumentId": "instrument_id"})
    prices["date"], prices["price"] = pd.to_datetime(prices["date"]), prices["price"].astype(float)
    instruments.to_csv(directory / "instruments.csv", index=False)
    prices.to_csv(directory / "prices.csv", index=False)
    return instruments, prices


def trades_of(api, portfolio, directory):
    trades = pd.DataFrame(api.all(f"/v1/portfolios/{portfolio}/trades", "trades"))
    names = {"instrumentId": "instrument_id", "counterpartyId": "counterparty_id", "executedAt": "executed_at"}
    trades = trades.rename(columns=names)
    trades["executed_at"] = pd.to_datetime(trades["executed_at"], format="ISO8601")
    trades["quantity"] = trades["quantity"].astype(float)
    trades.to_csv(directory / f"trades-{portfolio}.csv", index=False)
    return trades


def rates_of(api, base, days, directory):
    """Rates on every day that counts, as the API tells them for this base."""
    rows = []
    for day in days:
        told = api.get("/v1/reference/fx-rates", date=day.date().isoformat(), base=base, limit=1000)
        rows += [(day, one["currency"], float(one["rate"])) for one in told["rates"]] + [(day, base, 1.0)]
    frame = pd.DataFrame(rows, columns=["date", "currency", "rate"])
    frame.to_csv(directory / f"rates-{base}.csv", index=False)
    table = {(day, currency): rate for day, currency, rate in rows}
    return lambda currency, day: table[day, currency]


class Differences:
    def __init__(self, tolerance):
        self.tolerance, self.found, self.compared = tolerance, [], 0

    def near(self, what, told, computed, tolerance=None):
        self.compared += 1
        if abs(float(told) - computed) > (tolerance or self.tolerance):
            self.found.append(f"{what}: told {told}, computed {computed}")

    def same(self, what, told, computed):
        self.compared += 1
        if told != computed:
            self.found.append(f"{what}: told {told}, computed {computed}")


def compare(told, computed):
    """Money is told in whole cents: a figure may be off by half of one, a difference or a mean of such by one."""
    gross = computed["value"][0] + computed["value"][1]
    differ = Differences(0.0101 + 1e-9 * gross)
    differ.same("asOf", told["asOf"], computed["asOf"])
    # Groups are sums of what each position is told to be worth, so that they add up.
    added = 0.01 + 0.005 * len(computed["positions"])
    value = lambda what, told, computed, added=added: [
        differ.near(f"{what} {side}", told[side], part, added) for side, part in zip(["long", "short"], computed)
    ]
    value("value", told["value"], computed["value"])
    for kind in ["tails", "scaledTails"]:
        differ.same(f"levels of {kind}", [one["level"] for one in told[kind]], list(computed[kind]))
        for one in told[kind]:
            var, es = computed[kind][one["level"]]
            differ.near(f"{kind} {one['level']} VaR", one["valueAtRisk"], var)
            differ.near(f"{kind} {one['level']} ES", one["expectedShortfall"], es)
    differ.near("volatility", told["volatility"], computed["volatility"])
    # A sum over all days of what is rounded each day.
    differ.near("maxDrawdown", told["maxDrawdown"], computed["maxDrawdown"], 0.005 * len(computed["gains"]))
    for what in ["topShare", "herfindahl", "effectivePositions"]:
        differ.near(what, told["concentration"][what], computed[what], 1e-5)
    differ.same("instruments", [one["instrumentId"] for one in told["positions"]], list(computed["positions"]))
    for one in told["positions"]:
        units, worth, component = computed["positions"][one["instrumentId"]]
        differ.near(f"quantity of {one['instrumentId']}", one["quantity"], units, 1e-6)
        differ.near(f"value of {one['instrumentId']}", one["value"], worth)
        differ.near(f"component of {one['instrumentId']}", one["componentValueAtRisk"], component, 0.02)
    for kind in ["counterparties", "countries", "currencies", "sectors"]:
        differ.same(f"keys of {kind}", [one["key"] for one in told[kind]], sorted(computed[kind]))
        for one in told[kind]:
            # What is held with several sums to the position: each part may be off by a cent.
            within = 2 * added if kind == "counterparties" else added
            value(f"{kind} {one['key']}", one["value"], computed[kind][one["key"]], within)
    for one in told["stress"]:
        differ.near(f"stress {one['name']}", one["gain"], computed["stress"][one["name"]])
    differ.same("exceptions", told["backTest"]["exceptionDates"], computed["backTest"]["exceptions"])
    differ.same("zone", told["backTest"]["zone"], computed["backTest"]["zone"])
    differ.near("kupiecRatio", told["backTest"]["kupiecRatio"], computed["backTest"]["kupiecRatio"], 1e-5)
    differ.same("days", [one["date"] for one in told["gains"]], list(computed["gains"]))
    for one in told["gains"]:
        differ.near(f"gain of {one['date']}", one["gain"], computed["gains"][one["date"]])
    components = sum(round(float(one["componentValueAtRisk"]) * 100) for one in told["positions"])
    at = next(one for one in told["tails"] if one["level"] == told["componentLevel"])
    differ.same("sum of components", components, round(float(at["valueAtRisk"]) * 100))
    return differ


def in_duckdb(portfolio, base, as_of, directory, told):
    """The worked example of docs/portfolio.md on the same files."""
    connection = duckdb.connect()
    for name, value in [("portfolio", portfolio), ("base", base), ("as_of", as_of), ("dir", str(directory))]:
        connection.execute(f"SET VARIABLE {name} = '{value}'")
    connection.execute((Path(__file__).parent / "worked.sql").read_text())
    rows = connection.execute("SELECT level, value_at_risk, expected_shortfall FROM tails ORDER BY level").fetchall()
    differ = Differences(0.0101)
    differ.same("levels in DuckDB", [one["level"] for one in told["tails"]], [float(level) for level, _, _ in rows])
    for one, (level, var, es) in zip(told["tails"], rows):
        differ.near(f"{level} VaR in DuckDB", one["valueAtRisk"], float(var))
        differ.near(f"{level} ES in DuckDB", one["expectedShortfall"], float(es))
    return differ


def main(base, directory):
    directory = Path(directory).resolve()
    api, model = Api(base), figures.model(ROOT / "models/portfolio-1.toml")
    began = time.monotonic()
    instruments, prices = export(api, directory)
    failed = 0
    for portfolio in api.all("/v1/portfolios", "portfolios"):
        name, currency = portfolio["portfolioId"], portfolio["baseCurrency"]
        started = time.monotonic()
        told = api.get(f"/v1/portfolios/{name}/analytics")
        took = time.monotonic() - started
        trades = trades_of(api, name, directory)
        days = pd.DatetimeIndex(sorted(prices["date"].unique())).union([pd.Timestamp(told["asOf"])])
        rate = rates_of(api, currency, days, directory)
        computed = figures.figures(trades, prices, instruments, rate, currency, told["asOf"], model)
        checks = [compare(told, computed), in_duckdb(name, currency, told["asOf"], directory, told)]
        found = [difference for check in checks for difference in check.found]
        compared = sum(check.compared for check in checks)
        print(f"{name} ({currency}): {compared} figures, {len(found)} differ; answered in {took * 1000:.0f} ms")
        for difference in found[:20]:
            print(f"  {difference}", file=sys.stderr)
        failed += len(found)
    print(f"all of it took {time.monotonic() - began:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
