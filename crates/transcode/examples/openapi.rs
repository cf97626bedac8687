//! Prints the OpenAPI document of descriptors, with the words and examples that are in their comments:
//!
//! ```sh
//! buf build -o api.binpb
//! cargo run --example openapi -- api.binpb "My API" 1.0 > openapi.json
//! ```

use riskmesh_transcode::Builder;
use riskmesh_transcode::openapi::Api;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(descriptors), Some(title), Some(version)) = (args.next(), args.next(), args.next()) else {
        return Err("descriptors, title and version are needed".into());
    };
    // Nothing is called, so there is no service behind it.
    let transcoder = Builder::from_descriptor_set(&std::fs::read(descriptors)?)?.build(())?;
    let document = transcoder.openapi(&Api::new(title, version));
    serde_json::to_writer_pretty(std::io::stdout().lock(), &document)?;
    Ok(())
}
