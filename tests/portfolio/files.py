"""The sandbox's market from the files of `riskmesh generate` and the rates that ship with the program."""

import bisect
import tomllib

import pandas as pd


def market(directory):
    """Instruments, prices and trades."""
    read = lambda name, dates: pd.read_csv(f"{directory}/{name}.csv", keep_default_na=False, parse_dates=dates)
    instruments, prices = read("instruments", []), read("prices", ["date"])
    trades = read("trades", ["executed_at"])
    return instruments, prices, trades


def rates(path):
    """Units of a currency for one of a base: the latest on or before a day, crossed through the file's own base."""
    with open(path, "rb") as file:
        table = tomllib.load(file)
    dated = {}
    for day in sorted(table["day"], key=lambda day: day["date"]):
        for currency, rate in day["rates"].items():
            dated.setdefault(currency, ([], []))
            dated[currency][0].append(pd.Timestamp(day["date"]))
            dated[currency][1].append(float(rate))

    def quoted(currency, day):
        if currency == table["base"]:
            return 1.0
        days, values = dated[currency]
        return values[bisect.bisect_right(days, day) - 1]

    return lambda base: lambda currency, day: quoted(currency, day) / quoted(base, day)
