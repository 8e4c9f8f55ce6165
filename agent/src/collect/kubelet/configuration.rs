//! What a kubelet was told: the file of `--config`, drop-ins of `--config-dir` merged into
//! it by RFC 7396 in the order of their paths, and flags over both. Of each file it is told
//! when it was written, because a kubelet reads them at its start alone.

use jiff::{SignedDuration, Timestamp};
use nodeward_domain::facts::kubelet::{
    Configuration, ConfigurationFile, FileRole, FileState, Setting, SettingSource, Written,
};
use serde_json::Value;

use super::super::flags::Flags;
use super::keys::{Form, KEYS, Key};
use super::yaml::{self, Fault};
use super::{flags, value};
use crate::host::{Found, Host, HostError};

/// Where the configuration lies when no kubelet runs that says it: upstream's place, AKS's.
pub(super) const USUAL: [&str; 2] =
    ["/var/lib/kubelet/config.yaml", "/etc/default/kubeletconfig.json"];

/// Files with values of flags. They may hold a bootstrap token, and are not read.
pub(super) const ENVIRONMENTS: [&str; 3] =
    ["/etc/default/kubelet", "/etc/sysconfig/kubelet", "/var/lib/kubelet/kubeadm-flags.env"];

const LIMIT_BYTES: u64 = 1024 * 1024;

/// So many drop-ins are read, and so deep are folders in folders.
const DROP_INS: usize = 256;
const DEPTH: usize = 8;

/// The start of a process is told in whole seconds, of both boot and process.
const SLACK: SignedDuration = SignedDuration::from_secs(3);

/// Reads it. `started` is when the kubelet was started; none when none runs.
pub(super) fn read(host: &Host, flags: &Flags, found: Option<&Found>) -> Configuration {
    let started = match found {
        Some(found) => found.started_at(&host.root).map_err(|error| error.to_string()),
        None => Err("no kubelet runs".to_owned()),
    };
    let base = base(host, flags, found.is_some());
    let mut sources = Vec::new();
    let mut files = Vec::new();
    let drop_ins = flags.value("config-dir").map(|folder| drop_ins(host, folder));
    let (drop_ins, trouble) = match drop_ins.transpose() {
        Ok(paths) => (paths.unwrap_or_default(), None),
        Err(error) => (Vec::new(), Some(error)),
    };
    for path in base.iter().cloned().chain(drop_ins) {
        let read = document(host, &path);
        files.push(ConfigurationFile {
            role: FileRole::Settings,
            state: read.as_ref().err().cloned().unwrap_or(FileState::Good),
            written: written(host, &path, &started),
            path: path.clone(),
        });
        sources.extend(read.ok().map(|document| Source { path, document }));
    }
    files.extend(trouble.map(|error| ConfigurationFile {
        path: error.path().to_owned(),
        role: FileRole::Settings,
        state: state_of(&error),
        written: Written::Unknown(error.to_string()),
    }));
    let is_whole = files.iter().all(|file| file.state == FileState::Good);
    files.extend(environments(host, &started));
    // Of a kubelet that does not run it is not known whether it would have no file.
    let has_file = base.is_some() || found.is_none();
    let settings = if is_whole { settings(flags, &sources, has_file) } else { Vec::new() };
    Configuration { flags: flags::reported(flags), files, settings }
}

/// One setting alone, or why it is not known. `runs` is whether a kubelet runs.
pub(super) fn told(host: &Host, flags: &Flags, runs: bool, key: &str) -> Result<String, String> {
    let base = base(host, flags, runs);
    let drop_ins = flags.value("config-dir").map(|folder| drop_ins(host, folder)).transpose();
    let drop_ins = drop_ins.map_err(|error| format!("{}: {error}", error.path()))?;
    let has_file = base.is_some() || !runs;
    let mut sources = Vec::new();
    for path in base.into_iter().chain(drop_ins.unwrap_or_default()) {
        match document(host, &path) {
            Ok(document) => sources.push(Source { path, document }),
            Err(FileState::Refused(why) | FileState::Unreadable(why)) => {
                return Err(format!("{path}: {why}"));
            }
            Err(FileState::Good) => {}
        }
    }
    let settings = settings(flags, &sources, has_file);
    let setting = settings.into_iter().find(|setting| setting.key == key);
    setting.map(|setting| setting.value).ok_or_else(|| format!("{key} is no setting"))
}

