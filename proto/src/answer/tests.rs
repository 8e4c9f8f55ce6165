//! What readers are told comes back as it went, and what is not known is refused.

use std::collections::BTreeSet;

use nodeward_domain::advisory::{
    Alias, AliasId, DateKind, FeedStatus, Published, Rating, StreamCoverage,
};
use nodeward_domain::fixes::Step;
use nodeward_domain::fixes::answer::{ContainerRow, FeedRow, FirstTurn, NotJudged};
use nodeward_domain::fixes::counts::FixCounts;
use nodeward_domain::fixes::fleet::{Asked, By, NodeNotJudged, PatchAge, PatchAgeRow};
use nodeward_domain::fixes::opinion::Opinion;
use nodeward_domain::fixes::row::{FixRow, PackageFixes};
use nodeward_domain::fixes::scan::{Elsewhere, Labelled, Reported, ScanLabels, ScanVerdict};
use nodeward_domain::image::compare::{
    ChangedPackage, ComparedFix, FromNodes, ImageDiff, PackageStep,
};
use nodeward_domain::image::drift::{DriftCause, DriftedPackage};
use nodeward_domain::image::first_fix::{
    Dated, FirstFix, FirstFixes, ImageWithFix, ImageWithout, MitigationOpinion,
};
use nodeward_domain::image::list::{ImageList, ImageRow};
use nodeward_domain::image::variants::{Against, Variant, Variants};
use nodeward_domain::pool::PoolKey;
use nodeward_domain::responsibility::{Action, Automation, Responsible};

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a small number of seconds")
}

fn responsible() -> Vec<Responsible> {
    vec![
        Responsible::Customer,
        Responsible::Provider,
        Responsible::Automation { by: Automation::AutoRepair },
        Responsible::Automation { by: Automation::Kured },
        Responsible::Automation { by: Automation::NodeOsChannel },
        Responsible::Automation { by: Automation::NodeAutoProvisioning },
        Responsible::Vendor,
        Responsible::NobodyYet { until: at(7) },
        Responsible::Unknown { missing: "the offered image".to_owned() },
    ]
}

fn actions() -> Vec<Action> {
    let text = || "x.service".to_owned();
    vec![
        Action::Wait { until: Some(at(9)) },
        Action::Wait { until: None },
        Action::Ticket,
        Action::Reboot,
        Action::MigrateOsSku,
        Action::Reimage,
        Action::HandIn,
        Action::UpdatePackage { package: text(), to: None },
        Action::UpdatePackage { package: text(), to: Some(text()) },
        Action::UpgradeImage { to: None },
        Action::UpgradeImage { to: Some(text()) },
        Action::RestartUnit { unit: text() },
        Action::Revert { change: text() },
        Action::Repair { what: text() },
        Action::Investigate { at: text() },
    ]
}

fn finding(responsible: Responsible, action: Action, severity: Severity) -> Finding {
    Finding {
        reason: "KubeletDown".to_owned(),
        component: Component::Kubelet,
        severity,
        message: "no kubelet process".to_owned(),
        since: at(3),
        responsible,
        action,
        policy_rule: "auto-remediate-components".to_owned(),
        evidence: vec![Evidence {
            source: "/proc".to_owned(),
            actual: "none".to_owned(),
            expected: "one".to_owned(),
        }],
    }
}

