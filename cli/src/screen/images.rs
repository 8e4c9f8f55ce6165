//! Node images: the list of them, two held against each other, the first that runs a fix.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use nodeward_domain::image::compare::{ComparedFix, ImageDiff, PackageStep, age_days};
use nodeward_domain::image::first_fix::{Dated, FirstFix, FirstFixes};
use nodeward_domain::image::list::{ImageList, ImageRow};
use nodeward_domain::image::variants::{Against, Variant, Variants};
use nodeward_feeds::image_document;

use super::fixes::opinion_of;
use super::layout::{Page, count};
use super::{ScreenError, Style, write};
use crate::admin::{ImportedDocuments, ImportedImages};
use crate::inert;

/// So many rows of packages are shown for people who did not ask for all.
const SHOWN: usize = 15;

/// What was imported.
pub fn imported_images(answer: &ImportedImages, style: Style<'_>) -> Result<String, ScreenError> {
    write(
        answer,
        style,
        |_| {
            let mut page = Page::new(style.width);
            let all: u64 = answer.documents.iter().map(|one| one.count).sum();
            let news: u64 = answer.documents.iter().map(|one| one.news).sum();
            let all = usize::try_from(all).unwrap_or(usize::MAX);
            let documents = count(all, "document", "documents");
            page.labelled("IMPORTED", &format!("{documents}, {news} of them with something new"));
            page.blank();
            page.table(
                &["KIND", "DOCUMENTS", "WITH NEWS"],
                answer
                    .documents
                    .iter()
                    .map(|one| [one.kind.clone(), one.count.to_string(), one.news.to_string()]),
            );
            for remark in &answer.remarks {
                page.fold("  ", 4, &format!("look at: {remark}"));
            }
            if answer.passed_over > 0 {
                let first = &answer.first_passed_over;
                let passed = usize::try_from(answer.passed_over).unwrap_or(usize::MAX);
                let files = count(passed, "file", "files");
                page.fold("  ", 4, &format!("{files} of no known kind, the first {first}"));
            }
            page.blank();
            let is_of_pools =
                |one: &ImportedDocuments| one.kind == image_document::Kind::Offered.word();
            let next = match answer.documents.iter().any(is_of_pools) {
                true => "nodeward plan create NAME",
                false => "nodeward image list",
            };
            page.labelled("NEXT", &style.command(next));
            page.into_text()
        },
        |csv| {
            csv.write_record(["kind", "documents", "with_news"])?;
            answer.documents.iter().try_for_each(|one| {
                csv.write_record([&one.kind, &one.count.to_string(), &one.news.to_string()])
            })
        },
    )
}

/// The list of images.
pub fn images(answer: &ImageList, style: Style<'_>) -> Result<String, ScreenError> {
    write(answer, style, |wide| list_text(answer, wide, style), |csv| list_records(answer, csv))
}

/// A text for a cell of CSV.
fn cell(text: &str) -> String {
    inert::cell(text).into_owned()
}

fn day(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), |at| at.strftime("%Y-%m-%d").to_string())
}

fn list_text(answer: &ImageList, wide: bool, style: Style<'_>) -> String {
    let mut page = Page::new(style.width);
    let lines: BTreeSet<&str> = answer.images.iter().map(|row| row.family.as_str()).collect();
    let nodes: usize = answer.images.iter().map(|row| row.nodes).sum();
    let unlisted = answer.images.iter().filter(|row| row.packages.is_none()).count();
    page.labelled(
        "IMAGES",
        &match answer.images.is_empty() {
            true => "NONE: nothing is known of images, so that nothing can be said about what an \
                     upgrade brings"
                .to_owned(),
            false => format!(
                "{} of {}, {} run by nodes; of {unlisted} the packages are not known",
                count(answer.images.len(), "image", "images"),
                count(lines.len(), "line", "lines"),
                count(nodes, "is", "are"),
            ),
        },
    );
    page.labelled("AS OF", &format!("{:.0}", answer.as_of));
    page.blank();
    let packages = |row: &ImageRow| match row.packages {
        Some(packages) => packages.to_string(),
        None if wide => format!("UNKNOWN: {}", row.unknown),
        None => "UNKNOWN".to_owned(),
    };
    let variants = |row: &ImageRow| match (row.nodes, row.variants) {
        (0, _) => "-".to_owned(),
        (nodes, 0 | 1) => nodes.to_string(),
        (nodes, variants) => format!("{nodes}, {variants} variants"),
    };
    for line in lines {
        let of_line = answer.images.iter().filter(|row| row.family == line);
        page.fold("", 2, line);
        page.table(
            &["VERSION", "BUILT", "ANNOUNCED", "OFFERED", "PACKAGES", "KERNEL", "NODES"],
            of_line.map(|row| {
                let by_name = if row.is_built_by_note { "" } else { "?" };
                [
                    row.version.clone(),
                    format!("{}{by_name}", day(row.built_at)),
                    day(row.announced_at),
                    day(row.offered_since),
                    packages(row),
                    row.kernel.clone(),
                    variants(row),
                ]
            }),
        );
        page.blank();
    }
    let next = match answer.images.is_empty() {
        true => "nodeward image import PATH".to_owned(),
        false => style.command("nodeward image diff FROM TO --family LINE"),
    };
    page.labelled("NEXT", &next);
    page.into_text()
}

