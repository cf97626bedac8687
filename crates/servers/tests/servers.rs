//! A real engine through its whole life. Redis: it is there in a moment.

use riskmesh_servers::{Engine, Server, Standing};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

fn ask(server: &Server, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(server.address())?;
    stream.write_all(request.as_bytes())?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map(|_| answer)
}

#[test]
fn a_server_is_started_paused_killed_and_there_again_with_its_data() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("redis");
    assert!(Server::find(&dir).unwrap().is_none());
    let server = Server::start(Engine::Redis, &dir).unwrap();
    assert_eq!(ask(&server, "SET k here\r\n").unwrap(), "+OK\r\n");
    assert_eq!(server.standing(), Standing::Ready);
    assert_eq!(Server::find(&dir).unwrap().unwrap().pid(), server.pid());

    server.pause().unwrap();
    assert_eq!(server.standing(), Standing::Silent);
    server.resume().unwrap();
    assert_eq!(server.standing(), Standing::Ready);

    server.kill().unwrap();
    assert_eq!(server.standing(), Standing::Down);
    assert!(Server::find(&dir).unwrap().is_none());
    let again = Server::start(Engine::Redis, &dir).unwrap();
    assert_eq!(again.address(), server.address());
    assert_eq!(ask(&again, "GET k\r\n").unwrap(), "$4\r\nhere\r\n");
    assert!(Server::start(Engine::Kafka, &dir).is_err(), "it is the directory of another engine");

    let same = Server::find(&dir).unwrap().unwrap();
    drop(again);
    assert_eq!(same.standing(), Standing::Down, "nothing outlives who started it");
}

#[test]
fn a_detached_server_runs_on_until_it_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    drop(Server::start_detached(Engine::Redis, dir.path()).unwrap());
    let found = Server::find(dir.path()).unwrap().unwrap();
    assert_eq!((found.engine(), found.standing()), (Engine::Redis, Standing::Ready));
    found.pause().unwrap();
    found.stop().unwrap();
    assert!(Server::find(dir.path()).unwrap().is_none());
}
