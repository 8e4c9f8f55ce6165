//! Files of node-problem-detector, and what is made of them.

use jiff::tz::TimeZone;

use super::*;

fn monitor(text: &str) -> Monitor {
    match kind(text.as_bytes()).expect("a good file") {
        Kind::LogMonitor(monitor) => *monitor,
        other => panic!("{other:?}"),
    }
}

fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(second).expect("a small number of seconds")
}

/// What each line makes of these rules: places and messages.
fn matches(text: &str, lines: &[&str]) -> Vec<(usize, String, i64)> {
    let monitor = monitor(text);
    let mut matcher = Matcher::new(&monitor);
    let push = |(second, line): (i64, &&str)| matcher.push(&monitor.rules, at(second), line);
    let matched: Vec<Matched> = (1..).zip(lines).flat_map(push).collect();
    matched.into_iter().map(|one| (one.rule, one.message, one.at.as_second())).collect()
}

/// A file with that buffer and these patterns.
fn rules(buffer: usize, patterns: &[&str]) -> String {
    let rule = |pattern: &&str| serde_json::json!({ "type": "temporary", "reason": "R", "pattern": pattern });
    let rules: Vec<_> = patterns.iter().map(rule).collect();
    serde_json::json!({ "plugin": "kmsg", "bufferSize": buffer, "rules": rules }).to_string()
}

fn found(rule: usize, message: &str, second: i64) -> (usize, String, i64) {
    (rule, message.to_owned(), second)
}

#[test]
fn names_have_no_case_and_what_is_lacking_has_its_default() {
    let monitor = monitor(
        r#"{"PLUGIN": "kmsg", "Source": "s", "LookBack": "5m", "delay": "1m30s", "unknown": [1],
            "Conditions": [{"Type": "C", "status": true, "transition": "x"}],
            "Rules": [{"Type": "temporary", "Reason": "R", "Pattern": "a"},
                      {"type": "whatever", "condition": "C", "reason": "S", "pattern": "b",
                       "PatternGeneratedMessageSuffix": "why"}]}"#,
    );
    assert_eq!((monitor.source.as_str(), monitor.buffer_lines), ("s", 10));
    assert_eq!(monitor.conditions, ["C"]);
    assert_eq!(monitor.rules.iter().map(|r| r.is_permanent).collect::<Vec<_>>(), [false, true]);
    assert_eq!(monitor.starts_at(Some(at(1000)), at(2000)), at(1700));
    assert_eq!(monitor.starts_at(Some(at(1900)), at(2000)), at(1990));
    // A delay that is not over yet puts the start ahead.
    assert_eq!(monitor.starts_at(Some(at(1990)), at(2000)), at(2080));
}

#[test]
fn a_match_must_reach_the_end_of_the_last_line() {
    let file = rules(10, &["error"]);
    assert_eq!(matches(&file, &["an error", "an error here"]), [found(0, "an error", 1)]);
    let file = rules(10, &["error.*"]);
    let expected = [found(0, "an error", 1), found(0, "an error here", 2)];
    assert_eq!(matches(&file, &["an error", "an error here"]), expected);
}

#[test]
fn of_alternatives_only_the_last_one_must() {
    let file = rules(2, &["first|second"]);
    let lines = ["first of all", "then", "and then", "a second", "second!"];
    // `first` matches as long as its line is among those that are joined.
    let expected =
        [found(0, "first of all", 1), found(0, "first of all\nthen", 1), found(0, "a second", 4)];
    assert_eq!(matches(&file, &lines), expected);
}

#[test]
fn a_match_may_go_over_several_lines() {
    let file = rules(3, &[r"begin\n.*\nend"]);
    let lines = ["begin", "one", "end", "begin", "one", "two", "end"];
    assert_eq!(matches(&file, &lines), [found(0, "begin\none\nend", 1)]);
    // Lines that have not come yet are empty ones.
    assert_eq!(matches(&rules(3, &[r"\A\n\nx"]), &["x", "x"]), [found(0, "x", 1)]);
    assert_eq!(matches(&rules(3, &[r"^x$"]), &["x", "x"]), []);
}

#[test]
fn a_suffix_follows_the_message() {
    let file = r#"{"plugin": "kmsg", "rules": [{"type": "temporary", "reason": "R",
        "pattern": "a.*", "patternGeneratedMessageSuffix": "see the manual"}]}"#;
    assert_eq!(matches(file, &["ab"]), [found(0, "ab; see the manual", 1)]);
}

