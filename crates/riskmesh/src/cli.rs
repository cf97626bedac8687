//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Risk and compliance analytics over gRPC and REST.
///
/// Without a command it serves: every role in one process, on an embedded durable store in ./data.
#[derive(Debug, Parser)]
#[command(name = "riskmesh", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; `serve` where nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of `serve`.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serves the API until SIGTERM or Ctrl-C.
    Serve(ServeArgs),
    /// Prints an access token and nothing else.
    Token(TokenArgs),
    /// Creates and maintains the users of a tenant.
    User {
        /// What to do.
        #[command(subcommand)]
        what: UserCommand,
    },
    /// Imports data from files.
    Import {
        /// What to import.
        #[command(subcommand)]
        what: ImportCommand,
    },
    /// Gives what is on the log of events to its consumers again.
    Events {
        /// What to do.
        #[command(subcommand)]
        what: EventsCommand,
    },
    /// Writes generated data: the same seed gives the same bytes.
    Generate(GenerateArgs),
    /// Shows the whole story in a temporary directory, every request and answer.
    Demo,
    /// Brings the store's schema up to date and says what it did.
    Migrate(DataDir),
    /// Checks configuration, data directory, keys and ports, and says what is wrong.
    Doctor(ServeArgs),
}

/// Options of `serve`; each can be given as an environment variable or in the configuration file too.
#[derive(Clone, Debug, Default, Args)]
pub struct ServeArgs {
    /// The configuration file.
    #[arg(long, env = "RISKMESH_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where REST, gRPC, gRPC-Web and Connect are served [default: 127.0.0.1:8080].
    #[arg(long, env = "RISKMESH_LISTEN", value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Where metrics and health are served [default: 127.0.0.1:9901].
    #[arg(long, env = "RISKMESH_ADMIN_LISTEN", value_name = "ADDR")]
    pub admin_listen: Option<SocketAddr>,
    /// Where the embedded store, the keys and the admin socket are [default: ./data].
    #[arg(long, env = "RISKMESH_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Seeds no sandbox into an empty data directory.
    #[arg(long, env = "RISKMESH_NO_SANDBOX", action = clap::ArgAction::SetTrue, value_parser = clap::builder::FalseyValueParser::new())]
    pub no_sandbox: bool,
    /// Which roles to run; all of them where none is named. Repeat it or separate with commas.
    #[arg(long = "role", env = "RISKMESH_ROLE", value_delimiter = ',', value_name = "ROLE")]
    pub roles: Vec<NodeRole>,
    /// The directory of the operator's own risk lists and exchange rates; see docs/reference.md.
    #[arg(long, env = "RISKMESH_REFERENCE_DIR", value_name = "DIR")]
    pub reference_dir: Option<PathBuf>,
    /// Requests a minute that one API client may make; 0 is no limit [default: 100].
    #[arg(long, env = "RISKMESH_RATE_LIMIT_PER_MINUTE", value_name = "N")]
    pub rate_limit_per_minute: Option<u32>,
    /// Memory for requests under way, in bytes; over it they get 503 [default: 512 MiB].
    #[arg(long, env = "RISKMESH_IN_FLIGHT_BYTES", value_name = "BYTES")]
    pub in_flight_bytes: Option<usize>,
}

/// A role that a process can run.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, serde::Deserialize, serde::Serialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum NodeRole {
    /// Every role.
    All,
    /// The HTTP front.
    Edge,
    /// Clients, accounts, transactions.
    Clients,
    /// Risk scores.
    Analytics,
    /// Countries, currencies, exchange rates, risk lists.
    Reference,
    /// Instruments, prices, portfolio risk.
    Market,
    /// Users.
    Auth,
}

/// The data directory that a command works on, with the settings that the last `serve` had there.
#[derive(Clone, Debug, Default, Args)]
pub struct DataDir {
    /// Where the embedded store, the keys and the admin socket are [default: ./data].
    #[arg(long, env = "RISKMESH_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The configuration file [default: as the data directory was served last].
    #[arg(long, env = "RISKMESH_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Options of `token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// The data directory whose key signs.
    #[command(flatten)]
    pub data: DataDir,
    /// What the holder may do: admin, analyst, reviewer, auditor, client, service.
    #[arg(long, required_unless_present = "user")]
    pub role: Option<authn::Role>,
    /// The user whom it stands for, with the role that he or she has.
    #[arg(long, value_name = "NAME", conflicts_with = "role")]
    pub user: Option<String>,
    /// The tenant.
    #[arg(long, default_value = "sandbox")]
    pub tenant: riskmesh_core::TenantId,
    /// The API client: what limits and logs go by.
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,
    /// Scopes, separated by commas or spaces: they narrow a role, and are all that role client may do.
    #[arg(long, value_delimiter = ',', value_name = "SCOPE")]
    pub scope: Vec<String>,
    /// How long it lasts: 30s, 15m, 1h, 7d.
    #[arg(long, default_value = "1h", value_parser = duration)]
    pub ttl: std::time::Duration,
}