fn list_records(answer: &ImageList, csv: &mut csv::Writer<Vec<u8>>) -> Result<(), csv::Error> {
    csv.write_record([
        "family",
        "version",
        "built_at",
        "is_built_by_note",
        "announced_at",
        "offered_since",
        "offered_to",
        "kernel",
        "packages",
        "unknown",
        "nodes",
        "variants",
    ])?;
    let at = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    for row in &answer.images {
        csv.write_record([
            cell(&row.family),
            cell(&row.version),
            at(row.built_at),
            row.is_built_by_note.to_string(),
            at(row.announced_at),
            at(row.offered_since),
            row.offered_to.to_string(),
            cell(&row.kernel),
            row.packages.map(|number| number.to_string()).unwrap_or_default(),
            cell(&row.unknown),
            row.nodes.to_string(),
            row.variants.to_string(),
        ])?;
    }
    Ok(())
}

/// Two images held against each other.
pub fn image_diff(answer: &ImageDiff, style: Style<'_>) -> Result<String, ScreenError> {
    write(answer, style, |wide| diff_text(answer, wide, style), |csv| diff_records(answer, csv))
}

fn diff_text(answer: &ImageDiff, wide: bool, style: Style<'_>) -> String {
    let mut page = Page::new(style.width);
    let (gained, left, back) = answer.over_line();
    let partial =
        if answer.partial.is_some() || !answer.not_covered.is_empty() { "PARTIAL: " } else { "" };
    page.labelled(
        "VERDICT",
        &format!(
            "{partial}gains {} ({gained} over the line), leaves {} ({left} over), brings back {} \
             ({back} over)",
            count(answer.gained.len(), "fix", "fixes"),
            answer.left.len(),
            answer.brought_back.len(),
        ),
    );
    page.labelled("AS OF", &format!("{:.0}", answer.as_of));
    if let Some(from) = &answer.from_nodes {
        let judged = match from.not_judged {
            0 => String::new(),
            number => format!(", {number} of them cannot be judged"),
        };
        let nodes = count(from.nodes, "node", "nodes");
        page.labelled(
            "POOL",
            &format!("{}: {nodes}{judged}; {}", from.pool, from.images.join(", ")),
        );
    }
    let image = |label: &str, built: Option<Timestamp>, packages: usize, kernel: &str| {
        let kernel = if kernel.is_empty() { "not stated" } else { kernel };
        format!("{label}, built {}, {packages} packages, kernel {kernel}", day(built))
    };
    page.labelled(
        "FROM",
        &image(&answer.from, answer.built.0, answer.packages.0, &answer.kernel.0),
    );
    page.labelled("TO", &image(&answer.to, answer.built.1, answer.packages.1, &answer.kernel.1));
    if answer.kernel.0 != answer.kernel.1 {
        page.labelled("", "another kernel: nodes are started anew, as with every image");
    }
    if !answer.is_of_one_system {
        page.labelled("", "!! another operating system: this is a migration, no upgrade");
    }
    for (fixes, title) in [
        (&answer.brought_back, "BROUGHT BACK: there now, and lacking in the second image"),
        (&answer.gained, "GAINED"),
        (&answer.left, "LEFT: lacking in both"),
        (&answer.unclear, "UNKNOWN: whether the second image has these cannot be told"),
    ] {
        show_fixes(&mut page, fixes, title, answer.as_of, wide);
    }
    show_packages(&mut page, answer, wide);
    if let Some(why) = &answer.partial {
        page.blank();
        page.labelled("PARTIAL", &format!("{why}: more fixes may be lacking than are told"));
    }
    if !answer.not_covered.is_empty() {
        let shown = if wide { answer.not_covered.len() } else { 8 };
        let named: Vec<&str> = answer.not_covered.iter().take(shown).map(String::as_str).collect();
        let more = answer.not_covered.len().saturating_sub(shown);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        page.labelled(
            "UNCOVERED",
            &format!(
                "of {} nobody knows the source package: {}{more}",
                count(answer.not_covered.len(), "package", "packages"),
                named.join(", ")
            ),
        );
    }
    if let Some(opinion) = &answer.opinion {
        page.labelled("OPINION", &opinion_of(opinion, wide));
    }
    page.blank();
    let next = match (answer.brought_back.first(), answer.gained.is_empty()) {
        (Some(fix), _) => format!("nodeward image first-fix {}", fix.record),
        (None, false) => "nodeward plan create NAME".to_owned(),
        // There is nothing to move for.
        (None, true) => "nodeward image list".to_owned(),
    };
    page.labelled("NEXT", &style.command(&next));
    page.into_text()
}

