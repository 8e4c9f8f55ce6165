//! Which pools a plan is about.
//!
//! ```text
//! selection := term *( ( "," | " and " ) term )         all terms must hold; empty for all pools
//! term      := key ( "=" | "!=" ) pattern
//! key       := cluster | pool | os | mode | region | zone | channel | tag:NAME
//! pattern   := letters as they are, in any case; "*" stands for any letters
//! ```
//!
//! A pool that does not say what a term asks for is neither in nor out: the plan lists it as
//! not decided. A pool without a tag differs from every value of it.

use super::input::PoolInput;
use crate::pool::{NodeOsChannel, PoolMode};

/// Which pools.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    key: Key,
    is_equal: bool,
    pattern: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Cluster,
    Pool,
    Os,
    Mode,
    Region,
    Zone,
    Channel,
    Tag(String),
}

/// Whether a pool is selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selected {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// It cannot be said, because this is not known of it.
    Undecided(String),
}

/// Why a text selects nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("selection: {problem} in {term:?} (term {number}); as cluster=prod-*,tag:env!=frozen")]
pub struct NoSelection {
    /// The term.
    pub term: String,
    /// Which term that is, from 1.
    pub number: usize,
    /// What is wrong with it.
    pub problem: SelectionProblem,
}

/// What is wrong with a term.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionProblem {
    /// It is empty.
    #[error("a term is empty")]
    Empty,
    /// It has neither `=` nor `!=`.
    #[error("neither = nor !=")]
    NoSign,
    /// The key is not known.
    #[error(
        "no key {key:?}: there are cluster, pool, os, mode, region, zone, channel and tag:NAME \
         (a tag of that name is tag:{key})"
    )]
    Key {
        /// The key.
        key: String,
    },
    /// Nothing stands behind `tag:`.
    #[error("no name of a tag behind tag:")]
    NoTag,
    /// Nothing stands behind the sign.
    #[error("no value")]
    NoValue,
    /// Another sign stands there.
    #[error("== is no sign: = or !=")]
    TwoSigns,
    /// No pool can have that value.
    #[error("no {key} is like {pattern:?}: there are {values}")]
    Value {
        /// The key.
        key: &'static str,
        /// The pattern.
        pattern: String,
        /// The values that there are.
        values: String,
    },
}

impl Selection {
    /// Reads a selection.
    pub fn parse(text: &str) -> Result<Self, NoSelection> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let mut terms = Vec::new();
        for (index, term) in split(text).into_iter().enumerate() {
            let read = Term::parse(term).map_err(|problem| NoSelection {
                term: term.to_owned(),
                number: index + 1,
                problem,
            })?;
            terms.push(read);
        }
        Ok(Self { terms })
    }

    /// Whether a pool is selected.
    #[must_use]
    pub fn of(&self, pool: &PoolInput) -> Selected {
        let mut undecided = None;
        for term in &self.terms {
            match term.holds(pool) {
                Some(true) => {}
                Some(false) => return Selected::No,
                None => undecided = undecided.or(Some(term.key.to_string())),
            }
        }
        undecided.map_or(Selected::Yes, Selected::Undecided)
    }
}

/// Terms between commas and the word `and`.
fn split(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    for part in text.split(',') {
        let (mut begin, mut end) = (0, 0);
        for word in part.split_inclusive(char::is_whitespace) {
            if word.trim().eq_ignore_ascii_case("and") {
                terms.push(part.get(begin..end).unwrap_or_default().trim());
                begin = end + word.len();
            }
            end += word.len();
        }
        terms.push(part.get(begin..).unwrap_or_default().trim());
    }
    terms
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Cluster => "cluster",
            Self::Pool => "pool",
            Self::Os => "os",
            Self::Mode => "mode",
            Self::Region => "region",
            Self::Zone => "zone",
            Self::Channel => "channel",
            Self::Tag(name) => return write!(f, "tag:{name}"),
        })
    }
}

