//! Facts of `egress`: whether endpoints outside of the cluster were reached that the
//! operator asked to be looked at. Where nobody asked, none is.

use serde::Serialize;

use super::{Headline, Reach};

/// What was seen of the way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Egress {
    /// The file that leads the runtime or the kubelet through a proxy; empty without one.
    pub proxy: String,
    /// The endpoints, sorted.
    pub endpoints: Vec<EgressEndpoint>,
}

/// An endpoint outside of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EgressEndpoint {
    /// `name:port`.
    pub endpoint: String,
    /// How far a connection got.
    pub reach: Reach,
    /// Who issued the certificate that was shown, by its own words; empty without one. It
    /// is not judged.
    pub issuer: String,
}

impl Egress {
    /// How far a connection to that endpoint got.
    #[must_use]
    pub fn reach(&self, endpoint: &str) -> Option<&Reach> {
        self.endpoints.iter().find(|one| one.endpoint == endpoint).map(|one| &one.reach)
    }
}

impl Headline for Egress {
    fn headline(&self) -> String {
        let count =
            |blocked| self.endpoints.iter().filter(|one| one.reach.is_blocked() == blocked).count();
        let (reached, blocked, unknown) = (count(Some(false)), count(Some(true)), count(None));
        let mut parts = Vec::new();
        for (count, what) in
            [(reached, "reached"), (blocked, "not reached"), (unknown, "not known")]
        {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        if parts.is_empty() { "no endpoints".to_owned() } else { parts.join(", ") }
    }
}