fn answer(platform: Platform) -> NodeAnswer {
    let mut findings: Vec<Finding> = responsible()
        .into_iter()
        .map(|responsible| finding(responsible, Action::Ticket, Severity::Warning))
        .collect();
    findings.extend(
        actions()
            .into_iter()
            .map(|action| finding(Responsible::Customer, action, Severity::Critical)),
    );
    findings.push(finding(Responsible::Vendor, Action::Reboot, Severity::Information));
    NodeAnswer {
        cluster: "c".to_owned(),
        node: "n".to_owned(),
        platform,
        policy_edition: "aks-2026".to_owned(),
        provider: "Microsoft".to_owned(),
        as_of: at(10),
        last_report_at: Some(at(9)),
        agent: (platform == Platform::Aks)
            .then(|| Agent { version: "0.1.0".to_owned(), path_resolution: "walk".to_owned() }),
        complete: false,
        incomplete: vec!["kernel: could not be read".to_owned()],
        findings,
        components: vec![ComponentAnswer {
            component: Component::Kernel,
            state: "unavailable".to_owned(),
            headline: "could not be read".to_owned(),
            observed_at: None,
            checks: vec![CheckAnswer {
                reason: "KernelFaulted".to_owned(),
                outcome: "unknown".to_owned(),
                detail: "could not be read".to_owned(),
                confirming: Some(2),
                evidence: Vec::new(),
            }],
        }],
        fixes: (platform == Platform::Aks).then(fixes),
        presence: (platform == Platform::Aks).then(|| Presence {
            how: How::Silent,
            since: Some(at(9)),
            because: vec!["its machine is shut down".to_owned()],
        }),
    }
}

fn published(kind: DateKind) -> Published {
    Published { at: at(4), kind, feed: "ubuntu-usn".into(), revision: "of a day".into() }
}

fn aliases() -> Vec<Alias> {
    let ratings = Rating::ALL.into_iter();
    ratings.map(|rating| Alias { id: AliasId::of("CVE-2026-31431"), rating }).collect()
}

fn fixes() -> FixesAnswer {
    let row = |step: Step| FixRow {
        record: "USN-1-1".to_owned(),
        fixed: Some("1.2".to_owned()),
        tier: "base".to_owned(),
        aliases: aliases(),
        published: Some(published(DateKind::Changelog)),
        over_after: Some(at(99)),
        step,
        responsible: Some(Responsible::NobodyYet { until: at(99) }),
        action: Some(Action::Wait { until: Some(at(99)) }),
        mitigation: "a module is kept from loading".to_owned(),
    };
    let mut rows: Vec<FixRow> = Step::ALL.into_iter().map(row).collect();
    rows.push(FixRow {
        fixed: None,
        published: None,
        over_after: None,
        responsible: None,
        action: None,
        ..row(Step::NoFinding)
    });
    let not_judged = || NotJudged {
        source: "moby-runc".to_owned(),
        version: "1.4.3".to_owned(),
        why: "made by packages.microsoft.com".to_owned(),
    };
    FixesAnswer {
        stream: "Ubuntu 22.04".to_owned(),
        incomplete: vec!["fixes: partial".to_owned()],
        silence: Some("partial feed starter".to_owned()),
        counts: counts(),
        first: Some(FirstTurn { responsible: Responsible::Provider, action: Action::HandIn }),
        packages: vec![PackageFixes {
            source: "linux-azure".to_owned(),
            installed: "5.15.0-1124.133".to_owned(),
            binaries: vec!["linux-image-5.15.0-1124-azure".to_owned()],
            is_running_kernel: true,
            speaks: rows.len() - 1,
            fixes: rows,
        }],
        not_covered: vec![not_judged()],
        unknown: vec![not_judged()],
        feeds: vec![FeedRow {
            name: "starter".to_owned(),
            as_of: at(2),
            is_stale: true,
            coverage: "partial: a selection".to_owned(),
        }],
        containers: vec![ContainerRow {
            name: "mcr.microsoft.com/oss/coredns:v1".to_owned(),
            is_covered: true,
            ids: vec!["CVE-2026-1".to_owned()],
            since: Some(at(3)),
            responsible: Some(Responsible::Provider),
            action: Some(Action::HandIn),
        }],
        opinion: Some(Opinion {
            image: "AKSUbuntu-2204gen2containerd-202611.03.0".to_owned(),
            reported_at: at(4),
            agree: 3,
            we_alone: vec!["CVE-2026-2".to_owned()],
            they_alone: vec!["CVE-2026-3".to_owned()],
        }),
    }
}

const fn counts() -> FixCounts {
    FixCounts {
        customer: 1,
        provider: 2,
        automation: 3,
        nobody_yet: 4,
        no_fix: 5,
        unknown: 6,
        mitigated: 7,
        over_line: 8,
        unreadable: 9,
        judged: 10,
        not_covered: 11,
        not_judged: 12,
        containers_not_covered: 13,
    }
}

