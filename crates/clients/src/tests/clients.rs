//! Clients and accounts: their lives, their lists, and who may change what.

use super::*;

#[tokio::test]
async fn a_client_lives_and_dies_and_its_id_can_be_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    let created = world.create_client("424242").await.unwrap();
    assert_eq!((created.name.as_str(), created.r#type, created.status), ("Client 424242", 1, 1));
    assert_eq!(code(&world.create_client("424242").await.unwrap_err()), ErrorCode::AlreadyExists);

    let delete = || request(DeleteClientRequest { client_id: "424242".into() });
    let clients = &world.service.clients;
    clients.delete_client(delete()).await.unwrap();
    clients.delete_client(delete()).await.expect("a repeated delete is fine");
    let get = GetClientRequest { client_id: "424242".into() };
    assert_eq!(code(&clients.get_client(request(get.clone())).await.unwrap_err()), ErrorCode::ClientNotFound);
    let unknown = request(DeleteClientRequest { client_id: "7".into() });
    assert_eq!(code(&clients.delete_client(unknown).await.unwrap_err()), ErrorCode::ClientNotFound);

    world.create_client("424242").await.expect("a deleted client's id is free");
    let version = clients.get_client(request(get)).await.unwrap().metadata().get("etag").cloned();
    assert_eq!(version.unwrap(), "\"v3\"", "versions go on, so that an old ETag never matches");
}

#[tokio::test]
async fn nothing_is_visible_across_tenants() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    world.client("1", &["0000000001"]).await;
    world.record(vec![message("t-1", "0000000001", START)]).await.unwrap();
    let get = request_of("other", GetClientRequest { client_id: "1".into() });
    assert_eq!(code(&world.service.clients.get_client(get).await.unwrap_err()), ErrorCode::ClientNotFound);
    let get = request_of("other", GetTransactionRequest { transaction_id: "t-1".into() });
    let missing = world.service.transactions.get_transaction(get).await.unwrap_err();
    assert_eq!(code(&missing), ErrorCode::TransactionNotFound);
    let list = request_of("other", ListClientsRequest::default());
    assert!(world.service.clients.list_clients(list).await.unwrap().into_inner().clients.is_empty());
}

#[tokio::test]
async fn if_match_guards_against_lost_updates() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    world.create_client("1").await.unwrap();
    let patch = |tag: &str| {
        let client = PatchClient { client_id: "1".into(), status: 2, ..PatchClient::default() };
        let mut request = request(UpdateClientRequest { client: Some(client), update_mask: None });
        request.metadata_mut().insert("if-match", tag.parse().unwrap());
        request
    };
    let stale = world.service.clients.update_client(patch("\"v9\"")).await.unwrap_err();
    assert_eq!(code(&stale), ErrorCode::PreconditionFailed);
    let updated = world.service.clients.update_client(patch("\"v1\"")).await.unwrap();
    assert_eq!(updated.metadata().get("etag").unwrap(), "\"v2\"");
    let again = world.service.clients.update_client(patch("\"v1\"")).await.unwrap_err();
    assert_eq!(code(&again), ErrorCode::PreconditionFailed);
}

#[tokio::test]
async fn lists_follow_the_status_and_the_order_of_creation() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    for id in 1..=7 {
        world.create_client(&id.to_string()).await.unwrap();
    }
    for id in ["2", "5"] {
        let client = PatchClient { client_id: id.into(), status: 2, ..PatchClient::default() };
        let update = UpdateClientRequest { client: Some(client), update_mask: None };
        world.service.clients.update_client(request(update)).await.unwrap();
    }
    world
        .service
        .clients
        .delete_client(request(DeleteClientRequest { client_id: "3".into() }))
        .await
        .unwrap();

    let walk = async |status: i32, by_cursor: bool| {
        let mut seen = Vec::new();
        let mut list = ListClientsRequest { status, limit: Some(2), ..ListClientsRequest::default() };
        loop {
            let answer =
                world.service.clients.list_clients(request(list.clone())).await.unwrap().into_inner();
            seen.extend(answer.clients.into_iter().map(|client| client.client_id));
            let page = answer.page.unwrap();
            match page.next_cursor {
                None => return (seen, page.total),
                Some(cursor) if by_cursor => list.cursor = cursor,
                Some(_) => list.offset = page.next_offset,
            }
        }
    };
    for by_cursor in [false, true] {
        assert_eq!(walk(0, by_cursor).await, (["1", "2", "4", "5", "6", "7"].map(String::from).to_vec(), 6));
        assert_eq!(walk(1, by_cursor).await, (["1", "4", "6", "7"].map(String::from).to_vec(), 4));
        assert_eq!(walk(2, by_cursor).await, (["2", "5"].map(String::from).to_vec(), 2));
    }
}

