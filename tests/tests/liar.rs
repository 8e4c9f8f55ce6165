//! Nodes that lie: about their image by disk and label, about their packages and what these
//! were built from. Nobody else's answer changes by a byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use nodeward_tests::project;
use nodeward_tests::scenario::{Scenario, Story};

/// Answers that are about the liars themselves: what they are is shown of them, and which images
/// nodes say that they run.
const ABOUT_LIARS: [&str; 2] = ["node liar", "image list"];

async fn answers(liars: &[&str]) -> BTreeMap<String, String> {
    let folder = project::root().join("tests/scenarios/liar");
    let scenario = ["liar", "neighbour"]
        .iter()
        .filter(|name| !liars.contains(name))
        .fold(Scenario::read(&folder), |scenario, name| scenario.without(name));
    let mut story = Story::begin(&scenario, &folder);
    story.until(scenario.now).await;
    let asks = scenario.ask.iter().map(|ask| ask.line().to_owned());
    let asks = asks.filter(|ask| !ABOUT_LIARS.contains(&ask.as_str()));
    asks.map(|ask| (ask.clone(), story.answer(&ask, scenario.now))).collect()
}

#[tokio::test]
async fn who_lies_changes_nobody_elses_answer() {
    let honest = answers(&[]).await;
    assert!(honest.len() > 6);
    for liars in [&["liar"][..], &["neighbour"], &["liar", "neighbour"]] {
        for (ask, answer) in answers(liars).await {
            // What a pool lacks is what its nodes lack, and the neighbour is one of them.
            if !(liars.contains(&"neighbour") && ask.contains("--pool apps")) {
                assert_eq!(answer, honest[&ask], "{ask} with {liars:?}");
            }
        }
    }
}
