//! The operator's commands: each asks the hub's API and shows the answer, as a table or as `--json`.

mod audit;
mod authority;
mod broker;
mod device;
pub(crate) mod hub;
mod profile;
pub(crate) mod show;
mod status;
mod telemetry;
mod token;
mod user;

use std::path::PathBuf;

use clap::Subcommand;

use hub::Hub;

pub(crate) type Done = Result<(), Box<dyn std::error::Error>>;

/// Where the hub is, when it is not the one of the data directory.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Remote {
    /// A hub elsewhere: https://host:8443
    #[arg(long, global = true, value_name = "URL", requires = "token", env = "HEDGEROW_HUB")]
    hub: Option<String>,
    /// A token of that hub
    #[arg(
        long,
        global = true,
        value_name = "TOKEN",
        env = "HEDGEROW_TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
    /// That hub's CA certificate, as downloaded from it (PEM)
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What to ask the hub.
#[derive(Debug, Subcommand)]
pub(crate) enum Ask {
    /// How the hub is doing
    ///
    /// Example: hedgerow status --limits
    Status {
        /// Show every limit, not only those that are near or were reached
        #[arg(long)]
        limits: bool,
    },
    /// Devices: find, claim, quarantine, retire
    ///
    /// Example: hedgerow device list --state active
    #[command(subcommand)]
    Device(device::Device),
    /// Device profiles: check, add, narrow
    ///
    /// Example: hedgerow profile add greenhouse.tm.json
    #[command(subcommand)]
    Profile(profile::Profile),
    /// Readings that were stored
    ///
    /// Example: hedgerow telemetry query --device ID --property cpuPercent --since 15m
    #[command(subcommand)]
    Telemetry(telemetry::Telemetry),
    /// Readings as they come
    ///
    /// Example: hedgerow watch --device ID
    Watch(telemetry::Watch),
    /// The MQTT broker: sessions, messages as they come by
    ///
    /// Example: hedgerow broker watch 'things/+/properties/#'
    #[command(subcommand)]
    Broker(broker::Broker),
    /// Who did what
    ///
    /// Example: hedgerow audit verify
    #[command(subcommand)]
    Audit(audit::Audit),
    /// The hub's certificate authority
    ///
    /// Example: hedgerow ca show --pem
    #[command(subcommand)]
    Ca(authority::Ca),
    /// People with an account
    ///
    /// Example: hedgerow user add olga --role operator
    #[command(subcommand)]
    User(user::User),
    /// Tokens for programs
    ///
    /// Example: hedgerow token create --name backup --scope read
    #[command(subcommand)]
    Token(token::Token),
}

pub(crate) fn run(data: Option<PathBuf>, remote: &Remote, ask: Ask) -> Done {
    let json = remote.json;
    let ask = match ask {
        Ask::Profile(profile) => match profile::offline(json, profile) {
            Ok(done) => return done,
            Err(profile) => Ask::Profile(profile),
        },
        other => other,
    };
    let hub = Hub::find(data, remote)?;
    match ask {
        Ask::Status { limits } => status::run(&hub, json, limits),
        Ask::Device(device) => device::run(&hub, json, device),
        Ask::Profile(profile) => profile::run(&hub, json, profile),
        Ask::Telemetry(telemetry) => telemetry::run(&hub, json, telemetry),
        Ask::Watch(watch) => telemetry::watch(&hub, json, &watch),
        Ask::Broker(broker) => broker::run(&hub, json, broker),
        Ask::Audit(audit) => audit::run(&hub, json, audit),
        Ask::Ca(ca) => authority::run(&hub, json, &ca),
        Ask::User(user) => user::run(&hub, json, user),
        Ask::Token(token) => token::run(&hub, json, token),
    }
}
