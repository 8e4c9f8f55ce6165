//! HTTP over TLS for the API server of the tests, on threads of its own, so that tests of any
//! kind can use it: connections, watches that last, and what is broken on purpose.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;

use super::answer::{self, Answer, Does, Request, Watch};
use super::{Asked, Fault, Shared, table};

type Body = BoxBody<Bytes, Infallible>;

/// Takes connections until the test ends.
pub(super) async fn serve(listener: std::net::TcpListener, tls: TlsAcceptor, shared: Arc<Shared>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("within the runtime");
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        // Counted before anybody looks whether it goes away, and until it is closed.
        let open = Open::of(&shared);
        tokio::spawn(async move {
            let _open = open;
            let mut told = shared.told.subscribe();
            if told.borrow_and_update().away {
                return;
            }
            // One that goes away takes its connections along.
            let leaves = async { told.wait_for(|told| told.away).await.is_ok() };
            tokio::select! {
                () = converse(stream, &tls, &shared) => {}
                _ = leaves => {}
            }
        });
    }
}

/// One connection that is open.
struct Open(Arc<Shared>);

impl Open {
    fn of(shared: &Arc<Shared>) -> Self {
        shared.open.send_modify(|open| *open += 1);
        Self(Arc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| *open -= 1);
    }
}

async fn converse(stream: TcpStream, tls: &TlsAcceptor, shared: &Arc<Shared>) {
    let Ok(stream) = tls.accept(stream).await else { return };
    let service = service_fn(|request| one(request, Arc::clone(shared)));
    let served = hyper::server::conn::http1::Builder::new();
    // Whoever asks may go at any time.
    let _ = served.serve_connection(TokioIo::new(stream), service).await;
}

async fn one(
    request: hyper::Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<hyper::Response<Body>, &'static str> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, 1 << 20).collect().await.map_err(|_| "the body is too long")?;
    let body = body.to_bytes();
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let request = Request {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: query(head.uri.query().unwrap_or_default()),
        accept: header("accept").unwrap_or_default(),
        token: header("authorization").and_then(|value| value.strip_prefix("Bearer ")),
        body: &body,
    };
    let asked = Asked { method: request.method.to_owned(), path: head.uri.to_string() };
    let fault = shared.lock().fault(asked);
    match fault {
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::HangUp) => return Err("hung up on purpose"),
        Some(Fault::Slow(delay)) => tokio::time::sleep(delay).await,
        Some(Fault::TooManyRequests { retry_after_seconds }) => {
            return Ok(whole(answer::too_many_requests(retry_after_seconds)));
        }
        Some(Fault::Fails) => {
            let message = "an error on the server has prevented the request from succeeding";
            return Ok(whole(answer::refusal(500, "InternalError", message, None)));
        }
        Some(Fault::Forgotten) => {
            let message = "The provided continue parameter is too old to display a consistent \
                           list result.";
            return Ok(whole(answer::refusal(410, "Expired", message, None)));
        }
        Some(Fault::Empty) => return Ok(plain(200, "{}")),
        Some(Fault::NoPage) => return Ok(plain(404, "404 page not found\n")),
        None => {}
    }
    let does = {
        let mut state = shared.lock();
        let now = state.now();
        answer::answer(&mut state, &request, now)
    };
    Ok(match does {
        Does::Answer(answer) => whole(answer),
        Does::Watch(watch) => watched(watch, shared),
    })
}

/// `a=b&c=d`, with what is written in percent.
fn query(text: &str) -> Vec<(String, String)> {
    let plain = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((first, after)) = rest.split_first() {
            let coded = (*first == b'%').then(|| after.get(..2)).flatten();
            let coded = coded.and_then(|hex| std::str::from_utf8(hex).ok());
            match coded.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                Some(byte) => {
                    bytes.push(byte);
                    rest = &after[2..];
                }
                None => {
                    bytes.push(if *first == b'+' { b' ' } else { *first });
                    rest = after;
                }
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| (plain(name), plain(value))).collect()
}

fn whole(answer: Answer) -> hyper::Response<Body> {
    let body = Full::new(Bytes::from(answer.body)).boxed();
    let mut response = hyper::Response::new(body);
    *response.status_mut() = hyper::StatusCode::from_u16(answer.status).expect("a status");
    for (name, value) in answer.headers {
        response.headers_mut().insert(name, value.parse().expect("a header's value"));
    }
    response
}

fn plain(status: u16, body: &str) -> hyper::Response<Body> {
    whole(Answer { status, headers: Vec::new(), body: body.into() })
}

/// A watch: one line for each event, for as long as it lasts.
fn watched(watch: Watch, shared: Arc<Shared>) -> hyper::Response<Body> {
    let (events, lines) = mpsc::channel(16);
    tokio::spawn(async move {
        let limit = watch.seconds.map_or(Duration::from_secs(3600), Duration::from_secs);
        // Whoever watches may go; its time may be over.
        let _ = tokio::time::timeout(limit, tell(watch, &shared, &events)).await;
    });
    let frames = tokio_stream::StreamExt::map(ReceiverStream::new(lines), |line: String| {
        Ok::<_, Infallible>(Frame::data(Bytes::from(line)))
    });
    let mut response = hyper::Response::new(StreamBody::new(frames).boxed());
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
    response
}

async fn tell(
    watch: Watch,
    shared: &Shared,
    events: &mpsc::Sender<String>,
) -> Result<(), mpsc::error::SendError<String>> {
    let Watch { selected, form, mut after, initial, marks_initial, bookmarks, .. } = watch;
    let mut told = shared.told.subscribe();
    let began = told.borrow_and_update().clone();
    let mut first = true;
    let line =
        |kind: &str, object: &Value| format!("{}\n", json!({ "type": kind, "object": object }));
    let bookmark = |revision: u64, mark: bool| {
        let mut metadata =
            json!({ "resourceVersion": revision.to_string(), "creationTimestamp": null });
        if mark {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let (kind, version) = (selected.resource.kind, selected.resource.api_version());
        json!({ "kind": kind, "apiVersion": version, "metadata": metadata })
    };
    let mut ahead = Vec::new();
    {
        let state = shared.lock();
        if initial {
            after = state.objects.revision();
            ahead.extend(state.objects.list(&selected).into_iter().cloned());
        }
    }
    for object in ahead {
        let now = shared.lock().now();
        let object = table::one(form, selected.resource, &object, first, now);
        first = false;
        events.send(line("ADDED", &object)).await?;
    }
    if marks_initial {
        events.send(line("BOOKMARK", &bookmark(after, true))).await?;
    }
    let every = shared.lock().bookmark_every;
    let mut ticks = tokio::time::interval(every);
    ticks.tick().await;
    loop {
        let (news, revision, compacted, now) = {
            let state = shared.lock();
            let objects = &state.objects;
            (objects.since(after, &selected), objects.revision(), objects.compacted(), state.now())
        };
        let ended = told.borrow_and_update().clone();
        if after < compacted && after < revision || ended.expired > began.expired {
            events.send(line("ERROR", &answer::gone(after, compacted))).await?;
            return Ok(());
        }
        if ended.closed > began.closed {
            return Ok(());
        }
        for (kind, object) in news {
            let object = table::one(form, selected.resource, &object, first, now);
            first = false;
            events.send(line(kind, &object)).await?;
        }
        after = revision;
        tokio::select! {
            changed = told.changed() => if changed.is_err() { return Ok(()) },
            _ = ticks.tick(), if bookmarks => {
                let object = bookmark(after, false);
                events.send(line("BOOKMARK", &object)).await?;
            }
        }
    }
}
