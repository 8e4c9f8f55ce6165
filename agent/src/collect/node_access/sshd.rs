//! sshd's configuration, sshd_config(5): the first value that is given of a keyword holds, in
//! the order of the lines, with the files of `Include` where that stands. What stands behind
//! `Match`, up to the next one or the end of the file, takes the place of what holds else, for
//! the connections that it is about. Held against `sshd -T` by a test.

use nodeward_domain::facts::UnreadPlace;
use nodeward_domain::facts::node_access::{
    Sshd, SshdBlock, SshdCriterion, SshdSetting, SshdSettings,
};
use nodeward_domain::wildcard::fits;

use super::super::time_sync::units;
use super::{unread, unread_at};
use crate::host::{HostError, HostRoot, find_processes};

const PROGRAMS: [&str; 2] = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"];
const CONFIGURATION: &str = "/etc/ssh/sshd_config";

/// Relative paths of `Include` are meant from here.
const FOLDER: &str = "/etc/ssh";

const LIMIT_BYTES: u64 = 256 * 1024;

/// sshd's own limit of files that include each other.
const DEPTH: usize = 16;

/// So many files are read.
const FILES: usize = 256;

/// So many `Match` blocks are told; the others are counted.
const BLOCKS: usize = 64;

/// Criteria of `Match` that have no patterns behind them.
const ALONE: [&str; 4] = ["all", "canonical", "final", "invalid-user"];

/// The settings that are read: keyword, default, and whether each further value counts too.
const KEYWORDS: [(&str, &str, bool); 9] = [
    ("AuthorizedKeysCommand", "none", false),
    ("AuthorizedKeysFile", ".ssh/authorized_keys .ssh/authorized_keys2", false),
    ("KbdInteractiveAuthentication", "yes", false),
    ("PasswordAuthentication", "yes", false),
    ("PermitEmptyPasswords", "no", false),
    ("PermitRootLogin", "prohibit-password", false),
    ("Port", "22", true),
    ("PubkeyAuthentication", "yes", false),
    ("UsePAM", "no", false),
];

/// Former names of keywords.
const ALIASES: [(&str, &str); 2] = [
    ("challengeresponseauthentication", "kbdinteractiveauthentication"),
    ("skeyauthentication", "kbdinteractiveauthentication"),
];

/// What is seen of sshd. Processes that cannot be listed cost the component.
pub(super) fn read(root: &HostRoot) -> Result<Sshd, HostError> {
    let processes = find_processes(root, "sshd")?;
    // What cannot be looked at is there.
    let has_file = root.exists(CONFIGURATION).unwrap_or(true);
    let has_program = !root.existing(&PROGRAMS)?.is_empty();
    if processes.is_empty() && !has_file && !has_program {
        return Ok(Sshd::NotThere);
    }
    let wanted = units::wanted(root)?;
    let sockets = ["ssh.socket", "sshd.socket"];
    let starts_on_connect = wanted.iter().any(|name| sockets.contains(&name.as_str()));
    let arguments = processes.iter().find_map(|found| told_beside(&found.arguments));
    let settings = match arguments {
        Some(argument) => {
            let why = format!("{argument} says what its files do not");
            SshdSettings::Unreadable(unread_at("sshd's arguments", why))
        }
        None => settings(root),
    };
    Ok(Sshd::There { runs: !processes.is_empty(), starts_on_connect, settings })
}

/// An argument by which an sshd is told what its files do not say. The daemon writes its
/// command line anew, with `sshd: ` before it; one that serves a connection has another.
fn told_beside(arguments: &[String]) -> Option<String> {
    let line = arguments.join(" ");
    let line = line.strip_prefix("sshd: ").unwrap_or(&line);
    let mut words = line.split_whitespace();
    if !words.next()?.ends_with("/sshd") {
        return None;
    }
    let is_telling = |word: &&str| ["-f", "-o", "-p"].iter().any(|flag| word.starts_with(flag));
    words.find(is_telling).map(str::to_owned)
}

