//! What the nodes of one inventory say of a row, before it is asked whose turn a missing fix
//! is on each of them. Looked up once for all of them, by the names that the rows have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::fleet::Fleet;
use super::known::Known;
use super::{Reported, Wanted};
use crate::advisory::{AliasId, Stream};
use crate::fixes::node::{Judged, is_reissue};
use crate::fixes::{Lack, Turned};
use crate::matching::{FixId, SourceMatch, Standing, is_fips};
use crate::version::key::VersionKey;

/// The fixes in a source package, by what each is about.
type ByName = BTreeMap<AliasId, Vec<FixId>>;

/// All inventories.
pub(super) struct Groups<'f> {
    groups: Vec<Group<'f>>,
    of_class: BTreeMap<usize, usize>,
    fixes: Fixes<'f>,
}

/// Fixes of source packages, each looked up when the first row asks for it.
struct Fixes<'f> {
    wanted: &'f Wanted<'f>,
    known: BTreeMap<(Stream, Arc<str>), ByName>,
}

impl Fixes<'_> {
    fn of(&mut self, group: &Group<'_>, stream: &Stream, source: &SourceMatch) -> &ByName {
        let wanted = self.wanted;
        self.known.entry((stream.clone(), Arc::clone(&source.source))).or_insert_with(|| {
            let index = group.judged.knowledge.index;
            index.fixes_by_name(stream, &source.source, |id| wanted.ids.contains(id))
        })
    }
}

impl<'f> Groups<'f> {
    pub(super) fn of(fleet: &'f Fleet<'_>, wanted: &'f Wanted<'f>) -> Self {
        let mut groups = Vec::new();
        let mut of_class = BTreeMap::new();
        for alike in &fleet.alike {
            let classes = alike.iter().filter_map(|class| fleet.classes.get(*class));
            let Some(judged) = classes.filter_map(|class| class.judged.as_ref().ok()).next() else {
                continue;
            };
            of_class.extend(alike.iter().map(|class| (*class, groups.len())));
            groups.push(Group::of(judged, wanted));
        }
        Self { groups, of_class, fixes: Fixes { wanted, known: BTreeMap::new() } }
    }

    /// What the inventory of that place says of a row.
    pub(super) fn known(&mut self, group: usize, row: &Reported) -> Vec<Known<'f>> {
        let Self { groups, fixes, .. } = self;
        groups.get(group).map(|group| group.known(row, fixes)).unwrap_or_default()
    }

    /// What the inventory of a class says of it.
    pub(super) fn of_class(&mut self, class: usize, row: &Reported) -> Vec<Known<'f>> {
        match self.of_class.get(&class).copied() {
            Some(group) => self.known(group, row),
            None => Vec::new(),
        }
    }
}

/// The nodes of one inventory.
struct Group<'f> {
    judged: &'f Judged<'f>,
    /// Places of source packages, by their names and those of their binaries.
    names: BTreeMap<&'f str, BTreeSet<usize>>,
    running: Option<usize>,
    /// Places among what was assessed, by source and name.
    stated: BTreeMap<(usize, &'f AliasId), Vec<usize>>,
    /// The first statement on a source that cannot be read.
    unreadable: BTreeMap<usize, usize>,
    streams: Vec<Stream>,
}

impl<'f> Group<'f> {
    fn of(judged: &'f Judged<'f>, wanted: &'f Wanted<'f>) -> Self {
        let Judged { inventory, matched, .. } = judged;
        let mut names: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for (place, source) in matched.sources.iter().enumerate() {
            let binaries = matched.binaries(place);
            // A signed kernel has the name of what was signed.
            let of_binaries = binaries.flat_map(|one| [one.name.as_str(), one.source.as_str()]);
            for name in of_binaries.chain([&*source.source]) {
                if let Some(name) = wanted.packages.get(name) {
                    names.entry(name).or_default().insert(place);
                }
            }
        }
        let is_running = |one: &SourceMatch| one.standing == Standing::Running;
        let of_tier = |tier: &crate::advisory::Tier| inventory.stream.in_tier(tier.clone());
        let mut group = Self {
            judged,
            names,
            running: matched.sources.iter().position(is_running),
            stated: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            streams: inventory.tiers.iter().map(of_tier).collect(),
        };
        for (place, turned) in judged.assessed.turned.iter().enumerate() {
            group.state(place, turned, wanted);
        }
        group
    }

