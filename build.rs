//! Compiles `proto/` with protox (no protoc to install) into messages, service traits, clients, the descriptor set, the table of
//! methods, the spellings of enums and the validation of requests. A method with neither a permission nor the option `public`, or a
//! rule that is not understood, fails the build.

#[path = "build/methods.rs"]
mod methods;
#[path = "build/rules.rs"]
mod rules;
#[path = "build/spellings.rs"]
mod spellings;

use prost::Message as _;
use prost_reflect::DescriptorPool;
use std::error::Error;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=build");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);

    let mut files = Vec::new();
    protos(Path::new("proto"), &mut files)?;
    files.sort();
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(&files)?;
    // The compiler's own bytes: prost_types would drop the extension options that the transcoder lives on.
    let encoded = compiler.encode_file_descriptor_set();
    std::fs::write(out.join("riskmesh.binpb"), &encoded)?;
    let pool = DescriptorPool::decode(encoded.as_slice())?;

    std::fs::write(out.join("methods.rs"), methods::table(&pool)?)?;
    std::fs::write(out.join("spellings.rs"), spellings::table(&pool)?)?;
    std::fs::write(out.join("rules.rs"), rules::validation(&pool)?)?;

    let mut set = prost_types::FileDescriptorSet::decode(encoded.as_slice())?;
    let generated = |package: &str| package.starts_with("riskmesh.") && package != "riskmesh.options.v1";
    set.file.retain(|file| generated(file.package()) || file.package() == "google.protobuf");
    tonic_prost_build::configure().codec_path("crate::codec::ValidatingCodec").compile_fds(set)?;
    Ok(())
}

/// All files under `proto`, as paths relative to it.
fn protos(dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            protos(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path.strip_prefix("proto").map_err(std::io::Error::other)?.to_owned());
        }
    }
    Ok(())
}
