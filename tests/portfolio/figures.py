"""The risk of a portfolio, computed with numpy and pandas from trades, prices, rates and the model file.

Nothing here is taken over from crates/risk/src/portfolio: doubles instead of integers, matrices instead of running sums, numpy's
quantiles, pandas' own exponential weights, the binomial distribution instead of tables. docs/portfolio.md says what each figure is.
"""

import math
import tomllib

import numpy as np
import pandas as pd

UNKNOWN = ""


def model(path):
    with open(path, "rb") as file:
        return tomllib.load(file)


def calendar(prices, as_of, scenarios):
    """The days that scenarios lie between: those on which anything held has a price, weekends left out."""
    days = pd.DatetimeIndex(sorted(prices["date"].unique()))
    days = days[(days <= as_of) & (days.dayofweek < 5)]
    if len(days) < scenarios + 1:
        raise ValueError(f"prices on {len(days)} days, it takes {scenarios + 1}")
    return days[-(scenarios + 1):]


def carried(prices, days, max_stale):
    """Prices by day and instrument; where there is none, the last one, if it is not too old."""
    table = prices.pivot(index="date", columns="instrument_id", values="price")
    dates = pd.DataFrame(
        np.where(table.notna(), table.index.to_numpy()[:, None], np.datetime64("NaT")), table.index, table.columns
    )
    everything = table.index.union(days)
    filled, since = table.reindex(everything).ffill(), dates.reindex(everything).ffill()
    age = since.apply(lambda column: (column.index - pd.DatetimeIndex(column)).days)
    lacking = filled.isna() | (age.to_numpy() > max_stale)
    filled, lacking = filled.loc[days], lacking.loc[days]
    if lacking.to_numpy().any():
        raise ValueError(f"prices lack: {list(filled.columns[lacking.any()])}")
    return filled


def shortfall(losses, level):
    """The integral of the empirical quantile from the level to 1, over its length."""
    ordered = np.sort(losses)
    edges = np.arange(len(ordered) + 1) / len(ordered)
    overlap = np.clip(np.minimum(edges[1:], 1.0) - np.maximum(edges[:-1], level), 0.0, None)
    return float((ordered * overlap).sum() / (1.0 - level))


def value_at_risk(losses, level):
    return float(np.quantile(losses, level, method="inverted_cdf"))


def variances(observations, decay):
    """Before each observation, and after the last: pandas' recursion, started with the mean square."""
    start = (observations**2).mean(axis=0)
    squares = np.concatenate([np.atleast_2d(start), np.atleast_2d(observations.T).T**2])
    return pd.DataFrame(squares).ewm(alpha=1.0 - decay, adjust=False).mean().to_numpy()


def zone(days, exceptions, level):
    """The Basel Committee's zones: where this many exceptions or fewer have a probability of 95 % and of 99.99 %."""
    p = 1.0 - level
    cumulative = sum(math.comb(days, k) * p**k * (1.0 - p) ** (days - k) for k in range(exceptions + 1))
    # Table 2 of the supervisory framework rounds to two decimals of a percentage: 99.99 % is ten exceptions.
    return "green" if cumulative < 0.95 else "yellow" if round(cumulative, 4) < 0.9999 else "red"


def kupiec(days, exceptions, level):
    p, share = 1.0 - level, exceptions / days
    def likelihood(q):
        return (days - exceptions) * math.log1p(-q) + (exceptions * math.log(q) if exceptions else 0.0)
    return -2.0 * (likelihood(p) - likelihood(share))


def groups(values, keys):
    frame = pd.DataFrame({"key": list(keys), "value": list(values)})
    by = frame.groupby("key")["value"]
    return {
        key: (float(part[part > 0].sum()), float(-part[part < 0].sum()))
        for key, part in by
    }


