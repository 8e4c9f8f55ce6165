//! Exit codes, so that scripts need not read text.

use std::process::ExitCode;

use nodeward_domain::answer::Standing;

/// How a command ended. When several apply: usage, unreachable, findings, incomplete,
/// clean. A known finding beats incompleteness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: no findings, and nothing is missing from the answer.
    Clean,
    /// 1: findings.
    Findings,
    /// 2: the command cannot be carried out as it was given.
    Usage,
    /// 3: the aggregator cannot be reached, or the node has not reported in time.
    Unreachable,
    /// 4: no findings, but the answer is stale, partial or empty.
    Incomplete,
}

/// What each code means, for the manual.
pub const CODES: [(u8, &str); 5] = [
    (0, "clean: no findings, and nothing is missing from the answer"),
    (1, "findings"),
    (2, "the command cannot be carried out as it was given"),
    (3, "the aggregator cannot be reached, or the node has not reported in time"),
    (4, "no findings, but the answer is stale, partial or empty"),
];

impl From<Standing> for Exit {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Findings => Self::Findings,
            Standing::Incomplete => Self::Incomplete,
            // Of a node that is no more nothing is left to do.
            Standing::Clean | Standing::Gone => Self::Clean,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Clean => 0,
            Exit::Findings => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::Incomplete => 4,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_listed_with_its_meaning_in_order() {
        let exits = [Exit::Clean, Exit::Findings, Exit::Usage, Exit::Unreachable, Exit::Incomplete];
        for (exit, (code, _)) in exits.into_iter().zip(CODES) {
            assert_eq!(ExitCode::from(exit), ExitCode::from(code));
        }
    }
}
