//! Is there room left. Space comes and goes: what is too little counts once three rounds in
//! a row have seen it.

use jiff::Timestamp;

use super::threshold::{self, Threshold};
use super::{confirmed, customer, facts, filesystem, verdict_or};
use crate::check::{Evidence, Scope, Verdict};
use crate::facts::kubelet::Setting;
use crate::facts::{Filesystem, FilesystemPlace, FilesystemSize, PlaceRole};
use crate::measured::Measurements;
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::Action;

/// What is left on a file system nobody has set a threshold for.
const LEFT: Threshold = Threshold::Ratio(0.05);
const LEFT_WORDS: &str = "5%";

/// What was measured of one file system.
struct Room {
    total_bytes: u64,
    available_bytes: u64,
    /// None where there is no limit of inodes.
    inodes: Option<(u64, u64)>,
}

/// What was measured of the file system of a place, or why nothing was.
fn room(
    filesystem: &Filesystem,
    place: &FilesystemPlace,
    m: &Measurements,
) -> Result<Room, String> {
    let role = filesystem.measured_as(place);
    let size = filesystem.place(role).map_or(&place.size, |measured| &measured.size);
    let total_bytes = match size {
        FilesystemSize::Bytes(total) => *total,
        FilesystemSize::Unseen(why) => return Err(why.clone()),
    };
    let (available, total_inodes, free_inodes) = match role {
        PlaceRole::Root => (
            m.filesystem_root_available_bytes,
            m.filesystem_root_total_inodes,
            m.filesystem_root_free_inodes,
        ),
        PlaceRole::Kubelet => (
            m.filesystem_kubelet_available_bytes,
            m.filesystem_kubelet_total_inodes,
            m.filesystem_kubelet_free_inodes,
        ),
        PlaceRole::Images => (
            m.filesystem_images_available_bytes,
            m.filesystem_images_total_inodes,
            m.filesystem_images_free_inodes,
        ),
        PlaceRole::Logs => (
            m.filesystem_logs_available_bytes,
            m.filesystem_logs_total_inodes,
            m.filesystem_logs_free_inodes,
        ),
    };
    let lacking = || "was not measured in this round".to_owned();
    Ok(Room {
        total_bytes,
        available_bytes: available.ok_or_else(lacking)?,
        inodes: total_inodes.zip(free_inodes).filter(|(total, _)| *total > 0),
    })
}

/// The file system of a place, as evidence names it.
fn name(place: &FilesystemPlace) -> String {
    match place.path == place.mount_point {
        true => format!("statfs {}", place.path),
        false => format!("statfs {} (on {})", place.path, place.mount_point),
    }
}

/// Bytes in the unit that fits them.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "0 %".to_owned();
    }
    format!("{:.1} %", part as f64 * 100.0 / whole as f64)
}

fn space(place: &FilesystemPlace, room: &Room, expected: &str) -> Evidence {
    let share = percent(room.available_bytes, room.total_bytes);
    let (left, all) = (bytes(room.available_bytes), bytes(room.total_bytes));
    Evidence::new(name(place), format!("{left} of {all} available ({share})"), expected)
}

/// A setting of the kubelet, or why nobody acts on it.
fn setting<'a>(history: &'a NodeHistory, key: &str) -> Result<&'a Setting, Verdict> {
    let (kubelet, _) = facts(&history.kubelet, "no kubelet: nobody evicts pods")?;
    kubelet.configuration.setting(key).ok_or_else(|| {
        Verdict::unknown("what the kubelet was told is not known, see its own checks", Vec::new())
    })
}

/// The kubelet's threshold of one signal; none where it has none.
fn eviction(history: &NodeHistory, signal: &str) -> Result<Option<(Threshold, String)>, Verdict> {
    let setting = setting(history, "evictionHard")?;
    threshold::of(setting, signal).map_err(|why| Verdict::unknown(why, Vec::new()))
}

/// Whether a place has less space than the kubelet needs there. None where it has no
/// threshold or nothing was measured.
fn is_below(history: &NodeHistory, role: PlaceRole, signal: &str) -> Option<bool> {
    let filesystem = history.filesystem.present()?;
    let place = filesystem.place(role)?;
    let (threshold, _) = eviction(history, signal).ok()??;
    let room = room(filesystem, place, history.measured.newest()).ok()?;
    Some(threshold.is_crossed(room.available_bytes, room.total_bytes))
}

const NODEFS: (PlaceRole, &str) = (PlaceRole::Kubelet, "nodefs.available");
const IMAGEFS: (PlaceRole, &str) = (PlaceRole::Images, "imagefs.available");