fn patch_age_of(rows: usize) -> PatchAge {
    let texts = |text: &str| BTreeSet::from([text.to_owned()]);
    let row = |place: usize| PatchAgeRow {
        subject: format!("USN-{place}-1"),
        cluster: "prod".to_owned(),
        packages: texts("openssl"),
        installed: texts("3.0.2-0ubuntu1.1"),
        fixed: texts("3.0.2-0ubuntu1.2"),
        records: texts("USN-1-1"),
        aliases: aliases().into_iter().collect(),
        images: texts("2204gen2containerd-202611.03.0"),
        nodes: 3,
        examples: vec!["prod/a".to_owned()],
        fixes: 4,
        oldest: Some(published(DateKind::Baseline)),
        over_line: 1,
        responsible: Some(Responsible::Customer),
        action: Some(Action::Reboot),
        step: Step::NotRunning,
        note: "noted".to_owned(),
    };
    PatchAge {
        as_of: at(10),
        policy_edition: "aks-2026".to_owned(),
        provider: "Microsoft".to_owned(),
        feeds: vec![FeedStatus {
            name: "ubuntu-usn".to_owned(),
            as_of: at(2),
            imported_at: at(3),
            newest_published: Some(at(1)),
            digest: "00".to_owned(),
            is_stale: false,
            stale_at: at(50),
            coverage: vec![StreamCoverage {
                stream: "Ubuntu 22.04".to_owned(),
                coverage: "complete".to_owned(),
            }],
            statements: 7,
            left_out: [("range of commits".to_owned(), 2)].into(),
            moves: 1,
        }],
        rows: (0..rows).map(row).collect(),
        counts: counts(),
        shown: counts(),
        nodes: 9,
        stale: vec!["prod/b".to_owned()],
        not_judged: vec![NodeNotJudged { node: "prod/c".to_owned(), why: "none".to_owned() }],
        undated: 2,
        incomplete: [("fixes: partial".to_owned(), 9)].into(),
    }
}

#[test]
fn the_fixes_of_many_nodes_come_back_page_by_page() {
    let answer = patch_age_of(5);
    let mut rows = Vec::new();
    let mut first = 0;
    loop {
        let page = patch_age::page(&answer, first, 2);
        let next = page.next_page_token.clone();
        let page = PatchAge::try_from(page).expect("a page");
        rows.extend(page.rows.clone());
        assert_eq!(PatchAge { rows: answer.rows.clone(), ..page }, answer);
        match next.parse() {
            Ok(next) => first = next,
            Err(_) => break,
        }
    }
    assert_eq!(rows, answer.rows);
}

#[test]
fn what_is_asked_about_fixes_comes_back_as_it_went() {
    let asked = Asked {
        cluster: Some("prod".to_owned()),
        older_than: Some(jiff::SignedDuration::from_hours(720)),
        responsible: ["provider".to_owned()].into(),
        include_unfixed: true,
        about: Some("CVE-2026-31431".to_owned()),
    };
    for by in By::ALL {
        for asked in [&asked, &Asked::default()] {
            assert_eq!(patch_age::asked(patch_age::request(asked, by)), Ok((asked.clone(), by)));
        }
    }
    let refused = |spoil: fn(&mut v1::GetPatchAgeRequest)| {
        let mut request = patch_age::request(&asked, By::Fix);
        spoil(&mut request);
        patch_age::asked(request).expect_err("spoilt").field
    };
    assert_eq!(refused(|request| request.by = "moon".to_owned()), "by");
    assert_eq!(refused(|request| request.responsible.push("me".to_owned())), "responsible");
}

#[test]
fn answers_and_rows_come_back_as_they_went() {
    for platform in PLATFORMS {
        let answer = answer(platform);
        assert_eq!(NodeAnswer::try_from(v1::NodeAnswer::from(&answer)), Ok(answer.clone()));
        let row = answer.row();
        assert_eq!(NodeRow::try_from(v1::NodeRow::from(&row)), Ok(row));
    }
}