def figures(trades, prices, instruments, rate, base, as_of, model):
    """Everything that the API tells. `rate(currency, day)` is units of a currency for one of the base."""
    as_of = pd.Timestamp(as_of)
    trades = trades[trades["executed_at"].dt.tz_convert(None).dt.normalize() <= as_of]
    signed = trades.assign(units=np.where(trades["side"] == "buy", trades["quantity"], -trades["quantity"]))
    lots = signed.groupby(["instrument_id", "counterparty_id"])["units"].sum()
    lots = lots[lots != 0]
    held = lots.groupby(level=0).sum()
    names = list(held.index)
    known = instruments.set_index("instrument_id").loc[names]

    stale = model["scenarios"]["max-stale-days"]
    prices = prices[prices["instrument_id"].isin(names) & (prices["date"] <= as_of)]
    days = calendar(prices, as_of, model["scenarios"]["days"])
    table = carried(prices, days.union([as_of]), stale)[names]
    cross = pd.DataFrame({name: [rate(known.loc[name, "currency"], day) for day in table.index] for name in names}, table.index)
    worth = table / cross
    unit = worth.loc[as_of].to_numpy()
    history = worth.loc[days].to_numpy()
    returns = history[1:] / history[:-1] - 1.0
    value = held.to_numpy() * unit
    by_position = returns * value
    gains = by_position.sum(axis=1)
    losses = -gains

    levels = [bp / 10_000 for bp in model["tail"]["levels-bp"]]
    decay = model["volatility"]["lambda-bp"] / 10_000
    tail = lambda losses: {level: (value_at_risk(losses, level), shortfall(losses, level)) for level in levels}
    spread = variances(returns, decay)
    most = model["volatility"]["scaling"]["max-ratio"]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.clip(np.sqrt(spread[-1] / spread[:-1]), 1.0 / most, most)
    scaled = np.where(returns == 0.0, 0.0, returns * ratio) * value

    # Of equal losses the oldest comes first, as a stable sort has it.
    component_level = model["tail"]["component-level-bp"] / 10_000
    at = np.argsort(losses, kind="stable")[math.ceil(round(len(losses) * component_level, 9)) - 1]

    test = model["back-test"]
    level = test["level-bp"] / 10_000
    tested = range(len(gains) - test["days"], len(gains))
    exceptions = [day for day in tested if losses[day] > value_at_risk(losses[day - test["window"]:day], level)]

    heights = np.concatenate([[0.0], np.cumsum(gains)])
    size = np.abs(value)
    shares = size / size.sum()
    lot_values = lots.to_numpy() * np.array([unit[names.index(name)] for name, _ in lots.index])

    def shocked(stress):
        moves = []
        for name in names:
            row = known.loc[name]
            price = stress.get("sectors", {}).get(row["sector"])
            if price is None:
                price = stress.get("countries", {}).get(row["country"], stress.get("price-bp", 0))
            currency = 0 if row["currency"] == base else stress.get("currencies", {}).get(row["currency"], 0)
            moves.append((1 + price / 10_000) * (1 + currency / 10_000) - 1)
        return float((np.array(moves) * value).sum())

    return {
        "asOf": as_of.date().isoformat(),
        "value": (float(value[value > 0].sum()), float(-value[value < 0].sum())),
        "tails": tail(losses),
        "scaledTails": tail(-scaled.sum(axis=1)),
        "volatility": float(np.sqrt(variances(gains, decay)[-1, 0])),
        "maxDrawdown": float((np.maximum.accumulate(heights) - heights).max()),
        "topShare": float(np.sort(shares)[::-1][: model["concentration"]["top"]].sum()),
        "herfindahl": float((shares**2).sum()),
        "effectivePositions": float(1.0 / (shares**2).sum()),
        "positions": {name: (float(held[name]), float(value[i]), float(-by_position[at, i])) for i, name in enumerate(names)},
        "counterparties": groups(lot_values, [with_whom for _, with_whom in lots.index]),
        "countries": groups(value, known["country"]),
        "currencies": groups(value, known["currency"]),
        "sectors": groups(value, known["sector"]),
        "stress": {stress["name"]: shocked(stress) for stress in model["stress"]},
        "backTest": {
            "exceptions": [days[1:][day].date().isoformat() for day in exceptions],
            "zone": zone(test["days"], len(exceptions), level),
            "kupiecRatio": kupiec(test["days"], len(exceptions), level),
        },
        "gains": {day.date().isoformat(): float(gain) for day, gain in zip(days[1:], gains)},
    }
