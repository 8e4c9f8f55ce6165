//! What is asked about missing fixes, in the words of the aggregator and of screens.

use jiff::SignedDuration;
use nodeward_domain::fixes::fleet::{Asked, By, PatchAge};

use super::{Failure, Shown};
use crate::arguments::{AskedFixes, ByArgument, ResponsibleArgument};
use crate::client::Client;
use crate::exit::Exit;
use crate::progress::Progress;
use crate::screen::{self, Question, Style};

/// What `patch-age` and `gate` ask for.
pub(super) fn of_patch_age(
    asked: &AskedFixes,
    older_than: Option<SignedDuration>,
    include_unfixed: bool,
) -> Asked {
    Asked {
        cluster: asked.cluster.clone(),
        older_than,
        responsible: asked.responsible.iter().map(|one| one.word().to_owned()).collect(),
        // Whoever asks for these by name wants to see them.
        include_unfixed: include_unfixed
            || asked.responsible.contains(&ResponsibleArgument::Vendor),
        about: None,
    }
}

/// What `cve` asks for.
pub(super) fn of_cve(id: &str, cluster: Option<&str>) -> Asked {
    Asked {
        cluster: cluster.map(ToOwned::to_owned),
        include_unfixed: true,
        about: Some(id.trim().to_owned()),
        ..Asked::default()
    }
}

/// The same in words, with the command that may follow.
pub(super) fn question(asked: &Asked, by: By) -> Question {
    let mut scope = asked
        .cluster
        .as_ref()
        .map_or_else(|| "all clusters".to_owned(), |one| format!("cluster {one}"));
    if let Some(about) = &asked.about {
        scope = format!("{about}, {scope}");
    }
    if let Some(age) = asked.older_than {
        scope.push_str(&format!(", fixes older than {}", length(age)));
    }
    if !asked.responsible.is_empty() {
        let who: Vec<&str> = asked.responsible.iter().map(String::as_str).collect();
        scope.push_str(&format!(", only for {}", who.join(", ")));
    }
    let next = match (by, &asked.about) {
        (By::Node, Some(_)) => "nodeward node NODE -o wide".to_owned(),
        (By::Node, None) => "nodeward node NODE -o wide".to_owned(),
        (By::Pool | By::Image, _) => "nodeward patch-age --by fix".to_owned(),
        (By::Fix | By::Cve, _) => "nodeward cve CVE".to_owned(),
    };
    Question { by, scope, next }
}

fn length(age: SignedDuration) -> String {
    match (age.as_hours(), age.as_secs() % 3600) {
        (hours, 0) if hours % 24 == 0 => format!("{} d", hours / 24),
        (hours, 0) => format!("{hours} h"),
        _ => format!("{age:#}"),
    }
}

/// Asks the aggregator, and says how the command ends.
pub(super) async fn answer(
    aggregator: &str,
    asked: &Asked,
    question: &Question,
    require_complete: bool,
    style: Style<'_>,
) -> Result<Shown, Failure> {
    let _progress = Progress::of("the aggregator");
    let answer = Client::new(aggregator)?.patch_age(asked, question.by).await?;
    let exit = exit(&answer, require_complete);
    Ok(Shown { text: screen::patch_age(&answer, question, style)?, exit })
}

/// Fixes that somebody owes, or nobody knows who does, are findings; what could not be told is incomplete.
pub(super) fn exit(answer: &PatchAge, require_complete: bool) -> Exit {
    let is_found = answer.shown.findings() > 0;
    match (is_found, answer.is_complete()) {
        (true, false) if require_complete => Exit::Incomplete,
        (true, _) => Exit::Findings,
        (false, true) => Exit::Clean,
        (false, false) => Exit::Incomplete,
    }
}

impl From<ByArgument> for By {
    fn from(by: ByArgument) -> Self {
        match by {
            ByArgument::Fix => Self::Fix,
            ByArgument::Cve => Self::Cve,
            ByArgument::Node => Self::Node,
            ByArgument::Pool => Self::Pool,
            ByArgument::Image => Self::Image,
        }
    }
}

impl ResponsibleArgument {
    /// The word by which the aggregator is asked.
    const fn word(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Provider => "provider",
            Self::Automation => "automation",
            Self::Vendor => "vendor",
            Self::NobodyYet => "nobody_yet",
            Self::Unknown => "unknown",
        }
    }
}
