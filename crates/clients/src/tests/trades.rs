//! Portfolios and their trades on a real store.

use super::*;
use crate::domain::trade::tests::message as trade;
use crate::repo::trades::Owner;
use api::portfolios::v1::portfolios_service_server::PortfoliosService as _;
use api::portfolios::v1::trades_service_server::TradesService as _;
use api::portfolios::v1::{
    BatchCreateTradesRequest, BatchCreateTradesResponse, CreatePortfolioRequest, CreateTradeRequest,
    DeletePortfolioRequest, DeleteTradeRequest, GetPortfolioRequest, GetTradeRequest, ListPortfoliosRequest,
    ListPositionsRequest, ListTradesRequest, PatchPortfolio, Portfolio, Position, ScanTradesRequest, Side,
    Trade, UpdatePortfolioRequest,
};
use riskmesh_core::PortfolioId;

fn buys(range: std::ops::Range<usize>) -> Vec<Trade> {
    range.map(|n| trade(&format!("t{n}"), &format!("I{}", n % 7), Side::Buy, "2", "1.5")).collect()
}

impl World {
    async fn portfolio(&self, id: &str) -> Result<Portfolio, Status> {
        let portfolio = Portfolio {
            portfolio_id: id.into(),
            name: format!("Portfolio {id}"),
            base_currency: "EUR".into(),
            ..Portfolio::default()
        };
        let create = CreatePortfolioRequest { portfolio: Some(portfolio) };
        Ok(self.service.portfolios.create_portfolio(request(create)).await?.into_inner().portfolio.unwrap())
    }

    async fn trade(&self, trades: Vec<Trade>) -> Result<BatchCreateTradesResponse, Status> {
        let batch = BatchCreateTradesRequest { portfolio_id: "p".into(), trades };
        Ok(self.service.trades.batch_create_trades(request(batch)).await?.into_inner())
    }

    async fn positions(&self) -> Vec<Position> {
        let list = ListPositionsRequest { portfolio_id: "p".into(), ..Default::default() };
        self.service.trades.list_positions(request(list)).await.unwrap().into_inner().positions
    }

    /// The ids of the trades on the list, which are as many as it says.
    async fn listed(&self) -> Vec<String> {
        let (mut ids, mut cursor) = (Vec::new(), String::new());
        loop {
            let list = ListTradesRequest { portfolio_id: "p".into(), limit: Some(70), cursor, offset: None };
            let page = self.service.trades.list_trades(request(list)).await.unwrap().into_inner();
            ids.extend(page.trades.into_iter().map(|trade| trade.trade_id));
            let page = page.page.unwrap();
            let Some(next) = page.next_cursor else {
                assert_eq!(page.total, ids.len() as i64);
                return ids;
            };
            cursor = next;
        }
    }

    async fn scanned(&self) -> BTreeSet<String> {
        let scan = request(ScanTradesRequest { portfolio_id: "p".into() });
        let mut stream = self.service.trades.scan_trades(scan).await.unwrap().into_inner();
        let mut ids = BTreeSet::new();
        while let Some(chunk) = stream.next().await {
            for trade in chunk.unwrap().trades {
                assert!(ids.insert(trade.trade_id));
            }
        }
        ids
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_change_one_portfolio_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let world = Arc::new(World::open(dir.path()).await);
    world.portfolio("p").await.unwrap();
    let writers = (0..64).map(|n| {
        let world = world.clone();
        tokio::spawn(async move {
            let patch =
                PatchPortfolio { portfolio_id: "p".into(), name: format!("Name {n}"), ..Default::default() };
            let update = UpdatePortfolioRequest { portfolio: Some(patch), update_mask: None };
            world.service.portfolios.update_portfolio(request(update)).await.unwrap();
            let new = trade(&format!("t{n}"), "I1", Side::Buy, "1", "1.5");
            assert_eq!(world.trade(vec![new]).await.unwrap().created, 1);
        })
    });
    for written in futures::future::join_all(writers).await {
        written.unwrap();
    }
    assert_eq!(world.listed().await.len(), 64);
    let get = GetPortfolioRequest { portfolio_id: "p".into() };
    let answer = world.service.portfolios.get_portfolio(request(get)).await.unwrap();
    assert_eq!(answer.metadata().get("etag").unwrap(), "\"v65\"", "no change was lost");
}

#[tokio::test]
async fn a_portfolio_lives_and_dies_and_its_id_is_not_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    let portfolios = &world.service.portfolios;
    let made = world.portfolio("p").await.unwrap();
    assert_eq!((made.name.as_str(), made.base_currency.as_str()), ("Portfolio p", "EUR"));
    assert_eq!(code(&world.portfolio("p").await.unwrap_err()), ErrorCode::AlreadyExists);
    world.portfolio("q").await.unwrap();

