//! The program: reads the arguments, runs them, and turns the outcome into text and an
//! exit code.

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use nodeward_agent::arguments::parsed;
use nodeward_cli::arguments::Arguments;
use nodeward_cli::exit::Exit;
use nodeward_cli::inert;
use nodeward_cli::run::{Shown, run};
use nodeward_feeds::causes::with_causes;

fn main() -> ExitCode {
    // clap ends the process by itself for --help, --version and mistakes, with 2.
    let arguments: Arguments = parsed();
    match start(&arguments) {
        Ok(shown) => show(&shown).unwrap_or_else(|error| fail(&error)),
        Err(error) => fail(&error),
    }
    .into()
}

fn start(arguments: &Arguments) -> anyhow::Result<Shown> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let shown = runtime.block_on(run(arguments));
    // A host read that hangs must not keep the process.
    runtime.shutdown_background();
    Ok(shown?)
}

fn show(shown: &Shown) -> anyhow::Result<Exit> {
    for note in &shown.notes {
        // It may quote names, and nobody to tell is no reason to fail.
        let _ = writeln!(std::io::stderr(), "note: {}", inert::text(note));
    }
    let mut out = std::io::stdout().lock();
    match out.write_all(shown.text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever reads has seen enough, as `head` has.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(shown.exit),
    }
}

fn fail(error: &anyhow::Error) -> Exit {
    let mut out = std::io::stderr().lock();
    // An aggregator's message may quote a node. And nobody to tell is no reason to fail
    // otherwise than by the code.
    let _ = writeln!(out, "error: {}", inert::text(&with_causes(error.as_ref())));
    let known = error.downcast_ref::<nodeward_cli::run::Failure>();
    if let Some(hint) = known.and_then(nodeward_cli::run::Failure::hint) {
        let _ = writeln!(out, "  try: {hint}");
    }
    known.map_or(Exit::Usage, nodeward_cli::run::Failure::exit)
}
