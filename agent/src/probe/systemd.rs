//! Units of the host's systemd, asked over its system bus. Only `GetUnit`, which does
//! not load a unit, `GetUnitFileState` and `Get` are called. Properties are asked for one
//! by one, because all of them together would bring the environment and the credentials
//! of the unit into memory. Interfaces: org.freedesktop.systemd1(5).

pub(super) mod manager;

use std::time::Duration;

use jiff::Timestamp;
use nix::errno::Errno;
use nodeward_domain::facts::{Unit, UnitFile, UnitState};
use zbus::connection::{Builder, Connection};
use zbus::names::OwnedUniqueName;
use zbus::{Message, OwnedObjectPath, OwnedVariant, fdo};

use super::{CONNECT_LIMIT, socket};
use crate::host::{HostError, HostRoot, past};
use crate::reads::{Read, Shared};

/// sd_booted(3): there when systemd is process 1.
const BOOTED: &str = "/run/systemd/system";

/// The bus of the D-Bus specification. systemd has a socket of its own besides, which is
/// not meant for others.
const BUS: &str = "/run/dbus/system_bus_socket";

/// What is read of units.
pub(crate) const SHARED: Shared = Shared { word: "units", reads: READS };

const READS: &[Read] = &[
    Read::of(&[BOOTED], "Whether it is there. Not there: systemd is not what runs the node."),
    Read::of(
        &[BUS],
        "systemd is asked `GetUnit`, `GetUnitFileState` and single properties, never all of a \
         unit's: those would bring its environment and credentials. Not there, refused or no \
         answer in time: the unit is unknown, with the reason.",
    ),
    Read::of(
        &["org.freedesktop.systemd1/{unit}"],
        "LoadState, ActiveState, SubState, Result, UnitFileState, NRestarts, MainPID, \
         ExecMainStartTimestamp, ExecMainStartTimestampMonotonic, InactiveExitTimestampMonotonic, \
         NeedDaemonReload, WatchdogUSec, LimitNOFILE, FragmentPath and DropInPaths, over that bus.",
    ),
    Read::of(
        &[
            "/etc/systemd/system/**",
            "/run/systemd/**",
            "/usr/lib/systemd/system/**",
            "/lib/systemd/system/**",
        ],
        FILES,
    ),
];

const FILES: &str = "Of the files that systemd names of the unit when each was written.";

const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";

/// All units must have been told about in this time, connecting included.
const LIMIT: Duration = Duration::from_secs(5);

/// Why systemd did not tell.
#[derive(Debug, thiserror::Error)]
enum SystemdError {
    /// A file of the host could not be seen.
    #[error("{path}: {0}", path = .0.path())]
    Host(#[from] HostError),
    /// The agent may not use the bus.
    #[error("{BUS}: permission denied")]
    Denied,
    /// Nobody listens on the bus.
    #[error("{BUS}: {0}")]
    Connect(std::io::Error),
    /// The bus or systemd refused, or answered with what is not understood.
    #[error("{BUS}: {0}")]
    Bus(#[from] zbus::Error),
    /// No answer in time.
    #[error("{BUS}: no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
}

/// What systemd says of units, in the order in which they are named.
pub(super) fn ask(
    runtime: &tokio::runtime::Handle,
    root: &HostRoot,
    names: &[&str],
) -> Vec<UnitState> {
    let of_all = |state: UnitState| vec![state; names.len()];
    let unreadable = |error: SystemdError| UnitState::Unreadable { why: error.to_string() };
    match root.exists(BOOTED) {
        Ok(true) => {}
        Ok(false) => return of_all(UnitState::NoSystemd),
        Err(error) => return of_all(unreadable(error.into())),
    }
    let answered = runtime.block_on(async {
        let asked = tokio::time::timeout(LIMIT, units(root, names));
        asked.await.unwrap_or(Err(SystemdError::TimedOut(LIMIT)))
    });
    answered.unwrap_or_else(|error| of_all(unreadable(error)))
}

async fn units(root: &HostRoot, names: &[&str]) -> Result<Vec<UnitState>, SystemdError> {
    let bus = Bus::connect(root).await?;
    let mut states = Vec::with_capacity(names.len());
    for name in names {
        states.push(bus.unit(root, name).await?);
    }
    Ok(states)
}

/// A connection to the bus, and systemd's own name on it. Calls to a unique name never
/// make the bus start somebody.
struct Bus {
    connection: Connection,
    systemd: OwnedUniqueName,
}

impl Bus {
    async fn connect(root: &HostRoot) -> Result<Self, SystemdError> {
        let handle = root.socket(BUS).map_err(|error| match error {
            HostError::System { errno: Errno::EACCES | Errno::EPERM, .. } => SystemdError::Denied,
            error => error.into(),
        })?;
        let stream = socket::connect(handle).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::TimedOut => SystemdError::TimedOut(CONNECT_LIMIT),
            std::io::ErrorKind::PermissionDenied => SystemdError::Denied,
            _ => SystemdError::Connect(error),
        })?;
        let stream = stream.into_std().map_err(SystemdError::Connect)?;
        let connection = Builder::unix_stream(stream).build().await?;
        let owner = connection
            .call_method(
                Some("org.freedesktop.DBus"),
                "/org/freedesktop/DBus",
                Some("org.freedesktop.DBus"),
                "GetNameOwner",
                &SYSTEMD,
            )
            .await?;
        let systemd = owner.body().deserialize()?;
        Ok(Self { connection, systemd })
    }

