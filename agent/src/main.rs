//! The agent's program: reads the configuration, starts logs and runtime, and leaves
//! the rest to the library.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use nodeward_agent::arguments::parsed;
use nodeward_agent::config::{Arguments, Command, Config, ConfigError};
use nodeward_agent::service::{self, ServiceError};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            match error {
                ServiceError::Config(_)
                | ServiceError::HostRoot { .. }
                | ServiceError::Recording { .. } => ExitCode::from(2),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn start() -> Result<(), ServiceError> {
    let command = parsed::<Arguments>().command;
    let (Command::Run { config } | Command::Collect { config } | Command::Send { config }) =
        &command;
    let config = configured(config);
    start_logs(config.as_ref().is_ok_and(|config| config.log_json));
    let config = config?;
    // One thread waits for the network; what blocks runs on others, which end between rounds.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .thread_keep_alive(Duration::from_secs(1))
        .enable_all()
        .build()
        .map_err(ServiceError::Signal)?;
    let result = runtime.block_on(async {
        match command {
            Command::Run { .. } => service::run(&config).await,
            Command::Collect { .. } => service::collect(&config).await,
            Command::Send { .. } => service::send(&config).await,
        }
    });
    // A host read that hangs must not keep the process: its thread is left behind.
    runtime.shutdown_background();
    result
}

fn configured(config: &Config) -> Result<Config, ConfigError> {
    config.clone().with_file()
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
