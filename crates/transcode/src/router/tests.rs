#![allow(clippy::unwrap_used, clippy::expect_used)]
use proptest::prelude::*;

use super::*;

fn router(templates: &[&str]) -> Router {
    let mut router = Router::default();
    for template in templates {
        router.add(template, "GET", template).unwrap();
    }
    router
}

fn get(router: &Router, path: &str) -> Option<(String, Vec<String>)> {
    let found = router.find("GET", path).ok()?;
    Some((router.routes()[found.route].text.clone(), found.bindings))
}

#[track_caller]
fn check(router: &Router, path: &str, route: &str, bindings: &[&str]) {
    let expected = (!route.is_empty())
        .then(|| (route.to_owned(), bindings.iter().map(|b| (*b).to_owned()).collect::<Vec<_>>()));
    assert_eq!(get(router, path), expected, "{path}");
}

#[test]
fn a_double_star_matches_any_path() {
    let r = router(&["/**"]);
    for path in ["/", "/a", "/a/", "/a//b"] {
        check(&r, path, "/**", &[]);
    }
}

#[test]
fn literals_beat_stars_and_stars_beat_double_stars() {
    let r = router(&["/a/**", "/b/*", "/c/*/d/**", "/c/*/d/e", "/c/f/d/e", "/"]);
    for (path, route) in [
        ("/a/b", "/a/**"),
        ("/a/b/c", "/a/**"),
        ("/a", "/a/**"),
        ("/b/c", "/b/*"),
        ("/b/", ""),
        ("/b", ""),
        ("b/c/d", ""),
        ("/c/u/d/v", "/c/*/d/**"),
        ("/c/v/d/w/x", "/c/*/d/**"),
        ("/c/x/y/d/z", ""),
        ("/c//v/d/w/x", ""),
        ("/c/x/d/e", "/c/*/d/e"),
        ("/c/f/d/e", "/c/f/d/e"),
        ("/c/f/d/g", "/c/*/d/**"),
        ("/", "/"),
        ("", ""),
        ("//", ""),
    ] {
        check(&r, path, route, &[]);
    }
}

#[test]
fn variables_capture_their_segments() {
    let r = router(&[
        "/a/{x}/c/d/e",
        "/{x=a/*}/b/{y=*}/c",
        "/a/{x=b/*}/{y=d/**}",
        "/alpha/{x=*}/beta/{y=**}/gamma",
        "/{x=*}/a",
        "/{x=**}/a/b",
        "/a/b/{x=*}",
        "/a/b/c/{x=**}",
        "/{x=*}/d/e/f/{y=**}",
    ]);
    for (path, route, bindings) in [
        ("/a/book/c/d/e", "/a/{x}/c/d/e", &["book"][..]),
        ("/a/hello/b/world/c", "/{x=a/*}/b/{y=*}/c", &["a/hello", "world"]),
        ("/a/b/zoo/d/animal/tiger", "/a/{x=b/*}/{y=d/**}", &["b/zoo", "d/animal/tiger"]),
        ("/alpha/dog/beta/eat/bones/gamma", "/alpha/{x=*}/beta/{y=**}/gamma", &["dog", "eat/bones"]),
        ("/foo/a", "/{x=*}/a", &["foo"]),
        ("/foo/bar/a/b", "/{x=**}/a/b", &["foo/bar"]),
        ("/a/b/foo", "/a/b/{x=*}", &["foo"]),
        ("/a/b/c/foo/bar/baz", "/a/b/c/{x=**}", &["foo/bar/baz"]),
        ("/a/b/c", "/a/b/c/{x=**}", &[""]),
        ("/foo/d/e/f/bar/baz", "/{x=*}/d/e/f/{y=**}", &["foo", "bar/baz"]),
        ("/a/b/", "", &[]),
        ("/a/b/c/", "", &[]),
    ] {
        check(&r, path, route, bindings);
    }
}