/// The configuration file: what the flag names, and without a process the usual one.
fn base(host: &Host, flags: &Flags, runs: bool) -> Option<String> {
    match flags.value("config") {
        Some(path) => Some(path.to_owned()),
        None if runs => None,
        None => {
            USUAL.iter().find(|path| host.root.exists(path) != Ok(false)).map(|p| (*p).to_owned())
        }
    }
}

/// The files `*.conf` below a folder, in the order of their paths.
fn drop_ins(host: &Host, folder: &str) -> Result<Vec<String>, HostError> {
    let mut found = Vec::new();
    let mut pending = vec![(folder.trim_end_matches('/').to_owned(), 0)];
    while let Some((path, depth)) = pending.pop() {
        // What a link leads to a kubelet takes for a file, and never for a folder.
        if depth > 0 && host.root.link(&path)?.is_some() {
            if path.ends_with(".conf") {
                found.push(path);
            }
            continue;
        }
        match host.root.list(&path) {
            Ok(_) if depth == DEPTH => {
                let why = format!("lies {DEPTH} folders deep, which is not read");
                return Err(HostError::Malformed { path, why });
            }
            Ok(names) => {
                let below = names.iter().rev().map(|name| (format!("{path}/{name}"), depth + 1));
                pending.extend(below);
            }
            Err(HostError::System { errno: nix::errno::Errno::ENOTDIR, .. }) if depth > 0 => {
                if path.ends_with(".conf") {
                    found.push(path);
                }
            }
            Err(error) => return Err(error),
        }
        if found.len() > DROP_INS {
            let why = format!("has more than {DROP_INS} files, which are not read");
            return Err(HostError::Malformed { path: folder.to_owned(), why });
        }
    }
    Ok(found)
}

/// A file that was read.
struct Source {
    path: String,
    document: Value,
}

/// What a file is when it could not be read.
fn state_of(error: &HostError) -> FileState {
    match error {
        HostError::System { .. }
        | HostError::TooLong { .. }
        | HostError::NameNotText { .. }
        | HostError::TimeNotKept { .. }
        | HostError::InFuture { .. }
        | HostError::Changing { .. } => FileState::Unreadable(error.to_string()),
        HostError::Missing { .. }
        | HostError::WrongKind { .. }
        | HostError::NotText { .. }
        | HostError::Malformed { .. } => FileState::Refused(error.to_string()),
    }
}

/// A configuration in JSON or YAML.
fn document(host: &Host, path: &str) -> Result<Value, FileState> {
    let text = host.root.read_text(path, LIMIT_BYTES).map_err(|error| state_of(&error))?;
    let document = match text.trim_start().starts_with('{') {
        true => serde_json::from_str(&text).map_err(|e| FileState::Refused(e.to_string()))?,
        false => yaml::read(&text).map_err(|fault| match fault {
            Fault::Wrong(why) => FileState::Refused(why),
            Fault::NotRead(why) => FileState::Unreadable(why),
        })?,
    };
    acceptable(&document).map(|()| document).map_err(FileState::Refused)
}

/// Whether a kubelet would take it, as far as its kind and the settings that are read go.
fn acceptable(document: &Value) -> Result<(), String> {
    match document.get("kind").and_then(Value::as_str) {
        Some("KubeletConfiguration") => {}
        kind => {
            let kind = kind.unwrap_or_default();
            return Err(format!("its kind is {kind:?}, not \"KubeletConfiguration\""));
        }
    }
    for key in &KEYS {
        if let Some(member) = at(document, key.path) {
            value::of_json(key.form, member)
                .map_err(|form| format!("{} is not {form}", key.path))?;
        }
    }
    Ok(())
}

/// The member at a path; none when it is not there, or null, which counts as that.
fn at<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .try_fold(document, |value, part| value.get(part))
        .filter(|value| !value.is_null())
}

