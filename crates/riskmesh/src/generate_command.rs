//! `riskmesh generate`: seeded data as CSV or NDJSON.

use crate::cli::{Format, GenerateArgs, Generated};
use anyhow::Context as _;
use generate::write::{Record, Writer};
use generate::{Generator, Market, MarketPlan, Plan};
use std::fs::File;
use std::io::{self, Write};

/// Writes what was asked for.
pub(crate) fn run(args: &GenerateArgs) -> anyhow::Result<()> {
    let plan = Plan {
        entries: args.transactions,
        days: args.days,
        suspicious_ppm: args.suspicious,
        late_ppm: args.late,
        late_max_hours: args.late_hours,
        duplicate_ppm: args.duplicates,
        ..Plan::of_clients(args.seed, args.clients, args.until.millis())
    };
    let generator = Generator::new(plan)?;
    let market = Market::new(MarketPlan::sandbox(args.seed, args.until.millis()))?;
    match &args.output {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
            write(args, &generator, &market, &file).with_context(|| format!("write {}", path.display()))?;
            file.sync_all().with_context(|| format!("write {}", path.display()))
        }
        None => match write(args, &generator, &market, io::stdout().lock()) {
            // `riskmesh generate … | head` is no failure.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result.context("write standard output"),
        },
    }
}

fn write(args: &GenerateArgs, generator: &Generator, market: &Market, out: impl Write) -> io::Result<()> {
    let plan = generator.plan();
    let (instruments, portfolios) = (0..market.plan().instruments, 0..market.plan().portfolios);
    match args.what {
        Generated::Clients => records(args, (0..plan.clients).map(|index| generator.client(index)), out),
        Generated::Accounts => records(args, (0..plan.accounts).map(|index| generator.account(index)), out),
        Generated::Transactions => records(args, generator.transactions(0..plan.transactions()), out),
        Generated::Instruments => records(args, instruments.map(|index| market.instrument(index)), out),
        Generated::Prices => records(args, instruments.flat_map(|index| market.prices(index)), out),
        Generated::Trades => records(args, portfolios.flat_map(|index| market.trades(index)), out),
    }
}

fn records<R: Record>(
    args: &GenerateArgs,
    records: impl Iterator<Item = R>,
    out: impl Write,
) -> io::Result<()> {
    let format = match args.format {
        Format::Csv => generate::write::Format::Csv,
        Format::Ndjson => generate::write::Format::Ndjson,
    };
    let mut writer = Writer::new(out, format);
    for record in records {
        writer.write(&record)?;
    }
    writer.finish().map(drop)
}
