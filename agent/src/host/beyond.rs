//! What lies beyond the machine: which endpoints the operator asked to be looked at, and what
//! was reached a short while ago. A whole fleet asks, so that what was well is asked again
//! only after some minutes; what was not, in every round, so that a row of failures is one of
//! as many attempts.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nodeward_domain::egress::Endpoint;
use nodeward_domain::facts::{HttpAnswer, Reach};

use super::{Foreign, Host};
use crate::probe::reach::{Errand, Seen};

/// What lies beyond the machine.
#[derive(Debug, Default)]
pub struct Beyond {
    /// None where nobody asked.
    asked: Option<Vec<Endpoint>>,
    /// By address.
    reached: Mutex<BTreeMap<String, (Instant, Seen)>>,
    /// What names led to, by address, whatever came of it.
    led_to: Mutex<BTreeMap<String, Vec<IpAddr>>>,
}

impl Beyond {
    /// With endpoints that are looked at.
    #[must_use]
    pub fn asking(endpoints: Vec<Endpoint>) -> Self {
        Self { asked: Some(endpoints), ..Self::default() }
    }

    /// The endpoints that are looked at; none where nobody asked.
    #[must_use]
    pub fn asked(&self) -> Option<&[Endpoint]> {
        self.asked.as_deref()
    }

    /// The addresses that the name of that one has led to when it was last looked up; none
    /// before that.
    #[must_use]
    pub fn led_to(&self, url: &str) -> Vec<IpAddr> {
        let led_to = self.led_to.lock().unwrap_or_else(PoisonError::into_inner);
        led_to.get(url).cloned().unwrap_or_default()
    }

    fn kept(&self, errand: &Errand, again_after: Duration) -> Option<Seen> {
        let reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, seen) = reached.get(&errand.url())?;
        // How long it took was told when it was asked.
        (at.elapsed() < again_after).then(|| Seen { took: None, ..seen.clone() })
    }

    fn keep(&self, url: String, seen: &Seen) {
        if !seen.addresses.is_empty() {
            let mut led_to = self.led_to.lock().unwrap_or_else(PoisonError::into_inner);
            led_to.insert(url.clone(), seen.addresses.clone());
        }
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        match is_well(seen) {
            true => reached.insert(url, (Instant::now(), seen.clone())),
            false => reached.remove(&url),
        };
    }
}

/// Whether there is nothing about it that has to be confirmed.
fn is_well(seen: &Seen) -> bool {
    let answers = match &seen.answer {
        HttpAnswer::Answered { status, .. } => *status < 500,
        HttpAnswer::NotAsked { .. } => true,
        HttpAnswer::Refused
        | HttpAnswer::TimedOut { .. }
        | HttpAnswer::NoHandshake { .. }
        | HttpAnswer::Failed { .. } => false,
    };
    seen.reach == Reach::Reached && answers && !matches!(seen.verified, Some(Err(_)))
}

impl Host {
    /// Goes to endpoints beyond the machine, to all at the same time, but for those that were
    /// reached a shorter while ago.
    #[must_use]
    pub fn reach(&self, errands: Vec<Errand>, again_after: Duration) -> Vec<Seen> {
        let foreign = match self.foreign("net") {
            Some(foreign @ Foreign::Another(_)) => {
                let why = || Reach::NotProbed { why: foreign.to_string() };
                return errands.iter().map(|_| Seen::stopped(why())).collect();
            }
            foreign => foreign,
        };
        // A recording may change from round to round, and costs nothing.
        let again_after = if self.probes.is_live() { again_after } else { Duration::ZERO };
        let kept: Vec<Option<Seen>> =
            errands.iter().map(|errand| self.beyond.kept(errand, again_after)).collect();
        let (mut urls, mut left) = (Vec::new(), Vec::new());
        for (errand, _) in errands.into_iter().zip(&kept).filter(|(_, kept)| kept.is_none()) {
            urls.push(errand.url());
            left.push(errand);
        }
        let mut seen = urls.into_iter().zip(self.probes.reach(left)).map(|(url, seen)| {
            self.beyond.keep(url, &seen);
            match &foreign {
                // That another network reaches nothing says nothing.
                Some(foreign) if seen.reach.is_blocked() == Some(true) => {
                    let why = format!("{}, but {foreign}", seen.reach);
                    Seen::stopped(Reach::NotProbed { why })
                }
                _ => seen,
            }
        });
        let not_gone = || Seen::stopped(Reach::NotProbed { why: "nobody went".to_owned() });
        kept.into_iter().map(|kept| kept.or_else(|| seen.next()).unwrap_or_else(not_gone)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errand(host: &str) -> Errand {
        Errand {
            server_name: None,
            endpoint: Endpoint { host: host.to_owned(), port: 443 },
            path: None,
            names: Default::default(),
            authorities: Vec::new(),
        }
    }

    #[test]
    fn what_was_reached_is_kept_for_a_while_and_what_was_not_never() {
        const LONG: Duration = Duration::from_secs(60);
        let beyond = Beyond::default();
        let well = Seen { took: Some(LONG), ..Seen::stopped(Reach::Reached) };
        beyond.keep(errand("a.example").url(), &well);
        let kept = beyond.kept(&errand("a.example"), LONG).expect("kept");
        assert_eq!((kept.reach, kept.took), (Reach::Reached, None));
        assert_eq!(beyond.kept(&errand("a.example"), Duration::ZERO), None);
        assert_eq!(beyond.kept(&errand("b.example"), LONG), None);
        let answered = |status| HttpAnswer::Answered { status, body: String::new() };
        for ill in [
            Seen::stopped(Reach::Refused),
            Seen { answer: answered(503), ..well.clone() },
            Seen { verified: Some(Err("unknown".to_owned())), ..well.clone() },
        ] {
            beyond.keep(errand("a.example").url(), &well);
            beyond.keep(errand("a.example").url(), &ill);
            assert_eq!(beyond.kept(&errand("a.example"), LONG), None, "{ill:?}");
        }
        let address = IpAddr::from([192, 0, 2, 1]);
        let blocked = Seen { addresses: vec![address], ..Seen::stopped(Reach::Refused) };
        beyond.keep(errand("a.example").url(), &blocked);
        beyond.keep(errand("a.example").url(), &Seen { answer: answered(401), ..well });
        assert_eq!(beyond.led_to(&errand("a.example").url()), [address]);
        assert!(beyond.kept(&errand("a.example"), LONG).is_some());
    }
}