/// What can be done with users.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Creates a user with a password: one from standard input, or one that is made up and shown this once.
    Create {
        /// The name to log in with.
        name: String,
        /// What the user may do: admin, analyst, reviewer, auditor.
        #[arg(long, value_parser = user_role)]
        role: api::users::v1::UserRole,
        /// The name that others see; the name to log in with where nothing is said.
        #[arg(long, value_name = "TEXT", default_value = "")]
        display_name: String,
        /// Reads the password from the first line of standard input.
        #[arg(long)]
        password_stdin: bool,
        /// Whose users.
        #[command(flatten)]
        of: UsersOf,
    },
    /// Lists users in the order of their creation: id, name, role, status, display name.
    List {
        /// Whose users.
        #[command(flatten)]
        of: UsersOf,
    },
    /// Lets a user get no token any more; those there are hold until they expire.
    Disable {
        /// The name to log in with.
        name: String,
        /// Whose users.
        #[command(flatten)]
        of: UsersOf,
    },
    /// Lets a user log in again.
    Enable {
        /// The name to log in with.
        name: String,
        /// Whose users.
        #[command(flatten)]
        of: UsersOf,
    },
    /// Gives a user another password.
    SetPassword {
        /// The name to log in with.
        name: String,
        /// Reads the password from the first line of standard input.
        #[arg(long)]
        password_stdin: bool,
        /// Whose users.
        #[command(flatten)]
        of: UsersOf,
    },
}

/// The users of a tenant in a data directory.
#[derive(Clone, Debug, Args)]
pub struct UsersOf {
    /// The tenant.
    #[arg(long, default_value = "sandbox")]
    pub tenant: riskmesh_core::TenantId,
    /// The data directory.
    #[command(flatten)]
    pub data: DataDir,
}

/// What can be imported.
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Imports transactions; rows that are there already do no harm, so an import can be repeated and resumed. Of rows with one id and
    /// different content one is recorded, whichever comes first to the server, and the others are rejected.
    Transactions(ImportArgs),
}

/// Options of `import transactions`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file.
    pub file: PathBuf,
    /// Its format; by its ending where nothing is said.
    #[arg(long)]
    pub format: Option<Format>,
    /// How columns become fields; the columns of `riskmesh generate` where nothing is said.
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,
    /// The tenant.
    #[arg(long, default_value = "sandbox")]
    pub tenant: riskmesh_core::TenantId,
    /// The data directory.
    #[command(flatten)]
    pub data: DataDir,
    /// Where rows that cannot be imported go, with line and reason [default: FILE.rejected.csv].
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
    /// Starts from the first line, whatever an earlier run did.
    #[arg(long)]
    pub restart: bool,
}

/// A file's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Comma-separated values with a header line (RFC 4180).
    Csv,
    /// One JSON object a line.
    Ndjson,
}

/// What can be done with events.
#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    /// Publishes records of a topic again, for all its consumers; those of a quarantine topic on the topic that they came from. With
    /// `--group` nothing is published: the group goes back, and handles everything again from there.
    Replay(ReplayArgs),
}

/// Options of `events replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The topic, such as transactions or transactions.quarantine.
    #[arg(long, value_name = "NAME")]
    pub topic: String,
    /// Where it begins: an offset, a time (RFC 3339) at which records were appended, or `earliest`.
    #[arg(long, value_name = "OFFSET|TIME", value_parser = point)]
    pub from: bus::replay::Point,
    /// Where it ends, without the record there [default: the end as it is now].
    #[arg(long, value_name = "OFFSET|TIME", value_parser = point)]
    pub to: Option<bus::replay::Point>,
    /// The partition that offsets are of; of times, every partition where nothing is said.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=i64::from(i32::MAX)))]
    pub partition: Option<u32>,
    /// The one consumer group that goes back, to all that came since.
    #[arg(long, value_name = "NAME", conflicts_with = "to")]
    pub group: Option<String>,
    /// Only says which offsets it would be.
    #[arg(long)]
    pub dry_run: bool,
    /// The data directory.
    #[command(flatten)]
    pub data: DataDir,
}