/// The fixes of one source in one row.
fn show_fixes(page: &mut Page, fixes: &[ComparedFix], title: &str, now: Timestamp, wide: bool) {
    if fixes.is_empty() {
        return;
    }
    let mut by_source: BTreeMap<&str, Vec<&ComparedFix>> = BTreeMap::new();
    for fix in fixes {
        by_source.entry(&fix.source).or_default().push(fix);
    }
    let mut rows: Vec<Vec<&ComparedFix>> = by_source.into_values().collect();
    let published = |fix: &ComparedFix| fix.published.as_ref().map(|published| published.at);
    let oldest = |fixes: &[&ComparedFix]| fixes.iter().filter_map(|fix| published(fix)).min();
    rows.sort_by_key(|fixes| (oldest(fixes).unwrap_or(Timestamp::MAX), fixes[0].source.clone()));
    page.blank();
    page.fold("", 2, title);
    let shown = if wide { rows.len() } else { SHOWN };
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    page.table(
        &["PACKAGE", "FROM", "TO", "FIXES", "CVES", "OLDEST FIX"],
        rows.iter().take(shown).map(|fixes| {
            let names: BTreeSet<_> =
                fixes.iter().flat_map(|fix| &fix.aliases).map(|one| &one.id).collect();
            let eldest = fixes.iter().min_by_key(|fix| published(fix).unwrap_or(Timestamp::MAX));
            let days = eldest.and_then(|fix| age_days(fix, now));
            let over = if fixes.iter().any(|fix| fix.is_over) { " over" } else { "" };
            [
                fixes[0].source.clone(),
                or_dash(&fixes[0].from),
                or_dash(&fixes[0].to),
                fixes.len().to_string(),
                names.iter().filter(|id| id.is_cve()).count().to_string(),
                days.map_or_else(|| "-".to_owned(), |days| format!("{days} d{over}")),
            ]
        }),
    );
    more(page, rows.len(), shown);
}

fn more(page: &mut Page, all: usize, shown: usize) {
    if all > shown {
        page.fold("  ", 2, &format!("and {} more (-o wide)", all - shown));
    }
}

fn show_packages(page: &mut Page, answer: &ImageDiff, wide: bool) {
    let with = |step: PackageStep| answer.changed.iter().filter(|one| one.step == step).count();
    let counted: Vec<String> = PackageStep::ALL
        .iter()
        .filter(|step| with(**step) > 0)
        .map(|step| format!("{} {}", with(*step), step.word()))
        .collect();
    page.blank();
    page.labelled(
        "PACKAGES",
        &match counted.is_empty() {
            true => "none changes".to_owned(),
            false => counted.join(", "),
        },
    );
    // Steps back and jumps surprise; the others come with every image.
    let notable = [PackageStep::Back, PackageStep::Jump];
    let rows = answer.changed.iter().filter(|one| wide || notable.contains(&one.step));
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return;
    }
    let shown = if wide { rows.len() } else { SHOWN };
    page.table(
        &["PACKAGE", "FROM", "TO", "STEP"],
        rows.iter().take(shown).map(|one| {
            let word = match one.step {
                PackageStep::Jump => "!! another line".to_owned(),
                PackageStep::Back => "!! back".to_owned(),
                step => step.word().to_owned(),
            };
            [one.name.clone(), one.from.join(", "), one.to.join(", "), word]
        }),
    );
    more(page, rows.len(), shown);
}

