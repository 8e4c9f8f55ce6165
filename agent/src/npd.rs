//! Files of node-problem-detector, read as it reads them: rules for lines of logs, which
//! are followed here; plugins, of which none is ever run; system statistics, which are not
//! used. Source: pkg/systemlogmonitor and pkg/custompluginmonitor of its repository.
//!
//! Where this differs: what a permanent rule has found decays like everything that a log
//! tells, instead of staying until a restart; a file of which something does not hold is
//! named at the start, with rule and expression.

mod duration;
mod json;
mod layout;
mod monitor;
mod pattern;

use std::path::{Path, PathBuf};

use jiff::SignedDuration;

use json::{Fields, Json};

pub use duration::duration;
pub use layout::Layout;
pub use monitor::{Filelog, Follows, Matched, Matcher, Monitor, Rule};
pub use pattern::{PatternError, compile};

/// The longest file that is read.
const LIMIT_BYTES: u64 = 1024 * 1024;

/// So many files, and rules in all of them, are taken.
const FILES: usize = 128;
const RULES: usize = 2048;

/// Why a folder of rules cannot be used. Each is one line, and names the file.
#[derive(Debug, thiserror::Error)]
pub enum NpdError {
    /// The folder or a file in it cannot be read.
    #[error("--npd-config {path}: {source}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The folder has too much, or nothing.
    #[error("--npd-config {path}: {why}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file does not say what node-problem-detector would take.
    #[error("--npd-config {path}: {why}")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Where in it, and why.
        why: String,
    },
}

/// Everything that was imported.
#[derive(Debug, Clone, Default)]
pub struct Imported {
    /// The files, by name.
    pub files: Vec<File>,
}

/// One file.
#[derive(Debug, Clone)]
pub struct File {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
}

/// What a file is. It does not say so itself: node-problem-detector is told by the flag
/// that names the file, here its fields tell.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Rules for lines of a log.
    LogMonitor(Box<Monitor>),
    /// Programs that are to be run, which nobody does here.
    CustomPlugin {
        /// What it calls itself.
        source: String,
        /// How many rules it has.
        rules: usize,
    },
    /// Figures of the system.
    SystemStats,
    /// Something else, for that reason.
    Other(String),
}

/// Reads every `*.json` of a folder.
pub fn read(folder: &Path) -> Result<Imported, NpdError> {
    let unreadable = |path: &Path, source| NpdError::Unreadable { path: path.to_owned(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|source| unreadable(folder, source))? {
        let name = entry.map_err(|source| unreadable(folder, source))?.file_name();
        // A ConfigMap's own folders begin with dots.
        let name = name.to_string_lossy().into_owned();
        if name.ends_with(".json") && !name.starts_with('.') {
            names.push(name);
        }
    }
    let wrong = |why: String| NpdError::Folder { path: folder.to_owned(), why };
    if names.is_empty() {
        return Err(wrong("has no file that ends in .json".to_owned()));
    }
    if names.len() > FILES {
        return Err(wrong(format!("has {} files, at most {FILES} are taken", names.len())));
    }
    names.sort_unstable();
    let mut files = Vec::new();
    for name in names {
        let path = folder.join(&name);
        let bytes = limited(&path).map_err(|source| unreadable(&path, source))?;
        let kind = kind(&bytes).map_err(|why| NpdError::Malformed { path, why })?;
        files.push(File { name, kind });
    }
    let rules: usize = files.iter().map(File::rules).sum();
    if rules > RULES {
        return Err(wrong(format!("has {rules} rules, at most {RULES} are taken")));
    }
    Ok(Imported { files })
}

fn limited(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    // A FIFO would be waited for, and nobody may write to it.
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "is no regular file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(LIMIT_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT_BYTES {
        let why = format!("longer than the {LIMIT_BYTES} bytes that are read of it");
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

impl File {
    /// How many rules it has.
    #[must_use]
    pub fn rules(&self) -> usize {
        match &self.kind {
            Kind::LogMonitor(monitor) => monitor.rules.len(),
            Kind::CustomPlugin { rules, .. } => *rules,
            Kind::SystemStats | Kind::Other(_) => 0,
        }
    }
}

/// Fields that only system statistics have, each a table.
const STATISTICS: [&str; 7] = ["cpu", "disk", "host", "memory", "net", "osFeature", "gpu"];

/// Reads one file.
pub fn kind(bytes: &[u8]) -> Result<Kind, String> {
    let json = Json::read(bytes)?;
    let fields = match Fields::of(&json) {
        Ok(fields) => fields,
        Err(_) => return Ok(Kind::Other("is no object".to_owned())),
    };
    match fields.text("plugin")?.as_str() {
        "kmsg" | "journald" | "filelog" => {
            monitor::monitor(&fields).map(|monitor| Kind::LogMonitor(Box::new(monitor)))
        }
        "custom" => custom_plugin(&fields),
        "" => {
            let is_table = |name: &&str| matches!(fields.field(name), Some(Json::Object(_)));
            if STATISTICS.iter().any(is_table) {
                return Ok(Kind::SystemStats);
            }
            Ok(Kind::Other("has neither a plugin nor statistics".to_owned()))
        }
        other => Ok(Kind::Other(format!("plugin {other:?} is not known"))),
    }
}

/// Validates a file of plugins as node-problem-detector does, but for whether the programs
/// are there: they lie in its container, not in ours.
fn custom_plugin(fields: &Fields<'_>) -> Result<Kind, String> {
    let settings = fields.object("pluginConfig")?;
    let length = |fields: &Fields<'_>, name: &str| -> Result<Option<SignedDuration>, String> {
        let Some(text) = fields.optional_text(name)? else { return Ok(None) };
        match duration(&text) {
            Some(length) => Ok(Some(length)),
            None => Err(format!("{name}: {text:?} is no duration")),
        }
    };
    let positive = |name: &str, length: SignedDuration| match length > SignedDuration::ZERO {
        true => Ok(()),
        false => Err(format!("{name} must be longer than nothing")),
    };
    let interval = length(&settings, "invoke_interval")?.unwrap_or(SignedDuration::from_secs(30));
    positive("invoke_interval", interval)?;
    let timeout = length(&settings, "timeout")?.unwrap_or(SignedDuration::from_secs(5));
    for name in ["max_output_length", "concurrency"] {
        settings.number(name)?;
    }
    for name in ["enable_message_change_based_condition_update", "skip_initial_status"] {
        settings.truth(name)?;
    }
    fields.truth("metricsReporting")?;
    let conditions = fields.objects("conditions")?;
    let conditions: Vec<String> =
        conditions.iter().map(|one| one.text("type")).collect::<Result<_, _>>()?;
    let rules = fields.objects("rules")?;
    for (index, rule) in rules.iter().enumerate() {
        let (reason, condition) = (rule.text("reason")?, rule.text("condition")?);
        let of = |why: String| format!("rules[{index}] ({reason}): {why}");
        if let Some(own) = length(rule, "timeout").map_err(of)?
            && own > timeout
        {
            return Err(of(format!("timeout {own:#} is longer than the file's, {timeout:#}")));
        }
        if let Some(own) = length(rule, "invoke_interval").map_err(of)? {
            positive("invoke_interval", own).map_err(of)?;
        }
        rule.text("path")?;
        rule.texts("args")?;
        if rule.text("type")? == "permanent" && !conditions.contains(&condition) {
            return Err(of(format!("condition {condition:?} is not declared")));
        }
    }
    Ok(Kind::CustomPlugin { source: fields.text("source")?, rules: rules.len() })
}

#[cfg(test)]
mod tests;