#[test]
fn after_a_double_star_the_longest_literal_tail_wins() {
    let r = router(&[
        "/a/{x=b/**}",
        "/a/{x=b/**}/z",
        "/a/{x=b/**}/y/z",
        "/a/{x=b/**}:verb",
        "/a/{x=**}",
        "/c/{x=*}/{y=d/**}/e",
        "/c/{x=*}/{y=d/**}/e:verb",
        "/a/{x=b/*/y/z/**}/foo",
        "/a/{x=b/*/**/y/z}/foo",
    ]);
    for (path, route, bindings) in [
        ("/a/b/hello/world/c", "/a/{x=b/**}", &["b/hello/world/c"][..]),
        ("/a/b/world/c/z", "/a/{x=b/**}/z", &["b/world/c"]),
        ("/a/b/world/c/y/z", "/a/{x=b/**}/y/z", &["b/world/c"]),
        ("/a/b/world/c:verb", "/a/{x=b/**}:verb", &["b/world/c"]),
        ("/a/hello/b/world/c", "/a/{x=**}", &["hello/b/world/c"]),
        ("/c/hello/d/esp/world/e", "/c/{x=*}/{y=d/**}/e", &["hello", "d/esp/world"]),
        ("/c/hola/d/esp/mundo/e:verb", "/c/{x=*}/{y=d/**}/e:verb", &["hola", "d/esp/mundo"]),
        ("/a/b/foo/y/z/bar/baz/foo", "/a/{x=b/*/y/z/**}/foo", &["b/foo/y/z/bar/baz"]),
        ("/a/b/foo/bar/baz/y/z/foo", "/a/{x=b/*/**/y/z}/foo", &["b/foo/bar/baz/y/z"]),
        ("/a", "/a/{x=**}", &[""]),
    ] {
        check(&r, path, route, bindings);
    }
}

#[test]
fn a_suffix_is_a_verb_only_where_a_route_has_it() {
    let r = router(&["/person", "/person/{id=*}", "/person/{id=*}/name", "/{x=**}:verb"]);
    for (path, route, bindings) in [
        ("/person:verb", "/{x=**}:verb", &["person"][..]),
        ("/person/jason:verb", "/{x=**}:verb", &["person/jason"]),
        ("/animal/cat:verb", "/{x=**}:verb", &["animal/cat"]),
        ("/person/jason:other", "/person/{id=*}", &["jason:other"]),
        ("/person/jason:verb/name", "/person/{id=*}/name", &["jason:verb"]),
        ("/person:other", "", &[]),
        ("/animal/cat:other", "", &[]),
        ("/person/a:b:verb", "/{x=**}:verb", &["person/a:b"]),
        ("/person/jason:verb/", "", &[]),
    ] {
        check(&r, path, route, bindings);
    }
}

#[test]
fn a_verb_that_fits_no_route_here_stays_in_the_segment() {
    let r = router(&["/jobs/{id}:cancel", "/people/{id}"]);
    check(&r, "/people/a:cancel", "/people/{id}", &["a:cancel"]);
    check(&r, "/jobs/:cancel", "", &[]);
}

#[test]
fn escapes_are_decoded_and_slashes_kept_in_multi_segment_captures() {
    let r = router(&["/a/{x}/c", "/m/{x=**}/c", "/n/{x=p/*/q/*}", "/caf%C3%A9"]);
    check(&r, "/a/p%20q%2Fr+/c", "/a/{x}/c", &["p q/r+"]);
    check(&r, "/m/p/foo%20foo/q/bar%2fbar+/c", "/m/{x=**}/c", &["p/foo foo/q/bar%2fbar+"]);
    check(&r, "/n/p/a%3Ab/q/c%2Fd", "/n/{x=p/*/q/*}", &["p/a:b/q/c%2Fd"]);
    check(&r, "/caf%c3%a9", "/caf%C3%A9", &[]);
    assert_eq!(r.find("GET", "/a/%zz/c"), Err(Miss::BadEscape));
    assert_eq!(r.find("GET", "/a/%C3/c"), Err(Miss::BadEscape));
    assert_eq!(r.find("GET", "/a/%2/c"), Err(Miss::BadEscape));
}

