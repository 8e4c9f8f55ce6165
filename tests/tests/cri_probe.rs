//! What the probe of the container runtime makes of an answer that is long, or too long: a
//! stand-in, because no runtime of a test has thousands of pods.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use nodeward_agent::host::HostRoot;
use nodeward_agent::probe::cri::{Heard, ask};
use nodeward_domain::facts::containerd::Reply;
use prost::bytes::{BufMut as _, Bytes, BytesMut};
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::NamedService;
use tonic::transport::Server;

/// A runtime whose list of sandboxes has so many bytes, and which knows nothing else.
#[derive(Clone)]
struct Runtime {
    list: Bytes,
}

impl Runtime {
    /// Each sandbox with an annotation of 64 KiB, the fields as in CRI's `PodSandbox`.
    fn with(sandboxes: usize) -> Self {
        let field = |number: u8, content: &[u8]| {
            let mut field = vec![number << 3 | 2];
            prost::encoding::encode_varint(content.len() as u64, &mut field);
            field.extend_from_slice(content);
            field
        };
        let annotation = [field(1, b"a"), field(2, &vec![b'x'; 64 * 1024])].concat();
        let sandbox = [field(1, b"id"), field(7, &annotation)].concat();
        let message = field(1, &sandbox).repeat(sandboxes);
        let mut list = BytesMut::new();
        list.put_u8(0);
        list.put_u32(u32::try_from(message.len()).expect("below 4 GiB"));
        list.put_slice(&message);
        Self { list: list.freeze() }
    }
}

impl Service<http::Request<Body>> for Runtime {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, asked: http::Request<Body>) -> Self::Future {
        let answer = http::Response::builder().header("content-type", "application/grpc");
        let answer = match asked.uri().path() {
            "/runtime.v1.RuntimeService/ListPodSandbox" => {
                let mut trailers = http::HeaderMap::new();
                trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
                let body = Full::new(self.list.clone());
                answer.body(Body::new(body.with_trailers(std::future::ready(Some(Ok(trailers))))))
            }
            _ => answer.header("grpc-status", "12").body(Body::empty()),
        };
        Box::pin(async { Ok(answer.expect("an answer")) })
    }
}

impl NamedService for Runtime {
    const NAME: &'static str = "runtime.v1.RuntimeService";
}

/// What is heard of a runtime with so many sandboxes.
async fn heard(sandboxes: usize) -> Heard {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = UnixListener::bind(folder.path().join("cri.sock")).expect("a socket");
    let serving = Server::builder()
        .add_service(Runtime::with(sandboxes))
        .serve_with_incoming(UnixListenerStream::new(listener));
    let serving = tokio::spawn(serving);
    let root = HostRoot::open(folder.path()).expect("a directory");
    let runtime = tokio::runtime::Handle::current();
    let heard = tokio::task::spawn_blocking(move || {
        ask(&runtime, &root, "/cri.sock", Duration::from_secs(20))
    });
    let heard = heard.await.expect("no panic");
    serving.abort();
    heard
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_of_sandboxes_is_read_and_one_that_is_too_long_accuses_nobody() {
    // Some 6 MiB, more than tonic takes by itself.
    let long = heard(100).await;
    assert!(long.replies.list_pod_sandbox.answered().is_some(), "{:?}", long.replies);
    assert_eq!(long.ready_sandboxes, Some(100));
    let too_long = heard(300).await;
    let Reply::NotAsked { why } = &too_long.replies.list_pod_sandbox else {
        panic!("{:?}", too_long.replies)
    };
    assert!(why.contains("16777216"), "{why}");
    assert_eq!(too_long.ready_sandboxes, None);
}