/// Whether two places lie on one file system.
fn is_shared(filesystem: &Filesystem, a: PlaceRole, b: PlaceRole) -> bool {
    let device = |role| filesystem.place(role).map(|place| &place.device);
    device(a).is_some() && device(a) == device(b)
}

/// Judges a place by the kubelet's threshold.
fn evicts(
    history: &NodeHistory,
    scope: &Scope,
    (role, signal): (PlaceRole, &str),
    look: &str,
) -> Verdict {
    let (filesystem, _) = verdict_or!(filesystem(history));
    let threshold = verdict_or!(eviction(history, signal));
    let Some((threshold, told)) = threshold else {
        return Verdict::not_applicable(format!("the kubelet has no threshold {signal}"));
    };
    let Some(place) = filesystem.place(role) else {
        return Verdict::not_applicable("there is no such folder");
    };
    let room = match room(filesystem, place, history.measured.newest()) {
        Ok(room) => room,
        Err(why) => return Verdict::unknown(format!("{}: {why}", place.path), Vec::new()),
    };
    let expected = format!("at least {told} (evictionHard {signal})");
    let evidence = vec![space(place, &room, &expected)];
    if !threshold.is_crossed(room.available_bytes, room.total_bytes) {
        return Verdict::pass(evidence);
    }
    let since = verdict_or!(confirmed(scope.standing, &evidence));
    let share = percent(room.available_bytes, room.total_bytes);
    let message =
        format!("{share} of the space of {} is left: the kubelet evicts pods", place.mount_point);
    let action = Action::Investigate { at: look.to_owned() };
    Verdict::fail(message, since, customer(action), evidence)
}

pub(super) fn kubelets(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    const LOOK: &str = "what fills it: volumes and logs of pods (du -x)";
    evicts(history, scope, NODEFS, LOOK)
}

pub(super) fn images(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    const LOOK: &str = "what fills it: images (crictl images) and what containers write";
    let (filesystem, _) = verdict_or!(filesystem(history));
    let shares = is_shared(filesystem, PlaceRole::Kubelet, PlaceRole::Images);
    if shares && is_below(history, NODEFS.0, NODEFS.1) == Some(true) {
        return Verdict::not_applicable("the same file system, see NodeFilesystemFull");
    }
    evicts(history, scope, IMAGEFS, LOOK)
}

pub(super) fn headroom(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    const KEY: &str = "imageGCHighThresholdPercent";
    let (filesystem, _) = verdict_or!(filesystem(history));
    let setting = verdict_or!(setting(history, KEY));
    let Ok(high) = setting.effective().parse::<u32>() else {
        let why = format!("{KEY} is {:?}, which is no number", setting.effective());
        return Verdict::unknown(why, Vec::new());
    };
    if high >= 100 {
        return Verdict::not_applicable("the kubelet deletes no images for room");
    }
    let Some(place) = filesystem.place(PlaceRole::Images) else {
        return Verdict::not_applicable("there is no folder of images");
    };
    for ((role, signal), check) in
        [(NODEFS, "NodeFilesystemFull"), (IMAGEFS, "ImageFilesystemFull")]
    {
        let is_same = is_shared(filesystem, role, PlaceRole::Images);
        if is_same && is_below(history, role, signal) == Some(true) {
            return Verdict::not_applicable(format!("see {check}"));
        }
    }
    let room = match room(filesystem, place, history.measured.newest()) {
        Ok(room) => room,
        Err(why) => return Verdict::unknown(format!("{}: {why}", place.path), Vec::new()),
    };
    let wanted = Threshold::Ratio(f64::from(100 - high) / 100.0);
    let expected = format!("at least {}% ({KEY} {high})", 100 - high);
    let evidence = vec![space(place, &room, &expected)];
    if !wanted.is_crossed(room.available_bytes, room.total_bytes) {
        return Verdict::pass(evidence);
    }
    let since = verdict_or!(confirmed(scope.standing, &evidence));
    let message = format!(
        "{} is left for images: the kubelet has deleted what nobody uses, or is about to",
        bytes(room.available_bytes)
    );
    let at = "what else fills it (du -x), and how big the pool's disks are".to_owned();
    Verdict::fail(message, since, customer(Action::Investigate { at }), evidence)
}