fn diff_records(answer: &ImageDiff, csv: &mut csv::Writer<Vec<u8>>) -> Result<(), csv::Error> {
    csv.write_record([
        "what",
        "source",
        "record",
        "from",
        "to",
        "fixed",
        "published",
        "age_days",
        "is_over",
        "ids",
    ])?;
    for (what, fixes) in [
        ("gained", &answer.gained),
        ("left", &answer.left),
        ("brought_back", &answer.brought_back),
        ("unclear", &answer.unclear),
    ] {
        for fix in fixes {
            let ids: Vec<String> = fix.aliases.iter().map(|alias| alias.id.to_string()).collect();
            let published = fix.published.as_ref().map(|one| one.at.to_string());
            let age = age_days(fix, answer.as_of).map(|days| days.to_string());
            csv.write_record([
                what.to_owned(),
                cell(&fix.source),
                cell(&fix.record),
                cell(&fix.from),
                cell(&fix.to),
                cell(&fix.fixed),
                published.unwrap_or_default(),
                age.unwrap_or_default(),
                fix.is_over.to_string(),
                cell(&ids.join(" ")),
            ])?;
        }
    }
    for package in &answer.changed {
        csv.write_record([
            format!("package_{}", package.step.word()),
            cell(&package.name),
            String::new(),
            cell(&package.from.join(" ")),
            cell(&package.to.join(" ")),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
        ])?;
    }
    Ok(())
}

/// The nodes of an image, by what they have installed.
pub fn image_variants(answer: &Variants, style: Style<'_>) -> Result<String, ScreenError> {
    write(
        answer,
        style,
        |wide| variants_text(answer, wide, style),
        |csv| variant_records(answer, csv),
    )
}

fn variants_text(answer: &Variants, wide: bool, style: Style<'_>) -> String {
    let mut page = Page::new(style.width);
    let nodes: usize = answer.variants.iter().map(|one| one.nodes).sum();
    let differ = |one: &&Variant| one.changed.as_ref().is_some_and(|all| !all.is_empty());
    let other: usize = answer.variants.iter().filter(differ).map(|one| one.nodes).sum();
    let not_compared = answer.variants.iter().any(|one| one.changed.is_none());
    let measure = match answer.against {
        Against::Note => "its note says",
        Against::CommonestVariant => "most nodes of it (its own list is not known)",
    };
    let verdict = match (other, not_compared) {
        // What nobody could read is as nobody expects it to be.
        _ if nodes == 0 => "UNKNOWN: the packages of no node could be read".to_owned(),
        (_, true) => "UNKNOWN: packages of another manager than the image's".to_owned(),
        (0, _) => format!("all {nodes} nodes that could be read have the packages that {measure}"),
        (other, _) => {
            format!("{other} of {nodes} nodes do not have the packages that {measure}")
        }
    };
    let partial = if answer.not_read > 0 && nodes > 0 { "PARTIAL: " } else { "" };
    page.labelled("VERDICT", &format!("{partial}{verdict}"));
    page.labelled("IMAGE", &answer.image);
    page.labelled("AS OF", &format!("{:.0}", answer.as_of));
    if answer.not_read > 0 {
        let nodes = count(answer.not_read, "node", "nodes");
        page.labelled("UNKNOWN", &format!("packages of {nodes} could not be read"));
    }
    for (place, one) in answer.variants.iter().enumerate() {
        page.blank();
        let pools: Vec<String> = one.pools.iter().map(ToString::to_string).collect();
        let patched = match one.patched.as_slice() {
            [] => String::new(),
            days => format!(", label says patched {}", days.join(", ")),
        };
        let digest = one.packages.get(..12).unwrap_or(&one.packages);
        let nodes = count(one.nodes, "node", "nodes");
        page.fold(
            "",
            2,
            &format!(
                "{}. {nodes} such as {} in {}: {} packages (sha256 {digest}){patched}",
                place + 1,
                one.example,
                pools.join(", "),
                one.installed,
            ),
        );
        let Some(changed) = &one.changed else { continue };
        let shown = if wide { changed.len() } else { SHOWN };
        for package in changed.iter().take(shown) {
            let versions = |versions: &[String]| match versions {
                [] => "-".to_owned(),
                versions => versions.join(", "),
            };
            page.fold(
                "    ",
                6,
                &format!(
                    "{}  {} -> {}  {}",
                    package.name,
                    versions(&package.shipped),
                    versions(&package.installed),
                    package.cause.words()
                ),
            );
        }
        if changed.len() > shown {
            page.fold("    ", 6, &format!("and {} more (-o wide)", changed.len() - shown));
        }
        if changed.is_empty() {
            page.fold("    ", 6, "as expected");
        }
    }
    page.blank();
    let next = match answer.variants.iter().find(differ) {
        Some(one) => format!("nodeward node {}", one.example),
        None => "nodeward image list".to_owned(),
    };
    page.labelled("NEXT", &style.command(&next));
    page.into_text()
}

