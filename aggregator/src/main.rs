//! The aggregator's program: reads the configuration, starts logs and runtime, and
//! leaves the rest to the library.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;
use nodeward_aggregator::config::{Arguments, Command};
use nodeward_aggregator::serve::{ServeError, relay, serve};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            match error {
                ServeError::Config(_) | ServeError::Listen { .. } => ExitCode::from(2),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn start() -> Result<(), ServeError> {
    match Arguments::parse().command {
        Command::Serve { config } => {
            let config = config.with_file();
            start_logs(config.as_ref().is_ok_and(|config| config.log_json));
            run(serve(&config?))
        }
        Command::Relay { config } => {
            let config = config.with_file();
            start_logs(config.as_ref().is_ok_and(|config| config.log_json));
            run(relay(&config?))
        }
    }
}

fn run(serving: impl Future<Output = Result<(), ServeError>>) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Runtime::new().map_err(ServeError::Signal)?;
    let result = runtime.block_on(serving);
    runtime.shutdown_background();
    result
}

fn start_logs(json: bool) {
    let filter = EnvFilter::try_from_env("NODEWARD_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    if json {
        logs.json().init();
    } else {
        logs.init();
    }
}
