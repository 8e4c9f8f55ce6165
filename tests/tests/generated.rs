//! Pages of the documentation that are made from code are what the code says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nodeward_tests::project;

#[test]
fn the_manual_is_what_the_programs_take() {
    use clap::CommandFactory as _;
    let page = nodeward_cli::docs::manual(vec![
        nodeward_cli::arguments::Arguments::command(),
        nodeward_agent::config::Arguments::command(),
        nodeward_aggregator::config::Arguments::command(),
    ]);
    project::assert_committed(&project::root().join("docs/cli.md"), &page);
}

#[test]
fn the_table_of_checks_is_the_registry() {
    let page = nodeward_cli::docs::checks_markdown();
    project::assert_committed(&project::root().join("docs/checks.md"), &page);
}

#[test]
fn the_page_of_what_is_not_checked_is_what_the_domain_says() {
    let page = nodeward_cli::docs::coverage_markdown();
    project::assert_committed(&project::root().join("docs/not-checked.md"), &page);
}

#[test]
fn the_page_of_collectors_is_what_they_declare() {
    let page = nodeward_cli::docs::collectors_markdown();
    project::assert_committed(&project::root().join("docs/collectors.md"), &page);
}

#[test]
fn the_screen_in_the_readme_is_that_of_a_story() {
    const ASKED: &str = "$ nodeward node aks-a\n";
    let read = |path: &str| std::fs::read_to_string(project::root().join(path)).expect(path);
    let story = read("tests/scenarios/night-call/answer.txt");
    let (_, answer) = story.split_once(ASKED).expect("the story asks that");
    let (answer, _) = answer.split_once("\n\n$ ").expect("and then something else");
    let readme = read("README.md");
    let (before, rest) = readme.split_once(ASKED).expect("a screen in the README");
    let (_, after) = rest.split_once("\n```").expect("the screen ends");
    let now = format!("{before}{ASKED}{answer}\n```{after}");
    project::assert_committed(&project::root().join("README.md"), &now);
}
