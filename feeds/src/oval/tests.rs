//! Tests of OVAL definitions, in the form of Microsoft's files.

use super::*;

/// Package, operation, version.
type Bound<'a> = (&'a str, &'a str, &'a str);

/// A file of definitions: number, `patchable`, date, and what must all hold.
fn file(definitions: &[(u32, &str, &str, &[Bound<'_>])]) -> String {
    let [mut heads, mut tests, mut objects, mut states] = [const { String::new() }; 4];
    for (number, patchable, date, bounds) in definitions {
        let date = match *date {
            "" => String::new(),
            date => format!("<advisory_date>{date}</advisory_date>"),
        };
        let mut criterion = String::new();
        for (index, (package, operation, evr)) in bounds.iter().enumerate() {
            let id = format!("oval:com.microsoft.azurelinux:tst:{number}00{index}");
            criterion.push_str(&format!("<criterion comment=\"&lt;\" test_ref=\"{id}\"/>\n"));
            tests = format!(
                "{tests}<linux-def:rpminfo_test check=\"at least one\" id=\"{id}\" version=\"1\">
                 <linux-def:object object_ref=\"obj:{number}{index}\"/>
                 <linux-def:state state_ref=\"ste:{number}{index}\"/></linux-def:rpminfo_test>\n"
            );
            objects = format!(
                "{objects}<linux-def:rpminfo_object id=\"obj:{number}{index}\" version=\"1\">
                 <linux-def:name>{package}</linux-def:name></linux-def:rpminfo_object>\n"
            );
            states = format!(
                "{states}<linux-def:rpminfo_state id=\"ste:{number}{index}\" version=\"1\">
                 <linux-def:evr datatype=\"evr_string\" operation=\"{operation}\">{evr}</linux-def:evr>
                 </linux-def:rpminfo_state>\n"
            );
        }
        heads = format!(
            "{heads}<definition class=\"vulnerability\" id=\"def:{number}\" version=\"1\"><metadata>
             <title>CVE-2026-{number} affecting package  x</title>
             <reference ref_id=\"CVE-2026-{number}\" ref_url=\"https://nvd.nist.gov\" source=\"CVE\"/>
             <patchable>{patchable}</patchable>{date}<severity>High</severity>
             <description>a &lt; b &amp; c</description></metadata>
             <criteria operator=\"AND\">{criterion}</criteria></definition>\n"
        );
    }
    format!(
        "<?xml version=\"1.0\"?>\n<oval_definitions xmlns=\"http://oval.mitre.org/XMLSchema/oval-definitions-5\">
         <generator><oval:timestamp>2026-02-24T13:05:27.341285907Z</oval:timestamp></generator>
         <definitions>\n{heads}</definitions><tests>\n{tests}</tests><objects>\n{objects}</objects>
         <states>\n{states}</states></oval_definitions>\n"
    )
}

fn read(text: &str) -> Content {
    read_oval("oval.xml", text.as_bytes()).expect("definitions")
}

fn refused(text: &str) -> String {
    let error = read_oval("oval.xml", text.as_bytes()).expect_err("odd");
    match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

const LESS: &str = "less than";

#[test]
fn each_definition_is_a_statement_with_its_own_date() {
    let text = file(&[
        (10001, "true", "2026-02-05T22:13:23.7666667Z", &[("openssh", LESS, "0:9.8p1-3.azl3")]),
        (10002, "true", "", &[("golang", LESS, "0: 1.20.10-1.azl3")]),
        (10003, "false", "", &[("syslinux", "less than or equal", "0:6.04-10.azl3")]),
        (10004, "Not Applicable", "2026-01-01T00:00:00Z", &[("curl", LESS, "0:8.0-1.azl3")]),
    ]);
    let content = read(&text);
    assert_eq!(content.records, 4);
    assert_eq!(content.as_of(), instant::read("2026-02-24T13:05:27.341285907Z").ok());
    let [fixed, undated, unfixed, not_affected] = content.advisories.as_slice() else {
        panic!("{content:?}")
    };
    assert_eq!(&*fixed.record, "def:10001");
    assert_eq!(fixed.stream.to_string(), "Azure Linux 3.0");
    assert_eq!(fixed.aliases[0].id.to_string(), "CVE-2026-10001");
    assert_eq!(fixed.aliases[0].rating, Rating::High);
    assert_eq!(fixed.epochs, Epochs::Ignored);
    assert_eq!(
        fixed.published.map(|dated| dated.at),
        instant::read("2026-02-05T22:13:23.7666667Z").ok()
    );
    assert_eq!(undated.range.to_string(), "< 0:1.20.10-1.azl3");
    assert_eq!(undated.published, None);
    assert_eq!(unfixed.statement, Statement::Unfixed(Unfixed::Pending));
    assert_eq!(unfixed.range.to_string(), "<= 0:6.04-10.azl3");
    // A date may stand there all the same: it is none of a fix.
    assert_eq!(not_affected.statement, Statement::NotAffected);
    assert_eq!(not_affected.published, None);
}

#[test]
fn two_criteria_must_both_hold() {
    let bounds = [("golang", LESS, "0:1.20.7-1.azl3"), ("golang", "greater than", "0:0.0.0.azl3")];
    let text = file(&[(10001, "true", "2026-01-01T00:00:00Z", &bounds)]);
    let content = read(&text);
    let [only] = content.advisories.as_slice() else { panic!("{content:?}") };
    assert_eq!(only.range.to_string(), "> 0:0.0.0.azl3, < 0:1.20.7-1.azl3");
    // Of two ends the nearer one.
    let bounds = [("a", LESS, "0:2-1.azl3"), ("a", LESS, "0:1-1.azl3"), ("a", LESS, "0:3-1.azl3")];
    let text = file(&[(10001, "true", "2026-01-01T00:00:00Z", &bounds)]);
    assert_eq!(read(&text).advisories[0].range.to_string(), "< 0:1-1.azl3");
}

#[test]
fn one_of_several_criteria_is_enough_where_the_file_says_so() {
    let bounds = [("a", LESS, "0:2-1.azl3"), ("b", LESS, "0:1-1.azl3")];
    let text = file(&[(10001, "true", "2026-01-01T00:00:00Z", &bounds)]);
    let text = text.replace("operator=\"AND\"", "operator=\"OR\"");
    let sources: Vec<_> = read(&text).advisories.iter().map(|one| one.source.to_string()).collect();
    assert_eq!(sources, ["a", "b"]);
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_refused_with_its_line() {
    let text = file(&[(10001, "true", "2026-01-01T00:00:00Z", &[("a", LESS, "0:1-1.azl3")])]);
    for end in 0..text.trim_end().len() {
        let cut = text.get(..end).expect("ASCII");
        let error = refused(cut);
        assert!(error.starts_with("oval.xml"), "{end}: {error}");
    }
    let half = text.find("<objects>").expect("objects");
    assert_eq!(
        refused(&text[..half]),
        format!("oval.xml: cut off after line {}", text[..half].lines().count())
    );
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    let one = |patchable, operation, evr| {
        file(&[(10001, patchable, "2026-01-01T00:00:00Z", &[("a", operation, evr)])])
    };
    let good = one("true", LESS, "0:1-1.azl3");
    assert_eq!(
        refused(&one("maybe", LESS, "0:1-1.azl3")),
        "oval.xml: def:10001: patchable is \"maybe\""
    );
    assert!(refused(&one("true", "roughly", "0:1-1.azl3")).contains("operation"));
    assert!(refused(&one("true", LESS, "0:1-1.el9")).contains("0 releases"));
    assert_eq!(
        refused(&good.replace("object id=\"obj:", "object id=\"other:")),
        "oval.xml: def:10001: there is no object obj:100010"
    );
    assert!(refused(&good.replace("2026-01-01T00:00:00Z", "soon")).contains("advisory_date"));
    let bomb = good.replace("<?xml version=\"1.0\"?>", "<!DOCTYPE x [<!ENTITY a \"b\">]>");
    assert!(refused(&bomb).contains("document type"));
    let deep = format!("<oval_definitions>{}", "<a>".repeat(100));
    assert!(refused(&deep).contains("too deep"));
    assert!(refused("<html></html>").contains("no OVAL definitions"));
    assert!(refused("").contains("no OVAL definitions"));
}
