//! `process_limits` to and from the wire.

use nodeward_domain::facts as domain;

use crate::convert::{Invalid, list, name, required, text};
use crate::v1;
use crate::v1::process_limits::limit::Limit as Kind;
use crate::v1::process_limits::{Limit, NoLimit, PodsLimit};

/// An agent names eight.
const PARENTS: usize = 64;

impl From<&domain::ProcessLimits> for v1::ProcessLimits {
    fn from(limits: &domain::ProcessLimits) -> Self {
        let pods = |pods: &domain::PodsLimit| PodsLimit {
            path: pods.path.clone(),
            max: Some(limit_out(&pods.max)),
        };
        Self {
            pid_max: Some(limit_out(&limits.pid_max)),
            threads_max: Some(limit_out(&limits.threads_max)),
            open_files_max: limits.open_files_max,
            pods: limits.pods.as_ref().map(pods),
            zombie_parents: limits.zombie_parents.clone(),
            unseen: limits.unseen.clone(),
        }
    }
}

impl TryFrom<v1::ProcessLimits> for domain::ProcessLimits {
    type Error = Invalid;

    fn try_from(limits: v1::ProcessLimits) -> Result<Self, Invalid> {
        let pods = |pods: PodsLimit| -> Result<_, Invalid> {
            Ok(domain::PodsLimit {
                path: name("path", pods.path)?,
                max: limit_in("max", pods.max)?,
            })
        };
        Ok(Self {
            pid_max: limit_in("pid_max", limits.pid_max)?,
            threads_max: limit_in("threads_max", limits.threads_max)?,
            open_files_max: limits.open_files_max,
            pods: limits.pods.map(pods).transpose().map_err(|invalid| invalid.within("pods"))?,
            zombie_parents: list("zombie_parents", limits.zombie_parents, PARENTS, |parent| {
                Ok(text(parent))
            })?,
            unseen: limits.unseen.map(text),
        })
    }
}

fn limit_out(limit: &domain::Limit) -> Limit {
    let kind = match limit {
        domain::Limit::At(limit) => Kind::At(*limit),
        domain::Limit::None => Kind::None(NoLimit {}),
        domain::Limit::Unreadable(why) => Kind::Unreadable(why.clone()),
    };
    Limit { limit: Some(kind) }
}

fn limit_in(field: &str, limit: Option<Limit>) -> Result<domain::Limit, Invalid> {
    Ok(match required(field, limit.and_then(|limit| limit.limit))? {
        Kind::At(limit) => domain::Limit::At(limit),
        Kind::None(NoLimit {}) => domain::Limit::None,
        Kind::Unreadable(why) => domain::Limit::Unreadable(text(why)),
    })
}
