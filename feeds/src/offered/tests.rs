//! Answers in the forms of `az` and of REST, written for these tests, and our own form.

use nodeward_domain::pool::{NodeOsChannel, PoolMode, Power, Share, Undrainable};

use super::*;

const NOW: &str = "2026-11-24T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().expect("a moment")
}

fn read(text: &str) -> Result<Told, OfferedError> {
    read_offered("pools", text.as_bytes(), now(), &ClusterNames::default())
}

fn told(text: &str) -> Told {
    read(text).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(text: &str) -> String {
    read(text).expect_err("odd").to_string()
}

fn key(cluster: &str, pool: &str) -> PoolKey {
    PoolKey { cluster: cluster.to_owned(), pool: pool.to_owned() }
}

fn id(below: &str) -> String {
    let above = "/subscriptions/0-1/resourcegroups/rg-west/providers";
    format!("{above}/Microsoft.ContainerService/managedClusters/{below}")
}

fn upgrades(below: &str, image: &str) -> String {
    let id = id(&format!("{below}/upgradeProfiles/default"));
    format!(
        r#"{{"id": "{id}", "kubernetesVersion": "1.34.9", "latestNodeImageVersion": {image},
        "name": "default", "osType": "Linux", "resourceGroup": "rg-west",
        "type": "Microsoft.ContainerService/managedClusters/agentPools/upgradeProfiles",
        "upgrades": null}}"#
    )
}

const NEWEST: &str = r#""AKSUbuntu-2204gen2containerd-202611.03.0""#;