    fn state(&mut self, place: usize, turned: &Turned, wanted: &'f Wanted<'f>) {
        let Judged { knowledge, matched, .. } = self.judged;
        if let Lack::Unreadable(one) = turned.lack
            && let Some(one) = matched.unreadable.get(one)
        {
            self.unreadable.entry(one.source).or_insert(place);
        }
        let Some((source, fix)) = self.judged.fix(turned.lack) else { return };
        let index = knowledge.index;
        let names = index.alias_ids(fix).filter_map(|id| wanted.id(id));
        let record = index.record_name(fix).and_then(|record| wanted.record(record));
        for id in names.chain(record) {
            let stated = self.stated.entry((source, id)).or_default();
            if stated.last() != Some(&place) {
                stated.push(place);
            }
        }
    }

    fn source(&self, place: usize) -> Option<&'f SourceMatch> {
        self.judged.matched.sources.get(place)
    }

    fn known(&self, row: &Reported, fixes: &mut Fixes<'_>) -> Vec<Known<'f>> {
        let Some(places) = self.names.get(row.package.as_str()) else { return Vec::new() };
        let of_version = places.iter().filter(|place| self.has_version(**place, row));
        let known: Vec<Known<'_>> =
            of_version.filter_map(|place| self.one(*place, row, fixes)).collect();
        if !known.is_empty() {
            return known;
        }
        vec![Known::Versions(places.iter().flat_map(|place| self.versions(*place, row)).collect())]
    }

    /// Versions of what the row names, of source and binaries.
    fn versions(&self, place: usize, row: &Reported) -> Vec<&'f str> {
        let binaries = || self.judged.matched.binaries(place);
        let Some(source) = self.source(place) else { return Vec::new() };
        let is_named = binaries().any(|one| one.name == row.package);
        let own = binaries().filter(|one| !is_named || one.name == row.package);
        match is_named {
            true => own.map(|one| one.version.as_str()).collect(),
            false => vec![&source.version],
        }
    }

    fn has_version(&self, place: usize, row: &Reported) -> bool {
        let wanted = plain(&row.installed);
        let Some(source) = self.source(place) else { return false };
        if wanted.is_empty() || plain(&source.version) == wanted {
            return true;
        }
        let mut binaries = self.judged.matched.binaries(place);
        binaries.any(|one| {
            let is_meant = one.name == row.package
                || one.source == row.package
                || *source.source == row.package;
            is_meant && [&one.version, &one.source_version].iter().any(|own| plain(own) == wanted)
        })
    }

    /// What is known of one source package that the row names.
    fn one(&self, place: usize, row: &Reported, fixes: &mut Fixes<'_>) -> Option<Known<'f>> {
        let source = self.source(place)?;
        match &source.standing {
            Standing::Judged | Standing::Running => self.stated_on(place, source, row, fixes),
            // What upstream names holds; what it does not name is not covered.
            Standing::Upstream(_) if self.stated.contains_key(&(place, &row.id)) => {
                self.stated_on(place, source, row, fixes)
            }
            Standing::NotCovered(_) | Standing::Unknown(_) | Standing::Upstream(_) => {
                Some(Known::NotJudged(place))
            }
            Standing::GoesAlong if self.judged.inventory.kernel.is_err() => {
                Some(Known::NoKernel(place))
            }
            Standing::GoesAlong => {
                let running = self.running.and_then(|place| Some((place, self.source(place)?)));
                match running {
                    // Made with it: headers and modules of the kernel that runs.
                    Some((running, kernel))
                        if kernel.source == source.source && kernel.version == source.version =>
                    {
                        self.stated_on(running, kernel, row, fixes)
                    }
                    _ => {
                        let running = running.map(|(running, _)| running);
                        let lacks = running.and_then(|running| self.lacks(running, &row.id));
                        Some(Known::GoesAlong { source: place, running, lacks })
                    }
                }
            }
        }
    }

    /// The first fix of that name which a source lacks.
    fn lacks(&self, source: usize, id: &AliasId) -> Option<FixId> {
        let stated = self.stated.get(&(source, id))?;
        stated.iter().find_map(|place| self.missing(*place))
    }

    fn missing(&self, place: usize) -> Option<FixId> {
        let turned = self.judged.assessed.turned.get(place)?;
        match turned.lack {
            Lack::Missing(_) => Some(self.judged.fix(turned.lack)?.1),
            _ => None,
        }
    }

    /// What advisories state.
    fn stated_on(
        &self,
        place: usize,
        source: &SourceMatch,
        row: &Reported,
        fixes: &mut Fixes<'_>,
    ) -> Option<Known<'f>> {
        let stated = self.stated.get(&(place, &row.id)).map(Vec::as_slice).unwrap_or_default();
        let turned = &self.judged.assessed.turned;
        let of = |wanted: fn(&Lack) -> bool| -> Vec<usize> {
            let is_it = |place: &&usize| turned.get(**place).is_some_and(|one| wanted(&one.lack));
            stated.iter().filter(is_it).copied().collect()
        };
        let missing = of(|lack| matches!(lack, Lack::Missing(_)));
        let lacked: Vec<FixId> = missing.iter().filter_map(|one| self.missing(*one)).collect();
        let with_fix = self.with_fix(place, source, row, fixes);
        let index = self.judged.knowledge.index;
        let is_mended = |fix: &FixId| {
            // A second notice does not open again what the first one fixed.
            index.record_name(*fix).is_some_and(is_reissue)
                && with_fix.as_ref().is_some_and(|(_, first)| !lacked.contains(first))
        };
        if !missing.is_empty() && !lacked.iter().all(is_mended) {
            return Some(Known::Lacking(missing));
        }
        if let Some(unfixed) = of(|lack| matches!(lack, Lack::Unfixed(_))).first() {
            return Some(Known::Open(*unfixed));
        }
        if let Some((known @ Known::Fixed(..), _)) = with_fix {
            return Some(known);
        }
        if let Some(other_tier) = of(|lack| matches!(lack, Lack::OtherTier(_))).first() {
            return Some(Known::Open(*other_tier));
        }
        Some(match (self.unreadable.get(&place), with_fix, row.id.is_cve()) {
            (Some(unreadable), ..) => Known::Open(*unreadable),
            (None, Some((out_of_range, _)), _) => out_of_range,
            (None, None, true) => Known::Nothing(place),
            (None, None, false) => Known::NoName(place),
        })
    }

    /// The first fix there was, and whether the installed version has one.
    fn with_fix(
        &self,
        place: usize,
        source: &SourceMatch,
        row: &Reported,
        fixes: &mut Fixes<'_>,
    ) -> Option<(Known<'f>, FixId)> {
        let order = self.judged.inventory.stream.distribution.order()?;
        let is_fips = is_fips(&source.source, &source.version);
        let mut out_of_range = None;
        for stream in self.streams.iter().filter(|stream| stream.tier.is_fips() == is_fips) {
            let Some(known) = fixes.of(self, stream, source).get(&row.id) else { continue };
            let Some(first) = known.first() else { continue };
            let key = VersionKey::parse(order, &source.version).ok()?;
            let index = self.judged.knowledge.index;
            if let Some(fix) = known.iter().find(|fix| index.is_behind(**fix, &key)) {
                return Some((Known::Fixed(place, *fix), *first));
            }
            out_of_range.get_or_insert((Known::OutOfRange(place, *first), *first));
        }
        out_of_range
    }
}

/// A version without an epoch of 0, which some scanners write and others do not.
fn plain(version: &str) -> &str {
    let version = version.trim();
    version.strip_prefix("0:").unwrap_or(version)
}