fn variant_records(answer: &Variants, csv: &mut csv::Writer<Vec<u8>>) -> Result<(), csv::Error> {
    csv.write_record([
        "image",
        "variant",
        "nodes",
        "example",
        "package",
        "shipped",
        "installed",
        "cause",
    ])?;
    for one in &answer.variants {
        let mut row = |package: &str, shipped: &str, installed: &str, cause: &str| {
            csv.write_record([
                &*cell(&answer.image),
                &one.packages,
                &one.nodes.to_string(),
                &*cell(&one.example),
                package,
                shipped,
                installed,
                cause,
            ])
        };
        match &one.changed {
            None => row("", "", "", "not_compared")?,
            Some(changed) if changed.is_empty() => row("", "", "", "same")?,
            Some(changed) => changed.iter().try_for_each(|package| {
                row(
                    &cell(&package.name),
                    &cell(&package.shipped.join(" ")),
                    &cell(&package.installed.join(" ")),
                    package.cause.word(),
                )
            })?,
        }
    }
    Ok(())
}

/// The first images that run a fix.
pub fn first_fix(answer: &FirstFixes, style: Style<'_>) -> Result<String, ScreenError> {
    write(answer, style, |_| first_text(answer, style), |csv| first_records(answer, csv))
}

fn first_text(answer: &FirstFixes, style: Style<'_>) -> String {
    let mut page = Page::new(style.width);
    let without = answer.fixes.iter().filter(|fix| fix.first.is_none()).count();
    let told = answer.fixes.len() - without;
    let open = answer.fixes.iter().filter(|fix| fix.or_earlier).count();
    let open = match open {
        0 => String::new(),
        open => format!(" ({open} by that one or an earlier one that is not known)"),
    };
    page.labelled(
        "VERDICT",
        &if !answer.is_known {
            format!("UNKNOWN: no advisory speaks of {}", answer.about)
        } else if answer.fixes.is_empty() && answer.unclear.is_empty() {
            format!("no known image has a package that {} is about", answer.about)
        } else {
            format!(
                "{}: {told} fixed by a known image{open}, {without} by none, {} cannot be told",
                answer.about,
                answer.unclear.len()
            )
        },
    );
    page.labelled("AS OF", &format!("{:.0}", answer.as_of));
    for fix in &answer.fixes {
        page.blank();
        show_first(&mut page, fix);
    }
    if !answer.not_affected.is_empty() {
        page.blank();
        page.labelled("NOT IN", &answer.not_affected.join(", "));
    }
    for (line, why) in &answer.unclear {
        page.labelled("UNKNOWN", &format!("{line}: {why}"));
    }
    page.blank();
    let next = format!("nodeward cve {}", answer.about);
    page.labelled("NEXT", &style.command(&next));
    page.into_text()
}

/// A line behind a label of its own, further in.
fn detail(page: &mut Page, label: &str, text: &str) {
    page.fold(&format!("    {label:<14}"), 18, text);
}

