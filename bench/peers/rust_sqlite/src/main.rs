//! The Rust peer: axum on tokio, and a group commit of its own into SQLite.
//!
//! One thread writes: it takes all events that wait as one transaction, synced before anybody is
//! answered. The same columns and counts per second as the receiver's file, and the same promise.

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header::CONTENT_TYPE};
use axum::routing::post;
use axum::serve::ListenerExt;
use rusqlite::Connection;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

const MOST: usize = 10_000; // events in one transaction
const SCHEMA: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY,
    received_at INTEGER NOT NULL,
    type TEXT NOT NULL,
    call_id TEXT,
    body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS counts (second INTEGER PRIMARY KEY, events INTEGER NOT NULL);";
const INSERT: &str = "INSERT INTO events (received_at, type, call_id, body) VALUES (?, ?, ?, ?)";
const COUNT: &str = "INSERT INTO counts VALUES (?, ?)
ON CONFLICT (second) DO UPDATE SET events = events + excluded.events";

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    call_id: Option<String>,
}

struct Submission {
    event: Event,
    received_at: i64, // microseconds of Unix time
    body: Bytes,
    stored: oneshot::Sender<bool>,
}

fn write(mut waiting: mpsc::Receiver<Submission>, mut db: Connection) {
    let mut group = Vec::with_capacity(MOST);
    while let Some(first) = waiting.blocking_recv() {
        group.push(first);
        thread::yield_now(); // let in those who are ready to submit
        while group.len() < MOST {
            match waiting.try_recv() {
                Ok(next) => group.push(next),
                Err(_) => break,
            }
        }
        let done = commit(&mut db, &group);
        if let Err(error) = &done {
            eprintln!("{error}");
        }
        for one in group.drain(..) {
            let _ = one.stored.send(done.is_ok()); // its client may have gone
        }
    }
}

fn commit(db: &mut Connection, group: &[Submission]) -> Result<(), Box<dyn Error>> {
    let transaction = db.transaction()?;
    {
        let mut insertion = transaction.prepare_cached(INSERT)?;
        let mut seconds = HashMap::new();
        for one in group {
            let body = std::str::from_utf8(&one.body)?;
            insertion.execute((one.received_at, &one.event.kind, &one.event.call_id, body))?;
            *seconds.entry(one.received_at / 1_000_000).or_insert(0) += 1;
        }
        let mut counting = transaction.prepare_cached(COUNT)?;
        for (second, events) in seconds {
            counting.execute((second, events))?;
        }
    }
    Ok(transaction.commit()?)
}

type Answer = (StatusCode, [(HeaderName, &'static str); 1], &'static str);

fn answer(status: StatusCode, kind: &'static str, text: &'static str) -> Answer {
    (status, [(CONTENT_TYPE, kind)], text)
}

async fn post_event(State(waiting): State<mpsc::Sender<Submission>>, body: Bytes) -> Answer {
    let received_at = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(now) => now.as_micros() as i64,
        Err(_) => 0,
    };
    let Ok(event) = serde_json::from_slice::<Event>(&body) else {
        return answer(StatusCode::BAD_REQUEST, "text/plain", "no event");
    };
    if event.kind.is_empty() {
        return answer(
            StatusCode::UNPROCESSABLE_ENTITY,
            "text/plain",
            "type must not be empty",
        );
    }
    let (stored, outcome) = oneshot::channel();
    let one = Submission {
        event,
        received_at,
        body,
        stored,
    };
    if waiting.send(one).await.is_ok() && outcome.await == Ok(true) {
        return answer(StatusCode::OK, "application/json", r#"{"accepted":1}"#);
    }
    answer(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "not stored")
}

fn main() -> Result<(), Box<dyn Error>> {
    let store = env::var("WEBHOOK_STORE")?;
    let db = Connection::open(store.trim_start_matches("sqlite:///"))?;
    db.execute_batch(SCHEMA)?;
    let (sender, waiting) = mpsc::channel(MOST);
    thread::spawn(move || write(waiting, db));

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(env::var("WEBHOOK_ADDRESS")?).await?;
        eprintln!("listening on http://{}", listener.local_addr()?);
        let routes = Router::new()
            .route("/events", post(post_event))
            .with_state(sender);
        let listener = listener.tap_io(|connection| {
            let _ = connection.set_nodelay(true);
        });
        Ok(axum::serve(listener, routes).await?)
    })
}
