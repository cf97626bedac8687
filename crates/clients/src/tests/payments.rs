//! Payments: one effect for one key, whatever is repeated, raced or cut off.

use super::*;
use api::payments::v1::payments_service_server::PaymentsService as _;
use api::payments::v1::{
    CreatePaymentRequest, GetPaymentRequest, ListPaymentsRequest, ListPaymentsResponse, Payment,
    PaymentStatus,
};
use riskmesh_core::ManualClock;
use std::pin::pin;
use std::task::{Context, Poll};

const ACCOUNT: &str = "0000000001";

fn payment(amount: &str) -> Payment {
    Payment {
        account_id: ACCOUNT.into(),
        amount: amount.into(),
        currency: "EUR".into(),
        ..Payment::default()
    }
}

/// A payment, and whether it is told as a repeat.
type Paid = (Payment, bool);

impl World {
    async fn payer(dir: &Path) -> Self {
        // Boxed: a world is large.
        Box::pin(async {
            let world = Self::open(dir).await;
            world.client("1", &[ACCOUNT]).await;
            world
        })
        .await
    }

    async fn pay(&self, key: Option<&str>, payment: Payment) -> Result<Paid, Status> {
        let mut request = request(CreatePaymentRequest { payment: Some(payment) });
        if let Some(key) = key {
            request.metadata_mut().insert("idempotency-key", key.parse().unwrap());
        }
        let answer = self.service.payments.create_payment(request).await?;
        let replayed = answer.metadata().get("idempotent-replayed").is_some();
        Ok((answer.into_inner().payment.unwrap(), replayed))
    }

    async fn payments(&self, list: ListPaymentsRequest) -> ListPaymentsResponse {
        self.service.payments.list_payments(request(list)).await.unwrap().into_inner()
    }

    async fn debits(&self) -> Vec<String> {
        let entries = self.list(of_client("1")).await;
        entries.transactions.into_iter().map(|entry| entry.transaction_id).collect()
    }
}

#[tokio::test]
async fn a_payment_books_its_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::payer(dir.path()).await;
    let order = Payment {
        counterparty_account: "DE02120300000000202051".into(),
        reference: "Rent".into(),
        ..payment("100")
    };
    let (made, replayed) = world.pay(None, order).await.unwrap();
    assert!(!replayed);
    assert_eq!(
        (made.amount.as_str(), made.client_id.as_str(), made.status),
        ("100.00", "1", PaymentStatus::Booked.into())
    );
    let get = GetTransactionRequest { transaction_id: made.transaction_id.clone() };
    let entry = world.service.transactions.get_transaction(request(get)).await.unwrap().into_inner();
    let entry = entry.transaction.unwrap();
    assert_eq!((entry.amount.as_str(), entry.currency.as_str(), entry.direction), ("100.00", "EUR", 1));
    assert_eq!(
        (entry.booked_at, entry.counterparty_account.as_str()),
        (made.create_time, "DE02120300000000202051")
    );

    let get = GetPaymentRequest { payment_id: made.payment_id.clone() };
    let answer = world.service.payments.get_payment(request(get.clone())).await.unwrap();
    assert!(answer.metadata().get("etag").is_some());
    assert_eq!(answer.into_inner().payment.unwrap(), made);
    let other = world.service.payments.get_payment(request_of("other", get)).await.unwrap_err();
    assert_eq!(code(&other), ErrorCode::PaymentNotFound);
    // Without a key each request is a payment.
    world.pay(None, payment("100")).await.unwrap();
    assert_eq!(world.debits().await.len(), 2);
}

#[tokio::test]
async fn only_an_active_account_pays_and_in_its_currency() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::payer(dir.path()).await;
    let refused = async |payment: Payment| code(&world.pay(Some("k"), payment).await.unwrap_err());
    assert_eq!(
        refused(Payment { account_id: "0000000009".into(), ..payment("1") }).await,
        ErrorCode::AccountNotFound
    );
    // A key stays with its request, also where that was refused.
    assert_eq!(
        refused(Payment { currency: "USD".into(), ..payment("1") }).await,
        ErrorCode::IdempotencyKeyReused
    );
    let refused = async |payment: Payment| code(&world.pay(None, payment).await.unwrap_err());
    assert_eq!(refused(Payment { currency: "USD".into(), ..payment("1") }).await, ErrorCode::InvalidInput);
    assert_eq!(refused(payment("0")).await, ErrorCode::InvalidInput);
    assert_eq!(refused(payment("1.001")).await, ErrorCode::InvalidInput);
    let patch =
        api::clients::v1::PatchAccount { account_id: ACCOUNT.into(), status: 2, ..Default::default() };
    let update = api::clients::v1::UpdateAccountRequest {
        client_id: "1".into(),
        account: Some(patch),
        update_mask: None,
    };
    world.service.accounts.update_account(request(update)).await.unwrap();
    assert_eq!(refused(payment("1")).await, ErrorCode::PreconditionFailed);
    assert!(world.debits().await.is_empty());
}