#[test]
fn what_is_not_known_is_refused_by_its_place() {
    let spoilt = |spoil: fn(&mut v1::NodeAnswer)| {
        let mut answer = v1::NodeAnswer::from(&answer(Platform::Aks));
        spoil(&mut answer);
        NodeAnswer::try_from(answer).expect_err("spoilt").field
    };
    assert_eq!(spoilt(|answer| answer.as_of = None), "as_of");
    assert_eq!(spoilt(|answer| answer.platform = "mars".to_owned()), "platform");
    assert_eq!(
        spoilt(|answer| answer.findings[1].severity = "bad".to_owned()),
        "findings[1].severity"
    );
    assert_eq!(spoilt(|answer| answer.findings[0].responsible = None), "findings[0].responsible");
}

fn labels(rows: usize) -> ScanLabels {
    let row = |place: usize| Labelled {
        verdict: ScanVerdict::ALL[place % ScanVerdict::ALL.len()],
        why: "openssl 3.0.2-1 lacks USN-1-1".to_owned(),
        record: "USN-1-1".to_owned(),
        fixed: place.is_multiple_of(2).then(|| "3.0.2-2".to_owned()),
        published: place.is_multiple_of(2).then(|| published(DateKind::Advisory)),
        responsible: responsible().get(place).cloned(),
        action: actions().get(place).cloned(),
        step: Step::ALL.get(place).copied(),
        nodes: place,
        examples: vec!["prod/a".to_owned()],
        elsewhere: vec![Elsewhere {
            verdict: ScanVerdict::FixedAlready,
            responsible: if place == 0 { String::new() } else { "provider".to_owned() },
            nodes: 2,
        }],
    };
    let PatchAge { as_of, policy_edition, provider, feeds, incomplete, .. } = patch_age_of(0);
    let rows = (0..rows).map(row).collect();
    ScanLabels { as_of, policy_edition, provider, feeds, nodes: 9, incomplete, rows }
}

#[test]
fn the_labels_of_a_scan_come_back_each_in_its_place() {
    let places: Vec<u64> = (3..30).collect();
    let labels = labels(places.len());
    let answer = scan::response(&labels, &places);
    assert_eq!(scan::labels(answer.clone(), &places), Ok(labels));
    let refused = |spoil: fn(&mut v1::LabelScanResponse)| {
        let mut answer = answer.clone();
        spoil(&mut answer);
        scan::labels(answer, &places).expect_err("spoilt").field
    };
    assert_eq!(refused(|answer| answer.rows.truncate(2)), "rows");
    assert_eq!(refused(|answer| answer.rows.swap(0, 1)), "rows");
    assert_eq!(refused(|answer| answer.rows[1].verdict.clear()), "rows[1].verdict");
    assert_eq!(refused(|answer| answer.rows[1].step = Some(String::new())), "rows[1].step");
    assert_eq!(
        refused(|answer| answer.rows[1].elsewhere[0].responsible = "me".to_owned()),
        "rows[1].elsewhere[0].responsible"
    );
    assert_eq!(refused(|answer| answer.as_of = None), "as_of");
}

#[test]
fn the_rows_of_a_scan_come_back_as_they_went() {
    let row = Reported {
        id: AliasId::of("CVE-2026-31431"),
        package: "libssl3".to_owned(),
        installed: "3.0.2-1".to_owned(),
        target: "prod/a".to_owned(),
    };
    let request =
        v1::LabelScanRequest { cluster: "prod".to_owned(), rows: vec![scan::reported(7, &row)] };
    let asked = scan::AskedScan {
        cluster: Some("prod".to_owned()),
        places: vec![7],
        rows: vec![row.clone()],
    };
    assert_eq!(scan::AskedScan::try_from(request.clone()), Ok(asked));
    let refused = |spoil: fn(&mut v1::LabelScanRequest)| {
        let mut request = request.clone();
        spoil(&mut request);
        scan::AskedScan::try_from(request).expect_err("spoilt").field
    };
    assert_eq!(refused(|request| request.rows[0].id.clear()), "rows[0].id");
    assert_eq!(refused(|request| request.rows[0].package.clear()), "rows[0].package");
    let too_many = vec![scan::reported(0, &row); scan::SCAN_ROWS + 1];
    let request = v1::LabelScanRequest { rows: too_many, ..request.clone() };
    assert_eq!(scan::AskedScan::try_from(request).expect_err("too many").field, "rows");
}

