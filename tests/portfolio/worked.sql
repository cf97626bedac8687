-- One portfolio's value at risk and expected shortfall, in DuckDB, from what the API exports: see docs/portfolio.md.
-- Variables: portfolio, base, as_of, dir (of the CSV files). Prices are carried over days without one; a file in which a price would be
-- carried for longer than the model allows is refused by the API (DATA_MISSING), so that is not checked here.
CREATE OR REPLACE TEMP TABLE held AS
SELECT instrument_id, sum(CASE side WHEN 'buy' THEN quantity ELSE -quantity END) AS units
FROM read_csv(getvariable('dir') || '/trades-' || getvariable('portfolio') || '.csv', types = {'quantity': 'DOUBLE'})
WHERE CAST(executed_at AS TIMESTAMPTZ) AT TIME ZONE 'UTC' < getvariable('as_of')::DATE + 1
GROUP BY instrument_id;

CREATE OR REPLACE TEMP TABLE closes AS
SELECT instrument_id, date::DATE AS date, price::DOUBLE AS price, currency
FROM read_csv(getvariable('dir') || '/prices.csv')
WHERE date::DATE <= getvariable('as_of')::DATE AND instrument_id IN (SELECT instrument_id FROM held);

CREATE OR REPLACE TEMP TABLE days AS
SELECT date FROM (SELECT DISTINCT date FROM closes WHERE isodow(date) < 6 ORDER BY date DESC LIMIT 501) ORDER BY date;

-- What one unit is worth in the base, at the latest price and rate on or before each day.
CREATE OR REPLACE TEMP TABLE worth AS
SELECT day.date, name.instrument_id, close.price / rate.rate AS worth
FROM (SELECT date FROM days UNION SELECT getvariable('as_of')::DATE) day
CROSS JOIN (SELECT instrument_id FROM held) name
ASOF JOIN closes close ON close.instrument_id = name.instrument_id AND close.date <= day.date
ASOF JOIN (
  SELECT date::DATE AS date, currency, rate::DOUBLE AS rate
  FROM read_csv(getvariable('dir') || '/rates-' || getvariable('base') || '.csv')
) rate ON rate.currency = close.currency AND rate.date <= day.date;

CREATE OR REPLACE TEMP TABLE losses AS
WITH changes AS (
  SELECT date, instrument_id, worth / lag(worth) OVER (PARTITION BY instrument_id ORDER BY date) - 1 AS change
  FROM worth SEMI JOIN days USING (date)
)
SELECT date, -sum(units * today.worth * change) AS loss
FROM changes JOIN held USING (instrument_id)
JOIN (SELECT instrument_id, worth FROM worth WHERE date = getvariable('as_of')::DATE) today USING (instrument_id)
WHERE change IS NOT NULL
GROUP BY date;

-- VaR is the ceil(n a)-th smallest loss; ES the mean of what lies beyond the level, the loss at its edge in part.
CREATE OR REPLACE TEMP TABLE tails AS
WITH ranked AS (SELECT loss, row_number() OVER (ORDER BY loss) AS rank, count(*) OVER () AS n FROM losses),
levels AS (SELECT unnest([0.95, 0.975, 0.99])::DECIMAL(4, 3) AS level)
SELECT level,
  round(max(loss) FILTER (rank = ceil(n * level)), 2) AS value_at_risk,
  round(sum(loss * least(rank - n * level, 1)) FILTER (rank >= ceil(n * level)) / (any_value(n) * (1 - level)), 2) AS expected_shortfall
FROM ranked CROSS JOIN levels
GROUP BY level;
