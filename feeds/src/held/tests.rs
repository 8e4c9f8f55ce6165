//! Imports one after the other, and what is then held.

use std::io::Cursor;

use nodeward_domain::advisory::{AliasId, FixKey, Silence};

use super::*;
use crate::intake::Intake;
use crate::stored;

fn at(day: &str) -> Timestamp {
    format!("{day}T00:00:00Z").parse().expect("a time")
}

fn notice(number: u32, day: &str, fixed: &str) -> String {
    format!(
        r#"{{"schema_version":"1.7.0","id":"USN-{number}-1","published":"{day}T00:00:00Z",
        "upstream":["CVE-2026-{number}"],
        "affected":[{{"package":{{"ecosystem":"Ubuntu:22.04:LTS","name":"openssl"}},
        "ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}},{{"fixed":"{fixed}"}}]}}]}}]}}"#
    )
}

fn read(files: &[String]) -> ReadFeed {
    let mut intake = Intake::default();
    for (number, text) in files.iter().enumerate() {
        intake.named(&format!("{number}.json"), &mut Cursor::new(text)).expect("a record");
    }
    intake.finish().0.pop().expect("a feed")
}

fn declared(is_complete: bool) -> Declared {
    Declared { is_complete, as_of: None }
}

fn statements(held: &Held) -> usize {
    held.feed("ubuntu-usn").expect("held").content.len()
}

fn silence(held: &Held, now: Timestamp) -> Silence {
    held.states().silence(&Stream::of_os_release("ubuntu", "22.04"), now)
}

#[test]
fn a_part_adds_to_what_is_held_and_takes_nothing_away() {
    let mut held = Held::default();
    let now = at("2026-11-28");
    let mut take = |files: &[String], is_complete| {
        held.take(read(files), &declared(is_complete), now).expect("taken").acceptance
    };
    let replaced = Acceptance::Replace { frozen: BTreeSet::new() };
    assert_eq!(take(&[notice(9001, "2026-11-20", "1")], false), replaced);
    assert_eq!(take(&[notice(9002, "2026-11-21", "2")], false), replaced);
    assert_eq!(take(&[notice(9002, "2026-11-21", "2")], false), Acceptance::Same);
    // The newer word of a record counts, whichever comes first.
    assert_eq!(take(&[notice(9001, "2026-11-19", "0.5")], false), replaced);
    assert_eq!(statements(&held), 2);
    let FeedContent::Advisories(content) = &held.feed("ubuntu-usn").expect("held").content else {
        panic!("another kind");
    };
    assert!(
        content.advisories.iter().any(|one| one.fixed_version().map(AsRef::as_ref) == Some("1"))
    );
    assert!(matches!(silence(&held, now), Silence::Unknown(_)));
}

#[test]
fn a_part_leaves_a_complete_feed_complete_as_of_when_it_was() {
    let mut held = Held::default();
    let now = at("2026-11-28");
    let whole = [notice(9001, "2026-11-25", "1"), notice(9002, "2026-11-24", "2")];
    held.take(read(&whole), &declared(true), now).expect("taken");
    assert!(
        matches!(silence(&held, now), Silence::NothingMissing { as_of, .. } if as_of == at("2026-11-25"))
    );
    held.take(read(&[notice(9003, "2026-11-28", "3")]), &declared(false), now).expect("taken");
    assert_eq!(statements(&held), 3);
    assert!(
        matches!(silence(&held, now), Silence::NothingMissing { as_of, .. } if as_of == at("2026-11-25"))
    );
    assert!(matches!(silence(&held, at("2026-12-03")), Silence::Unknown(_)), "it goes stale");
}

#[test]
fn the_same_once_more_can_be_declared_complete() {
    let mut held = Held::default();
    let now = at("2026-11-28");
    let files = [notice(9001, "2026-11-25", "1")];
    held.take(read(&files), &declared(false), now).expect("taken");
    assert!(matches!(silence(&held, now), Silence::Unknown(_)));
    held.take(read(&files), &declared(true), now).expect("taken");
    assert!(matches!(silence(&held, now), Silence::NothingMissing { .. }));
    let again = held.take(read(&files), &declared(true), now).expect("taken").acceptance;
    assert_eq!(again, Acceptance::Same);
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut held = Held::default();
    let now = at("2026-11-28");
    let files: Vec<String> =
        (0..60).map(|number| notice(9100 + number, "2026-11-20", "1")).collect();
    held.take(read(&files), &declared(true), now).expect("taken");
    let before = held.states();
    let mut shrunk = files[..40].to_vec();
    shrunk.push(notice(9999, "2026-11-27", "1"));
    let refused = held.take(read(&shrunk), &declared(true), now).expect_err("shrunk");
    assert!(matches!(refused, Refusal::Shrunk { before: 60, now: 41, .. }), "{refused}");
    let to_come = held.take(read(&[notice(1, "2027-01-01", "1")]), &declared(false), now);
    assert!(matches!(to_come, Err(Refusal::ToCome { .. })));
    assert_eq!(held.states(), before);
    assert_eq!(held.ledger().len(), 60);
}

#[test]
fn a_moved_date_is_logged_and_never_makes_a_fix_younger() {
    let now = at("2026-11-28");
    let mut held = Held::default();
    let first = held.take(read(&[notice(9001, "2026-10-01", "1")]), &declared(true), now);
    let second = held.take(read(&[notice(9001, "2026-11-01", "1")]), &declared(true), now);
    let stored: Vec<Recorded> = [first, second]
        .into_iter()
        .map(|taken| {
            let packed = stored::pack_recorded(&taken.expect("taken").recorded).expect("packed");
            stored::unpack_recorded(&packed).expect("unpacked")
        })
        .collect();
    let key = FixKey {
        stream: Stream::of_os_release("ubuntu", "22.04"),
        source: Arc::from("openssl"),
        fixed: Arc::from("1"),
        subject: AliasId::of("USN-9001-1"),
    };
    let mut again = Held::default();
    again.restore_ledger(stored);
    for held in [&held, &again] {
        assert_eq!(held.ledger().published(&key).expect("dated").at, at("2026-10-01"));
        assert_eq!(held.ledger().moves_of("ubuntu-usn"), 1);
    }
    assert_eq!(held.ledger(), again.ledger());
}

#[test]
fn the_list_of_dsas_ends_with_the_support_of_a_release() {
    let list = "[27 Nov 2026] DSA-9002-1 curl - security update\n\t[trixie] - curl 2\n\
                [01 Jun 2026] DSA-9001-1 curl - security update\n\t[bookworm] - curl 1\n";
    let mut intake = Intake::default();
    intake.named("list", &mut Cursor::new(list)).expect("a list");
    let feed = intake.finish().0.pop().expect("a feed");
    let mut held = Held::default();
    let now = at("2026-11-28");
    held.take(feed, &Declared::default(), now).expect("taken");
    let of = |release| held.states().silence(&Stream::of_os_release("debian", release), now);
    assert!(matches!(of("13"), Silence::NothingMissing { .. }), "{:?}", of("13"));
    assert!(matches!(of("12"), Silence::Unknown(why) if why.contains("ends with 2026-06-10")));
}

#[test]
fn a_whole_and_a_later_part_are_held_in_whichever_order_they_come() {
    let now = at("2026-11-28");
    let whole = [notice(9001, "2026-11-25", "1"), notice(9002, "2026-11-24", "2")];
    let part = [notice(9003, "2026-11-27", "3")];
    for order in [&[true, false][..], &[false, true], &[true, false, true], &[false, true, false]] {
        let mut held = Held::default();
        for is_whole in order {
            let files: &[String] = if *is_whole { &whole } else { &part };
            held.take(read(files), &declared(*is_whole), now).expect("taken");
        }
        assert_eq!(statements(&held), 3, "{order:?}");
        let silence = silence(&held, now);
        assert!(
            matches!(silence, Silence::NothingMissing { as_of, .. } if as_of == at("2026-11-25")),
            "{order:?}: {silence:?}"
        );
    }
    // What a later whole no longer has is gone.
    let mut held = Held::default();
    held.take(read(&part), &declared(false), now).expect("taken");
    held.take(read(&[notice(9004, "2026-11-28", "4")]), &declared(true), now).expect("taken");
    assert_eq!(statements(&held), 1);
}

fn report(image: &str, day: &str) -> String {
    format!(
        r#"{{"distro_name":"AKSUbuntu-2204gen2containerd","vhd_release_version":"{image}",
        "report_time":"{day}T00:00:00Z"}}"#
    )
}

#[test]
fn reports_of_images_are_the_same_in_whichever_order_they_come() {
    let now = at("2026-11-28");
    let reports = [
        report("202611.03.0", "2026-11-20"),
        report("202610.03.0", "2026-10-10"),
        report("202611.03.0", "2026-11-05"),
    ];
    let held = |order: [usize; 3]| {
        let mut held = Held::default();
        for place in order {
            let report = reports.get(place).cloned().expect("one of them");
            let taken = held.take(read(&[report]), &declared(false), now).expect("taken");
            assert!(matches!(taken.acceptance, Acceptance::Replace { .. }), "{order:?}");
        }
        let as_of = held.feed("aks-vulnerability-api").expect("held").state.as_of;
        (as_of, held.scan_reports().map(|one| one.reported_at).collect::<Vec<_>>())
    };
    let (as_of, times) = held([0, 1, 2]);
    assert_eq!(as_of, at("2026-11-20"));
    assert_eq!(times, [at("2026-10-10"), at("2026-11-05"), at("2026-11-20")]);
    for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        assert_eq!(held(order), (as_of, times.clone()), "{order:?}");
    }
}