#[tokio::test]
async fn a_key_makes_one_payment() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::payer(dir.path()).await;
    let (first, replayed) = world.pay(Some("\"k-1\""), payment("5")).await.unwrap();
    assert!(!replayed);
    let (again, replayed) = world.pay(Some("k-1"), payment("5.00")).await.unwrap();
    assert!(replayed);
    assert_eq!(again, first);
    assert_eq!(
        code(&world.pay(Some("k-1"), payment("6")).await.unwrap_err()),
        ErrorCode::IdempotencyKeyReused
    );
    assert_eq!(code(&world.pay(Some("\"k"), payment("6")).await.unwrap_err()), ErrorCode::InvalidInput);
    assert_eq!(world.debits().await.len(), 1);
}

#[tokio::test]
async fn payments_are_listed_in_the_order_in_which_they_were_made() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::payer(dir.path()).await;
    world.create_account("1", "0000000002").await.unwrap();
    let mut made = Vec::new();
    for n in 1..=5 {
        let account_id = if n % 2 == 0 { "0000000002" } else { ACCOUNT };
        let order = Payment { account_id: account_id.into(), ..payment(&n.to_string()) };
        made.push(world.pay(None, order).await.unwrap().0);
    }
    let all = world.payments(ListPaymentsRequest::default()).await;
    assert_eq!((&all.payments, all.page.unwrap().total), (&made, 5));
    let list = ListPaymentsRequest { account_id: ACCOUNT.into(), limit: Some(2), ..Default::default() };
    let first = world.payments(list.clone()).await;
    assert_eq!(first.payments, [made[0].clone(), made[2].clone()]);
    let page = first.page.unwrap();
    assert_eq!((page.total, page.next_offset), (3, Some(2)));
    let list = ListPaymentsRequest { cursor: page.next_cursor.unwrap(), ..list };
    let rest = world.payments(list.clone()).await;
    assert_eq!((rest.payments, rest.page.unwrap().next_cursor), (vec![made[4].clone()], None));
    let foreign = ListPaymentsRequest { account_id: "0000000002".into(), ..list };
    assert_eq!(
        code(&world.service.payments.list_payments(request(foreign)).await.unwrap_err()),
        ErrorCode::InvalidInput
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_repeats_make_one_payment_whatever_the_store_forgets_to_say() {
    for seed in 0..8 {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path());
        World::on(store.clone(), store.clone()).await.client("1", &[ACCOUNT]).await;
        let faulty: Arc<dyn Store> = Arc::new(Faulty::new(store.clone(), FAULTS, seed));
        let world = World::on(faulty, store.clone()).await;
        let pay = async |key: usize| {
            let key = format!("k{key}");
            for _ in 0..500 {
                match world.pay(Some(&key), payment("5")).await {
                    Ok((paid, _)) if paid.status == i32::from(PaymentStatus::Booked) => return paid,
                    // Taken; when it is asked for again, it may have been booked.
                    Ok(_) => {}
                    Err(status) => match code(&status) {
                        ErrorCode::RequestInProgress => tokio::task::yield_now().await,
                        code => assert!(code.retryable() || code == ErrorCode::Internal, "{status}"),
                    },
                }
            }
            panic!("seed {seed}: {key} never gets through");
        };
        let paid = futures::future::join_all((0..40).map(|n| pay(n % 5))).await;
        let distinct: BTreeSet<String> = paid.iter().map(|paid| paid.payment_id.clone()).collect();
        assert_eq!(distinct.len(), 5, "seed {seed}");
        world.service.drain().await;
        drop(world);
        let world = World::on(store.clone(), store).await;
        let booked: BTreeSet<String> = world.debits().await.into_iter().collect();
        let expected: BTreeSet<String> = paid.into_iter().map(|paid| paid.transaction_id).collect();
        assert_eq!(booked, expected, "seed {seed}");
        assert_eq!(world.payments(ListPaymentsRequest::default()).await.payments.len(), 5, "seed {seed}");
    }
}