    /// What systemd says of one unit.
    async fn unit(&self, root: &HostRoot, name: &str) -> Result<UnitState, SystemdError> {
        let path: OwnedObjectPath = match self.manager("GetUnit", name).await {
            Ok(found) => found.body().deserialize()?,
            Err(zbus::Error::MethodError(error, ..)) if error == NO_SUCH_UNIT => {
                return Ok(UnitState::NotLoaded { file_state: self.file_state(name).await? });
            }
            Err(error) => return Err(error.into()),
        };
        let of = Properties { bus: self, path };
        let started_at: u64 = of.get(SERVICE, "ExecMainStartTimestamp").await?;
        let file: String = of.get(UNIT, "FragmentPath").await?;
        let drop_ins: Vec<String> = of.get(UNIT, "DropInPaths").await?;
        let seen = |path: String| seen(root, path);
        Ok(UnitState::Loaded(Box::new(Unit {
            load_state: of.get(UNIT, "LoadState").await?,
            active_state: of.get(UNIT, "ActiveState").await?,
            sub_state: of.get(UNIT, "SubState").await?,
            result: of.get(SERVICE, "Result").await?,
            file_state: of.get(UNIT, "UnitFileState").await?,
            restarts: of.get(SERVICE, "NRestarts").await?,
            main_pid: of.get(SERVICE, "MainPID").await?,
            main_started_microseconds_after_boot: of
                .get(SERVICE, "ExecMainStartTimestampMonotonic")
                .await?,
            main_started_at: moment(started_at),
            start_began_microseconds_after_boot: of
                .get(UNIT, "InactiveExitTimestampMonotonic")
                .await?,
            needs_daemon_reload: of.get(UNIT, "NeedDaemonReload").await?,
            watchdog_microseconds: of.get(SERVICE, "WatchdogUSec").await?,
            open_files_limit: Some(of.get(SERVICE, "LimitNOFILE").await?),
            file: (!file.is_empty()).then(|| seen(file)),
            drop_ins: drop_ins.into_iter().map(seen).collect(),
        })))
    }

    /// What the files of a unit say that systemd does not hold; empty without files.
    async fn file_state(&self, name: &str) -> Result<String, SystemdError> {
        match self.manager("GetUnitFileState", name).await {
            Ok(state) => Ok(state.body().deserialize()?),
            Err(zbus::Error::FDO(error)) if matches!(*error, fdo::Error::FileNotFound(_)) => {
                Ok(String::new())
            }
            Err(zbus::Error::MethodError(error, ..)) if error == NO_SUCH_UNIT => Ok(String::new()),
            Err(error) => Err(error.into()),
        }
    }