fn settings(root: &HostRoot) -> SshdSettings {
    let mut reading =
        Reading { root, found: Vec::new(), blocks: Vec::new(), match_blocks: 0, files: 0 };
    // Without a file sshd does not start.
    if let Err(unread) = reading.file(CONFIGURATION, 0, Context { block: None, is_for_all: true }) {
        return SshdSettings::Unreadable(unread);
    }
    let settings = KEYWORDS.iter().map(|(name, default, is_several)| {
        let mut found = reading.found.iter().filter(|one| one.name == *name);
        let mut setting = found.next().cloned().unwrap_or_else(|| SshdSetting {
            name: (*name).to_owned(),
            value: (*default).to_owned(),
            source: String::new(),
        });
        for one in found.filter(|_| *is_several) {
            setting.value = format!("{} {}", setting.value, one.value);
        }
        setting
    });
    SshdSettings::Read {
        settings: settings.collect(),
        blocks: reading.blocks,
        match_blocks: reading.match_blocks,
    }
}

/// Whom a line is about.
#[derive(Clone, Copy)]
struct Context {
    /// Those of a block, by its place among those that are told.
    block: Option<usize>,
    /// Everybody, as sshd takes it when it starts: outside of blocks, and behind `Match all`.
    is_for_all: bool,
}

/// What was read so far, in the order in which sshd takes it.
struct Reading<'a> {
    root: &'a HostRoot,
    found: Vec<SshdSetting>,
    blocks: Vec<SshdBlock>,
    match_blocks: u32,
    files: usize,
}

impl Reading<'_> {
    fn file(&mut self, path: &str, depth: usize, outside: Context) -> Result<(), UnreadPlace> {
        if depth > DEPTH {
            return Err(unread_at(path, format!("files include each other {DEPTH} deep")));
        }
        self.files += 1;
        if self.files > FILES {
            return Err(unread_at(path, format!("more than {FILES} files are included")));
        }
        let bytes = self.root.read(path, LIMIT_BYTES).map_err(|error| unread(&error))?;
        // A `Match` of an included file ends with it.
        let mut context = outside;
        for (number, line) in (1..).zip(String::from_utf8_lossy(&bytes).lines()) {
            let Some((keyword, arguments)) = words(line) else { continue };
            let place = format!("{path}:{number}");
            match keyword.as_str() {
                "match" => context = self.block(place, &arguments, outside),
                "include" => {
                    let before = self.blocks.len();
                    for pattern in &arguments {
                        self.include(pattern, depth + 1, context)?;
                    }
                    // Blocks of included files count before what stands behind them.
                    if self.blocks.len() > before
                        && let Some(block) = context.block.and_then(|block| self.blocks.get(block))
                    {
                        let SshdBlock { place, criteria, .. } = block.clone();
                        context.block = self.add(place, criteria);
                    }
                }
                keyword => self.set(keyword, &arguments, path, &place, context),
            }
        }
        Ok(())
    }

    /// A block that begins: where one stands around it, a connection must show the criteria of
    /// both.
    fn block(&mut self, place: String, arguments: &[String], outside: Context) -> Context {
        let own = criteria(arguments);
        let is_for_all = outside.is_for_all && own.is_empty();
        let around = outside.block.and_then(|block| self.blocks.get(block));
        let mut criteria = around.map(|block| block.criteria.clone()).unwrap_or_default();
        criteria.extend(own);
        Context { block: self.add(place, criteria), is_for_all }
    }

    fn add(&mut self, place: String, criteria: Vec<SshdCriterion>) -> Option<usize> {
        self.match_blocks = self.match_blocks.saturating_add(1);
        if self.blocks.len() >= BLOCKS {
            return None;
        }
        self.blocks.push(SshdBlock { place, criteria, settings: Vec::new() });
        Some(self.blocks.len() - 1)
    }

    fn set(
        &mut self,
        keyword: &str,
        arguments: &[String],
        path: &str,
        place: &str,
        context: Context,
    ) {
        let keyword =
            ALIASES.iter().find(|(old, _)| *old == keyword).map_or(keyword, |(_, new)| new);
        let known = KEYWORDS.iter().find(|(name, ..)| name.eq_ignore_ascii_case(keyword));
        let Some((name, ..)) = known else { return };
        let value = match *name {
            // Paths and commands keep their case, and are several.
            "AuthorizedKeysFile" | "AuthorizedKeysCommand" => {
                let quoted =
                    arguments.iter().map(|word| match word.contains(char::is_whitespace) {
                        true => format!("\"{word}\""),
                        false => word.clone(),
                    });
                quoted.collect::<Vec<_>>().join(" ")
            }
            _ => arguments.first().map(|word| word.to_ascii_lowercase()).unwrap_or_default(),
        };
        // The older word for the same.
        let value =
            if value == "without-password" { "prohibit-password".to_owned() } else { value };
        if context.is_for_all {
            let (name, value, source) = ((*name).to_owned(), value.clone(), path.to_owned());
            self.found.push(SshdSetting { name, value, source });
        }
        let block = context.block.and_then(|block| self.blocks.get_mut(block));
        if let Some(block) =
            block.filter(|block| !block.settings.iter().any(|one| one.name == *name))
        {
            let (name, source) = ((*name).to_owned(), place.to_owned());
            block.settings.push(SshdSetting { name, value, source });
        }
    }

    /// The files of a pattern of glob(7), in the order of their names. A pattern of no file
    /// is none, as for sshd.
    fn include(
        &mut self,
        pattern: &str,
        depth: usize,
        context: Context,
    ) -> Result<(), UnreadPlace> {
        let path = match pattern.starts_with('/') {
            true => pattern.to_owned(),
            false => format!("{FOLDER}/{pattern}"),
        };
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let is_pattern = |text: &str| text.contains(['*', '?', '[', '{', '~', '\\']);
        if is_pattern(folder) || name.contains(['[', '{', '~', '\\']) {
            return Err(unread_at(CONFIGURATION, format!("Include {pattern} is not followed")));
        }
        if !is_pattern(name) {
            return match self.root.exists(&path) {
                Ok(false) => Ok(()),
                _ => self.file(&path, depth, context),
            };
        }
        let names = match self.root.list(folder) {
            Err(HostError::Missing { .. }) => return Ok(()),
            names => names.map_err(|error| unread(&error))?,
        };
        // A name that begins with a dot is matched by its dot alone.
        let is_meant =
            |one: &&String| (name.starts_with('.') || !one.starts_with('.')) && fits(name, one);
        for one in names.iter().filter(is_meant) {
            self.file(&format!("{folder}/{one}"), depth, context)?;
        }
        Ok(())
    }
}

