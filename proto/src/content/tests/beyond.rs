//! Facts of what lies beyond the node, and of how it is looked up.

use nodeward_domain::facts::{
    ApiServer, Dns, Egress, EgressEndpoint, HttpAnswer, LocalDns, Nameserver, NameserverAnswer,
    PodResolver, Reach, ResolverFile, ServerCertificate, Tunnel, TunnelAgent, TunnelConnections,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{NAME, TEXT, process};

fn reach() -> impl Strategy<Value = Reach> {
    prop_oneof![
        Just(Reach::Reached),
        Just(Reach::NoSuchName),
        TEXT.prop_map(|why| Reach::NotResolved { why }),
        Just(Reach::Refused),
        TEXT.prop_map(|why| Reach::NoRoute { why }),
        any::<u64>().prop_map(|after_milliseconds| Reach::TimedOut { after_milliseconds }),
        any::<u64>().prop_map(|after_milliseconds| Reach::NoHandshake { after_milliseconds }),
        TEXT.prop_map(|why| Reach::CutOff { why }),
        TEXT.prop_map(|why| Reach::NotTls { why }),
        TEXT.prop_map(|why| Reach::NotProbed { why }),
    ]
}

fn file() -> impl Strategy<Value = ResolverFile> {
    (NAME, any::<bool>(), vec(TEXT, 0..5), vec(TEXT, 0..3), vec(TEXT, 0..3)).prop_map(
        |(path, is_there, nameservers, search, options)| ResolverFile {
            path,
            is_there,
            nameservers,
            search,
            options,
        },
    )
}

pub(super) fn dns() -> impl Strategy<Value = Dns> {
    let answer = prop_oneof![
        NAME.prop_map(|code| NameserverAnswer::Answered { code }),
        Just(NameserverAnswer::Refused),
        any::<u64>()
            .prop_map(|after_milliseconds| NameserverAnswer::TimedOut { after_milliseconds }),
        TEXT.prop_map(|why| NameserverAnswer::Failed { why }),
        TEXT.prop_map(|why| NameserverAnswer::NotAsked { why }),
    ];
    let nameserver = (NAME, answer).prop_map(|(address, answer)| Nameserver { address, answer });
    let pods = prop_oneof![
        Just(PodResolver::NoKubelet),
        Just(PodResolver::Off),
        file().prop_map(PodResolver::File),
        TEXT.prop_map(PodResolver::Unreadable),
    ];
    let local_dns = prop_oneof![
        Just(LocalDns::NotUsed),
        Just(LocalDns::NoUnit),
        TEXT.prop_map(LocalDns::Unit),
        TEXT.prop_map(LocalDns::Unreadable),
    ];
    (file(), option::of(file()), pods, vec(nameserver, 0..4), local_dns).prop_map(
        |(node, uplink, pods, nameservers, local_dns)| Dns {
            node,
            uplink,
            pods,
            nameservers,
            local_dns,
        },
    )
}

pub(super) fn egress() -> impl Strategy<Value = Egress> {
    let endpoint = (NAME, reach(), TEXT).prop_map(|(endpoint, reach, issuer)| EgressEndpoint {
        endpoint,
        reach,
        issuer,
    });
    (TEXT, vec(endpoint, 0..4)).prop_map(|(proxy, endpoints)| Egress { proxy, endpoints })
}

pub(super) fn api_server() -> impl Strategy<Value = ApiServer> {
    let livez = prop_oneof![
        (any::<u16>(), TEXT).prop_map(|(status, body)| HttpAnswer::Answered { status, body }),
        Just(HttpAnswer::Refused),
        TEXT.prop_map(|why| HttpAnswer::NotAsked { why }),
    ];
    let certificate = prop_oneof![
        TEXT.prop_map(|authority| ServerCertificate::Verified { authority }),
        (TEXT, TEXT, TEXT).prop_map(|(authority, issuer, why)| ServerCertificate::Refused {
            authority,
            issuer,
            why,
        }),
        TEXT.prop_map(ServerCertificate::NotCompared),
    ];
    let is_unverified = option::of(any::<bool>());
    (NAME, NAME, reach(), livez, certificate, is_unverified).prop_map(
        |(kubeconfig, server, reach, livez, certificate, is_unverified)| ApiServer {
            kubeconfig,
            server,
            reach,
            livez,
            certificate,
            is_unverified,
        },
    )
}

pub(super) fn tunnel() -> impl Strategy<Value = Tunnel> {
    let connections = prop_oneof![
        Just(TunnelConnections::Standing),
        Just(TunnelConnections::NoneStanding),
        TEXT.prop_map(TunnelConnections::Unknown),
    ];
    let health = (option::of(any::<u16>()), option::of(any::<bool>()));
    let agent = (NAME, process(), TEXT, connections, health).prop_map(
        |(pod, process, server, connections, (health_port, listens))| TunnelAgent {
            pod,
            process,
            server,
            connections,
            health_port,
            listens,
        },
    );
    vec(agent, 0..3).prop_map(|agents| Tunnel { agents })
}
