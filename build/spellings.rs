//! The spellings of enum values, read from the options in the protos.

use prost_reflect::DescriptorPool;
use std::fmt::Write as _;

/// Rust source with an `impl Spelled` for every enum whose values have spellings.
pub(crate) fn table(pool: &DescriptorPool) -> Result<String, Box<dyn std::error::Error>> {
    let extension =
        pool.get_extension_by_name("riskmesh.options.v1.spelling").ok_or("options.proto lacks `spelling`")?;
    let mut source = String::new();
    for kind in pool.all_enums().filter(|kind| kind.package_name().starts_with("riskmesh.")) {
        let mut spellings = Vec::new();
        for value in kind.values() {
            let options = value.options();
            if options.has_extension(&extension) {
                let spelling = options.get_extension(&extension);
                let spelling = spelling.as_str().ok_or("spelling is a string")?.to_owned();
                spellings.push((value.number(), spelling));
            }
        }
        if spellings.is_empty() {
            continue;
        }
        let path = kind.full_name().trim_start_matches("riskmesh.").replace('.', "::");
        writeln!(
            source,
            "impl Spelled for crate::{path} {{\n    const ALL: &'static [(i32, &'static str)] = &{spellings:?};\n}}"
        )?;
    }
    Ok(source)
}
