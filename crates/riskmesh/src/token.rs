//! `riskmesh token`: whoever can read a data directory's keys can make tokens for it; no server is needed.

use crate::cli::TokenArgs;
use crate::config::Config;
use crate::node;
use authn::Grant;
use riskmesh_core::SystemClock;
use std::sync::Arc;

/// Prints a token and nothing else.
pub(crate) fn run(args: &TokenArgs) -> anyhow::Result<()> {
    let config = Config::of(&args.data)?;
    if !config.data_dir.exists() {
        let dir = config.data_dir.display();
        eprintln!(
            "riskmesh: {dir} was not there: its keys are made now, for a server that is still to be started on it"
        );
    }
    let (issuer, _) = node::issuer(&config, Arc::new(SystemClock))?;
    let scope = args.scope.iter().flat_map(|scope| scope.split_whitespace()).map(str::to_owned).collect();
    let grant = Grant {
        sub: format!("cli:{}", args.client_id.as_deref().unwrap_or(args.role.name())),
        user_id: None,
        role: args.role,
        tenant: args.tenant.clone(),
        scope,
        client_id: args.client_id.clone(),
        ttl: args.ttl,
    };
    println!("{}", issuer.issue(&grant)?);
    Ok(())
}