/// Polls a future so often at the most, and then drops it, as a process that dies does; true if it came to its end.
async fn cut_off<F: Future>(future: F, polls: usize) -> bool {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(move |cx: &mut Context<'_>| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        future.as_mut().poll(cx).map(|_| true)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_pay_from_one_account_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let world = Arc::new(World::payer(dir.path()).await);
    let payers = (0..48).map(|_| {
        let world = world.clone();
        tokio::spawn(async move { world.pay(None, payment("1")).await.unwrap().0 })
    });
    let mut booked = BTreeSet::new();
    for paid in futures::future::join_all(payers).await {
        let paid = paid.unwrap();
        assert_eq!(paid.status, i32::from(PaymentStatus::Booked));
        booked.insert(paid.transaction_id);
    }
    assert_eq!(booked.len(), 48);
    assert_eq!(world.debits().await.into_iter().collect::<BTreeSet<_>>(), booked);
}

#[tokio::test]
async fn a_payment_that_cannot_be_booked_yet_stands() {
    let dir = tempfile::tempdir().unwrap();
    let under = open_store(dir.path());
    let store = Arc::new(Faulty::new(under.clone(), Faults::default(), 1));
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let world = World::with_clock(store.clone(), under, clock.clone()).await;
    world.client("1", &[ACCOUNT]).await;
    store.take_down(Some(crate::tables::TRANSACTIONS.name));
    let (taken, _) = world.pay(Some("k"), payment("5")).await.unwrap();
    assert_eq!((taken.status, taken.transaction_id.as_str()), (PaymentStatus::Pending.into(), ""));
    let (again, replayed) = world.pay(Some("k"), payment("5")).await.unwrap();
    assert_eq!((again, replayed), (taken.clone(), true));
    assert!(world.debits().await.is_empty());

    store.take_down(None);
    clock.advance(Duration::from_hours(1));
    let config = bus::outbox::Config { takeover: bus::Takeover::Immediate, ..Default::default() };
    let relay = Relay::new(world.outbox.clone(), world.bus.clone(), world.service.sources(), config).unwrap();
    relay.recover().await.unwrap();
    assert_eq!(world.debits().await.len(), 1);
    let (booked, replayed) = world.pay(Some("k"), payment("5")).await.unwrap();
    assert!(replayed && booked.payment_id == taken.payment_id);
    assert_eq!(booked.status, i32::from(PaymentStatus::Booked));
    assert_eq!(world.debits().await, [booked.transaction_id]);
}

#[tokio::test]
async fn a_payment_that_was_cut_off_is_booked_once_or_never_was() {
    let mut ends = 0;
    for polls in (0..40).step_by(2) {
        for repeat in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let store = open_store(dir.path());
            let clock = Arc::new(ManualClock::at(SystemClock.now()));
            let before = World::with_clock(store.clone(), store.clone(), clock.clone()).await;
            before.client("1", &[ACCOUNT]).await;
            before.service.settle().await;
            ends += usize::from(cut_off(before.pay(Some("k"), payment("5")), polls).await);
            before.service.drain().await;
            drop(before);

            clock.advance(Duration::from_hours(1));
            let after = World::with_clock(store.clone(), store, clock).await;
            let config = bus::outbox::Config { takeover: bus::Takeover::Immediate, ..Default::default() };
            let relay = Relay::new(after.outbox.clone(), after.bus.clone(), after.service.sources(), config);
            relay.unwrap().recover().await.unwrap();
            if repeat {
                after.pay(Some("k"), payment("5")).await.unwrap();
            }
            let payments = after.payments(ListPaymentsRequest::default()).await.payments;
            let booked: Vec<String> = payments.iter().map(|payment| payment.transaction_id.clone()).collect();
            assert_eq!(after.debits().await, booked, "after {polls} polls");
            assert!(booked.iter().all(|id| !id.is_empty()), "after {polls} polls");
            assert!(booked.len() <= 1 && (!repeat || booked.len() == 1), "after {polls} polls");
        }
    }
    assert!((2..38).contains(&ends), "some were cut off and some not: {ends}");
}
