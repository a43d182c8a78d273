//! MQTT at a Unix socket, for programs on this machine: no TLS, because nobody else can listen; the secret
//! of a token all the same, because not every program here may do everything.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr},
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hedgerow_listen::{Caller, SignIn};
use hedgerow_plane::Plane;
use hedgerow_wire::{Came, Entrance};
use tokio::{
    net::{UnixListener, UnixStream},
    time::sleep,
};

/// Who may open the socket: the hub's user and group.
const MODE: u32 = 0o660;
/// How long the door stays shut after the system refused to give another descriptor.
const PAUSE: Duration = Duration::from_millis(100);

/// The socket's file; it goes when this is dropped.
pub(super) struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Listens at `path`, in place of what a hub that died left there.
///
/// # Errors
/// When something else is there, or another hub listens, or the system refuses.
pub(super) async fn open(
    path: &Path,
    entrance: Entrance<Plane>,
    sign_in: Arc<SignIn>,
) -> io::Result<Socket> {
    if let Ok(found) = fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(io::Error::other("there is a file that is no socket"));
        }
        if UnixStream::connect(path).await.is_ok() {
            return Err(io::Error::other("another program listens there"));
        }
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    let socket = Socket(path.to_path_buf());
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    tokio::spawn(async move {
        let from = IpAddr::V4(Ipv4Addr::LOCALHOST);
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let came = Came { over: Some("socket"), from: Some(from) };
                    entrance.enter(stream, Caller::Unproven(sign_in.caller(from)), came);
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    });
    Ok(socket)
}
