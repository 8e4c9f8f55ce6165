//! The socket for administrators: a file that only root and the aggregator's own user can
//! connect to. Who connects is asked for as well, see [`crate::admin`].

use std::fs::Permissions;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;

use tokio::net::{UnixListener, UnixStream};

use super::ServeError;

/// Listens there. A socket that nobody listens on any more is taken away first.
pub(super) async fn listen(path: &Path) -> Result<UnixListener, ServeError> {
    let failed = |source| ServeError::AdminSocket { path: path.to_owned(), source };
    if let Ok(metadata) = std::fs::symlink_metadata(path)
        && metadata.file_type().is_socket()
        && UnixStream::connect(path).await.is_err()
    {
        std::fs::remove_file(path).map_err(failed)?;
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}
