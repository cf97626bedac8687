//! `riskmesh token`: whoever can read a data directory's keys can make tokens for it; no server is needed.

use crate::cli::TokenArgs;
use crate::config::Config;
use crate::connection::Connection;
use crate::node;
use crate::user_command::Users;
use anyhow::Context as _;
use api::Spelled as _;
use authn::{Grant, Role};
use riskmesh_core::SystemClock;
use std::sync::Arc;

/// Prints a token and nothing else.
pub(crate) async fn run(args: &TokenArgs) -> anyhow::Result<()> {
    let config = Config::of(&args.data)?;
    if !config.data_dir.exists() {
        let dir = config.data_dir.display();
        eprintln!(
            "riskmesh: {dir} was not there: its keys are made now, for a server that is still to be started on it"
        );
    }
    let holder = match (&args.user, args.role) {
        (Some(name), _) => user(args, &config, name).await?,
        (None, Some(role)) => {
            let sub = format!("cli:{}", args.client_id.as_deref().unwrap_or(role.name()));
            Holder { sub, user_id: None, role }
        }
        (None, None) => anyhow::bail!("give --role or --user"),
    };
    let (issuer, _) = node::issuer(&config, Arc::new(SystemClock))?;
    let scope = args.scope.iter().flat_map(|scope| scope.split_whitespace()).map(str::to_owned).collect();
    let grant = Grant {
        sub: holder.sub,
        user_id: holder.user_id,
        role: holder.role,
        tenant: args.tenant.clone(),
        scope,
        client_id: args.client_id.clone(),
        ttl: args.ttl,
    };
    println!("{}", issuer.issue(&grant)?);
    Ok(())
}

/// Whom a token stands for.
struct Holder {
    sub: String,
    user_id: Option<String>,
    role: Role,
}

/// A user with the role that the store knows.
async fn user(args: &TokenArgs, config: &Config, name: &str) -> anyhow::Result<Holder> {
    let connection = Connection::open(config, &args.tenant, "token").await?;
    let user = Users::of(&connection).active(name).await;
    connection.close().await;
    let user = user?;
    let role = user.role().spelling().unwrap_or_default().parse().context("read the user's role")?;
    Ok(Holder { sub: user.user_id.clone(), user_id: Some(user.user_id), role })
}
