//! Preferences on a real store.

use super::*;
use api::clients::v1::preferences_service_server::PreferencesService as _;
use api::clients::v1::{GetPreferencesRequest, NotificationChannel, Preferences, PutPreferencesRequest};

/// Preferences, and their ETag.
type Told = (Preferences, String);

impl World {
    async fn preferences(&self, id: &str) -> Result<Told, Status> {
        let get = request(GetPreferencesRequest { client_id: id.into() });
        let answer = self.service.preferences.get_preferences(get).await?;
        let tag = answer.metadata().get("etag").unwrap().to_str().unwrap().to_owned();
        Ok((answer.into_inner().preferences.unwrap(), tag))
    }

    async fn prefer(&self, id: &str, language: &str, tag: Option<&str>) -> Result<Told, Status> {
        let preferences = Preferences {
            language: language.into(),
            notify_by: vec![NotificationChannel::Email.into()],
            ..Preferences::default()
        };
        let put = PutPreferencesRequest { client_id: id.into(), preferences: Some(preferences) };
        let mut put = request(put);
        if let Some(tag) = tag {
            put.metadata_mut().insert("if-match", tag.parse().unwrap());
        }
        let answer = self.service.preferences.put_preferences(put).await?;
        let tag = answer.metadata().get("etag").unwrap().to_str().unwrap().to_owned();
        Ok((answer.into_inner().preferences.unwrap(), tag))
    }
}

#[tokio::test]
async fn preferences_are_set_whole_and_read_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let world = World::on(store.clone(), store.clone()).await;
    world.create_client("7").await.unwrap();
    let (empty, tag) = world.preferences("7").await.unwrap();
    assert_eq!((empty.language.as_str(), empty.update_time, tag.as_str()), ("", None, "\"v0\""));
    let set = world.prefer("7", "de-AT", None).await.unwrap();
    assert_eq!((set.0.client_id.as_str(), set.1.as_str()), ("7", "\"v1\""));
    assert_eq!(world.preferences("7").await.unwrap(), set, "written through the cache");
    assert_eq!(world.prefer("7", "de-AT", None).await.unwrap(), set, "the same again changes nothing");
    let stale = world.prefer("7", "fr", Some("\"v0\"")).await.unwrap_err();
    assert_eq!(code(&stale), ErrorCode::PreconditionFailed);
    let next = world.prefer("7", "fr", Some("\"v1\"")).await.unwrap();
    assert_eq!((next.0.language.as_str(), next.1.as_str()), ("fr", "\"v2\""));
    assert_eq!(world.preferences("7").await.unwrap(), next);
    assert_eq!(code(&world.preferences("8").await.unwrap_err()), ErrorCode::ClientNotFound);
    assert_eq!(code(&world.prefer("8", "de", None).await.unwrap_err()), ErrorCode::ClientNotFound);
    drop(world);
    // Another process reads what was written.
    assert_eq!(World::on(store.clone(), store).await.preferences("7").await.unwrap(), next);
}

#[tokio::test]
async fn a_client_of_a_deleted_ones_id_does_not_have_its_preferences() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let clock = Arc::new(riskmesh_core::ManualClock::at(SystemClock.now()));
    let world = World::with_clock(store.clone(), store, clock.clone()).await;
    world.create_client("7").await.unwrap();
    world.prefer("7", "de", None).await.unwrap();
    let delete = request(DeleteClientRequest { client_id: "7".into() });
    world.service.clients.delete_client(delete).await.unwrap();
    clock.advance(Duration::from_secs(1));
    world.create_client("7").await.unwrap();
    let (empty, tag) = world.preferences("7").await.unwrap();
    assert_eq!((empty.language.as_str(), tag.as_str()), ("", "\"v1\""), "versions go on");
    let (set, tag) = world.prefer("7", "fr", Some("\"v1\"")).await.unwrap();
    assert_eq!((set.language.as_str(), tag.as_str()), ("fr", "\"v2\""));
}

#[tokio::test]
async fn when_a_replica_dies_with_its_write_another_one_does_not_show_what_was_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let clock = Arc::new(SystemClock);
    let cache = Arc::new(cache::Memory::new(clock.clone(), 1 << 20));
    let faulty = Arc::new(Faulty::new(store.clone(), Faults::default(), 1));
    let one = World::with_cache(faulty.clone(), store.clone(), clock.clone(), cache.clone()).await;
    let two = World::with_cache(store.clone(), store, clock, cache).await;
    one.create_client("7").await.unwrap();
    one.prefer("7", "de", None).await.unwrap();
    assert_eq!(two.preferences("7").await.unwrap().0.language, "de", "from the cache");
    faulty.silence(Some(crate::tables::CLIENT_PREFERENCES.name));
    let unheard = tokio::time::timeout(Duration::from_millis(500), one.prefer("7", "fr", None)).await;
    assert!(unheard.is_err());
    assert_eq!(two.preferences("7").await.unwrap().0.language, "fr");
}