#[test]
fn of_reports_on_packages_the_newest_of_each_is_held() {
    let now = at("2026-11-28");
    let report = |package: &str, day: &str| {
        format!(
            r#"{{"package_name":"{package}","mitigations":[],"report_time":"{day}T00:00:00Z"}}"#
        )
    };
    let (new, old, other) =
        (report("a", "2026-11-20"), report("a", "2026-11-05"), report("b", "2026-11-01"));
    for order in [[&new, &old, &other], [&other, &old, &new], [&old, &other, &new]] {
        let mut held = Held::default();
        for one in order {
            held.take(read(std::slice::from_ref(one)), &declared(false), now).expect("taken");
        }
        let told: Vec<_> =
            held.mitigation_reports().map(|one| (one.package.as_str(), one.reported_at)).collect();
        assert_eq!(told, [("a", at("2026-11-20")), ("b", at("2026-11-01"))]);
        let content = &held.feed("aks-vulnerability-mitigations").expect("held").content;
        let packed = stored::pack_content(content).expect("packed");
        let unpacked = stored::unpack_content(&packed).expect("unpacked");
        assert_eq!(format!("{unpacked:?}"), format!("{content:?}"));
    }
}

fn bulletin(number: u32, day: &str, title: &str) -> String {
    format!(
        "[[bulletin]]\nid = \"AKS-2026-{number}\"\nkind = \"bulletin\"\ntitle = \"{title}\"\n\
         published = \"{day}\"\nsource = \"https://example.com/\"\nsteps = [\"Upgrade.\"]\n\
         [[bulletin.affected]]\nos = \"ubuntu\"\npackage = \"openssl\"\nbelow = \"9\"\n"
    )
}