impl Term {
    fn parse(text: &str) -> Result<Self, SelectionProblem> {
        if text.is_empty() {
            return Err(SelectionProblem::Empty);
        }
        let (key, value) = text.split_once('=').ok_or(SelectionProblem::NoSign)?;
        let (key, is_equal) = match key.strip_suffix('!') {
            Some(key) => (key.trim(), false),
            None => (key.trim(), true),
        };
        if value.starts_with('=') {
            return Err(SelectionProblem::TwoSigns);
        }
        let pattern = value.trim().to_lowercase();
        if pattern.is_empty() {
            return Err(SelectionProblem::NoValue);
        }
        let key = match key {
            "cluster" => Key::Cluster,
            "pool" => Key::Pool,
            "os" => Key::Os,
            "mode" => {
                has_one("mode", &pattern, &["system", "user"])?;
                Key::Mode
            }
            "region" => Key::Region,
            "zone" => Key::Zone,
            "channel" => {
                has_one("channel", &pattern, &NodeOsChannel::ALL.map(NodeOsChannel::word))?;
                Key::Channel
            }
            _ => match key.strip_prefix("tag:").map(str::trim) {
                Some(name) if !name.is_empty() => Key::Tag(name.to_owned()),
                Some(_) => return Err(SelectionProblem::NoTag),
                None => return Err(SelectionProblem::Key { key: key.to_owned() }),
            },
        };
        Ok(Self { key, is_equal, pattern })
    }

    /// None where it is not known.
    fn holds(&self, pool: &PoolInput) -> Option<bool> {
        let is_like = |value: &str| is_like(&self.pattern, &value.to_lowercase());
        let profile = pool.profile.as_ref();
        let is_one_of = match &self.key {
            Key::Cluster => is_like(&pool.key.cluster),
            Key::Pool => is_like(&pool.key.pool),
            Key::Region => is_like(profile?.region.as_deref()?),
            Key::Channel => is_like(pool.channel()?.word()),
            Key::Mode => is_like(match profile?.mode? {
                PoolMode::System => "system",
                PoolMode::User => "user",
            }),
            Key::Tag(name) => {
                let mut tags = profile?.tags.as_ref()?.iter();
                tags.any(|(tag, value)| tag.eq_ignore_ascii_case(name) && is_like(value))
            }
            Key::Zone => {
                let stated = profile.map(|profile| profile.zones.as_slice()).unwrap_or_default();
                let of_nodes = pool.nodes.iter().filter_map(|node| node.zone.as_ref());
                any_of(stated.iter().chain(of_nodes).map(String::as_str), is_like)?
            }
            Key::Os => {
                let sku = profile.and_then(|profile| profile.os_sku.as_deref());
                let of_nodes = pool.nodes.iter().flat_map(|node| {
                    let gallery = node.image.as_ref().map(|image| {
                        let gallery = image.family.split('-').next().unwrap_or_default();
                        gallery.strip_prefix("AKS").unwrap_or(gallery)
                    });
                    let id = node.os.as_ref().map(|os| os.id.as_str());
                    gallery.into_iter().chain(id)
                });
                any_of(sku.into_iter().chain(of_nodes), is_like)?
            }
        };
        Some(is_one_of == self.is_equal)
    }
}

/// Refuses a pattern that none of the values of a key is like.
fn has_one(key: &'static str, pattern: &str, values: &[&str]) -> Result<(), SelectionProblem> {
    match values.iter().any(|value| is_like(pattern, &value.to_lowercase())) {
        true => Ok(()),
        false => {
            let pattern = pattern.to_owned();
            Err(SelectionProblem::Value { key, pattern, values: values.join(", ") })
        }
    }
}

/// Whether one of some values is; none where there is no value.
fn any_of<'a>(
    values: impl Iterator<Item = &'a str>,
    is_like: impl Fn(&str) -> bool,
) -> Option<bool> {
    values.map(is_like).reduce(|one, other| one || other)
}

/// Whether a text is like a pattern, where `*` stands for any letters. It goes back to the last
/// star alone, so that no pattern takes longer than pattern times text.
fn is_like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(letter) if *letter == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|letter| *letter == b'*')
}