/// What a `Match` asks of a connection: criteria with their patterns, also as
/// `criterion=patterns`. `all` asks nothing.
fn criteria(arguments: &[String]) -> Vec<SshdCriterion> {
    let mut all = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let (name, patterns) = match word.split_once('=') {
            Some((name, patterns)) => (name.to_ascii_lowercase(), patterns.to_owned()),
            None => {
                let name = word.to_ascii_lowercase();
                let is_alone = ALONE.contains(&name.as_str());
                let patterns = if is_alone { None } else { words.next().cloned() };
                (name, patterns.unwrap_or_default())
            }
        };
        if name != "all" {
            all.push(SshdCriterion { name, patterns });
        }
    }
    all
}

/// The keyword of a line in lower case, and its arguments; none of an empty line.
fn words(line: &str) -> Option<(String, Vec<String>)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(|letter: char| letter.is_whitespace() || letter == '=');
    let (keyword, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    Some((keyword.to_ascii_lowercase(), arguments(rest)))
}

/// The arguments of a line: between blanks, or in quotes; up to a comment.
fn arguments(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('#', None) if word.is_none() => break,
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (_, Some(open)) if letter == open => quote = None,
            ('\\', _) => {
                let next = letters.next_if(|next| matches!(next, '\\' | '"' | '\'' | ' '));
                word.get_or_insert_default().push(next.unwrap_or('\\'));
            }
            (letter, None) if letter.is_whitespace() => all.extend(word.take()),
            (letter, _) => word.get_or_insert_default().push(letter),
        }
    }
    all.extend(word);
    all
}

#[cfg(test)]
mod tests;
