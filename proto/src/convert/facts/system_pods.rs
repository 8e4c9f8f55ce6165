//! `system_pods` to and from the wire.

use nodeward_domain::facts as domain;

use crate::convert::{Invalid, list, name, optional_timestamp, text, timestamp_out};
use crate::v1;
use crate::v1::system_pods::Pod;

/// Pods of the cluster's own on one node: some ten times what a real one has.
const PODS: usize = 512;

impl From<&domain::SystemPods> for v1::SystemPods {
    fn from(pods: &domain::SystemPods) -> Self {
        let pod = |pod: &domain::SystemPod| Pod {
            namespace: pod.namespace.to_string(),
            name: pod.name.to_string(),
            owner: pod.owner.to_string(),
            is_agent: pod.is_agent,
            phase: pod.phase.to_string(),
            is_ready: pod.is_ready,
            since: pod.since.map(timestamp_out),
            waiting: pod.waiting.to_string(),
            restarts: pod.restarts,
            is_ending: pod.is_ending,
        };
        Self { pods: pods.pods.iter().map(pod).collect() }
    }
}

impl TryFrom<v1::SystemPods> for domain::SystemPods {
    type Error = Invalid;

    fn try_from(pods: v1::SystemPods) -> Result<Self, Invalid> {
        let pods = list("pods", pods.pods, PODS, |pod| {
            Ok(domain::SystemPod {
                namespace: name("namespace", pod.namespace)?.into(),
                name: name("name", pod.name)?.into(),
                owner: text(pod.owner).into(),
                is_agent: pod.is_agent,
                phase: text(pod.phase).into(),
                is_ready: pod.is_ready,
                since: optional_timestamp("since", pod.since)?,
                waiting: text(pod.waiting).into(),
                restarts: pod.restarts,
                is_ending: pod.is_ending,
            })
        })?;
        Ok(Self { pods })
    }
}
