//! The wire: generated messages, and the conversions between them and the domain.
//!
//! [`v1`] is generated from `proto/nodeward/v1/*.proto` and committed. Everything that
//! is received passes one of the conversions here, which is the one place where
//! received data is validated: [`report`] for the envelope of a report, [`content`]
//! for one component's content, [`answer`] for what a reader is told.

pub mod answer;
#[cfg(feature = "authority")]
pub mod authority;
pub mod content;
mod convert;
pub mod digest;
pub mod identity;
pub mod report;

/// Generated messages and services of the package `nodeward.v1`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod v1 {
    include!("gen/nodeward.v1.rs");
}

/// The descriptor set of the package, for reflection and for the compatibility test.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!("gen/nodeward.v1.binpb");

/// Content of up to this many bytes travels inside a report; bigger content travels
/// by `PutContent`.
pub const INLINE_LIMIT_BYTES: usize = 16 * 1024;

/// The biggest content that is accepted: some ten times the package list of a node.
pub const CONTENT_LIMIT_BYTES: usize = 4 * 1024 * 1024;

/// The biggest message that is accepted on the wire.
pub const MESSAGE_LIMIT_BYTES: usize = 1024 * 1024;

/// The biggest frame between `collect` and `send`: a round with all its contents.
pub const FRAME_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// The size of one part of an upload.
pub const CHUNK_BYTES: usize = 64 * 1024;
