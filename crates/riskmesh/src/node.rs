//! One process: from configuration to running roles. The only place that knows which backends there are; services get traits.

use crate::admin_socket::{self, AnyChannel};
use crate::backends::{self, Backends, Log};
use crate::cli::NodeRole;
use crate::config::Config;
use crate::deployment::{self, Deployment};
use crate::lag;
use crate::operator;
use crate::secrets::{self, Secrets};
use crate::seed;
use authn::{Credentials, Grant, Issuer, Keys, Role, ServiceTokens, Verifier};
use mesh::{Channel, Directory, Routed};
use policy::Policy;
use riskmesh_core::cipher::random_bytes;
use riskmesh_core::{Clock, SystemClock, TenantId};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use telemetry::{Metrics, RequestLog};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::metadata::{Ascii, MetadataValue};
use tower::ServiceExt as _;

/// The directory of keys in a data directory.
pub const KEYS: &str = "keys";
/// How often the counts of lists are written.
const LISTS_EVERY: Duration = Duration::from_secs(1);
/// How often it is asked whether the scores have caught up.
const CATCHING_UP: Duration = Duration::from_millis(20);

/// Why a process cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory cannot be made.
    #[error("make data directory {path}")]
    DataDir {
        /// The directory.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The signing keys.
    #[error("load signing keys")]
    Keys(#[from] authn::KeyError),
    /// The other keys.
    #[error("load keys")]
    Secrets(#[from] secrets::Error),
    /// The engines.
    #[error(transparent)]
    Backends(#[from] backends::Error),
    /// What processes on one store agree on.
    #[error("join the deployment")]
    Deployment(#[from] deployment::Error),
    /// The log of events.
    #[error("use the bus")]
    Bus(#[from] bus::Error),
    /// The policies.
    #[error("compile the policies")]
    Policy(#[from] policy::Invalid),
    /// The analytics role.
    #[error("start analytics")]
    Analytics(#[from] analytics::ConfigError),
    /// The reference data.
    #[error("load reference data")]
    Reference(#[from] refdata::Error),
    /// The market role.
    #[error("start market")]
    Market(#[from] market::ConfigError),
    /// The HTTP front.
    #[error("start the edge")]
    Edge(#[from] edge::Error),
    /// A port or the admin socket.
    #[error("listen on {address}")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The sandbox.
    #[error(transparent)]
    Seed(#[from] seed::Error),
    /// Something of the process itself.
    #[error("{doing}")]
    Process {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A role needs another one that this process does not run.
    #[error("role {role} needs role {needs} in the same process")]
    Roles {
        /// The role asked for.
        role: &'static str,
        /// The one missing.
        needs: &'static str,
    },
}

/// What a process is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To serve: ports, admin socket, sandbox.
    Serve,
    /// To carry out one command on a data directory that nobody serves.
    Command,
}

/// A running process.
pub struct Node {
    /// The services of the API.
    routed: Routed,
    /// The same and the operator's, for the admin socket.
    operated: Routed,
    issuer: Issuer,
    clients: Arc<clients::Service>,
    analytics: analytics::Handle,
    reference: Arc<refdata::Live>,
    log: Log,
    redis: Option<Arc<cache::redis::Redis>>,
    deployment: Deployment,
    readiness: edge::Readiness,
    edge_address: Option<SocketAddr>,
    admin_address: Option<SocketAddr>,
    /// Cancelled first: no more requests.
    front: CancellationToken,
    front_tasks: TaskTracker,
    /// Lets scoring begin.
    score: CancellationToken,
    /// Cancelled after the last request: consumers and relay.
    back: CancellationToken,
    back_tasks: TaskTracker,
}

/// An issuer and its keys on a data directory, for tokens.
pub fn issuer(config: &Config, clock: Arc<dyn Clock>) -> Result<(Issuer, Arc<Keys>), Error> {
    let keys = Arc::new(Keys::load_or_create(&prepare(&config.data_dir)?)?);
    let issuer = Issuer::new(keys.clone(), &config.auth.issuer, &config.auth.audience, clock);
    Ok((issuer, keys))
}

/// Makes the data directory with its directory of keys, for the owner's eyes only.
fn prepare(data_dir: &Path) -> Result<std::path::PathBuf, Error> {
    use std::os::unix::fs::DirBuilderExt as _;
    let keys = data_dir.join(KEYS);
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&keys)
        .map_err(|source| Error::DataDir { path: data_dir.to_owned(), source })?;
    Ok(keys)
}

fn process<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    doing: &'static str,
) -> impl FnOnce(E) -> Error {
    move |source| Error::Process { doing, source: source.into() }
}

impl Node {
    /// Starts the roles of a configuration.
    pub async fn start(config: &Config, purpose: Purpose) -> Result<Self, Error> {
        let roles = roles(config, purpose)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (issuer, keys) = issuer(config, clock.clone())?;
        let verifier =
            Arc::new(Verifier::new(&keys.jwks(), &config.auth.issuer, &config.auth.audience, clock.clone()));
        let policy = Arc::new(Policy::new()?);
        let metrics = Metrics::new();
        // Names this start of this process among all processes and all their starts.
        let instance: [u8; 16] = random_bytes().map_err(process("name this process"))?;
        let instance = uuid::Uuid::from_bytes(instance).simple().to_string();

        // A directory without a store is one, until it is opened.
        let is_new = backends::is_new(config);
        let backends = Backends::open(config, clock.clone()).await?;
        let (store, bus, cache) = (backends.store.clone(), backends.log.bus(), backends.cache.clone());
        let deployment = Deployment::new(store.clone());
        let keys_dir = config.data_dir.join(KEYS);
        let secrets = if is_new && deployment.is_new().await? {
            Secrets::load_or_create(&keys_dir)?
        } else {
            Secrets::load(&keys_dir)?
        };
        deployment.join(&secrets.fingerprints, &keys).await?;
        let outbox = bus::Outbox::new(store.clone(), clock.clone(), instance.clone());
        let lists = store::list::Lists::new(store.clone(), clock.clone());

        let server = |role, routes| {
            mesh::serve(
                routes,
                mesh::Deps {
                    role,
                    verifier: verifier.clone(),
                    policy: policy.clone(),
                    metrics: metrics.clone(),
                    default_timeout: config.edge.request_timeout,
                    open: &[],
                },
            )
        };
        let front = CancellationToken::new();
        let issuer = Arc::new(issuer);
        let caller = |role: &'static str| mesh::Caller {
            role,
            metrics: metrics.clone(),
            credentials: Arc::new(ServiceTokens::new(issuer.clone(), role)) as Arc<dyn Credentials>,
            default_timeout: config.edge.request_timeout,
        };

        let auth = auth::Service::new(auth::Deps {
            store: store.clone(),
            lists: lists.clone(),
            outbox: outbox.clone(),
            cipher: secrets.columns.clone(),
            cursors: secrets.cursors.clone(),
            clock: clock.clone(),
        });
        let auth_server = server("auth", auth.routes());

        let clients = Arc::new(clients::Service::new(clients::Deps {
            store: store.clone(),
            bus: bus.clone(),
            outbox: outbox.clone(),
            lists: lists.clone(),
            cache: cache.clone(),
            keys: idempotency::Keys::new(store.clone(), clock.clone(), backends.sharing())
                .map_err(process("prepare idempotency keys"))?,
            cipher: secrets.columns,
            cursors: secrets.cursors.clone(),
            policy: policy.clone(),
            clock: clock.clone(),
        }));
        let clients_server = server("clients", clients.routes());
        let data = Arc::new(refdata::Live::open(config.reference.directory.as_deref())?);
        let analytics = analytics::Service::new(
            &config.analytics,
            analytics::Deps {
                store: store.clone(),
                bus: bus.clone(),
                outbox: outbox.clone(),
                lists: lists.clone(),
                cache,
                cursors: secrets.cursors.clone(),
                clients: Channel::local(clients_server.clone(), caller("analytics")),
                member: instance.as_str().into(),
                takeover: backends.takeover(),
                reference: data.clone(),
                clock: clock.clone(),
                stopping: front.clone(),
            },
        )?;
        let analytics_server = server("analytics", analytics.routes());

        let reference = reference::Service::new(reference::Deps {
            data: data.clone(),
            cursors: secrets.cursors.clone(),
            clock: clock.clone(),
        });
        let reference_server = server("reference", reference.routes());

        let market = market::Service::new(
            &config.market,
            market::Deps {
                store: store.clone(),
                lists: lists.clone(),
                cursors: secrets.cursors.clone(),
                clients: Channel::local(clients_server.clone(), caller("market")),
                reference: data.clone(),
                clock: clock.clone(),
            },
        )?;
        let market_server = server("market", market.routes());

        let directory = Directory::default()
            .with(services_of("riskmesh.clients."), &Channel::local(clients_server.clone(), caller("edge")))
            .with(
                services_of("riskmesh.portfolios."),
                &Channel::local(clients_server.clone(), caller("edge")),
            )
            .with(services_of("riskmesh.payments."), &Channel::local(clients_server.clone(), caller("edge")))
            .with(services_of("riskmesh.transactions."), &Channel::local(clients_server, caller("edge")))
            .with(services_of("riskmesh.users."), &Channel::local(auth_server, caller("edge")))
            .with(services_of("riskmesh.analytics."), &Channel::local(analytics_server, caller("edge")))
            .with(services_of("riskmesh.reference."), &Channel::local(reference_server, caller("edge")))
            .with(services_of("riskmesh.market."), &Channel::local(market_server, caller("edge")));
        let routed = Routed::new(directory.clone());
        let replay = bus::Replay::new(bus.clone(), store.clone());
        let operator_server = server("operator", operator::routes(replay));
        let operator_channel = Channel::local(operator_server, caller("edge"));
        let operated = Routed::new(directory.with(services_of(operator::PACKAGE), &operator_channel));

        let (back, back_tasks) = (CancellationToken::new(), TaskTracker::new());
        let sources =
            clients.sources().into_iter().chain(analytics.sources()).chain(auth.sources()).collect();
        let relay_config = bus::outbox::Config { takeover: backends.takeover(), ..Default::default() };
        let relay = bus::Relay::new(outbox, bus.clone(), sources, relay_config)?;
        // What a crash left behind is told of before anything new is taken in.
        relay.recover().await?;
        back_tasks.spawn(relay.run(back.clone()));
        let stop = back.clone();
        back_tasks.spawn(async move { stop.run_until_cancelled(lists.run(LISTS_EVERY)).await });
        back_tasks.spawn(data.clone().follow(back.clone()));
        let handle = analytics.handle();
        let score = CancellationToken::new();
        if purpose == Purpose::Serve {
            score.cancel();
        }
        let (begin, stop) = (score.clone(), back.clone());
        back_tasks.spawn(async move {
            // A command has the machine to itself until somebody waits for the scores: a client whose entries come in many pieces
            // is then scored once.
            if stop.run_until_cancelled(begin.cancelled()).await.is_none() {
                return;
            }
            if let Err(error) = analytics.run(stop).await {
                tracing::error!(%error, "analytics consumer ended");
            }
        });

        let mut node = Self {
            routed,
            operated,
            issuer: Issuer::clone(&issuer),
            clients,
            analytics: handle,
            reference: data,
            log: backends.log,
            redis: backends.redis,
            deployment,
            readiness: edge::Readiness::default(),
            edge_address: None,
            admin_address: None,
            front,
            front_tasks: TaskTracker::new(),
            score,
            back,
            back_tasks,
        };
        if purpose == Purpose::Serve {
            admin_socket::serve(
                &config.data_dir,
                node.operated.clone(),
                node.front.clone(),
                &node.front_tasks,
            )
            .map_err(|source| Error::Listen { address: "the admin socket".into(), source })?;
            if roles.contains(&NodeRole::Edge) {
                node.open_ports(config, &metrics, &keys, verifier, policy, clock).await?;
            }
        }
        Ok(node)
    }

    /// The admin port comes first, so that health can be asked while the sandbox is being seeded.
    async fn open_ports(
        &mut self,
        config: &Config,
        metrics: &Metrics,
        keys: &Keys,
        verifier: Arc<Verifier>,
        policy: Arc<Policy>,
        clock: Arc<dyn Clock>,
    ) -> Result<(), Error> {
        let admin = listen(config.admin_listen).await?;
        let shown = lag::show(self.analytics.lag(), "analytics", metrics.clone());
        let stop = self.front.clone();
        self.front_tasks.spawn(async move { stop.run_until_cancelled(shown).await });
        let router = edge::admin(metrics.clone(), self.readiness.clone());
        self.admin_address = admin.local_addr().ok();
        let stop = self.front.clone();
        self.front_tasks.spawn(async move {
            let served = axum::serve(admin, router).with_graceful_shutdown(stop.cancelled_owned());
            if let Err(error) = served.await {
                tracing::error!(%error, "admin port ended");
            }
        });

        let limit = config.edge.rate_limit_per_minute;
        let limiter: Arc<dyn edge::RateLimiter> = match self.redis.clone() {
            Some(redis) => {
                Arc::new(edge::SharedWindow::new(limit, config.edge.replicas, redis, clock.clone()))
            }
            None => Arc::new(edge::SlidingWindow::new(limit, clock.clone())),
        };
        let edge = edge::Edge::with_limiter(
            config.edge.clone(),
            edge::Deps {
                upstream: edge::upstream(self.routed.clone()),
                public: public(self.routed.directory()).await.map_err(process("describe the services"))?,
                verifier,
                policy,
                jwks: keys.jwks(),
                metrics: metrics.clone(),
                request_log: request_log(config).map_err(process("open the request log"))?,
                clock,
            },
            limiter,
        )?;
        let listener = listen(config.edge.listen).await?;
        self.edge_address = listener.local_addr().ok();
        let stop = self.front.clone();
        self.front_tasks.spawn(async move {
            if let Err(error) = edge.serve(listener, stop).await {
                tracing::error!(%error, "edge ended");
            }
        });
        Ok(())
    }

    /// Seeds the sandbox where it is wanted and not there, waits until every score is there, and reports ready.
    pub async fn make_ready(&self, config: &Config) -> Result<(), Error> {
        let sandbox = seed::Sandbox::new(self.deployment.clone(), &config.data_dir);
        if config.sandbox.enabled && !sandbox.is_done().await? {
            let tenant = TenantId::new(seed::TENANT).map_err(process("name the sandbox"))?;
            let token = self.token(Role::Admin, tenant, None, Duration::from_hours(1))?;
            let authorization = bearer(&token).map_err(process("make a token"))?;
            sandbox.seed(config.sandbox.seed, SystemClock.now(), self.channel(), authorization).await?;
        }
        self.caught_up().await?;
        self.readiness.set(true);
        Ok(())
    }

    /// A token of this process's issuer.
    pub fn token(
        &self,
        role: Role,
        tenant: TenantId,
        client_id: Option<String>,
        ttl: Duration,
    ) -> Result<String, Error> {
        let sub = format!("cli:{role}");
        let grant = Grant { sub, user_id: None, role, tenant, scope: Vec::new(), client_id, ttl };
        self.issuer.issue(&grant).map_err(process("make a token"))
    }

    /// Calls to all services of this process, the operator's too.
    pub fn channel(&self) -> AnyChannel {
        AnyChannel::new(self.operated.clone().map_err(|never| match never {}))
    }

    /// Waits until every score reflects everything recorded so far.
    pub async fn caught_up(&self) -> Result<(), Error> {
        self.score.cancel();
        self.clients.settle().await;
        while !self.analytics.caught_up().await.map_err(process("ask for the state of the scores"))? {
            tokio::time::sleep(CATCHING_UP).await;
        }
        Ok(())
    }

    /// Reads the files anew that can be changed while the process runs: as SIGHUP asks for.
    pub fn reload(&self) {
        self.reference.ask();
    }

    /// Where the API is served.
    pub fn edge_address(&self) -> Option<SocketAddr> {
        self.edge_address
    }

    /// Where metrics and health are served.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Stops: no more requests, those under way are answered, what they changed is told of, then the store closes.
    pub async fn stop(self) {
        self.readiness.set(false);
        self.front.cancel();
        self.front_tasks.close();
        self.front_tasks.wait().await;
        self.clients.drain().await;
        self.back.cancel();
        self.back_tasks.close();
        self.back_tasks.wait().await;
        self.log.close().await;
    }
}

/// The roles to run. On an embedded store one process owns the data, so every role that keeps data is in it.
fn roles(config: &Config, purpose: Purpose) -> Result<BTreeSet<NodeRole>, Error> {
    let roles = config.roles();
    if purpose == Purpose::Command {
        return Ok(roles);
    }
    for (role, name) in
        [(NodeRole::Edge, "edge"), (NodeRole::Analytics, "analytics"), (NodeRole::Market, "market")]
    {
        if roles.contains(&role) && !roles.contains(&NodeRole::Clients) {
            return Err(Error::Roles { role: name, needs: "clients" });
        }
    }
    Ok(roles)
}

/// Brings the engines of a configuration up to date; gives how many tables there are.
pub async fn migrate(config: &Config) -> Result<usize, Error> {
    prepare(&config.data_dir)?;
    backends::migrate(config, Arc::new(SystemClock)).await?;
    Ok(backends::tables().len())
}

/// The full names of the contract's services in packages that start so.
fn services_of(package: &'static str) -> BTreeSet<&'static str> {
    api::method::METHODS
        .iter()
        .map(|method| method.service)
        .filter(|service| service.starts_with(package))
        .collect()
}

fn request_log(config: &Config) -> std::io::Result<RequestLog> {
    let format = config.telemetry.log_format.into();
    if config.telemetry.request_log {
        RequestLog::stdout(format)
    } else {
        RequestLog::new(format, std::io::sink())
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|source| Error::Listen { address: address.to_string(), source })
}

/// Reflection and health: what tools ask before they have a token. Reflection knows all that is served, itself
/// included, and the details of errors.
async fn public(directory: &Directory) -> Result<edge::Public, tonic_reflection::server::Error> {
    use tonic_reflection::pb::{v1, v1alpha};
    let served = directory.services();
    let named = || {
        served.iter().copied().chain([
            tonic_health::pb::health_server::SERVICE_NAME,
            v1::server_reflection_server::SERVICE_NAME,
            v1alpha::server_reflection_server::SERVICE_NAME,
        ])
    };
    let reflection = || {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(api::DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET);
        // Each version of reflection brings itself.
        named()
            .fold(builder, tonic_reflection::server::Builder::with_service_name)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
    };
    let (health, health_service) = tonic_health::server::health_reporter();
    for &service in &served {
        health.set_service_status(service, tonic_health::ServingStatus::Serving).await;
    }
    let (ask, alpha) =
        (edge::reads::<v1::ServerReflectionRequest>, edge::reads::<v1alpha::ServerReflectionRequest>);
    let check = edge::reads::<tonic_health::pb::HealthCheckRequest>;
    Ok(edge::Public::default()
        .with(reflection().build_v1()?, &[("ServerReflectionInfo", ask)])
        .with(reflection().build_v1alpha()?, &[("ServerReflectionInfo", alpha)])
        .with(health_service, &[("Check", check), ("Watch", check)]))
}

/// `Bearer …`, as gRPC metadata.
pub fn bearer(token: &str) -> Result<MetadataValue<Ascii>, tonic::metadata::errors::InvalidMetadataValue> {
    let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse()?;
    value.set_sensitive(true);
    Ok(value)
}
