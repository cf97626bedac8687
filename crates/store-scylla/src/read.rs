//! Reads: one row, a page of a partition, a page of a table.

use crate::cells::Raw;
use crate::cql::{self, Select};
use crate::pages::{self, Slice};
use crate::session::Cluster;
use store::{
    Column, Direction, Error, Get, Page, Range, Read, Resume, Row, Scan, Table, Target, Token, TokenPage,
    TokenScan, Value, Values, Yield, key,
};

/// Partitions that share one token: more than chance or malice can make.
const ONE_TOKEN: usize = 10_000;

pub(crate) async fn get(cluster: &Cluster, get: &Get) -> Result<Option<Row>, Error> {
    match &get.target {
        Target::Statics => statics(cluster, get.table, &get.partition, get.read).await,
        Target::Row(clustering) => {
            let statement = cql::select_row(get.table, &get.partition, clustering);
            let found = cluster.rows("read a row", &statement, get.read).await?;
            let reader = Reader::new(get.table, Select::Row);
            found.first().map(|raw| reader.keyed(raw, &get.partition)).transpose()
        }
    }
}

async fn statics(
    cluster: &Cluster,
    table: &'static Table,
    partition: &Values,
    read: Read,
) -> Result<Option<Row>, Error> {
    if table.statics.is_empty() {
        return Ok(None);
    }
    let statement = cql::select_partition(table, partition);
    let found = cluster.rows("read statics", &statement, read).await?;
    let reader = Reader::new(table, Select::Partition);
    let row = found.first().map(|raw| reader.row(raw)).transpose()?;
    Ok(row.filter(has_statics))
}

/// Whether some static has a value: a partition that has rows only is there, too.
fn has_statics(row: &Row) -> bool {
    let table = row.table();
    let first = table.partition.len() + table.clustering.len();
    row.cells()[first..first + table.statics.len()].iter().any(|cell| !cell.is_null())
}

pub(crate) async fn scan(cluster: &Cluster, scan: &Scan) -> Result<Page, Error> {
    let with_statics = scan.statics && !scan.table.statics.is_empty();
    let select = if with_statics { Select::RowsWithStatics } else { Select::Rows };
    let reader = Reader::new(scan.table, select);
    // One more than wanted tells whether there are more.
    let mut left = scan.limit + 1;
    let mut rows = Vec::new();
    for slice in pages::slices(scan.table, &scan.range, scan.after.as_ref(), scan.direction) {
        let statement = cql::select_slice(scan.table, select, &scan.partition, &slice, scan.direction, left);
        let found = cluster.rows("scan a partition", &statement, scan.read).await?;
        for raw in &found {
            let row = reader.keyed(raw, &scan.partition)?;
            // A partition that has statics only is told of by a row without key, if nothing is asked of the key.
            if row.clustering().is_some() {
                rows.push(row);
                left -= 1;
            }
        }
        if left == 0 {
            break;
        }
    }
    let mut page = Page { statics: None, more: rows.len() > scan.limit, rows };
    page.rows.truncate(scan.limit);
    if with_statics {
        page.statics = match page.rows.first() {
            Some(row) => Some(parted(row, true)?).filter(has_statics),
            None => statics(cluster, scan.table, &scan.partition, scan.read).await?,
        };
        page.rows = page.rows.iter().map(|row| parted(row, false)).collect::<Result<_, _>>()?;
    }
    Ok(page)
}

/// A row's statics without the rest, or the rest without its statics.
fn parted(row: &Row, statics: bool) -> Result<Row, Error> {
    let table = row.table();
    let (keys, first) = (table.partition.len(), table.partition.len() + table.clustering.len());
    let mut cells = row.cells().to_vec();
    let last = first + table.statics.len();
    for (at, cell) in cells.iter_mut().enumerate().skip(keys) {
        if (first..last).contains(&at) != statics {
            *cell = Value::Null;
        }
    }
    Row::from_cells(table, cells)
}

