//! Frames between `collect` and `send` on their Unix socket: a four-byte big-endian
//! length, then one encoded round.

use nodeward_proto::{FRAME_LIMIT_BYTES, v1};
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Why a frame could not be passed on.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The socket failed or closed.
    #[error("the socket between collect and send failed")]
    Socket(#[from] std::io::Error),
    /// The frame is longer than any of ours.
    #[error("a frame of {0} bytes, at most {FRAME_LIMIT_BYTES} are passed")]
    TooLong(usize),
    /// The frame is not a round.
    #[error("a frame that is not a round")]
    Malformed(#[from] prost::DecodeError),
}

/// Writes one round.
pub async fn write(
    socket: &mut (impl AsyncWrite + Unpin),
    round: &v1::Round,
) -> Result<(), FrameError> {
    let bytes = round.encode_to_vec();
    let length = u32::try_from(bytes.len())
        .ok()
        .filter(|_| bytes.len() <= FRAME_LIMIT_BYTES)
        .ok_or(FrameError::TooLong(bytes.len()))?;
    socket.write_all(&length.to_be_bytes()).await?;
    socket.write_all(&bytes).await?;
    socket.flush().await?;
    Ok(())
}

/// Reads one round.
pub async fn read(socket: &mut (impl AsyncRead + Unpin)) -> Result<v1::Round, FrameError> {
    let length = socket.read_u32().await? as usize;
    if length > FRAME_LIMIT_BYTES {
        return Err(FrameError::TooLong(length));
    }
    let mut bytes = vec![0; length];
    socket.read_exact(&mut bytes).await?;
    Ok(v1::Round::decode(bytes.as_slice())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_round_passes_and_a_length_that_is_a_lie_is_refused() {
        let round = v1::Round { boot_id: "b".to_owned(), seq: 7, ..v1::Round::default() };
        let mut wire = Vec::new();
        write(&mut wire, &round).await.expect("a small round");
        assert_eq!(read(&mut wire.as_slice()).await.expect("what was written"), round);

        let mut lie: &[u8] = &[0xff, 0xff, 0xff, 0xff];
        assert!(matches!(read(&mut lie).await, Err(FrameError::TooLong(_))));
        let mut short = &wire[..wire.len() - 1];
        assert!(matches!(read(&mut short).await, Err(FrameError::Socket(_))));
    }
}