fn pool(below: &str, fields: &str) -> String {
    format!(r#"{{"id": "{}", "name": "x", "count": 3 {fields}}}"#, id(below))
}

#[test]
fn an_upgrade_profile_names_the_image_that_is_offered() {
    let cli = upgrades("c1/agentPools/user", NEWEST);
    let one = told(&cli);
    assert_eq!(one.offered.len(), 1);
    assert_eq!(one.offered[0].key, key("c1", "user"));
    assert_eq!(one.offered[0].image.version, "202611.03.0");
    assert_eq!(one.offered[0].as_of, now());

    let rest = format!(
        r#"{{"id": "{}", "properties": {{"latestNodeImageVersion": {NEWEST}}}}}"#,
        id("c1/AGENTPOOLS/user/upgradeprofiles/default")
    );
    assert_eq!(told(&rest), one);

    let other = upgrades("c1/agentPools/system", "null");
    let several = told(&format!("[{cli}, {other}]"));
    assert_eq!(several.offered, one.offered);
    assert_eq!(several.unnamed, [key("c1", "system")]);
    assert_eq!(told(&format!("\u{feff}{cli}\n{other}\n")), several, "one after the other");
    assert_eq!(several.offered_to(&key("c1", "user"), None), one.offered.first().cloned());
    assert_eq!(several.offered_to(&key("c1", "system"), None), None);
}

#[test]
fn a_pool_is_read_in_both_forms() {
    let fields = r#""count": 6, "minCount": 2, "maxCount": 9, "enableAutoScaling": true,
        "mode": "System", "orchestratorVersion": "1.34", "currentOrchestratorVersion": "1.34.9",
        "nodeImageVersion": "AKSUbuntu-2204gen2containerd-202610.06.0", "osType": "Linux",
        "vmSize": "Standard_D4s_v5", "availabilityZones": ["1", "2"], "nodeLabels": null,
        "powerState": {"code": "Running"}, "provisioningState": "Succeeded",
        "tags": {"team": "b", "cost": "a", "none": null},
        "upgradeSettings": {"maxSurge": "33%", "maxUnavailable": null,
          "drainTimeoutInMinutes": 45, "nodeSoakDurationInMinutes": 5,
          "undrainableNodeBehavior": "Cordon"}"#;
    let cli = format!(
        r#"[{{"id": "{}", "name": "user", {fields}, "osSku": "Ubuntu"}}]"#,
        id("c1/agentPools/user")
    );
    let told_cli = told(&cli);
    let [pool] = told_cli.pools.as_slice() else { panic!("{told_cli:?}") };
    assert_eq!(pool.key, key("c1", "user"));
    assert_eq!(pool.resource_group.as_deref(), Some("rg-west"));
    assert_eq!((pool.nodes, pool.autoscaled), (Some(6), Some((2, 9))));
    assert_eq!((pool.mode, pool.power), (Some(PoolMode::System), Some(Power::Running)));
    assert_eq!(pool.kubernetes.as_deref(), Some("1.34.9"));
    assert_eq!(pool.image.as_ref().map(|image| image.version.as_str()), Some("202610.06.0"));
    assert_eq!(pool.zones, ["1", "2"]);
    assert_eq!(pool.upgrade.max_surge, Share::Percent(33));
    assert_eq!(pool.upgrade.max_unavailable, Share::Nodes(0));
    assert_eq!((pool.upgrade.drain_timeout_minutes, pool.upgrade.soak_minutes), (45, 5));
    assert_eq!(pool.upgrade.undrainable, Undrainable::Quarantine);
    let tags: Vec<&str> = pool.tags.iter().flatten().map(|(key, _)| key.as_str()).collect();
    assert_eq!(tags, ["cost", "none", "team"]);
    assert!(told_cli.remarks.is_empty());

    let rest = format!(
        r#"{{"value": [{{"id": "{}", "properties": {{{fields}, "osSKU": "Ubuntu"}}}}]}}"#,
        id("c1/agentPools/user")
    );
    assert_eq!(told(&rest), told_cli);
}

#[test]
fn what_is_null_has_the_default_and_what_is_not_known_is_remarked() {
    let text = pool(
        "c1/agentPools/a",
        r#", "nodeImageVersion": null, "upgradeSettings": {"maxSurge": null}, "mode": null"#,
    );
    let told_plain = told(&text);
    assert_eq!(told_plain.pools[0].upgrade, Default::default());
    assert_eq!(told_plain.pools[0].image, None);
    let text = pool("c1/agentPools/a", r#", "nodeImageVersion": "Custom-1", "mode": "Gateway""#);
    let told_odd = told(&text);
    assert_eq!((told_odd.pools[0].mode, &told_odd.pools[0].image), (None, &None));
    assert_eq!(
        told_odd.remarks,
        [
            r#"c1/a: mode: "Gateway" is not known"#,
            r#"c1/a: nodeImageVersion: "Custom-1" is not known"#
        ]
    );
}

#[test]
fn a_cluster_fills_its_pools() {
    let cluster = format!(
        r#"{{"id": "{}", "name": "c1", "location": "westeurope", "kubernetesVersion": "1.34",
        "currentKubernetesVersion": "1.34.9",
        "autoUpgradeProfile": {{"nodeOsUpgradeChannel": "SecurityPatch", "upgradeChannel": "patch"}},
        "nodeProvisioningProfile": {{"mode": "Auto", "defaultNodePools": "Auto"}},
        "agentPoolProfiles": [{{"name": "a", "count": 9}}, {{"name": "b", "count": 2}}]}}"#,
        id("c1")
    );
    let both = told(&format!("{cluster} [{}]", pool("c1/agentPools/a", "")));
    let [profile] = both.clusters.as_slice() else { panic!("{both:?}") };
    assert_eq!(profile.region.as_deref(), Some("westeurope"));
    assert_eq!(profile.channel, Some(NodeOsChannel::SecurityPatch));
    assert_eq!(profile.is_auto_provisioned, Some(true));
    assert_eq!(profile.kubernetes.as_deref(), Some("1.34.9"));
    let pools: Vec<_> =
        both.pools.iter().map(|pool| (pool.key.pool.as_str(), pool.nodes)).collect();
    assert_eq!(pools, [("a", Some(3)), ("b", Some(2))], "the pool's own answer goes before");
    for pool in &both.pools {
        assert_eq!(pool.region.as_deref(), Some("westeurope"));
        assert_eq!(pool.channel, Some(NodeOsChannel::SecurityPatch));
        assert_eq!(pool.resource_group.as_deref(), Some("rg-west"));
    }
    let by_cluster =
        cluster.replace(r#""SecurityPatch""#, "null").replace(r#""patch""#, r#""node-image""#);
    assert_eq!(told(&by_cluster).clusters[0].channel, Some(NodeOsChannel::NodeImage));
}

#[test]
fn clusters_may_have_other_names_in_the_fleet_but_never_the_same() {
    let of =
        |names: &ClusterNames, text: &str| read_offered("pools", text.as_bytes(), now(), names);
    let one = upgrades("c1/agentPools/user", NEWEST);
    let elsewhere = one.replace("rg-west", "rg-east");
    let both = format!("{one}{elsewhere}");
    let named = of(&ClusterNames::one("prod"), &one).expect("told");
    assert_eq!(named.offered[0].key, key("prod", "user"));
    let mapped = ClusterNames::mapped([("C1", "prod"), ("rg-east/c1", "prod-east")]);
    let clusters: Vec<String> =
        of(&mapped, &both).expect("told").offered.into_iter().map(|one| one.key.cluster).collect();
    assert_eq!(clusters, ["prod", "prod-east"]);
    for names in [ClusterNames::one("prod"), ClusterNames::default()] {
        let error = of(&names, &both).expect_err("two clusters").to_string();
        assert!(error.contains("0-1/rg-west/c1 and 0-1/rg-east/c1 would both be"), "{error}");
    }
}

#[test]
fn names_of_one_pool_in_other_letters_are_one_pool() {
    let text = format!(
        "{}{}",
        upgrades("c1/agentPools/User", NEWEST),
        upgrades("C1/agentPools/apps", NEWEST)
    );
    let keys: Vec<PoolKey> = told(&text).offered.into_iter().map(|one| one.key).collect();
    assert_eq!(keys, [key("c1", "apps"), key("c1", "user")]);
    let twice = format!(
        "{}{}",
        pool("c1/agentPools/user", ""),
        pool("c1/agentPools/USER", "").replace("rg-west", "RG-West")
    );
    assert!(refused(&twice).contains("pool c1/user stands twice"), "{}", refused(&twice));
}

#[test]
fn what_the_provider_names_a_cluster_is_kept() {
    let told = told(&pool("c1/agentPools/a", ""));
    let resource = told.resources.get("c1").expect("it was named");
    assert_eq!(resource.to_string(), "0-1/rg-west/c1");
    assert_eq!(told.pools[0].resource.as_ref(), Some(resource));
}

#[test]
fn brackets_alone_are_no_table_of_toml() {
    for text in ["[[[[[", "[[]]", "[[{}]]", "[]", "{"] {
        assert!(is_json(text), "{text}");
    }
    for text in ["[[offered]]", "[ pool ]", "# x", "a = 1"] {
        assert!(!is_json(text), "{text}");
    }
}

#[test]
fn an_answer_that_cannot_be_is_refused_by_name_of_pool_and_field() {
    let of = |fields: &str| refused(&pool("c1/agentPools/a", fields));
    for surge in [r#""-1""#, r#""-5%""#, r#""1.5""#, "-1", "1.5", "true", r#""many""#] {
        assert_eq!(
            of(&format!(r#", "upgradeSettings": {{"maxSurge": {surge}}}"#)),
            format!(
                "pools: c1/a: upgradeSettings.maxSurge: {surge} is neither a number of nodes nor a percentage"
            )
        );
    }
    for (fields, expected) in [
        (r#", "minCount": -1, "enableAutoScaling": true"#, "minCount: -1 is no number"),
        (r#", "minCount": 1, "enableAutoScaling": true"#, "maxCount: an autoscaled pool"),
        (r#", "minCount": 3, "maxCount": 2, "enableAutoScaling": true"#, "3 is more than maxCount"),
        (r#", "enableAutoScaling": "yes""#, "neither true nor false"),
        (r#", "upgradeSettings": []"#, "upgradeSettings: a list is no object"),
        (r#", "upgradeSettings": {"maxSurge": "0"}"#, "both zero"),
        (r#", "vmSize": 4"#, "vmSize: 4 is no text"),
        (r#", "tags": {"a": 1}"#, "tags.a: 1 is no text"),
        (r#", "vmSize": "a\u0007""#, "vmSize: there are control characters in it"),
        (r#", "availabilityZones": [1]"#, "availabilityZones: 1 is no text"),
    ] {
        let error = of(fields);
        assert!(error.starts_with("pools: c1/a: ") && error.contains(expected), "{error}");
    }
    let image = refused(&upgrades("c1/agentPools/a", r#""newest""#));
    assert!(image.starts_with("pools: c1/a: latestNodeImageVersion: "), "{image}");
}

#[test]
fn what_is_something_else_is_refused() {
    let whole = format!(r#"{{"id": "{}/upgradeProfiles/default"}}"#, id("c1"));
    for (text, expected) in [
        ("", "pools: nothing is in it"),
        ("[]", "pools: nothing is in it"),
        ("{}", "it has no id"),
        (r#"[{"id": "x"}]"#, r#"[0]: neither a node pool"#),
        ("[1]", "[0]: neither"),
        (r#"{"id": "/subscriptions/a/resourceGroups/b"}"#, "no managedClusters in it"),
        (r#"{"id": "/subscriptions//resourceGroups/b"}"#, "is no id of a resource"),
        (whole.as_str(), "the upgrade profile of a cluster"),
        (r#"{"value": [], "nextLink": "https://x"}"#, "one page of a longer list"),
        ("{", "pools: no JSON"),
        ("[{}] x", "it has no id"),
    ] {
        let error = refused(text);
        assert!(error.starts_with("pools") && error.contains(expected), "{text}: {error}");
    }
    let one = upgrades("c1/agentPools/a", NEWEST);
    assert_eq!(refused(&format!("{one} x")), "pools: no JSON");
    assert_eq!(
        refused(&format!("[{one},{one}]")),
        "pools: the upgrade profile of c1/a stands twice"
    );
    let deep = "[".repeat(100_000);
    assert!(refused(&deep).starts_with("pools"));
}

const OWN: &str = r#"# Stated by hand.
[[offered]]
cluster = "prod"
pool = "*"
image = "AKSUbuntu-2204gen2containerd-202611.03.0"
as_of = "2026-11-20"

[[offered]]
cluster = "prod"
pool = "user*"
image = "AKSUbuntu-2204gen2containerd-202610.20.0"
as_of = 2026-11-21T10:00:00Z

[[offered]]
cluster = "prod"
pool = "gpu"
image = "AKSAzureLinux-V3gen2-202611.03.0"

[[pool]]
cluster = "prod"
pool = "user1"
processors_per_node = 8
addresses_per_node = 31
channel = "nodeimage"
max_surge = "10%"
max_unavailable = 0
scaling = "node_auto_provisioning"
undrainable = "quarantine"
zones = ["1"]

[[cluster]]
cluster = "prod"
region = "westeurope"

[[quota]]
cluster = "prod"
region = "westeurope"
vm_family = "any"
processors_free = 40

[[subnet]]
cluster = "prod"
addresses_free = 200
"#;

#[test]
fn our_own_form_is_read() {
    let own = told(OWN);
    let version = |pool: &str, family: Option<&str>| {
        own.offered_to(&key("prod", pool), family).map(|offered| offered.image.version)
    };
    let ubuntu = Some("AKSUbuntu-2204gen2containerd");
    assert_eq!(version("system", ubuntu).as_deref(), Some("202611.03.0"));
    assert_eq!(version("user7", ubuntu).as_deref(), Some("202610.20.0"), "the longer pattern");
    assert_eq!(version("gpu", None).as_deref(), Some("202611.03.0"));
    assert_eq!(version("system", Some("AKSAzureLinux-V3gen2")), None, "of another line");
    assert_eq!(version("system", None), None);
    assert_eq!(own.offered_by_pattern[1].as_of.to_string(), "2026-11-21T10:00:00Z");
    assert_eq!(own.offered[0].as_of, now());

    let mut pool = PoolProfile::unstated(key("prod", "user1"), now());
    own.overrides[0].apply(&mut pool);
    assert_eq!(pool.processors_per_node, Some(8));
    assert_eq!(pool.upgrade.max_surge, Share::Percent(10));
    assert_eq!(pool.upgrade.undrainable, Undrainable::Quarantine);
    assert_eq!(pool.channel, Some(NodeOsChannel::NodeImage));
    let untouched = PoolProfile::unstated(key("prod", "user2"), now());
    let mut other = untouched.clone();
    own.overrides[0].apply(&mut other);
    assert_eq!(other, untouched);
    assert_eq!(own.quotas[0].vm_family, None);
    assert!(own.subnets[0].pools.covers(&key("prod", "any")));

    let without = OWN.replace("cluster = \"prod\"\n", "");
    let named = read_offered("p", without.as_bytes(), now(), &ClusterNames::one("prod"));
    assert_eq!(named.expect("told"), own, "the name may come from outside");
}

#[test]
fn our_own_form_is_refused_by_line() {
    let odd = |from: &str, to: &str| refused(&OWN.replacen(from, to, 1));
    let at = |what: &str| {
        let place = OWN.find(what).expect("it is there");
        format!("pools:{}: ", OWN[..place].lines().count() + 1)
    };
    assert_eq!(
        odd("as_of = \"2026-11-20\"", "asof = 1"),
        "pools:6: unknown field `asof`, expected one of `cluster`, `pool`, `image`, `as_of`"
    );
    assert!(odd("[[quota]]", "[[quotas]]").starts_with(&at("[[quota]]")));
    assert!(
        odd("processors_free = 40", "processors_free = -1").starts_with(&at("processors_free"))
    );
    for (from, to, expected) in [
        ("\"10%\"", "\"-1\"", r#"max_surge: "-1" is neither"#),
        ("\"10%\"", "0", "both zero"),
        ("\"nodeimage\"", "\"stable\"", "channel: \"stable\" is none of"),
        ("addresses_per_node = 31", "addresses_per_node = 0", "no node is without"),
        ("zones = [\"1\"]", "zones = [\"\"]", "zones: it is empty"),
    ] {
        let error = odd(from, to);
        assert!(error.starts_with(&at("[[pool]]")) && error.contains(expected), "{error}");
    }
    assert!(odd("202611.03.0", "newest").starts_with("pools:2: image: "));
    assert_eq!(odd("\"2026-11-20\"", "\"soon\""), "pools:2: as_of");
    assert_eq!(
        odd("\"2026-11-20\"", "\"2027-11-20\""),
        "pools:2: as_of: 2027-11-20T00:00:00Z is still to come"
    );
    assert_eq!(
        odd("\"user*\"", "\"*\""),
        "pools:8: what is offered to prod/* of AKSUbuntu-2204gen2containerd stands twice"
    );
    assert_eq!(odd("cluster = \"prod\"\n", ""), "pools:2: no cluster is named");
    assert!(refused("just words").starts_with("pools:1: "));
}