    async fn manager(&self, method: &str, name: &str) -> zbus::Result<Message> {
        self.call("/org/freedesktop/systemd1", MANAGER, method, &name).await
    }

    async fn property<T>(&self, path: &str, interface: &str, name: &str) -> zbus::Result<T>
    where
        T: TryFrom<OwnedVariant>,
        zbus::Error: From<T::Error>,
    {
        const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
        let answer = self.call(path, PROPERTIES, "Get", &(interface, name)).await?;
        let value: OwnedVariant = answer.body().deserialize()?;
        Ok(value.try_into()?)
    }

    async fn call<B: serde::Serialize + zbus::DynamicType>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        body: &B,
    ) -> zbus::Result<Message> {
        let systemd = Some(self.systemd.as_ref());
        self.connection.call_method(systemd, path, Some(interface), method, body).await
    }
}

const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";

/// The properties of one unit.
struct Properties<'a> {
    bus: &'a Bus,
    path: OwnedObjectPath,
}

impl Properties<'_> {
    async fn get<T>(&self, interface: &str, name: &str) -> zbus::Result<T>
    where
        T: TryFrom<OwnedVariant>,
        zbus::Error: From<T::Error>,
    {
        self.bus.property(self.path.as_str(), interface, name).await
    }
}

fn seen(root: &HostRoot, path: String) -> UnitFile {
    // One that is yet to come says nothing.
    let modified = root.modified(&path);
    let modified_at = modified.and_then(|at| past(&path, at, Some(Timestamp::now()))).ok();
    UnitFile { modified_at, path }
}

/// A moment of systemd's; none for the zero that stands for never.
fn moment(microseconds: u64) -> Option<Timestamp> {
    let microseconds = i64::try_from(microseconds).ok().filter(|moment| *moment > 0)?;
    Timestamp::from_microsecond(microseconds).ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What is said of one unit below a root that has these files, and a folder if the
    /// name ends so.
    async fn said(files: &[&str]) -> UnitState {
        let folder = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            match file.ends_with('/') {
                true => std::fs::create_dir_all(path).expect("made"),
                false => std::fs::write(path, "").expect("written"),
            }
        }
        asked(folder.path()).await
    }

    async fn asked(root: &Path) -> UnitState {
        let root = HostRoot::open(root).expect("a directory");
        let runtime = tokio::runtime::Handle::current();
        let asking = tokio::task::spawn_blocking(move || ask(&runtime, &root, &["x.service"]));
        asking.await.expect("it answers").pop().expect("one unit")
    }

    #[tokio::test]
    async fn without_systemd_there_are_no_units() {
        assert_eq!(said(&[]).await, UnitState::NoSystemd);
    }

    #[tokio::test]
    async fn a_bus_that_is_not_there_or_is_none_is_named() {
        for (files, why) in [
            (&["run/systemd/system/"][..], "not there"),
            (&["run/systemd/system/", "run/dbus/system_bus_socket"], "is a regular file"),
        ] {
            let UnitState::Unreadable { why: said } = said(files).await else { panic!("read") };
            assert!(said.starts_with(&format!("{BUS}: {why}")), "{said}");
        }
    }

    #[tokio::test]
    async fn one_who_listens_and_is_no_bus_is_told_from_systemd() {
        let folder = tempfile::tempdir().expect("a folder");
        for path in ["run/systemd/system", "run/dbus"] {
            std::fs::create_dir_all(folder.path().join(path)).expect("made");
        }
        let path = folder.path().join(BUS.trim_start_matches('/'));
        let listener = std::os::unix::net::UnixListener::bind(path).expect("a socket");
        std::thread::spawn(move || {
            use std::io::Write as _;
            for mut stream in listener.incoming().flatten() {
                let _ = stream.write_all(b"HTTP/1.1 418 I am a teapot\r\n\r\n");
            }
        });
        let UnitState::Unreadable { why } = asked(folder.path()).await else { panic!("read") };
        assert!(why.starts_with(BUS), "{why}");
    }
}