/// The places of the system whose file system no threshold of the kubelet watches.
fn unwatched<'a>(
    history: &NodeHistory,
    filesystem: &'a Filesystem,
) -> Result<Vec<&'a FilesystemPlace>, Verdict> {
    let mut watched = Vec::new();
    for (role, signal) in [NODEFS, IMAGEFS] {
        let Some(place) = filesystem.place(role) else { continue };
        // Where nobody evicts, or nobody knows, the system's own line holds.
        if matches!(eviction(history, signal), Ok(Some(_))) {
            watched.push(&place.device);
        }
    }
    let mut places: Vec<&FilesystemPlace> = Vec::new();
    for place in [PlaceRole::Root, PlaceRole::Logs].map(|role| filesystem.place(role)) {
        let Some(place) = place else { continue };
        let is_told = places.iter().any(|other| other.device == place.device);
        if !watched.contains(&&place.device) && !is_told {
            places.push(place);
        }
    }
    match places.is_empty() {
        true => Err(Verdict::not_applicable("the same file system, see NodeFilesystemFull")),
        false => Ok(places),
    }
}

pub(super) fn systems(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (filesystem, _) = verdict_or!(filesystem(history));
    let places = verdict_or!(unwatched(history, filesystem));
    let seen = places.into_iter().map(|place| {
        let room = room(filesystem, place, history.measured.newest());
        room.map_err(|why| format!("{}: {why}", place.path)).map(|room| {
            let expected = format!("at least {LEFT_WORDS}");
            let is_low = LEFT.is_crossed(room.available_bytes, room.total_bytes);
            let says = format!(
                "{} of the space of {} is left",
                percent(room.available_bytes, room.total_bytes),
                place.mount_point
            );
            (is_low.then_some(says), space(place, &room, &expected))
        })
    });
    worst(seen.collect(), scope, "what fills it (du -x), and the journal's SystemMaxUse")
}

pub(super) fn inodes(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (filesystem, _) = verdict_or!(filesystem(history));
    let mut seen = Vec::new();
    let mut devices: Vec<&str> = Vec::new();
    // The kubelet's places first: on a file system that others share its threshold counts.
    for role in [PlaceRole::Kubelet, PlaceRole::Images, PlaceRole::Root, PlaceRole::Logs] {
        let Some(place) = filesystem.place(role).filter(|p| !devices.contains(&&*p.device)) else {
            continue;
        };
        devices.push(&place.device);
        let signal = match role {
            PlaceRole::Kubelet => Some("nodefs.inodesFree"),
            PlaceRole::Images => Some("imagefs.inodesFree"),
            PlaceRole::Root | PlaceRole::Logs => None,
        };
        let evicts = signal.and_then(|signal| {
            let (threshold, told) = eviction(history, signal).ok()??;
            Some((threshold, format!("at least {told} (evictionHard {signal})")))
        });
        let (threshold, expected) =
            evicts.unwrap_or_else(|| (LEFT, format!("at least {LEFT_WORDS}")));
        match room(filesystem, place, history.measured.newest()) {
            Err(why) => seen.push(Err(format!("{}: {why}", place.path))),
            Ok(Room { inodes: None, .. }) => {}
            Ok(Room { inodes: Some((total, free)), .. }) => {
                let share = percent(free, total);
                let actual = format!("{free} of {total} inodes free ({share})");
                let says = format!("{share} of the inodes of {} are left", place.mount_point);
                let is_low = threshold.is_crossed(free, total);
                seen.push(Ok((
                    is_low.then_some(says),
                    Evidence::new(name(place), actual, expected),
                )));
            }
        }
    }
    if seen.is_empty() {
        return Verdict::not_applicable("no file system has a limit of inodes");
    }
    worst(seen, scope, "which folders hold many small files (du -x --inodes)")
}

/// One verdict over several file systems: what is low on one is told although another was
/// not seen.
fn worst(
    seen: Vec<Result<(Option<String>, Evidence), String>>,
    scope: &Scope,
    look: &str,
) -> Verdict {
    let (mut evidence, mut low, mut unseen) = (Vec::new(), Vec::new(), None);
    for one in seen {
        match one {
            Ok((says, told)) => {
                low.extend(says);
                evidence.push(told);
            }
            Err(why) => unseen = unseen.or(Some(why)),
        }
    }
    if low.is_empty() {
        return match unseen {
            Some(why) => Verdict::unknown(why, evidence),
            None => Verdict::pass(evidence),
        };
    }
    let since = verdict_or!(confirmed(scope.standing, &evidence));
    let action = Action::Investigate { at: look.to_owned() };
    Verdict::fail(low.join("; "), since, customer(action), evidence)
}