#[test]
fn by_option_slashes_are_decoded_in_multi_segment_captures_too() {
    let mut r = Router::new(escape::Slash::Decode);
    r.add("m", "GET", "/m/{x=**}").unwrap();
    assert_eq!(r.find("GET", "/m/a%2Fb/c").unwrap().bindings, ["a/b/c"]);
}

#[test]
fn the_method_is_part_of_the_match() {
    let mut r = Router::default();
    for (method, text) in [
        ("POST", "/v/search"),
        ("GET", "/v/{id}"),
        ("DELETE", "/v/{id}"),
        ("POST", "/v/{id}:stop"),
        ("*", "/any"),
        ("PURGE", "/any"),
    ] {
        r.add(&format!("{method} {text}"), method, text).unwrap();
    }
    let name = |method, path| r.find(method, path).map(|f| r.routes()[f.route].name.clone());
    assert_eq!(name("GET", "/v/search").unwrap(), "GET /v/{id}");
    assert_eq!(name("HEAD", "/v/1").unwrap(), "GET /v/{id}");
    assert_eq!(name("GET", "/v/1:stop").unwrap(), "GET /v/{id}");
    assert_eq!(name("PURGE", "/any").unwrap(), "PURGE /any");
    assert_eq!(name("BREW", "/any").unwrap(), "* /any");
    let allow = |methods: &[&str]| {
        Err(Miss::MethodNotAllowed { allow: methods.iter().map(|m| (*m).to_owned()).collect() })
    };
    assert_eq!(name("PUT", "/v/search"), allow(&["DELETE", "GET", "HEAD", "POST"]));
    assert_eq!(name("PUT", "/v/1:stop"), allow(&["DELETE", "GET", "HEAD", "POST"]));
    assert_eq!(name("PUT", "/w"), Err(Miss::NotFound));
}

#[test]
fn a_route_of_any_method_is_found_behind_one_that_would_bind_nothing() {
    let mut r = Router::default();
    r.add("named", "GET", "/{n=**}").unwrap();
    r.add("any", "*", "/**").unwrap();
    let name = |method, path| r.find(method, path).map(|f| r.routes()[f.route].name.clone());
    assert_eq!(name("GET", "/a").unwrap(), "named");
    assert_eq!(name("GET", "/a/").unwrap(), "any");
    assert_eq!(name("HEAD", "/a/").unwrap(), "any");
    assert_eq!(name("PUT", "/a").unwrap(), "any");
}

#[test]
fn head_takes_the_route_of_get_before_one_of_any_method() {
    let mut r = Router::default();
    r.add("get", "GET", "/a/b").unwrap();
    r.add("any", "*", "/a/{x}").unwrap();
    r.add("head", "HEAD", "/h").unwrap();
    r.add("get h", "GET", "/h").unwrap();
    let name = |method, path| r.find(method, path).map(|f| r.routes()[f.route].name.clone());
    assert_eq!(name("HEAD", "/a/b").unwrap(), "get");
    assert_eq!(name("HEAD", "/a/c").unwrap(), "any");
    assert_eq!(name("PUT", "/a/b").unwrap(), "any");
    assert_eq!(name("HEAD", "/h").unwrap(), "head");
}

#[test]
fn duplicates_name_both_owners() {
    let mut r = Router::default();
    r.add("pkg.A.Get", "GET", "/a/{x}").unwrap();
    r.add("pkg.A.Put", "PUT", "/a/{x}").unwrap();
    r.add("pkg.A.Verb", "GET", "/a/{x}:v").unwrap();
    let error = r.add("pkg.B.Get", "GET", "/a/{other=*}").unwrap_err();
    assert_eq!(error.to_string(), "pkg.B.Get and pkg.A.Get both claim GET /a/{other=*}");
    let error = r.add("pkg.C.Bad", "GET", "/a//b").unwrap_err();
    assert_eq!(error.to_string(), "pkg.C.Bad: template `/a//b`: expected a segment at column 4");
}

