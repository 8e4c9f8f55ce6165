//! Windows and selections: what they say, and what is wrong with what they do not.

use super::*;
use crate::plan::selection::{Selected, Selection};
use crate::plan::window::{Window, WindowProblem, openings};

fn window(text: &str) -> Window {
    Window::parse(text, &zones).expect("a window")
}

fn opens(text: &str, from: &str, until: &str) -> Vec<String> {
    let openings = window(text).openings(at(from), at(until));
    let told = openings.iter().map(|one| format!("{} {}", one.opens_at, one.closes_at));
    told.map(|one| one.replace(":00Z", "Z")).collect()
}

#[test]
fn a_window_over_midnight_opens_on_its_day_in_its_zone() {
    assert_eq!(
        opens("Sat 22:00-06:00 Europe/Amsterdam", "2026-07-20T00:00:00Z", "2026-08-03T00:00:00Z"),
        ["2026-07-25T20:00Z 2026-07-26T04:00Z", "2026-08-01T20:00Z 2026-08-02T04:00Z"]
    );
    // One that is open already is cut to what is left.
    assert_eq!(
        opens("Sat 22:00-06:00 +02:00", "2026-07-26T01:00:00Z", "2026-07-27T00:00:00Z"),
        ["2026-07-26T01:00Z 2026-07-26T04:00Z"]
    );
    assert_eq!(
        opens("01:00-02:00", "2026-07-26T00:00:00Z", "2026-07-27T00:00:00Z"),
        ["2026-07-26T01:00Z 2026-07-26T02:00Z"]
    );
    assert_eq!(
        opens("Fri-Mon 20:00-24:00 -05:30", "2026-07-23T00:00:00Z", "2026-07-26T00:00:00Z"),
        ["2026-07-25T01:30Z 2026-07-25T05:30Z"]
    );
}

#[test]
fn a_window_is_as_long_as_clocks_make_it() {
    let hours = |from: &str, until: &str| {
        let window = window("Sat 22:00-06:00 Europe/Amsterdam");
        window.openings(at(from), at(until))[0].duration().as_hours()
    };
    assert_eq!(hours("2026-03-27T00:00:00Z", "2026-03-30T00:00:00Z"), 7);
    assert_eq!(hours("2026-10-23T00:00:00Z", "2026-10-26T00:00:00Z"), 9);
    assert_eq!(hours("2026-07-24T00:00:00Z", "2026-07-27T00:00:00Z"), 8);
    // Within the hour that is missing it is never open, and within the one that is there twice
    // it is open the first time.
    let within = "Sun 02:00-03:00 Europe/Amsterdam";
    assert_eq!(opens(within, "2026-03-28T00:00:00Z", "2026-03-30T00:00:00Z"), Vec::<String>::new());
    assert_eq!(
        opens("Sun 02:15-02:45 Europe/Amsterdam", "2026-10-24T00:00:00Z", "2026-10-26T00:00:00Z"),
        ["2026-10-25T00:15Z 2026-10-25T00:45Z"]
    );
}

#[test]
fn dates_that_are_not_allowed_are_cut_out() {
    assert_eq!(
        opens(
            "daily 22:00-06:00 Europe/Amsterdam not 2026-12-24..2026-12-26, 2027-01-01",
            "2026-12-23T00:00:00Z",
            "2026-12-28T00:00:00Z"
        ),
        [
            // What was open since the evening before.
            "2026-12-23T00:00Z 2026-12-23T05:00Z",
            "2026-12-23T21:00Z 2026-12-23T23:00Z",
            "2026-12-26T23:00Z 2026-12-27T05:00Z",
            "2026-12-27T21:00Z 2026-12-28T00:00Z"
        ]
    );
}

#[test]
fn from_midnight_to_midnight_is_the_whole_day() {
    assert_eq!(
        opens("Sat 00:00-24:00", "2026-07-24T00:00:00Z", "2026-07-27T00:00:00Z"),
        ["2026-07-25T00:00Z 2026-07-26T00:00Z"]
    );
    assert!(Window::parse("daily 24:00-24:00", &zones).is_err());
}

#[test]
fn windows_that_overlap_are_one() {
    let windows = [window("daily 22:00-02:00"), window("daily 01:00-04:00")];
    let all = openings(&windows, at("2026-07-23T12:00:00Z"), at("2026-07-24T12:00:00Z"));
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].duration().as_hours(), 6);
    let always = openings(&[], now(), at("2026-07-24T12:00:00Z"));
    assert_eq!(always[0].duration().as_hours(), 24);
}

