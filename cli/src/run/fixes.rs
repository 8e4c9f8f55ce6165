//! What is asked about missing fixes, in the words of the aggregator and of screens.

use jiff::SignedDuration;
use nodeward_domain::fixes::fleet::{Asked, By, PatchAge};

use super::{Failure, Shown};
use crate::address::Address;
use crate::arguments::{
    AskedFixes, ByArgument, Cve, Gate, PatchAge as PatchAgeCommand, ResponsibleArgument,
};
use crate::client::Client;
use crate::exit::Exit;
use crate::progress::Progress;
use crate::screen::{self, Question, Style};

/// What a command asks about missing fixes, and how it ends where something is unknown.
#[derive(Debug, Clone)]
pub struct FixQuestion {
    /// Which fixes.
    pub asked: Asked,
    /// By what they are folded, in the words of the screen.
    pub question: Question,
    /// Incompleteness counts for more than a finding.
    pub require_complete: bool,
}

impl FixQuestion {
    /// What `patch-age` asks.
    #[must_use]
    pub fn patch_age(command: &PatchAgeCommand) -> Self {
        let asked = of_all(&command.asked, command.older_than, command.include_unfixed);
        Self::new(asked, command.by.into(), false)
    }

    /// What `cve` asks.
    #[must_use]
    pub fn cve(command: &Cve) -> Self {
        let asked = Asked {
            cluster: command.cluster.clone(),
            include_unfixed: true,
            about: Some(command.id.trim().to_owned()),
            ..Asked::default()
        };
        Self::new(asked, By::Node, false)
    }

    /// What `gate` asks.
    #[must_use]
    pub fn gate(command: &Gate) -> Self {
        let asked = of_all(&command.asked, Some(command.max_fix_age), false);
        Self::new(asked, By::Fix, command.require_complete)
    }

    fn new(asked: Asked, by: By, require_complete: bool) -> Self {
        let question = question(&asked, by);
        Self { asked, question, require_complete }
    }

    /// Asks the aggregator, and says how the command ends.
    pub(super) async fn ask(
        &self,
        aggregator: &Address,
        style: Style<'_>,
    ) -> Result<Shown, Failure> {
        let _progress = Progress::of("the aggregator");
        let answer = Client::new(aggregator)?.patch_age(&self.asked, self.question.by).await?;
        let exit = exit(&answer, self.require_complete);
        Ok(Shown {
            text: screen::patch_age(&answer, &self.question, style)?,
            exit,
            notes: Vec::new(),
        })
    }
}

fn of_all(asked: &AskedFixes, older_than: Option<SignedDuration>, include_unfixed: bool) -> Asked {
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

/// The same in words, with the command that may follow.
fn question(asked: &Asked, by: By) -> Question {
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
    Question { by, scope }
}

fn length(age: SignedDuration) -> String {
    match (age.as_hours(), age.as_secs() % 3600) {
        (hours, 0) if hours % 24 == 0 => format!("{} d", hours / 24),
        (hours, 0) => format!("{hours} h"),
        _ => format!("{age:#}"),
    }
}

/// Fixes that somebody owes, or nobody knows who does, are findings; what could not be told is incomplete.
fn exit(answer: &PatchAge, require_complete: bool) -> Exit {
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