thread_local! {
    static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Called for each node that a search enters.
pub(super) fn count_step() {
    STEPS.with(|steps| steps.set(steps.get() + 1));
}

/// How many nodes a search enters.
fn steps(router: &Router, path: &str) -> usize {
    STEPS.with(|steps| steps.set(0));
    let _ = router.find("GET", path);
    STEPS.with(std::cell::Cell::get)
}

#[test]
fn a_search_among_ten_thousand_routes_enters_as_many_nodes_as_among_ten() {
    let paths = [
        "/v1/r3/7/s7/x/y",
        "/v1/r3/7/s7",
        "/v1/r3/7/nope/x",
        "/v1/r3/7:stop",
        "/v1/nope/7/s7",
        "/v1/r3/7/s7/x/y/z/and/so/on",
        "/nope",
        "/",
    ];
    let routers = [10, 1000, 10_000].map(|count| {
        let mut r = Router::default();
        for i in 0..count {
            let (outer, inner) = (3 + i / 10, i % 10);
            r.add("x", "GET", &format!("/v1/r{outer}/{{id}}/s{inner}/**")).unwrap();
        }
        r.add("y", "GET", "/v1/r3/{id}:stop").unwrap();
        r
    });
    for path in paths {
        let [few, some, many] = routers.each_ref().map(|router| steps(router, path));
        let segments = path.split('/').count();
        assert_eq!((few, some), (many, many), "{path}");
        // Found at once, or missed and asked for every method, with and without a verb.
        assert!(many <= 4 * segments, "{path}: {many} nodes for {segments} segments");
    }
}

#[test]
fn ten_thousand_routes_are_told_apart() {
    let mut r = Router::default();
    for i in 0..10_000 {
        r.add("x", "GET", &format!("/v1/r{}/{{id}}/s{}/**", i / 100, i % 100)).unwrap();
    }
    let found = r.find("GET", "/v1/r73/7/s21/x/y").unwrap();
    assert_eq!(r.routes()[found.route].text, "/v1/r73/{id}/s21/**");
    assert_eq!(r.find("GET", "/v1/r73/7/s100/x"), Err(Miss::NotFound));
}

/// The rule, written down plainly: does this template match, segment by segment?
fn matches(template: &[Segment], path: &[&str]) -> bool {
    match template.split_first() {
        None => path.is_empty(),
        Some((Segment::DoubleStar, rest)) => (0..=path.len()).any(|n| matches(rest, &path[n..])),
        Some((segment, rest)) => path.split_first().is_some_and(|(first, tail)| {
            let fits = match segment {
                Segment::Literal(text) => text == first,
                _ => !first.is_empty(),
            };
            fits && matches(rest, tail)
        }),
    }
}

proptest! {
    #[test]
    fn a_route_is_found_exactly_when_some_template_matches(
        templates in prop::collection::vec("(/(a|b|\\*)){1,4}|(/(a|b|\\*)){0,3}/\\*\\*(/(a|b)){0,2}", 1..12),
        path in "(/(a|b|c|)){1,6}",
    ) {
        let mut r = Router::default();
        let mut kept = Vec::new();
        for text in &templates {
            if r.add(text, "GET", text).is_ok() {
                kept.push(Template::parse(text).unwrap());
            }
        }
        let segments = split(&path).unwrap();
        let fits: Vec<_> = kept.iter().filter(|t| matches(&t.segments, &segments)).collect();
        match r.find("GET", &path) {
            Ok(found) => prop_assert!(fits.contains(&&r.routes()[found.route].template)),
            Err(_) => prop_assert!(fits.is_empty(), "{fits:?}"),
        }
    }
}