#[test]
fn lines_of_files_are_taken_apart() {
    let monitor = monitor(
        r#"{"plugin": "filelog", "logPath": "/var/log/kern.log", "skipList": [" audit:"],
            "pluginConfig": {"timestamp": "^.{15}", "message": "kernel: \\[.*\\] (.*)",
                             "timestampFormat": "Jan _2 15:04:05"}}"#,
    );
    let Follows::Filelog(filelog) = monitor.follows else { panic!("a file") };
    let now = "2026-11-24T12:00:00Z".parse().expect("a moment");
    let apart = |line| filelog.take_apart(line, &TimeZone::UTC, now);
    let (at, message) = apart("Nov 24 11:59:01 n kernel: [ 1.2] it [x] hangs").expect("a line");
    assert_eq!((at.to_string().as_str(), message), ("2026-11-24T11:59:01Z", "hangs"));
    for line in [
        "Nov 24 11:59:01 n kernel: [ 1.2] audit: it",
        "Nov 24 11:59:01 n sshd: [ 1.2] it",
        "24 11:59:01 n kernel: [ 1.2] it",
        "",
    ] {
        assert_eq!(apart(line), None, "{line}");
    }
}

#[test]
fn kinds_are_told_by_fields() {
    let kind = |text: &str| kind(text.as_bytes()).expect(text);
    assert!(matches!(kind(r#"{"cpu": {"metricsConfigs": {}}}"#), Kind::SystemStats));
    assert!(matches!(kind(r#"{"modules": []}"#), Kind::Other(_)));
    assert!(matches!(kind("[]"), Kind::Other(_)));
    assert!(matches!(kind(r#"{"plugin": "etw"}"#), Kind::Other(_)));
    let plugin = r#"{"plugin": "custom", "source": "ntp", "pluginConfig": {"timeout": "3s"},
        "conditions": [{"type": "C"}],
        "rules": [{"type": "permanent", "condition": "C", "reason": "R", "path": "/x",
                   "timeout": "2s"}]}"#;
    assert!(matches!(kind(plugin), Kind::CustomPlugin { rules: 1, .. }));
}

#[test]
fn what_does_not_hold_is_refused_by_its_place() {
    for (text, says) in [
        (
            r#"{"plugin": "kmsg", "rules": [{"reason": "R", "pattern": "a("}]}"#,
            "rules[0] (R): pattern \"a(\"",
        ),
        (r#"{"plugin": "kmsg", "lookback": "5 m"}"#, "lookback"),
        (r#"{"plugin": "kmsg", "bufferSize": -1}"#, "bufferSize"),
        (r#"{"plugin": "kmsg", "bufferSize": "10"}"#, "bufferSize: a text"),
        (r#"{"plugin": 5}"#, "plugin: a number"),
        (r#"{"plugin": "journald"}"#, "source"),
        (r#"{"plugin": "filelog", "pluginConfig": {"timestamp": "."}}"#, "message"),
        (
            r#"{"plugin": "filelog", "pluginConfig":
                {"timestamp": "[", "message": ".", "timestampFormat": "2006"}}"#,
            "pluginConfig.timestamp",
        ),
        (
            r#"{"plugin": "custom", "rules": [{"type": "permanent", "reason": "R", "condition": "C"}]}"#,
            "rules[0] (R): condition \"C\" is not declared",
        ),
        (r#"{"plugin": "custom", "rules": [{"reason": "R", "timeout": "6s"}]}"#, "timeout"),
        (r#"{"plugin": "custom", "pluginConfig": {"invoke_interval": "0s"}}"#, "invoke_interval"),
        ("{", "EOF"),
    ] {
        let error = kind(text.as_bytes()).expect_err(text);
        assert!(error.contains(says) && !error.contains('\n'), "{text}: {error}");
    }
}

#[test]
fn a_folder_is_read_by_name_and_a_fault_names_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("written");
    };
    assert!(read(folder.path()).expect_err("nothing there").to_string().contains(".json"));
    write("b.json", &rules(1, &["x"]));
    write("a.json", r#"{"net": {}}"#);
    write("readme.txt", "{");
    let imported = read(folder.path()).expect("good files");
    let names: Vec<&str> = imported.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["a.json", "b.json"]);
    write("c.json", &rules(1, &["(x"]));
    let error = read(folder.path()).expect_err("a fault").to_string();
    assert!(error.starts_with("--npd-config /") && error.contains("/c.json: rules[0]"), "{error}");
    assert!(read(&folder.path().join("none")).is_err());
}
