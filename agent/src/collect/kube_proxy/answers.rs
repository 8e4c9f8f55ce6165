//! What stands in kube-proxy's answers. They are read leniently: the status code says more
//! than the body, whose fields came and went with its versions.

use jiff::{SignedDuration, Timestamp};
use nodeward_domain::facts::{FamilyHealth, FeatureGate, HttpAnswer, ProxyConfiguration};
use serde_json::{Map, Value};

use crate::probe::http::Reply;

/// What the bodies of the health endpoint say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Health {
    pub(super) families: Vec<FamilyHealth>,
    pub(super) node_eligible: Option<bool>,
    /// kube-proxy's clock when it answered.
    pub(super) current_time: Option<Timestamp>,
}

/// Reads both bodies: `/livez` of the rules, `/healthz` of the node.
pub(super) fn health(livez: &str, healthz: &str) -> Health {
    let (livez, healthz) = (object(livez), object(healthz));
    let either = |key: &str| livez.get(key).or_else(|| healthz.get(key));
    let status = either("status").and_then(Value::as_object);
    let mut families: Vec<FamilyHealth> = status
        .into_iter()
        .flatten()
        .filter_map(|(family, health)| {
            let is_healthy = health.get("healthy")?.as_bool()?;
            (!family.is_empty()).then(|| FamilyHealth { family: family.clone(), is_healthy })
        })
        .collect();
    families.sort_unstable();
    Health {
        families,
        node_eligible: healthz.get("nodeEligible").and_then(Value::as_bool),
        current_time: either("currentTime").and_then(Value::as_str).and_then(|at| at.parse().ok()),
    }
}

/// Reads the body of `/configz`; none when it is none.
pub(super) fn configuration(body: &str) -> Option<ProxyConfiguration> {
    let body = object(body);
    let told = body.get("kubeproxy.config.k8s.io")?.as_object()?;
    let text = |key: &str| told.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mode = text("Mode");
    // It once stood in the part of each mode.
    let part = if mode == "ipvs" { "IPVS" } else { "IPTables" };
    let period = told.get("SyncPeriod").or_else(|| told.get(part)?.get("SyncPeriod"));
    let gates = told.get("FeatureGates").and_then(Value::as_object);
    let mut feature_gates: Vec<FeatureGate> = gates
        .into_iter()
        .flatten()
        .filter_map(|(name, is_on)| {
            Some(FeatureGate { name: name.clone(), is_on: is_on.as_bool()? })
        })
        .filter(|gate| !gate.name.is_empty())
        .collect();
    feature_gates.sort_unstable();
    Some(ProxyConfiguration {
        mode,
        health_bind_address: text("HealthzBindAddress"),
        metrics_bind_address: text("MetricsBindAddress"),
        sync_period_seconds: period.and_then(Value::as_str).and_then(whole_seconds),
        feature_gates,
    })
}

/// An answer for the facts, without a body of kube-proxy's own: times stand in it, and what
/// else does is read from it.
pub(super) fn without_body(reply: Reply) -> HttpAnswer {
    match reply.answer {
        HttpAnswer::Answered { status, .. } if !object(&reply.body).is_empty() => {
            HttpAnswer::Answered { status, body: String::new() }
        }
        answer => answer,
    }
}

fn object(body: &str) -> Map<String, Value> {
    serde_json::from_str(body).unwrap_or_default()
}

/// A duration as Go writes it, such as `1m30s`, rounded up.
fn whole_seconds(duration: &str) -> Option<u32> {
    let duration: SignedDuration = duration.parse().ok()?;
    let up = i64::from(duration.subsec_nanos() > 0);
    u32::try_from(duration.as_secs().checked_add(up)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(family: &str, is_healthy: bool) -> FamilyHealth {
        FamilyHealth { family: family.to_owned(), is_healthy }
    }

    #[test]
    fn both_shapes_of_health_are_read_and_neither_is_needed() {
        let old = r#"{"lastUpdated": "2026-11-24 10:00:00.5 +0000 UTC", "currentTime": "x"}"#;
        assert_eq!(health(old, old), Health::default());
        let livez = r#"{"lastUpdated":"2026-11-24T10:00:00Z","currentTime":"2026-11-24T10:00:01.5Z",
            "healthy":false,"status":{"IPv6":{"healthy":true},"IPv4":{"healthy":false},"x":{}}}"#;
        let healthz = r#"{"nodeEligible":false,"healthy":false}"#;
        let read = health(livez, healthz);
        assert_eq!(read.families, [family("IPv4", false), family("IPv6", true)]);
        assert_eq!(read.node_eligible, Some(false));
        assert_eq!(read.current_time, "2026-11-24T10:00:01.5Z".parse().ok());
        assert_eq!(health("404 page not found", "[1]"), Health::default());
    }

    #[test]
    fn the_period_is_read_where_it_stood_and_where_it_stands() {
        let read = |json: &str| {
            configuration(&format!(r#"{{"kubeproxy.config.k8s.io": {json}}}"#)).expect(json)
        };
        let new = read(r#"{"Mode":"nftables","SyncPeriod":"1m30s","HealthzBindAddress":"a:1"}"#);
        assert_eq!((new.mode.as_str(), new.sync_period_seconds), ("nftables", Some(90)));
        assert_eq!(new.health_bind_address, "a:1");
        let old = read(
            r#"{"Mode":"ipvs","IPVS":{"SyncPeriod":"500ms"},"IPTables":{"SyncPeriod":"30s"}}"#,
        );
        assert_eq!(old.sync_period_seconds, Some(1));
        let gates = read(r#"{"FeatureGates":{"B":false,"A":true,"":true,"C":1}}"#).feature_gates;
        let gates: Vec<(&str, bool)> =
            gates.iter().map(|gate| (gate.name.as_str(), gate.is_on)).collect();
        assert_eq!(gates, [("A", true), ("B", false)]);
        assert_eq!(configuration("{}"), None);
    }

    #[test]
    fn a_body_of_its_own_is_left_out_and_any_other_stays() {
        let reply = |line: &str, body: &str| Reply {
            answer: HttpAnswer::Answered { status: 503, body: line.to_owned() },
            body: body.to_owned(),
            took: None,
        };
        let json = r#"{"currentTime":"now"}"#;
        assert_eq!(without_body(reply(json, json)).to_string(), "503");
        assert_eq!(without_body(reply("why", "why\nnot")).to_string(), "503 why");
    }
}