    let patch = PatchPortfolio { portfolio_id: "p".into(), name: "Renamed".into(), ..Default::default() };
    let update = || UpdatePortfolioRequest { portfolio: Some(patch.clone()), update_mask: None };
    let mut stale = request(update());
    stale.metadata_mut().insert("if-match", "\"v9\"".parse().unwrap());
    assert_eq!(code(&portfolios.update_portfolio(stale).await.unwrap_err()), ErrorCode::PreconditionFailed);
    let updated = portfolios.update_portfolio(request(update())).await.unwrap();
    assert_eq!(updated.metadata().get("etag").unwrap(), "\"v2\"");
    assert_eq!(updated.into_inner().portfolio.unwrap().name, "Renamed");

    let get = || GetPortfolioRequest { portfolio_id: "p".into() };
    let foreign = portfolios.get_portfolio(request_of("other", get())).await.unwrap_err();
    assert_eq!(code(&foreign), ErrorCode::PortfolioNotFound);
    world.trade(buys(0..3)).await.unwrap();
    let delete = || DeletePortfolioRequest { portfolio_id: "p".into() };
    portfolios.delete_portfolio(request(delete())).await.unwrap();
    portfolios.delete_portfolio(request(delete())).await.expect("a repeated delete is fine");
    assert_eq!(
        code(&portfolios.get_portfolio(request(get())).await.unwrap_err()),
        ErrorCode::PortfolioNotFound
    );
    assert_eq!(code(&world.trade(buys(0..3)).await.unwrap_err()), ErrorCode::PortfolioNotFound);
    assert_eq!(code(&world.portfolio("p").await.unwrap_err()), ErrorCode::AlreadyExists);
    let list =
        portfolios.list_portfolios(request(ListPortfoliosRequest::default())).await.unwrap().into_inner();
    assert_eq!((list.portfolios.len(), list.page.unwrap().total), (1, 1));
    let unknown = request(DeletePortfolioRequest { portfolio_id: "none".into() });
    assert_eq!(code(&portfolios.delete_portfolio(unknown).await.unwrap_err()), ErrorCode::PortfolioNotFound);
}