#[tokio::test]
async fn accounts_with_transactions_and_clients_with_accounts_stay() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    world.client("1", &["0000000001", "0000000002"]).await;
    world.record(vec![message("t-1", "0000000001", START)]).await.unwrap();
    let delete = |id: &str| request(DeleteAccountRequest { client_id: "1".into(), account_id: id.into() });
    let used = world.service.accounts.delete_account(delete("0000000001")).await.unwrap_err();
    assert_eq!(code(&used), ErrorCode::PreconditionFailed);
    world.service.accounts.delete_account(delete("0000000002")).await.unwrap();
    world.service.accounts.delete_account(delete("0000000002")).await.expect("again is fine");

    let late = world.record(vec![message("t-2", "0000000002", START)]).await.unwrap();
    assert_eq!(late.rejected[0].error_code, "ACCOUNT_NOT_FOUND");
    let client = request(DeleteClientRequest { client_id: "1".into() });
    assert_eq!(
        code(&world.service.clients.delete_client(client).await.unwrap_err()),
        ErrorCode::PreconditionFailed
    );
    let list = ListAccountsRequest { client_id: "1".into(), ..ListAccountsRequest::default() };
    let listed = world.service.accounts.list_accounts(request(list)).await.unwrap().into_inner();
    assert_eq!((listed.accounts.len(), listed.page.unwrap().total), (1, 1));

    world.create_account("1", "0000000002").await.expect("a deleted account's id is free");
    let reused = world.record(vec![message("t-3", "0000000002", START)]).await.unwrap();
    assert_eq!(reused.created, 1);
    let elsewhere = world.create_account("9", "0000000009").await.unwrap_err();
    assert_eq!(code(&elsewhere), ErrorCode::ClientNotFound);
}

#[tokio::test]
async fn missing_accounts_are_opened_once_whoever_opens_them() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    world.client("7", &[]).await;
    world.client("8", &["0000000008"]).await;
    // Once somebody else's, and deleted.
    world.create_account("7", "0000000009").await.unwrap();
    let delete = DeleteAccountRequest { client_id: "7".into(), account_id: "0000000009".into() };
    world.service.accounts.delete_account(request(delete)).await.unwrap();
    let tenant = TenantId::new("acme").unwrap();
    let ids: Vec<AccountId> = (1..=40).map(|n| AccountId::new(&format!("{n:010}")).unwrap()).collect();
    let masters = &world.service.transactions.masters;
    let open = async |of: std::ops::Range<usize>| {
        masters.create_missing(&tenant, ids[of].iter().map(|id| (id, Currency::EUR))).await
    };
    let (one, two, three) = tokio::join!(open(0..30), open(10..40), open(0..40));
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    open(0..40).await.unwrap();

    world.service.settle().await;
    let page = masters.list_clients(&tenant, None, store::list::Start::Offset(0), 100).await.unwrap();
    let listed: BTreeSet<_> = page.items.iter().map(|client| client.id.to_string()).collect();
    assert_eq!((page.total, page.items.len(), listed.len()), (40, 40, 40));
    for client in page.items {
        assert!(!client.pending, "client {} was not told of", client.id);
        let (accounts, count, more) =
            masters.list_accounts(&tenant, &client.id, AccountStart::Offset(0), 10).await.unwrap();
        assert_eq!((accounts.len(), count, more), (1, 1, false), "client {}", client.id);
        assert!(!accounts[0].pending && accounts[0].id.as_str().ends_with(client.id.as_str()));
    }
}
