//! What a collector really asks for, held against what it declares to read.

use nodeward_agent::collect::{COLLECTORS, Collector};
use nodeward_agent::host::Host;
use nodeward_agent::probe::Probes;
use nodeward_agent::reads::Asked;
use nodeward_domain::component::Component;

/// A host whose root and recorded endpoints note what they are asked for.
#[must_use]
pub fn noting(mut host: Host) -> (Host, Asked) {
    let asked = Asked::noting();
    host.root = host.root.noting(asked.clone());
    if let Probes::Recorded(recording) = &mut host.probes {
        recording.asked = asked.clone();
    }
    (host, asked)
}

/// Whether a collector declares to read that.
#[must_use]
pub fn is_declared(collector: &Collector, place: &str) -> bool {
    collector.all_reads().any(|read| read.covers(place))
}

/// Those of the places that no collector of these components declares to read.
#[must_use]
pub fn undeclared(components: &[Component], asked: &Asked) -> Vec<String> {
    let of_these = |one: &Collector| components.contains(&one.component);
    let collectors: Vec<Collector> = COLLECTORS.into_iter().filter(of_these).collect();
    let places = asked.places().into_iter();
    places.filter(|place| !collectors.iter().any(|one| is_declared(one, place))).collect()
}