#[tokio::test]
async fn trades_are_recorded_once_and_add_up_to_positions() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    world.portfolio("p").await.unwrap();
    let mut batch = buys(0..2_500);
    batch.push(batch[0].clone());
    batch.push(trade("t1", "I1", Side::Sell, "2", "1.5"));
    batch.push(trade("bad", "I1", Side::Buy, "0.0000001", "1"));
    let answer = world.trade(batch.clone()).await.unwrap();
    assert_eq!((answer.created, answer.duplicates), (2_500, 1));
    let rejected: Vec<_> = answer.rejected.iter().map(|no| (no.index, no.error_code.as_str())).collect();
    assert_eq!(rejected, [(2501, "ALREADY_EXISTS"), (2502, "INVALID_INPUT")]);
    let again = world.trade(batch).await.unwrap();
    assert_eq!((again.created, again.duplicates, again.rejected.len()), (0, 2_501, 2));
    assert_eq!(world.listed().await.len(), 2_500);
    assert_eq!(world.scanned().await.len(), 2_500);

    let positions = world.positions().await;
    assert_eq!(positions.len(), 7);
    let first = &positions[0];
    assert_eq!((first.instrument_id.as_str(), first.trades), ("I0", 358));
    assert_eq!((first.quantity.as_str(), first.bought_amount.as_str()), ("716", "1074"));

    let one = CreateTradeRequest {
        portfolio_id: "p".into(),
        trade: Some(trade("s1", "I0", Side::Sell, "16.5", "2")),
    };
    let made =
        world.service.trades.create_trade(request(one.clone())).await.unwrap().into_inner().trade.unwrap();
    let same = world.service.trades.create_trade(request(one)).await.unwrap().into_inner().trade.unwrap();
    assert_eq!(made, same);
    assert_eq!(world.positions().await[0].quantity, "699.5");
    let get = || GetTradeRequest { portfolio_id: "p".into(), trade_id: "s1".into() };
    assert_eq!(
        world.service.trades.get_trade(request(get())).await.unwrap().into_inner().trade.unwrap(),
        made
    );

    let delete = || request(DeleteTradeRequest { portfolio_id: "p".into(), trade_id: "s1".into() });
    world.service.trades.delete_trade(delete()).await.unwrap();
    world.service.trades.delete_trade(delete()).await.expect("a repeated delete is fine");
    assert_eq!(world.positions().await, positions);
    assert_eq!(
        code(&world.service.trades.get_trade(request(get())).await.unwrap_err()),
        ErrorCode::TradeNotFound
    );
    let reuse = CreateTradeRequest {
        portfolio_id: "p".into(),
        trade: Some(trade("s1", "I0", Side::Sell, "16.5", "2")),
    };
    assert_eq!(
        code(&world.service.trades.create_trade(request(reuse)).await.unwrap_err()),
        ErrorCode::AlreadyExists
    );
    assert_eq!(world.listed().await.len(), 2_500);
}