#[test]
fn a_bulletin_comes_beside_those_that_are_held() {
    let mut held = Held::default();
    let now = at("2026-11-28");
    let mut take = |text: String, is_complete| {
        let mut intake = Intake::default();
        intake.named("bulletins.toml", &mut Cursor::new(text)).expect("a bulletin");
        let feed = intake.finish().0.pop().expect("a feed");
        held.take(feed, &declared(is_complete), now).expect("taken");
        let titles: Vec<String> = held.bulletins().map(|one| one.title.to_string()).collect();
        (titles.join(" "), held.feed("bulletins").expect("held").state.as_of)
    };
    let (first, second) = (at("2026-11-01"), at("2026-11-05"));
    assert_eq!(take(bulletin(2, "2026-11-01", "two"), false), ("two".to_owned(), first));
    assert_eq!(take(bulletin(1, "2026-10-01", "one"), false), ("one two".to_owned(), first));
    assert_eq!(take(bulletin(3, "2026-11-05", "three"), false).0, "one two three");
    // The newer word counts, whichever comes first.
    assert_eq!(take(bulletin(3, "2026-11-02", "old"), false).0, "one two three");
    assert_eq!(take(bulletin(2, "2026-11-05", "again"), false).0, "one again three");
    // All that there are.
    assert_eq!(take(bulletin(4, "2026-11-05", "four"), true), ("four".to_owned(), second));
}

#[test]
fn a_notice_that_does_not_say_which_versions_leaves_its_feed_partial() {
    let mut held = Held::default();
    let now = at("2026-11-28");
    let whole = notice(9001, "2026-11-27", "1");
    let begin =
        whole.find(r#","affected""#).or_else(|| whole.find("\"affected\"")).expect("packages");
    let without = format!(
        r#"{}"affected":[{{"package":{{"ecosystem":"Ubuntu:22.04:LTS","name":"curl"}}}}]}}"#,
        &whole[..begin].replace("9001", "9002")
    );
    held.take(read(&[whole.clone(), without]), &declared(true), now).expect("taken");
    let Silence::Unknown(why) = silence(&held, now) else { panic!("its silence is believed") };
    assert!(why.contains("which versions 1 of its packages"), "{why}");
    held.take(read(&[whole]), &declared(true), now).expect("taken");
    assert!(matches!(silence(&held, now), Silence::NothingMissing { .. }));
}

#[test]
fn an_archive_in_a_folder_is_read_and_one_in_an_archive_is_told() {
    let zip = |files: &[(&str, &[u8])]| {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in files {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).expect("a file");
            std::io::Write::write_all(&mut zip, bytes).expect("bytes");
        }
        zip.finish().expect("an archive").into_inner()
    };
    let record = notice(9001, "2026-11-27", "1");
    let inner = zip(&[("osv/usn/one.json", record.as_bytes())]);
    let outer = zip(&[("osv/usn/one.json", record.as_bytes()), ("osv/more.zip", &inner)]);
    let mut intake = Intake::default();
    assert!(intake.beside("all/inner.zip", &mut Cursor::new(&inner)).expect("read"));
    let (feeds, passed_over, _) = intake.finish();
    assert_eq!((feeds.len(), passed_over), (1, 0));
    let mut intake = Intake::default();
    assert!(intake.beside("all/outer.zip", &mut Cursor::new(&outer)).expect("read"));
    // Nothing of a feed is in it: told, and no reason to refuse what lies beside it.
    let empty = zip(&[("README.md", b"text"), ("odd.json", b"{}")]);
    assert!(!intake.beside("all/empty.zip", &mut Cursor::new(&empty)).expect("read"));
    let (feeds, passed_over, first) = intake.finish();
    assert_eq!((feeds.len(), passed_over, first.as_str()), (1, 3, "all/outer.zip: osv/more.zip"));
    assert!(crate::intake::is_wanted_in_folder("all/inner.tar.zst"));
    assert!(!crate::intake::is_wanted_in_folder(".git/inner.tar.zst"));
}