fn show_first(page: &mut Page, fix: &FirstFix) {
    let published = fix.published.as_ref();
    let published = published.map_or_else(
        || "date not known".to_owned(),
        |published| format!("published {:.0} ({})", published.at, published.kind.word()),
    );
    let fixed = if fix.fixed.is_empty() { "a version not named" } else { &fix.fixed };
    page.fold(
        "",
        2,
        &format!("{}: {} in {fixed}, {}, {published}", fix.family, fix.source, fix.record),
    );
    let aged = |days: Option<i64>| match days {
        Some(days) => format!(", fix {days} d old"),
        None => String::new(),
    };
    match &fix.first {
        Some(first) => detail(
            page,
            "first",
            &format!(
                "{}{} has {}, built {}{}",
                first.version,
                if fix.or_earlier { ", or an earlier one that is not known;" } else { "" },
                first.has,
                day(first.built_at),
                aged(first.fix_age_days)
            ),
        ),
        None => detail(page, "first", &format!("none of {} known images", fix.looked_at)),
    }
    let dated = |dated: &Option<Dated>| match dated {
        Some(dated) => {
            format!("{} on {}{}", dated.version, day(Some(dated.at)), aged(dated.fix_age_days))
        }
        None => "none with the fix is known to be".to_owned(),
    };
    if fix.first.is_some() {
        detail(page, "announced", &dated(&fix.first_announced));
        detail(page, "offered", &dated(&fix.first_offered));
    }
    if let Some(last) = &fix.last_without {
        let built = day(last.built_at);
        detail(page, "last without", &format!("{} has {}, built {built}", last.version, last.has));
    }
    if !fix.lost_again.is_empty() {
        detail(page, "!! lost", &format!("again in {}", fix.lost_again.join(", ")));
    }
    if let Some(opinion) = &fix.opinion {
        let named = |versions: &[String]| match versions {
            [] => "none".to_owned(),
            [only] => only.clone(),
            [first, .., last] => format!("{first} to {last} ({})", versions.len()),
        };
        let disagree = match opinion.disagree.as_slice() {
            [] => String::new(),
            versions => format!("; !! of {} we say the opposite", versions.join(", ")),
        };
        detail(
            page,
            "2nd opinion",
            &format!(
                "provider's report of {}: seen in {}, mended in {}{disagree}",
                day(Some(opinion.reported_at)),
                named(&opinion.seen_in),
                named(&opinion.mitigated_in),
            ),
        );
    }
    for (version, why) in &fix.unclear {
        detail(page, "unknown", &format!("{version}: {why}"));
    }
}

fn first_records(answer: &FirstFixes, csv: &mut csv::Writer<Vec<u8>>) -> Result<(), csv::Error> {
    csv.write_record([
        "family",
        "source",
        "record",
        "fixed",
        "published",
        "first",
        "first_built_at",
        "first_fix_age_days",
        "first_announced",
        "announced_at",
        "first_offered",
        "offered_at",
        "last_without",
        "or_earlier",
    ])?;
    let at = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    for fix in &answer.fixes {
        let first = fix.first.as_ref();
        let version = |dated: &Option<Dated>| {
            dated.as_ref().map(|dated| cell(&dated.version)).unwrap_or_default()
        };
        csv.write_record([
            cell(&fix.family),
            cell(&fix.source),
            cell(&fix.record),
            cell(&fix.fixed),
            at(fix.published.as_ref().map(|published| published.at)),
            first.map(|first| cell(&first.version)).unwrap_or_default(),
            at(first.and_then(|first| first.built_at)),
            first.and_then(|one| one.fix_age_days).map(|days| days.to_string()).unwrap_or_default(),
            version(&fix.first_announced),
            at(fix.first_announced.as_ref().map(|dated| dated.at)),
            version(&fix.first_offered),
            at(fix.first_offered.as_ref().map(|dated| dated.at)),
            fix.last_without.as_ref().map(|last| cell(&last.version)).unwrap_or_default(),
            fix.or_earlier.to_string(),
        ])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use nodeward_domain::pool::PoolKey;

    use super::*;
    use crate::arguments::Format;

    fn first_line(not_read: usize, variants: Vec<Variant>) -> String {
        let answer = Variants {
            as_of: Timestamp::UNIX_EPOCH,
            image: "AKSUbuntu-2204gen2containerd-202611.17.0".to_owned(),
            against: Against::CommonestVariant,
            not_read,
            variants,
        };
        let style = Style { format: Format::Table, width: 100, aggregator: None };
        let text = image_variants(&answer, style).expect("a screen");
        text.lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn what_could_not_be_read_never_reads_as_the_same() {
        let variant = Variant {
            packages: "ab".to_owned(),
            installed: 1,
            nodes: 2,
            example: "a".to_owned(),
            pools: vec![PoolKey { cluster: "c".to_owned(), pool: "p".to_owned() }],
            patched: Vec::new(),
            changed: Some(Vec::new()),
        };
        assert!(first_line(3, Vec::new()).contains("UNKNOWN: the packages of no node"));
        assert!(first_line(3, vec![variant.clone()]).contains("PARTIAL: all 2 nodes"));
        assert!(first_line(0, vec![variant]).contains("  all 2 nodes"));
    }
}
