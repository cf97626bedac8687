#![allow(clippy::unwrap_used)]
use super::*;
use crate::set::tests::{list, rates};
use risk::time::Day;
use std::fs;

struct World {
    directory: tempfile::TempDir,
    live: Arc<Live>,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let live = Arc::new(Live::open(Some(directory.path())).unwrap());
        Self { directory, live }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.directory.path().join(name), text).unwrap();
    }

    fn in_force(&self) -> String {
        let day = Day::parse("2026-12-31").unwrap();
        self.live.current().in_force(day).unwrap().lists.version().to_owned()
    }
}

#[test]
fn a_reload_takes_all_files_or_none() {
    let world = World::new();
    assert_eq!(world.live.reload().unwrap(), Reloaded::Same);
    let before = world.live.current();
    world.write("country-risk-a.toml", &list("june", "2026-06-19", "IR"));
    world.write("fx-a.toml", "version = \"half");
    assert!(world.live.reload().is_err());
    assert_eq!(world.in_force(), "fatf-2026-02-13", "the good one waits for the bad one");
    world.write("fx-a.toml", &rates("a", "2026-01-01", "1.5"));
    assert_eq!(world.live.reload().unwrap(), Reloaded::Changed);
    assert_eq!(world.in_force(), "june");
    assert_eq!(before.lists().len(), 1, "who holds a set keeps it");
}

#[test]
fn a_start_with_a_bad_file_is_none() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("fx-a.toml"), "version").unwrap();
    assert!(matches!(Live::open(Some(directory.path())), Err(Error::Rates { .. })));
}

#[test]
fn files_are_read_once_they_stand_still() {
    let world = World::new();
    let mut watch = Watch::default();
    let mut look = |asked| world.live.look(&mut watch, asked);
    look(false);
    look(false);
    // One being written, cut where it is a valid file already.
    let (june, cut) = (list("june", "2026-06-19", "IR"), list("june", "2026-06-19", "KP"));
    world.write("country-risk-a.toml", &cut);
    look(false);
    assert_eq!(world.in_force(), "fatf-2026-02-13", "seen for the first time");
    world.write("country-risk-a.toml", &format!("{june}# the end\n"));
    look(false);
    assert_eq!(world.in_force(), "fatf-2026-02-13", "it has changed since");
    look(false);
    assert_eq!(world.in_force(), "june");
    let set = world.live.current();
    assert!(set.lists()[0].lists.iter().all(|(country, _)| country.as_str() == "IR"));
}

#[test]
fn a_bad_file_keeps_the_old_set_until_it_is_mended() {
    let world = World::new();
    let mut watch = Watch::default();
    world.write("country-risk-a.toml", &list("june", "2026-06-19", "IR"));
    world.live.look(&mut watch, true);
    assert_eq!(world.in_force(), "june", "who asks does not wait");
    world.write("country-risk-a.toml", "version = \"half");
    for _ in 0..3 {
        world.live.look(&mut watch, false);
    }
    assert!(watch.failed.as_deref().unwrap().contains("country-risk-a.toml"));
    assert_eq!(world.in_force(), "june");
    world.write("country-risk-a.toml", &list("july", "2026-07-19", "IR"));
    for _ in 0..2 {
        world.live.look(&mut watch, false);
    }
    assert_eq!((world.in_force().as_str(), &watch.failed), ("july", &None));
}

#[tokio::test]
async fn whoever_follows_reloads_when_asked_and_when_files_change() {
    let world = World::new();
    let stop = CancellationToken::new();
    let following = tokio::spawn(Arc::clone(&world.live).look_every(Duration::from_millis(5), stop.clone()));
    for (name, version, published, ask) in
        [("country-risk-a.toml", "a", "2026-06-19", true), ("country-risk-b.toml", "b", "2026-07-19", false)]
    {
        world.write(name, &list(version, published, "IR"));
        if ask {
            world.live.ask();
        }
        let taken = async {
            while world.in_force() != version {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), taken).await.unwrap();
    }
    stop.cancel();
    following.await.unwrap();
}