/// Options of `generate`.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// What to write.
    #[arg(value_enum)]
    pub what: Generated,
    /// The seed.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many clients.
    #[arg(long, default_value_t = 1_000)]
    pub clients: u64,
    /// How many transactions.
    #[arg(long, default_value_t = 100_000)]
    pub transactions: u64,
    /// Over how many days.
    #[arg(long, default_value_t = 120)]
    pub days: u32,
    /// How many transactions in a million belong to a labelled pattern of laundering, about.
    #[arg(long, default_value_t = 1_000, value_name = "PPM")]
    pub suspicious: u32,
    /// How many in a million arrive late: their time is earlier than their place.
    #[arg(long, default_value_t = 0, value_name = "PPM")]
    pub late: u32,
    /// How many hours late at most.
    #[arg(long, default_value_t = 48, value_name = "HOURS")]
    pub late_hours: u32,
    /// How many in a million repeat an earlier one to the last byte.
    #[arg(long, default_value_t = 0, value_name = "PPM")]
    pub duplicates: u32,
    /// The instant at which they end, RFC 3339: part of what makes the same bytes.
    #[arg(long, default_value = "2026-01-01T00:00:00Z", value_parser = instant)]
    pub until: riskmesh_core::Timestamp,
    /// The format.
    #[arg(long, value_enum, default_value = "csv")]
    pub format: Format,
    /// The file; standard output where nothing is said.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What can be generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Generated {
    /// Clients.
    Clients,
    /// Accounts.
    Accounts,
    /// Transactions, with a label for those of laundering patterns.
    Transactions,
    /// The sandbox's instruments, of the seed; so are the two below.
    Instruments,
    /// Their prices over two years, until the instant given.
    Prices,
    /// Trades of the sandbox's portfolios in them.
    Trades,
}

fn user_role(text: &str) -> Result<api::users::v1::UserRole, String> {
    api::Spelled::spelled(text).ok_or_else(|| "give admin, analyst, reviewer or auditor".into())
}

fn instant(text: &str) -> Result<riskmesh_core::Timestamp, String> {
    riskmesh_core::Timestamp::parse(text).ok_or_else(|| "give a time such as 2026-01-01T00:00:00Z".into())
}

fn point(text: &str) -> Result<bus::replay::Point, String> {
    use bus::replay::Point::{Offset, Time};
    if text == "earliest" {
        return Ok(Time(riskmesh_core::Timestamp(0)));
    }
    if let Ok(offset) = text.parse::<i64>() {
        return if offset < 0 { Err("offsets begin with 0".into()) } else { Ok(Offset(offset)) };
    }
    let at = riskmesh_core::Timestamp::parse(text);
    at.map(Time).ok_or_else(|| "give an offset, a time such as 2026-01-01T00:00:00Z, or `earliest`".into())
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    let expected = || "give a number with s, m, h or d, such as 90s or 1h, up to 365d".to_owned();
    let unit = text.chars().last().ok_or_else(expected)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(expected()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| expected())?;
    let total = number
        .checked_mul(seconds)
        .filter(|total| (1..=365 * 86_400).contains(total))
        .ok_or_else(expected)?;
    Ok(std::time::Duration::from_secs(total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_have_units_and_bounds() {
        assert_eq!(duration("1h").unwrap().as_secs(), 3600);
        assert_eq!(duration("90s").unwrap().as_secs(), 90);
        for bad in ["", "h", "1", "1w", "-1h", "0s", "366d", "99999999999999999999d", "１h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_replay_goes_by_offsets_times_and_words() {
        use bus::replay::Point::{Offset, Time};
        assert_eq!(point("17"), Ok(Offset(17)));
        assert_eq!(point("earliest"), Ok(Time(riskmesh_core::Timestamp(0))));
        let at = Time(riskmesh_core::Timestamp(1_767_348_000_000));
        assert_eq!(point("2026-01-02T10:00:00Z"), Ok(at));
        assert_eq!(point("2026-01-02T12:00:00+02:00"), Ok(at));
        for bad in ["", "-1", "latest", "1.5", "2026-01-02T10:00:00", "99999999999999999999"] {
            assert!(point(bad).is_err(), "{bad}");
        }
        let replay = ["riskmesh", "events", "replay", "--topic", "t", "--from", "0"];
        assert!(Cli::try_parse_from(replay).is_ok());
        assert!(Cli::try_parse_from([&replay[..], &["--to", "7", "--group", "g"]].concat()).is_err());
        assert!(Cli::try_parse_from([&replay[..], &["--partition", "4294967295"]].concat()).is_err());
    }

    #[test]
    fn no_command_serves() {
        let cli = Cli::parse_from(["riskmesh", "--listen", "127.0.0.1:1", "--no-sandbox"]);
        assert!(cli.command.is_none() && cli.serve.no_sandbox);
        assert!(Cli::try_parse_from(["riskmesh", "serve", "--role", "edge,clients"]).is_ok());
        assert!(Cli::try_parse_from(["riskmesh", "serve", "--role", "nobody"]).is_err());
    }
}
