//! What is asked, over HTTP and over gRPC, and what has to be answered.

use super::data;
use super::upstream::proto::bench_service_client::BenchServiceClient;
use super::upstream::proto::{
    GetAccountRequest, ImportTransactionsRequest, ListTransactionsRequest, StreamTransactionsRequest,
};
use crate::load::{Ask, Client};
use anyhow::ensure;
use clap::ValueEnum;
use serde_json::{Value, json};
use tonic::transport::Channel;

/// A call that every subject has to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Call {
    /// A GET with a variable in its path, answered with 170 bytes.
    GetSmall,
    /// A list of 100 transactions: 20 kB.
    #[value(name = "list_100")]
    List100,
    /// A POST of 48 transactions: 10 kB.
    #[value(name = "post_10k")]
    Post10k,
    /// A server stream of 1,000 transactions: 200 kB.
    #[value(name = "stream_1000")]
    Stream1000,
}

const ACCOUNT: &str = "acc-000017";
const LISTED: i32 = 100;
const POSTED: i32 = 48;
const STREAMED: i32 = 1000;

impl Call {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::GetSmall => "get_small",
            Self::List100 => "list_100",
            Self::Post10k => "post_10k",
            Self::Stream1000 => "stream_1000",
        }
    }

    /// Requests a second of the open loop: what the slowest subject bears with half of a core.
    pub(super) fn rate(self) -> f64 {
        match self {
            Self::GetSmall => 1000.0,
            Self::List100 => 200.0,
            Self::Post10k => 400.0,
            Self::Stream1000 => 20.0,
        }
    }

    /// At how many times our CPU Envoy's should be.
    pub(super) fn goal(self) -> Option<f64> {
        match self {
            Self::GetSmall => Some(3.0),
            Self::List100 => Some(8.0),
            Self::Post10k => Some(5.0),
            Self::Stream1000 => None,
        }
    }

    pub(super) fn ask(self) -> Ask {
        match self {
            Self::GetSmall => Ask::get(format!("/v1/accounts/{ACCOUNT}")),
            Self::List100 => Ask::get(format!("/v1/accounts/{ACCOUNT}/transactions?pageSize={LISTED}")),
            Self::Post10k => {
                Ask::post(format!("/v1/accounts/{ACCOUNT}/transactions"), data::list_json(POSTED))
            }
            Self::Stream1000 => {
                Ask::get(format!("/v1/accounts/{ACCOUNT}/transactions:stream?count={STREAMED}"))
            }
        }
    }

    /// Whether an answer is right, however its JSON is laid out. grpc-gateway gives a stream as lines of results.
    pub(super) fn check(self, answer: &[u8]) -> anyhow::Result<()> {
        let right: Value = match self {
            Self::GetSmall => serde_json::from_str(&data::account_json(ACCOUNT))?,
            Self::List100 => serde_json::from_str(&data::list_json(LISTED))?,
            Self::Post10k => json!({"imported": POSTED}),
            Self::Stream1000 => serde_json::from_str(&data::array_json(STREAMED))?,
        };
        let mut values: Vec<Value> =
            serde_json::Deserializer::from_slice(answer).into_iter().collect::<Result<_, _>>()?;
        if self == Self::Stream1000 && values.len() > 1 {
            values = vec![values.iter().map(|line| line["result"].clone()).collect()];
        }
        if let ([Value::Object(list)], Self::List100) = (&mut values[..], self) {
            // A default that grpc-gateway prints.
            list.remove("nextPageToken");
        }
        ensure!(
            values == [right],
            "{}: the answer is wrong: {}",
            self.name(),
            String::from_utf8_lossy(answer)
        );
        Ok(())
    }
}

/// A client of the upstream itself.
pub(super) struct Direct {
    pub(super) client: BenchServiceClient<Channel>,
    pub(super) call: Call,
}

impl Client for Direct {
    async fn ask(&mut self, _: u64) -> anyhow::Result<()> {
        let account_id = ACCOUNT.to_owned();
        let client = &mut self.client;
        let (got, wanted) = match self.call {
            Call::GetSmall => {
                let account = client.get_account(GetAccountRequest { id: account_id }).await?.into_inner();
                (i32::from(account.active), 1)
            }
            Call::List100 => {
                let request = ListTransactionsRequest { account_id, page_size: LISTED };
                (client.list_transactions(request).await?.into_inner().transactions.len() as i32, LISTED)
            }
            Call::Post10k => {
                let transactions = (0..POSTED).map(data::transaction).collect();
                let request = ImportTransactionsRequest { account_id, transactions };
                (client.import_transactions(request).await?.into_inner().imported, POSTED)
            }
            Call::Stream1000 => {
                let request = StreamTransactionsRequest { account_id, count: STREAMED };
                let mut stream = client.stream_transactions(request).await?.into_inner();
                let mut count = 0;
                while stream.message().await?.is_some() {
                    count += 1;
                }
                (count, STREAMED)
            }
        };
        ensure!(got == wanted, "{}: {got} instead of {wanted}", self.call.name());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcode::upstream::proto::{Account, DESCRIPTORS, ListTransactionsResponse};
    use prost::Message as _;
    use transcode::{Extensions, ParseOptions, Plans};

    #[test]
    fn the_json_stands_for_what_the_upstream_sends() {
        let pool = prost_reflect::DescriptorPool::decode(DESCRIPTORS).unwrap();
        let plans = Plans::new(&pool, &Extensions::default()).unwrap();
        let wire = |message: &str, json: &str| {
            let mut out = Vec::new();
            let id = plans.message(message).unwrap();
            plans.parse(id, json.as_bytes(), &ParseOptions::default(), &mut out).unwrap();
            out
        };
        let account = Account::decode(&*wire("bench.v1.Account", &data::account_json(ACCOUNT))).unwrap();
        assert_eq!(account, data::account(ACCOUNT.to_owned()));
        let list = wire("bench.v1.ListTransactionsResponse", &data::list_json(LISTED));
        let list = ListTransactionsResponse::decode(&*list).unwrap();
        assert_eq!(list.transactions, (0..LISTED).map(data::transaction).collect::<Vec<_>>());
    }

    #[test]
    fn an_answer_is_right_in_either_form_of_a_stream() {
        let lines = (0..STREAMED).map(|n| format!("{{\"result\":{}}}\n", data::transaction_json(n)));
        Call::Stream1000.check(lines.collect::<String>().as_bytes()).unwrap();
        Call::Stream1000.check(data::array_json(STREAMED).as_bytes()).unwrap();
        assert!(Call::Stream1000.check(data::array_json(STREAMED - 1).as_bytes()).is_err());
        assert!(Call::Post10k.check(br#"{"imported":1}"#).is_err());
    }

    #[test]
    fn sizes_are_those_of_the_names() {
        assert!((100..200).contains(&data::account_json(ACCOUNT).len()));
        assert!(
            (19_000..22_000).contains(&data::list_json(LISTED).len()),
            "{}",
            data::list_json(LISTED).len()
        );
        assert!(
            (9_500..10_500).contains(&data::list_json(POSTED).len()),
            "{}",
            data::list_json(POSTED).len()
        );
    }
}