pub(crate) async fn token_scan(cluster: &Cluster, scan: &TokenScan) -> Result<TokenPage, Error> {
    let mut rows = Vec::new();
    let mut after = scan.tokens.after;
    if let Some(resume) = &scan.resume {
        let token = key::token(scan.table, &resume.partition);
        after = after.max(token);
        if token > scan.tokens.upto {
            return Ok(TokenPage::default());
        }
        rest_of_token(cluster, scan, resume, token, &mut rows).await?;
    }
    let wanted = scan.limit + 1;
    if rows.len() < wanted && after < scan.tokens.upto {
        let (select, left) = (selected(scan.yields), wanted - rows.len());
        let statement = cql::select_tokens(scan.table, select, after.0, scan.tokens.upto.0, left);
        let found = cluster.rows("scan a table", &statement, Read::Regular).await?;
        let reader = Reader::new(scan.table, select);
        for raw in &found {
            rows.push(reader.row(raw)?);
        }
    }
    let more = rows.len() > scan.limit;
    rows.truncate(scan.limit);
    let resume = rows.last().filter(|_| more).map(|row| Resume {
        partition: row.partition(),
        clustering: match scan.yields {
            Yield::Rows => row.clustering(),
            Yield::Partitions => None,
        },
    });
    Ok(TokenPage { rows, resume })
}

const fn selected(yields: Yield) -> Select {
    match yields {
        Yield::Rows => Select::All,
        Yield::Partitions => Select::Partition,
    }
}

/// What is left of the token where a page ended: of its last partition, and partitions behind it that share the token.
async fn rest_of_token(
    cluster: &Cluster,
    scan: &TokenScan,
    resume: &Resume,
    token: Token,
    rows: &mut Vec<Row>,
) -> Result<(), Error> {
    let wanted = scan.limit + 1;
    if scan.yields == Yield::Rows && resume.clustering.as_ref().is_some_and(|key| !key.is_empty()) {
        partition(cluster, scan, &resume.partition, resume.clustering.as_ref(), rows).await?;
    }
    let statement = cql::select_token(scan.table, token.0, ONE_TOKEN);
    let found = cluster.rows("scan a token", &statement, Read::Regular).await?;
    let reader = Reader::new(scan.table, Select::Partition);
    let last = serialized(scan.table, &resume.partition);
    for raw in &found {
        let row = reader.row(raw)?;
        if rows.len() >= wanted {
            break;
        }
        if serialized(scan.table, &row.partition()) > last {
            match scan.yields {
                Yield::Partitions => rows.push(row),
                Yield::Rows => partition(cluster, scan, &row.partition(), None, rows).await?,
            }
        }
    }
    Ok(())
}

/// Rows of one partition, as many as are wanted.
async fn partition(
    cluster: &Cluster,
    scan: &TokenScan,
    partition: &Values,
    after: Option<&Values>,
    rows: &mut Vec<Row>,
) -> Result<(), Error> {
    let wanted = scan.limit + 1;
    let reader = Reader::new(scan.table, Select::All);
    let slices: Vec<Slice> = pages::slices(scan.table, &Range::all(), after, Direction::Forward);
    for slice in slices {
        let left = wanted.saturating_sub(rows.len());
        if left == 0 {
            break;
        }
        let statement =
            cql::select_slice(scan.table, Select::All, partition, &slice, Direction::Forward, left);
        for raw in &cluster.rows("scan a table", &statement, Read::Regular).await? {
            rows.push(reader.row(raw)?);
        }
    }
    Ok(())
}

fn serialized(table: &'static Table, partition: &Values) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    key::serialize(table, partition, &mut bytes);
    bytes
}

/// Makes rows of what was selected.
struct Reader {
    table: &'static Table,
    columns: Vec<(usize, Column)>,
}

impl Reader {
    fn new(table: &'static Table, select: Select) -> Self {
        Self { table, columns: select.columns(table) }
    }

    fn row(&self, raw: &Raw) -> Result<Row, Error> {
        self.keyed(raw, &Values::default())
    }

    /// With a partition key that was not selected.
    fn keyed(&self, raw: &Raw, partition: &Values) -> Result<Row, Error> {
        let mut cells = vec![Value::Null; self.table.width()];
        for (cell, value) in cells.iter_mut().zip(partition.as_slice()) {
            *cell = value.clone();
        }
        for (at, (position, column)) in self.columns.iter().enumerate() {
            cells[*position] = raw.cell(self.table, *column, at)?;
        }
        Row::from_cells(self.table, cells)
    }
}