#[test]
fn what_is_no_window_is_told_with_the_place() {
    for (text, at, problem) in [
        ("", "", WindowProblem::Empty),
        ("Sat", "Sat", WindowProblem::Times),
        ("Sa 22:00-06:00", "Sa", WindowProblem::Day),
        ("Mon,Funday 22:00-06:00", "Funday", WindowProblem::Day),
        ("Sat 22-06", "22-06", WindowProblem::Times),
        ("Sat 22:00-25:00", "22:00-25:00", WindowProblem::Times),
        ("Sat 22:00-22:00", "22:00-22:00", WindowProblem::NeverOpen),
        ("Sat 22:00-06:00 Europe/Atlantis", "Europe/Atlantis", WindowProblem::Zone),
        ("Sat 22:00-06:00 +99:00", "+99:00", WindowProblem::Zone),
        ("Sat 22:00-06:00 UTC not", "not", WindowProblem::Date),
        ("Sat 22:00-06:00 not 2026-13-01", "2026-13-01", WindowProblem::Date),
        (
            "Sat 22:00-06:00 not 2026-12-26..2026-12-24",
            "2026-12-26..2026-12-24",
            WindowProblem::Date,
        ),
        ("Sat 22:00-06:00 UTC sometimes", "sometimes", WindowProblem::Rest),
    ] {
        let error = Window::parse(text, &zones).expect_err(text);
        assert_eq!((error.at.as_str(), error.problem), (at, problem), "{text}");
    }
}

#[test]
fn a_wave_never_begins_where_it_does_not_fit() {
    let mut request = request();
    request.windows = vec!["daily 22:00-23:00".to_owned()];
    // Twelve batches take an hour: the first fits, the second of its cluster waits a day.
    let pools = [pool("prod", "a", 12), pool("prod", "b", 12), pool("prod", "c", 13)];
    let plan = planned(&request, &pools);
    let starts: Vec<String> = plan.waves.iter().map(|wave| wave.starts_at.to_string()).collect();
    assert_eq!(starts, ["2026-07-23T22:00:00Z", "2026-07-24T22:00:00Z"]);
    let long = plan.pool(&key("prod", "c")).expect("a pool");
    assert_eq!(long.blockers[0].word(), "longer_than_windows");
    // The window is gone before the last pool would fit.
    request.windows = vec!["daily 22:00-23:00 UTC not 2026-07-24..2028-01-01".to_owned()];
    let plan = planned(&request, &pools);
    let second = plan.pool(&key("prod", "b")).expect("a pool");
    assert_eq!(second.blockers[0].word(), "no_window_left");
}

#[test]
fn a_selection_takes_what_all_of_its_terms_hold_for() {
    let apps = pool("prod-weu-1", "apps", 2);
    for (text, expected) in [
        ("", Selected::Yes),
        ("cluster=prod-*", Selected::Yes),
        ("cluster=PROD-weu-1, pool=apps", Selected::Yes),
        ("cluster=prod-* AND pool!=apps", Selected::No),
        ("cluster=*-weu-* and pool=a*s and mode=user", Selected::Yes),
        ("os=Ubuntu", Selected::Yes),
        ("os=azurelinux", Selected::No),
        ("tag:env!=frozen", Selected::Yes),
        ("tag:env!=prod", Selected::No),
        ("tag:team!=db", Selected::Yes),
        ("tag:team=db", Selected::No),
        ("region=westeurope,channel=none", Selected::Yes),
        ("zone=1", Selected::Undecided("zone".to_owned())),
        // What is out by one term is out, whatever is not known.
        ("zone=1,pool=db", Selected::No),
    ] {
        assert_eq!(Selection::parse(text).expect(text).of(&apps), expected, "{text}");
    }
    let bare = PoolInput::of_nodes(key("prod", "apps"), vec![node("a")]);
    let frozen = Selection::parse("tag:env!=frozen").expect("a selection");
    assert_eq!(frozen.of(&bare), Selected::Undecided("tag:env".to_owned()));
    let mut request = request();
    request.select = "tag:env!=frozen".to_owned();
    let plan = planned(&request, &[bare, apps]);
    assert_eq!((plan.pools.len(), plan.undecided.len()), (1, 1));
    assert!(plan.explains[0].to_string().contains("tag:env"));
}

#[test]
fn what_is_no_selection_is_told_with_the_term() {
    for (text, number, part) in [
        ("env!=frozen", 1, "tag:env"),
        ("cluster=a,,pool=b", 2, "empty"),
        ("cluster=a,pool", 2, "neither"),
        ("cluster=a and pool=", 2, "no value"),
        ("tag:=x", 1, "no name of a tag"),
        ("pool==apps", 1, "== is no sign"),
        ("pool=apps,mode=bogus", 2, "no mode is like \"bogus\": there are system, user"),
        ("channel=weekly", 1, "there are None, Unmanaged, SecurityPatch, NodeImage"),
        ("and", 1, "empty"),
    ] {
        let error = Selection::parse(text).expect_err(text);
        assert_eq!(error.number, number, "{text}");
        assert!(error.to_string().contains(part), "{error}");
    }
    let greedy = format!("cluster={}", "*a".repeat(40));
    let long = pool(&"a".repeat(2000), "x", 1);
    assert_eq!(Selection::parse(&greedy).expect("a selection").of(&long), Selected::Yes);
}
