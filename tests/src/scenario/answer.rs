//! What a reader asks in a story, answered from its fleet by the functions that the aggregator
//! answers with, and shown by the screens of the command.

use clap::Parser as _;
use jiff::Timestamp;
use nodeward_aggregator::fleet::{AskedDiff, AskedSupport, Filter};
use nodeward_aggregator::plans::{plan_request, zone};
use nodeward_cli::arguments::{Arguments, Command, Image, Plan as PlanCommand, Support, Sysctl};
use nodeward_cli::exit::Exit;
use nodeward_cli::run::{
    FixQuestion, Shown, asked_diff, exported_plan, plan_request as typed_plan, shown_check,
    shown_diff, shown_first_fix, shown_images, shown_plan, shown_progress, shown_support,
    shown_sysctl, shown_variants, shown_why, support_request,
};
use nodeward_cli::screen::{self, FleetAnswer, Style};
use nodeward_domain::plan::{self, watch};
use nodeward_proto::v1;

use super::Story;

impl Story<'_> {
    /// The screen that answers what is typed behind `nodeward`, at that moment. Below answers
    /// about images and plans stands how the command would end.
    ///
    /// # Panics
    /// When that cannot be asked in a story.
    pub fn answer(&mut self, ask: &str, now: Timestamp) -> String {
        let line = std::iter::once("nodeward".to_owned()).chain(words(ask));
        let arguments =
            Arguments::try_parse_from(line).unwrap_or_else(|error| panic!("{ask}: {error}"));
        let style = Style { format: arguments.global.output, width: 100, aggregator: None };
        match arguments.command {
            Command::Nodes { cluster, standing } => {
                let standing = standing.map(Into::into);
                let scope = screen::scope(cluster.as_deref(), standing);
                let rows = self.fleet.rows(&Filter { cluster, standing }, now);
                let answer = FleetAnswer::of(now, scope, rows);
                screen::nodes(&answer, style).expect("a screen")
            }
            Command::Node { name, cluster, .. } => {
                match self.fleet.answer(cluster.as_deref().unwrap_or_default(), &name, now) {
                    Ok(answer) => screen::node(&answer, style).expect("a screen"),
                    Err(error) => format!("error: {error}\n"),
                }
            }
            Command::Why { name, cluster } => {
                match self.fleet.why(cluster.as_deref().unwrap_or_default(), &name, now) {
                    Ok(answer) => ended(shown_why(&answer, style)),
                    Err(error) => format!("error: {error}\n"),
                }
            }
            Command::Sysctl(Sysctl { node: Some(name), cluster, .. }) => {
                let cluster = cluster.unwrap_or_default();
                match self.fleet.sysctl(&cluster, &name, now) {
                    Ok(answer) => ended(shown_sysctl(&answer, style)),
                    Err(error) => format!("error: {error}\n"),
                }
            }
            Command::Support(Support::Check(asked)) => {
                let asked = support_request(&asked);
                let v1::CheckSupportRequest { cluster, pool, node, policy } = asked;
                match self.fleet.support(&AskedSupport { cluster, pool, node, policy }, now) {
                    Ok(answer) => ended(shown_support(&answer, style)),
                    Err(error) => format!("error: {error}\n"),
                }
            }
            Command::PatchAge(command) => {
                self.lacking(&FixQuestion::patch_age(&command), style, now)
            }
            Command::Cve(command) => self.lacking(&FixQuestion::cve(&command), style, now),
            Command::Gate(command) => self.lacking(&FixQuestion::gate(&command), style, now),
            Command::Image(command) => self.image(&command, style, now),
            Command::Plan(command) => self.plan_command(&command, style, now),
            _ => panic!("{ask}: a story asks for nodes, fixes, images and plans"),
        }
    }

    fn lacking(&self, question: &FixQuestion, style: Style<'_>, now: Timestamp) -> String {
        let answer = self.fleet.patch_age(&question.asked, question.question.by, now);
        screen::patch_age(&answer, &question.question, style).expect("a screen")
    }

    fn image(&self, command: &Image, style: Style<'_>, now: Timestamp) -> String {
        match command {
            Image::List { family, .. } => {
                ended(shown_images(&self.fleet.image_list(family.as_deref(), now), style))
            }
            Image::Diff { images_named, family, pool, .. } => {
                let asked = asked_diff(images_named, family.as_deref(), pool.as_deref());
                let v1::DiffImagesRequest { from, to, family, cluster, pool } =
                    asked.expect("two images, or one and a pool");
                let asked = AskedDiff { from, to, family, cluster, pool };
                match self.fleet.image_diff(&asked, now) {
                    Ok(answer) => ended(shown_diff(&answer, style)),
                    Err(error) => format!("error: {error}\n"),
                }
            }
            Image::Variants { image, family } => {
                let family = family.as_deref().unwrap_or_default();
                match self.fleet.image_variants(image, family, now) {
                    Ok(answer) => ended(shown_variants(&answer, style)),
                    Err(error) => format!("error: {error}\n"),
                }
            }
            Image::FirstFix { id, family, .. } => {
                ended(shown_first_fix(&self.fleet.first_fix(id, family.as_deref(), now), style))
            }
            Image::Import { .. } | Image::Offered(_) => panic!("a story has its documents"),
        }
    }

    fn plan_command(&mut self, command: &PlanCommand, style: Style<'_>, now: Timestamp) -> String {
        let policy = self.fleet.policy();
        match command {
            PlanCommand::Create(asked) => {
                let (request, replace) =
                    plan_request(typed_plan(asked), now).expect("a request that can be read");
                let inputs = self.fleet.plan_inputs(&request, now);
                match plan::create(&request, &inputs, policy, &zone) {
                    Ok(plan) => {
                        let text = ended(shown_plan(&plan, style));
                        let before = self.plans.insert(request.name, plan);
                        assert!(before.is_none() || replace, "a plan of that name is there");
                        text
                    }
                    Err(error) => format!("error: {error}\n"),
                }
            }
            PlanCommand::Show { name } => ended(shown_plan(self.plan(name), style)),
            PlanCommand::Check { name } => {
                let plan = self.plan(name);
                let inputs = self.fleet.plan_inputs(&plan.request, now);
                ended(shown_check(name, &plan::check(plan, &inputs, policy, now), style))
            }
            PlanCommand::Export { name, form } => ended(exported_plan(self.plan(name), *form)),
            PlanCommand::Watch { name, .. } => {
                let progress = watch::watch(self.plan(name), &self.fleet.sightings(), now);
                ended(shown_progress(name, &progress, style))
            }
            PlanCommand::List | PlanCommand::Delete { .. } => {
                panic!("only an aggregator keeps plans")
            }
        }
    }
}

/// The screen, and the exit code.
fn ended(shown: Result<Shown, nodeward_cli::run::Failure>) -> String {
    let Shown { mut text, exit, notes } = shown.expect("a screen");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text.extend(notes.iter().map(|note| format!("note: {note}\n")));
    let code = match exit {
        Exit::Clean => 0,
        Exit::Findings => 1,
        Exit::Usage => 2,
        Exit::Unreachable => 3,
        Exit::Incomplete => 4,
    };
    format!("{text}(exit code {code})\n")
}

/// The words of a line, as a shell tells them: one in single quotes is one.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        match index % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}
