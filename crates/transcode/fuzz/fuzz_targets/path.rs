//! Any templates and paths: templates parse or say where not, and what a route matches it matches as its template says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use riskmesh_transcode::router::Router;
use riskmesh_transcode::template::Template;

#[derive(Debug, arbitrary::Arbitrary)]
struct Input<'a> {
    templates: Vec<&'a str>,
    paths: Vec<&'a str>,
}

fuzz_target!(|input: Input<'_>| {
    let mut router = Router::default();
    for text in input.templates.into_iter().take(20) {
        match Template::parse(text) {
            Ok(_) => drop(router.add("a", "GET", text)),
            Err(error) => assert!(error.column >= 1 && error.column <= text.len() + 1),
        }
    }
    for path in input.paths.into_iter().take(20) {
        let Ok(found) = router.find("GET", path) else { continue };
        let template = &router.routes()[found.route].template;
        assert_eq!(found.bindings.len(), template.variables.len());
        // `**` alone stands for no segments too: `/` matches `/{name=**}`.
        for (value, variable) in found.bindings.iter().zip(&template.variables) {
            assert!(!value.is_empty() || variable.wildcard_path, "{}", variable.field_path.join("."));
        }
        // The same route is found whatever else was asked before.
        assert_eq!(router.find("GET", path), Ok(found));
    }
});