#[tokio::test]
async fn positions_are_paged_in_the_order_of_instruments() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    world.portfolio("p").await.unwrap();
    world.trade(buys(0..7)).await.unwrap();
    let mut seen = Vec::new();
    let mut list = ListPositionsRequest { portfolio_id: "p".into(), limit: Some(3), ..Default::default() };
    loop {
        let page = world.service.trades.list_positions(request(list.clone())).await.unwrap().into_inner();
        seen.extend(page.positions.into_iter().map(|position| position.instrument_id));
        match page.page.unwrap().next_cursor {
            Some(cursor) => list.cursor = cursor,
            None => break,
        }
    }
    assert_eq!(seen, ["I0", "I1", "I2", "I3", "I4", "I5", "I6"]);
    let list = ListPositionsRequest { portfolio_id: "p".into(), offset: Some(5), ..Default::default() };
    let page = world.service.trades.list_positions(request(list)).await.unwrap().into_inner();
    assert_eq!((page.positions.len(), page.page.unwrap().total), (2, 7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trades_are_counted_once_whoever_records_them_and_whatever_the_store_forgets_to_say() {
    // A call reads hundreds of rows: one that times out would fail it nearly always.
    let faults = Faults { unknown_done: 10, unknown_lost: 10, read_timeout: 0 };
    for seed in 0..6 {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path());
        World::on(store.clone(), store.clone()).await.portfolio("p").await.unwrap();
        let faulty: Arc<dyn Store> = Arc::new(Faulty::new(store.clone(), faults, seed));
        let world = World::on(faulty, store.clone()).await;
        let record = async |range: std::ops::Range<usize>| {
            let mut last = None;
            for _ in 0..200 {
                match world.trade(buys(range.clone())).await {
                    Ok(answer) => {
                        assert!(answer.rejected.is_empty());
                        return answer.created;
                    }
                    Err(status) => {
                        let code = code(&status);
                        assert!(code.retryable() || code == ErrorCode::Internal, "{status}");
                        last = Some(status);
                    }
                }
            }
            panic!("seed {seed}: never gets through: {last:?}");
        };
        let (one, two, three) = tokio::join!(record(0..200), record(100..300), record(0..300));
        assert!(one + two + three <= 300, "seed {seed}");
        world.service.drain().await;
        drop(world);
        let world = World::on(store.clone(), store).await;
        let config = bus::outbox::Config { takeover: bus::Takeover::Immediate, ..Default::default() };
        let relay = Relay::new(world.outbox.clone(), world.bus.clone(), world.service.sources(), config);
        relay.unwrap().recover().await.unwrap();
        let listed = world.listed().await;
        let distinct: BTreeSet<String> = listed.iter().cloned().collect();
        assert_eq!((listed.len(), distinct.len()), (300, 300), "seed {seed}");
        assert_eq!(world.scanned().await, distinct);
        assert_eq!(world.positions().await.iter().map(|position| position.trades).sum::<i64>(), 300);
    }
}

#[tokio::test]
async fn a_partition_that_was_cut_off_before_its_list_is_listed_by_the_relay() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    world.portfolio("p").await.unwrap();
    world.trade(buys(0..50)).await.unwrap();
    // As a crash between the rows and the list leaves them: on the list is one that is gone, and one that is there is not.
    let owner = Owner { tenant: TenantId::new("acme").unwrap(), portfolio: PortfolioId::new("p").unwrap() };
    let trades = &world.service.trades.trades;
    let (rows, _) = trades.rows.scan(&owner, 3, None, 10).await.unwrap();
    let flipped: Vec<_> =
        rows.iter().map(|row| crate::repo::trades::Kept { deleted: true, ..row.clone() }).collect();
    trades.rows.place(&owner, &flipped).await.unwrap();
    assert_eq!(world.listed().await.len(), 50 - rows.len());
    trades.relist(&owner, 3).await.unwrap();
    assert_eq!(world.listed().await.len(), 50);
}

#[tokio::test]
async fn a_portfolio_is_of_a_client_that_is_there_or_of_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    world.create_client("1").await.unwrap();
    let portfolios = &world.service.portfolios;
    let create = async |id: &str, client: &str| {
        let portfolio = Portfolio {
            portfolio_id: id.into(),
            name: "P".into(),
            base_currency: "EUR".into(),
            client_id: client.into(),
            ..Portfolio::default()
        };
        portfolios.create_portfolio(request(CreatePortfolioRequest { portfolio: Some(portfolio) })).await
    };
    let unknown = create("p", "2").await.unwrap_err();
    assert_eq!(code(&unknown), ErrorCode::ClientNotFound);
    create("p", "1").await.unwrap();
    create("q", "").await.unwrap();
    let update = async |client: &str, mask: Option<&str>| {
        let patch = PatchPortfolio { portfolio_id: "q".into(), client_id: client.into(), name: "Q".into() };
        let update_mask = mask.map(|path| prost_types::FieldMask { paths: vec![path.into()] });
        let update = UpdatePortfolioRequest { portfolio: Some(patch), update_mask };
        portfolios
            .update_portfolio(request(update))
            .await
            .map(|answer| answer.into_inner().portfolio.unwrap())
    };
    for mask in [None, Some("client_id"), Some("*")] {
        assert_eq!(code(&update("2", mask).await.unwrap_err()), ErrorCode::ClientNotFound, "{mask:?}");
    }
    assert_eq!(update("2", Some("name")).await.unwrap().client_id, "");
    assert_eq!(update("1", None).await.unwrap().client_id, "1");
    assert_eq!(update("", Some("client_id")).await.unwrap().client_id, "");
}