#[test]
fn lists_of_images_come_back_as_they_went() {
    let row = ImageRow {
        family: "AKSUbuntu-2204gen2containerd".to_owned(),
        version: "202611.03.0".to_owned(),
        built_at: Some(at(1)),
        is_built_by_note: true,
        announced_at: Some(at(2)),
        offered_since: Some(at(3)),
        offered_to: 4,
        kernel: "5.15.0-1124-azure".to_owned(),
        packages: Some(755),
        unknown: String::new(),
        nodes: 5,
        variants: 2,
    };
    let bare = ImageRow {
        built_at: None,
        is_built_by_note: false,
        announced_at: None,
        offered_since: None,
        packages: None,
        unknown: "a stub".to_owned(),
        ..row.clone()
    };
    let images = ImageList { as_of: at(9), images: vec![row, bare] };
    let answer = v1::ListImagesResponse::from(&images);
    assert_eq!(ImageList::try_from(answer.clone()), Ok(images));
    let undated = v1::ListImagesResponse { as_of: None, ..answer };
    assert_eq!(ImageList::try_from(undated).expect_err("spoilt").field, "as_of");
}

fn compared(source: &str) -> ComparedFix {
    ComparedFix {
        source: source.to_owned(),
        record: "USN-1-1".to_owned(),
        fixed: "2".to_owned(),
        from: "1".to_owned(),
        to: "2".to_owned(),
        published: Some(published(DateKind::Advisory)),
        aliases: aliases(),
        is_over: true,
    }
}

#[test]
fn images_that_were_held_against_each_other_come_back_as_they_went() {
    let step = |step: PackageStep| ChangedPackage {
        name: step.word().to_owned(),
        from: vec!["1".to_owned()],
        to: vec!["2".to_owned(), "3".to_owned()],
        step,
    };
    let diff = ImageDiff {
        as_of: at(9),
        from_nodes: Some(FromNodes {
            pool: PoolKey { cluster: "prod".to_owned(), pool: "apps".to_owned() },
            nodes: 3,
            not_judged: 1,
            images: vec!["a".to_owned()],
        }),
        partial: Some("stale".to_owned()),
        from: "a-1".to_owned(),
        to: "a-2".to_owned(),
        built: (Some(at(1)), None),
        packages: (10, 11),
        kernel: ("5.15".to_owned(), String::new()),
        is_of_one_system: true,
        changed: PackageStep::ALL.into_iter().map(step).collect(),
        gained: vec![compared("gained")],
        left: vec![compared("left")],
        brought_back: vec![ComparedFix { published: None, ..compared("back") }],
        unclear: vec![ComparedFix { is_over: false, ..compared("unclear") }],
        not_covered: vec!["oras".to_owned()],
        opinion: Some(Opinion {
            image: "AKSUbuntu-2204gen2containerd-202611.17.0".to_owned(),
            reported_at: at(8),
            agree: 3,
            we_alone: vec!["CVE-2026-2".to_owned()],
            they_alone: Vec::new(),
        }),
    };
    let answer = v1::DiffImagesResponse::from(&diff);
    assert_eq!(ImageDiff::try_from(answer.clone()), Ok(diff.clone()));
    let bare = ImageDiff { from_nodes: None, partial: None, built: (None, Some(at(2))), ..diff };
    assert_eq!(ImageDiff::try_from(v1::DiffImagesResponse::from(&bare)), Ok(bare));
    let refused = |spoil: fn(&mut v1::DiffImagesResponse)| {
        let mut answer = answer.clone();
        spoil(&mut answer);
        ImageDiff::try_from(answer).expect_err("spoilt").field
    };
    assert_eq!(refused(|answer| answer.as_of = None), "as_of");
    assert_eq!(refused(|answer| answer.changed[1].step = "sideways".to_owned()), "changed[1].step");
}