/// RFC 7396: members of the patch replace those of the target, and null removes one.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    if let Value::Object(target) = target {
        for (key, value) in patch {
            if value.is_null() {
                target.remove(key);
            } else {
                merge(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
    }
}

/// Every setting, in the kubelet's own order: flag, drop-ins from the last to the first,
/// file, default.
fn settings(flags: &Flags, sources: &[Source], has_file: bool) -> Vec<Setting> {
    let mut merged = Value::Null;
    for source in sources {
        merge(&mut merged, &source.document);
    }
    KEYS.iter().map(|key| setting(key, flags, sources, &merged, has_file)).collect()
}

fn setting(
    key: &Key,
    flags: &Flags,
    sources: &[Source],
    merged: &Value,
    has_file: bool,
) -> Setting {
    let of_file = at(merged, key.path).and_then(|value| value::of_json(key.form, value).ok());
    let of_flag = value::of_flag(key.form, flags.values(key.flag));
    let (value, source) = match (of_flag, of_file) {
        (Some(flag), Some(file)) if key.path == "featureGates" => {
            // Gates of the file that no flag names stay.
            let mut gates = value::members(&file);
            gates.extend(value::members(&flag));
            (value::joined(&gates), SettingSource::Flag(key.flag.to_owned()))
        }
        (Some(flag), _) => (flag, SettingSource::Flag(key.flag.to_owned())),
        (None, Some(file)) => {
            let last = sources.iter().rev().find(|source| at(&source.document, key.path).is_some());
            let path = last.map_or_else(String::new, |source| source.path.clone());
            (file, SettingSource::File(path))
        }
        (None, None) => {
            let default = if has_file { key.default } else { key.without_file };
            (default.to_owned(), SettingSource::Default)
        }
    };
    Setting { key: key.path.to_owned(), value, source, in_force: None }
}

/// Notes what the kubelet says is in force where that is something else than it was told,
/// from the answer of `/configz`. An error says what of the answer could not be compared.
pub(super) fn compare(settings: &mut [Setting], configz: &str) -> Result<(), String> {
    let document: Value = serde_json::from_str(configz).map_err(|error| error.to_string())?;
    let effective = document.get("kubeletconfig").ok_or("has no kubeletconfig")?;
    let mut compared = Ok(());
    for setting in settings {
        let Some(key) = KEYS.iter().find(|key| key.path == setting.key) else { continue };
        let in_force = match at(effective, key.path) {
            Some(member) => value::of_json(key.form, member),
            None => Ok(value::zero(key.form).to_owned()),
        };
        match in_force {
            Ok(value) if is_same(key.form, &setting.value, &value) => {}
            Ok(value) => setting.in_force = Some(value),
            Err(form) => compared = Err(format!("{} is not {form}", key.path)),
        }
    }
    compared
}

/// Whether what is in force is what was told. A kubelet adds members to some maps, and
/// never changes one that was given.
fn is_same(form: Form, told: &str, in_force: &str) -> bool {
    let in_force_members = || value::members(in_force);
    match form {
        Form::Map if !told.is_empty() => {
            let in_force = in_force_members();
            value::members(told).iter().all(|(key, value)| in_force.get(key) == Some(value))
        }
        _ => told == in_force,
    }
}

fn environments<'a>(
    host: &'a Host,
    started: &'a Result<Timestamp, String>,
) -> impl Iterator<Item = ConfigurationFile> + 'a {
    let there = ENVIRONMENTS.iter().filter(|path| host.root.exists(path) != Ok(false));
    there.map(|path| ConfigurationFile {
        path: (*path).to_owned(),
        role: FileRole::Environment,
        state: FileState::Good,
        written: written(host, path, started),
    })
}

fn written(host: &Host, path: &str, started: &Result<Timestamp, String>) -> Written {
    let at = match host.modified(path) {
        Ok(at) => at,
        Err(error) => return Written::Unknown(error.to_string()),
    };
    match started {
        Err(why) => Written::Unknown(why.clone()),
        Ok(started) if at.duration_since(*started) > SLACK => Written::AfterStart(at),
        Ok(_) => Written::BeforeStart,
    }
}
