//! `dns` to and from the wire.

use nodeward_domain::facts as domain;

use crate::convert::{Invalid, list, name, required, text, texts};
use crate::v1;
use crate::v1::dns::nameserver::Answer;
use crate::v1::dns::{
    LocalDns, Nameserver, NoKubelet, NoUnit, NotUsed, Off, Pods, Refused, ResolverFile,
};

/// Limits of the lists: some ten times what a file has.
const NAMESERVERS: usize = 64;
const DOMAINS: usize = 512;

fn file_out(file: &domain::ResolverFile) -> ResolverFile {
    ResolverFile {
        path: file.path.clone(),
        is_there: file.is_there,
        nameservers: file.nameservers.clone(),
        search: file.search.clone(),
        options: file.options.clone(),
    }
}

fn file_in(field: &str, file: ResolverFile) -> Result<domain::ResolverFile, Invalid> {
    let file = || -> Result<_, Invalid> {
        Ok(domain::ResolverFile {
            path: name("path", file.path)?,
            is_there: file.is_there,
            nameservers: texts("nameservers", file.nameservers, NAMESERVERS)?,
            search: texts("search", file.search, DOMAINS)?,
            options: texts("options", file.options, DOMAINS)?,
        })
    };
    file().map_err(|invalid| invalid.within(field))
}

impl From<&domain::Dns> for v1::Dns {
    fn from(dns: &domain::Dns) -> Self {
        use domain::NameserverAnswer;
        let nameserver = |one: &domain::Nameserver| Nameserver {
            address: one.address.clone(),
            answer: Some(match one.answer.clone() {
                NameserverAnswer::Answered { code } => Answer::Answered(code),
                NameserverAnswer::Refused => Answer::Refused(Refused {}),
                NameserverAnswer::TimedOut { after_milliseconds } => {
                    Answer::TimedOut(after_milliseconds)
                }
                NameserverAnswer::Failed { why } => Answer::Failed(why),
                NameserverAnswer::NotAsked { why } => Answer::NotAsked(why),
            }),
        };
        Self {
            node: Some(file_out(&dns.node)),
            uplink: dns.uplink.as_ref().map(file_out),
            pods: Some(match &dns.pods {
                domain::PodResolver::NoKubelet => Pods::NoKubelet(NoKubelet {}),
                domain::PodResolver::Off => Pods::Off(Off {}),
                domain::PodResolver::File(file) => Pods::File(file_out(file)),
                domain::PodResolver::Unreadable(why) => Pods::PodsUnread(why.clone()),
            }),
            nameservers: dns.nameservers.iter().map(nameserver).collect(),
            local_dns: Some(match &dns.local_dns {
                domain::LocalDns::NotUsed => LocalDns::NotUsed(NotUsed {}),
                domain::LocalDns::NoUnit => LocalDns::NoUnit(NoUnit {}),
                domain::LocalDns::Unit(state) => LocalDns::Unit(state.clone()),
                domain::LocalDns::Unreadable(why) => LocalDns::UnitUnread(why.clone()),
            }),
        }
    }
}

impl TryFrom<v1::Dns> for domain::Dns {
    type Error = Invalid;

    fn try_from(dns: v1::Dns) -> Result<Self, Invalid> {
        use domain::NameserverAnswer;
        Ok(Self {
            node: file_in("node", required("node", dns.node)?)?,
            uplink: dns.uplink.map(|file| file_in("uplink", file)).transpose()?,
            pods: match required("pods", dns.pods)? {
                Pods::NoKubelet(_) => domain::PodResolver::NoKubelet,
                Pods::Off(_) => domain::PodResolver::Off,
                Pods::File(file) => domain::PodResolver::File(file_in("file", file)?),
                Pods::PodsUnread(why) => domain::PodResolver::Unreadable(text(why)),
            },
            nameservers: list("nameservers", dns.nameservers, 3 * NAMESERVERS, |one| {
                Ok(domain::Nameserver {
                    address: name("address", one.address)?,
                    answer: match required("answer", one.answer)? {
                        Answer::Answered(code) => {
                            NameserverAnswer::Answered { code: name("answered", code)? }
                        }
                        Answer::Refused(_) => NameserverAnswer::Refused,
                        Answer::TimedOut(after_milliseconds) => {
                            NameserverAnswer::TimedOut { after_milliseconds }
                        }
                        Answer::Failed(why) => NameserverAnswer::Failed { why: text(why) },
                        Answer::NotAsked(why) => NameserverAnswer::NotAsked { why: text(why) },
                    },
                })
            })?,
            local_dns: match required("local_dns", dns.local_dns)? {
                LocalDns::NotUsed(_) => domain::LocalDns::NotUsed,
                LocalDns::NoUnit(_) => domain::LocalDns::NoUnit,
                LocalDns::Unit(state) => domain::LocalDns::Unit(text(state)),
                LocalDns::UnitUnread(why) => domain::LocalDns::Unreadable(text(why)),
            },
        })
    }
}
