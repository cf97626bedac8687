//! Compiles the bench service with protox, as the contract is compiled: messages, client and server for the suite, and the
//! descriptors that every transcoder is given.

use prost::Message as _;
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=../../proto/google");
    let mut compiler = protox::Compiler::new(["proto", "../../proto"])?;
    compiler.include_imports(true).open_files(["bench/v1/bench.proto"])?;
    // The compiler's own bytes: prost_types would drop the HTTP rules.
    let encoded = compiler.encode_file_descriptor_set();
    std::fs::write(PathBuf::from(std::env::var("OUT_DIR")?).join("bench.binpb"), &encoded)?;
    let mut set = prost_types::FileDescriptorSet::decode(encoded.as_slice())?;
    // The messages of google.protobuf are those of prost_types; it has to see them nonetheless.
    set.file.retain(|file| matches!(file.package(), "bench.v1" | "google.protobuf"));
    tonic_prost_build::configure().compile_fds(set)?;
    Ok(())
}
