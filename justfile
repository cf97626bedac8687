# Short names for the commands of README.md and CONTRIBUTING.md; nothing is only here.

# What there is.
default:
    @{{ just_executable() }} --list --unsorted

# Serve everything on 127.0.0.1:8080, data in ./data.
run *flags:
    cargo run --release {{ if flags == "" { "" } else { "-- serve " + flags } }}

# The whole story in a temporary directory, every request and answer shown.
demo:
    cargo run --release -- demo

# A token of the sandbox tenant for the server over ./data.
token role="analyst" *flags:
    cargo run --quiet --release -- token --data-dir data --role {{ role }} {{ flags }}

# Every test; no server is needed.
test:
    cargo test --release --workspace

# The tests of one crate: `just test-crate riskmesh-risk score`.
test-crate crate *filter:
    cargo test --release --package {{ crate }} {{ filter }}

# Everything that is checked without running the code.
lint:
    .ci/run fmt invariants proto deny clippy

# What a commit has to pass, as it runs on a bare machine.
ci:
    .ci/run

# Format Rust and Protobuf.
fmt:
    cargo fmt --all
    buf format --write --exclude-path proto/google --exclude-path proto/buf

# Write the contract as it is to land; part of every commit that changes proto/.
api-snapshot:
    .ci/run --snapshot

# The benchmarks of docs/: `just bench spine`.
bench suite="spine":
    cargo xtask bench {{ suite }} --json
