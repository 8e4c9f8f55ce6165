//! The parts of an upload, put together again.

use nodeward_proto::content::Content;
use nodeward_proto::digest::Digest;
use nodeward_proto::v1::put_content_request::Part;
use nodeward_proto::{CONTENT_LIMIT_BYTES, v1};
use tonic::{Status, Streaming};

fn refuse(why: String) -> Status {
    Status::invalid_argument(why)
}

/// The first part of an upload.
pub(super) async fn header(
    parts: &mut Streaming<v1::PutContentRequest>,
) -> Result<v1::ContentHeader, Status> {
    let Some(v1::PutContentRequest { part: Some(Part::Header(header)) }) = parts.message().await?
    else {
        return Err(refuse("header: must be the first part".to_owned()));
    };
    Ok(header)
}

/// Puts the further parts together and looks whether they are what was announced.
pub(super) async fn assemble(
    header: v1::ContentHeader,
    parts: &mut Streaming<v1::PutContentRequest>,
) -> Result<Content, Status> {
    let size = usize::try_from(header.size_bytes).unwrap_or(usize::MAX);
    if size > CONTENT_LIMIT_BYTES {
        return Err(refuse(format!(
            "header.size_bytes: {size}, at most {CONTENT_LIMIT_BYTES} are accepted"
        )));
    }
    // Grows with what really comes, not with what was announced.
    let mut bytes = Vec::new();
    while let Some(part) = parts.message().await? {
        let Some(Part::Chunk(chunk)) = part.part else {
            return Err(refuse("chunk: only chunks follow the header".to_owned()));
        };
        if bytes.len() + chunk.len() > size {
            return Err(refuse(format!("chunk: more than the {size} bytes of header.size_bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    if bytes.len() != size {
        return Err(refuse(format!("header.size_bytes: {size}, but {} came", bytes.len())));
    }
    let content = Content { component: header.component, form: header.form, bytes };
    if Digest::from_bytes(&header.digest) != Some(content.digest()) {
        return Err(refuse("header.digest: is not the digest of the content".to_owned()));
    }
    Ok(content)
}
