//! The gRPC server behind every subject: tonic on loopback, in a process of its own, so that its CPU is not the proxy's. It is
//! this program again, under a hidden command: nothing else has to be built or found.

use super::data::{account, transaction};
use proto::bench_service_server::{BenchService, BenchServiceServer};
use proto::{
    Account, GetAccountRequest, ImportTransactionsRequest, ImportTransactionsResponse,
    ListTransactionsRequest, ListTransactionsResponse, StreamTransactionsRequest, Transaction,
    WatchTransactionsRequest,
};
use std::pin::Pin;
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// What build.rs made of the bench service.
#[allow(clippy::pedantic, missing_docs, unreachable_pub, reason = "generated")]
pub(crate) mod proto {
    tonic::include_proto!("bench.v1");

    /// The descriptors, as every transcoder is given them.
    pub(crate) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/bench.binpb"));
}

/// Serves until it is killed.
pub(crate) fn serve() -> anyhow::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(super::WORKERS).enable_all().build()?;
    runtime.block_on(async {
        // Without a delay: an answer's last piece would wait until the next request acknowledges what came before it.
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into())?.with_nodelay(Some(true));
        println!("upstream http://{}", incoming.local_addr()?);
        println!("{READY}");
        let server = Server::builder().add_service(BenchServiceServer::new(Upstream));
        server.serve_with_incoming(incoming).await?;
        Ok(())
    })
}

/// What it prints when it listens.
pub(super) const READY: &str = "ready";

struct Upstream;

type Transactions = Pin<Box<dyn Stream<Item = Result<Transaction, Status>> + Send>>;

#[tonic::async_trait]
impl BenchService for Upstream {
    async fn get_account(&self, request: Request<GetAccountRequest>) -> Result<Response<Account>, Status> {
        Ok(Response::new(account(request.into_inner().id)))
    }

    async fn list_transactions(
        &self,
        request: Request<ListTransactionsRequest>,
    ) -> Result<Response<ListTransactionsResponse>, Status> {
        let transactions = (0..request.into_inner().page_size).map(transaction).collect();
        Ok(Response::new(ListTransactionsResponse { transactions, next_page_token: String::new() }))
    }

    async fn import_transactions(
        &self,
        request: Request<ImportTransactionsRequest>,
    ) -> Result<Response<ImportTransactionsResponse>, Status> {
        let imported = request.into_inner().transactions.len() as i32;
        Ok(Response::new(ImportTransactionsResponse { imported }))
    }

    type StreamTransactionsStream = Transactions;

    async fn stream_transactions(
        &self,
        request: Request<StreamTransactionsRequest>,
    ) -> Result<Response<Transactions>, Status> {
        let all = (0..request.into_inner().count).map(|number| Ok(transaction(number)));
        Ok(Response::new(Box::pin(tokio_stream::iter(all))))
    }

    type WatchTransactionsStream = Transactions;

    async fn watch_transactions(
        &self,
        _: Request<WatchTransactionsRequest>,
    ) -> Result<Response<Transactions>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(transaction(0))).chain(tokio_stream::pending()))))
    }
}