#[test]
fn first_images_with_a_fix_come_back_as_they_went() {
    let dated =
        |version: &str, age| Dated { version: version.to_owned(), at: at(5), fix_age_days: age };
    let fix = FirstFix {
        family: "AKSUbuntu-2204gen2containerd".to_owned(),
        source: "curl".to_owned(),
        record: "USN-1-1".to_owned(),
        fixed: "2".to_owned(),
        published: compared("curl").published,
        first: Some(ImageWithFix {
            version: "202611.17.0".to_owned(),
            has: "2".to_owned(),
            built_at: Some(at(4)),
            fix_age_days: Some(0),
        }),
        last_without: Some(ImageWithout {
            version: "202611.03.0".to_owned(),
            has: "1".to_owned(),
            built_at: None,
        }),
        first_announced: Some(dated("202611.17.0", Some(41))),
        first_offered: Some(dated("202611.17.0", None)),
        lost_again: vec!["202611.24.0".to_owned()],
        or_earlier: true,
        looked_at: 3,
        unclear: vec![("202610.06.0".to_owned(), "a stub".to_owned())],
        opinion: Some(MitigationOpinion {
            reported_at: at(9),
            seen_in: vec!["202611.03.0".to_owned()],
            mitigated_in: vec!["202611.17.0".to_owned()],
            disagree: vec!["202611.03.0".to_owned()],
        }),
    };
    let none = FirstFix {
        published: None,
        first: None,
        last_without: None,
        first_announced: None,
        first_offered: None,
        opinion: None,
        ..fix.clone()
    };
    let fixes = FirstFixes {
        about: "CVE-2026-1".to_owned(),
        as_of: at(9),
        fixes: vec![fix, none],
        not_affected: vec!["AKSWindows".to_owned()],
        unclear: vec![("AKSAzureLinux-V3gen2".to_owned(), "a partial feed".to_owned())],
        is_known: true,
    };
    let answer = v1::GetFirstFixResponse::from(&fixes);
    assert_eq!(FirstFixes::try_from(answer.clone()), Ok(fixes));
    let refused = |spoil: fn(&mut v1::GetFirstFixResponse)| {
        let mut answer = answer.clone();
        spoil(&mut answer);
        FirstFixes::try_from(answer).expect_err("spoilt").field
    };
    assert_eq!(refused(|answer| answer.as_of = None), "as_of");
    let undated = |answer: &mut v1::GetFirstFixResponse| {
        answer.fixes[0].first_announced.as_mut().expect("dated").at = None;
    };
    assert!(refused(undated).starts_with("fixes[0]"));
}

#[test]
fn variants_of_an_image_come_back_as_they_went() {
    for (against, changed) in [
        (Against::Note, None),
        (Against::CommonestVariant, Some(Vec::new())),
        (
            Against::Note,
            Some(
                DriftCause::ALL
                    .map(|cause| DriftedPackage {
                        name: cause.word().to_owned(),
                        shipped: vec!["1".to_owned()],
                        installed: vec!["2".to_owned(), "3".to_owned()],
                        cause,
                    })
                    .to_vec(),
            ),
        ),
    ] {
        let variants = Variants {
            as_of: at(5),
            image: "AKSUbuntu-2204gen2containerd-202611.17.0".to_owned(),
            against,
            not_read: 2,
            variants: vec![Variant {
                packages: "ab".to_owned(),
                installed: 3,
                nodes: 4,
                example: "aks-a".to_owned(),
                pools: vec![PoolKey { cluster: "prod".to_owned(), pool: "apps".to_owned() }],
                patched: vec!["2026.11.20".to_owned()],
                changed,
            }],
        };
        let wire = v1::ListImageVariantsResponse::from(&variants);
        assert_eq!(Variants::try_from(wire.clone()).expect("as it went"), variants);
        let odd = v1::ListImageVariantsResponse { against: "hearsay".to_owned(), ..wire };
        assert!(Variants::try_from(odd).is_err());
    }
}
