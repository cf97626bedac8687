//! From a method and a path to a route: a trie over segments, searched with backtracking.
//!
//! At each segment a literal beats `*`, and `*` beats `**`; among routes that end in `**` the one with the longest
//! literal tail wins. Every node of the trie lies at one depth, so a search visits a node at most once. Its cost follows
//! the path, not the number of routes, but for routes that have both a literal and `*` at many depths under one prefix:
//! there each fork may be tried, at most all nodes under it. The method is part of the match: a path that only other methods know
//! is [`Miss::MethodNotAllowed`], not [`Miss::NotFound`].
//!
//! A suffix `:x` of the last segment is a verb only where some route has that verb, and such routes are tried first;
//! otherwise it belongs to the segment. `/a` and `/a/` are different paths, and an empty segment binds to no variable
//! and to no `*`.

use std::collections::{BTreeSet, HashMap, HashSet};

use smallvec::SmallVec;

use crate::escape;
use crate::template::{self, Segment, Template};

/// The method text of a route that serves every HTTP method (`custom: { kind: "*" }`).
pub const ANY_METHOD: &str = "*";

/// One registered route.
#[derive(Debug, Clone)]
pub struct Route {
    /// Who owns the route (the RPC's full name); used to name both sides of a duplicate.
    pub name: String,
    /// The HTTP method, or [`ANY_METHOD`].
    pub method: String,
    /// The template as written: a good label for logs and metrics.
    pub text: String,
    /// The template, parsed.
    pub template: Template,
}

/// A route that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The index that [`Router::add`] returned.
    pub route: usize,
    /// The values of the template's variables, decoded, in the order of its variables.
    pub bindings: Vec<String>,
}

/// Why nothing matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Miss {
    /// No route has this path.
    NotFound,
    /// Routes have this path, but not with this method; these are the methods that would do, sorted.
    MethodNotAllowed {
        /// The methods that the path knows.
        allow: Vec<String>,
    },
    /// The path matched, but a captured segment holds a bad percent-escape or is not UTF-8.
    BadEscape,
}

/// Why a route cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// The template does not parse.
    #[error("{name}: template `{text}`: {source}")]
    Template {
        /// The owner of the route.
        name: String,
        /// The template's text.
        text: String,
        /// What is wrong with it.
        source: template::Error,
    },
    /// Two routes would match exactly the same requests.
    #[error("{second} and {first} both claim {method} {text}")]
    Duplicate {
        /// The owner of the route that came first.
        first: String,
        /// The owner of the route refused.
        second: String,
        /// The HTTP method.
        method: String,
        /// The second route's template.
        text: String,
    },
    /// The method is not an HTTP token.
    #[error("{name}: `{method}` is not an HTTP method")]
    Method {
        /// The owner of the route.
        name: String,
        /// The text refused.
        method: String,
    },
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, usize>,
    star: Option<usize>,
    double_star: Option<usize>,
    ends: Vec<End>,
}

#[derive(Debug)]
struct End {
    method: Box<str>,
    verb: Option<Box<str>>,
    route: usize,
}

/// A set of routes. See the module's documentation for how it chooses.
#[derive(Debug)]
pub struct Router {
    nodes: Vec<Node>,
    routes: Vec<Route>,
    verbs: HashSet<Box<str>>,
    /// The longest literal tail behind a `**`, in segments.
    longest_tail: usize,
    slash: escape::Slash,
}

impl Default for Router {
    fn default() -> Self {
        Self::new(escape::Slash::default())
    }
}

impl Router {
    /// An empty router; `slash` says how `%2F` is treated in variables that span several segments.
    pub fn new(slash: escape::Slash) -> Self {
        Self {
            nodes: vec![Node::default()],
            routes: Vec::new(),
            verbs: HashSet::new(),
            longest_tail: 0,
            slash,
        }
    }

    /// Adds a route and returns its index.
    ///
    /// # Errors
    /// A template that does not parse, a method that is no HTTP token, and a route equal to an earlier one.
    pub fn add(&mut self, name: &str, method: &str, text: &str) -> Result<usize, AddError> {
        let template = Template::parse(text).map_err(|source| AddError::Template {
            name: name.to_owned(),
            text: text.to_owned(),
            source,
        })?;
        if method != ANY_METHOD && http::Method::from_bytes(method.as_bytes()).is_err() {
            return Err(AddError::Method { name: name.to_owned(), method: method.to_owned() });
        }
        let mut at = 0;
        for segment in &template.segments {
            at = self.child(at, segment);
        }
        if let Some(star) = template.segments.iter().position(|s| *s == Segment::DoubleStar) {
            self.longest_tail = self.longest_tail.max(template.segments.len() - star - 1);
        }
        let verb = template.verb.as_deref().map(Box::<str>::from);
        if let Some(end) = self.nodes[at].ends.iter().find(|end| *end.method == *method && end.verb == verb) {
            return Err(AddError::Duplicate {
                first: self.routes[end.route].name.clone(),
                second: name.to_owned(),
                method: method.to_owned(),
                text: text.to_owned(),
            });
        }
        self.verbs.extend(verb.clone());
        let route = self.routes.len();
        self.nodes[at].ends.push(End { method: method.into(), verb, route });
        self.routes.push(Route {
            name: name.to_owned(),
            method: method.to_owned(),
            text: text.to_owned(),
            template,
        });
        Ok(route)
    }

    /// The routes, by index.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Finds the route of a request. `path` is the raw path of the URI, still percent-encoded. A HEAD request that has
    /// no route of its own takes the one of GET (RFC 9110, section 9.3.2).
    ///
    /// # Errors
    /// See [`Miss`].
    pub fn find(&self, method: &str, path: &str) -> Result<Found, Miss> {
        let Some(segments) = split(path) else { return Err(Miss::NotFound) };
        let found = match method {
            "HEAD" => self.best(&["HEAD"], &segments).or_else(|| self.best(&["GET", ANY_METHOD], &segments)),
            method => self.best(&[method, ANY_METHOD], &segments),
        };
        let Some((route, verb)) = found else {
            let allow = self.allowed(&segments);
            return Err(if allow.is_empty() { Miss::NotFound } else { Miss::MethodNotAllowed { allow } });
        };
        let bindings = self.bindings(route, &without(&segments, verb));
        bindings.map(|bindings| Found { route, bindings }).ok_or(Miss::BadEscape)
    }

    fn child(&mut self, at: usize, segment: &Segment) -> usize {
        let next = self.nodes.len();
        let node = &mut self.nodes[at];
        let child = match segment {
            Segment::Literal(text) => {
                let text = escape::decode(text).map_or_else(|| text.as_str().into(), |t| (*t).into());
                *node.literals.entry(text).or_insert(next)
            }
            Segment::Star => *node.star.get_or_insert(next),
            Segment::DoubleStar => *node.double_star.get_or_insert(next),
        };
        if child == next {
            self.nodes.push(Node::default());
        }
        child
    }

    /// The best route for a method, or else another, and the verb that was taken from the last segment.
    fn best<'p>(&self, methods: &[&str], segments: &[&'p str]) -> Option<(usize, Option<&'p str>)> {
        let find = |verb: Option<&'p str>| {
            let segments = without(segments, verb);
            let mut best = None;
            self.walk(0, 0, &segments, &mut |node| {
                best = self.pick(&node.ends, methods, verb, &segments);
                best.is_some()
            });
            best.map(|route| (route, verb))
        };
        self.verb_of(segments).and_then(|verb| find(Some(verb))).or_else(|| find(None))
    }

    /// The route among those that end at a node, by the first of the methods that has one.
    fn pick(&self, ends: &[End], methods: &[&str], verb: Option<&str>, segments: &[&str]) -> Option<usize> {
        methods.iter().find_map(|method| {
            let mut ends = ends.iter().filter(|end| *end.method == **method && end.verb.as_deref() == verb);
            ends.find(|end| self.binds(end.route, segments)).map(|end| end.route)
        })
    }

    /// Every method that some route has for this path.
    fn allowed(&self, segments: &[&str]) -> Vec<String> {
        let mut methods = BTreeSet::new();
        for verb in [self.verb_of(segments), None] {
            let segments = without(segments, verb);
            self.walk(0, 0, &segments, &mut |node| {
                let ends = node.ends.iter().filter(|end| end.verb.as_deref() == verb);
                methods.extend(ends.filter(|e| self.binds(e.route, &segments)).map(|e| e.method.to_string()));
                false
            });
        }
        if methods.contains("GET") {
            methods.insert("HEAD".to_owned());
        }
        methods.into_iter().collect()
    }

    /// Visits the nodes that match `segments[at..]` from `node` on, best first, until `visit` returns true.
    fn walk(&self, node: usize, at: usize, segments: &[&str], visit: &mut impl FnMut(&Node) -> bool) -> bool {
        #[cfg(test)]
        tests::count_step();
        let node = &self.nodes[node];
        let Some(segment) = segments.get(at) else {
            return visit(node) || node.double_star.is_some_and(|rest| visit(&self.nodes[rest]));
        };
        if let Some(child) = node.literal(segment)
            && self.walk(child, at + 1, segments, visit)
        {
            return true;
        }
        if let Some(child) = node.star.filter(|_| !segment.is_empty())
            && self.walk(child, at + 1, segments, visit)
        {
            return true;
        }
        let Some(rest) = node.double_star else { return false };
        let longest = self.longest_tail.min(segments.len() - at);
        (0..=longest).rev().any(|tail| {
            let literals = &segments[segments.len() - tail..];
            let end = literals.iter().try_fold(rest, |node, text| self.nodes[node].literal(text));
            end.is_some_and(|end| visit(&self.nodes[end]))
        })
    }

    /// Whether no variable of the route would bind an empty segment: `*` never does, so this is about `**`.
    fn binds(&self, route: usize, segments: &[&str]) -> bool {
        let variables = &self.routes[route].template.variables;
        let mut captured = variables.iter().flat_map(|v| &segments[v.range(segments.len())]);
        captured.all(|segment| !segment.is_empty())
    }

    fn bindings(&self, route: usize, segments: &[&str]) -> Option<Vec<String>> {
        let variables = &self.routes[route].template.variables;
        let values = variables.iter().map(|variable| {
            let captured = &segments[variable.range(segments.len())];
            if variable.is_single() {
                return escape::decode(captured.first()?).map(std::borrow::Cow::into_owned);
            }
            escape::decode_path(&captured.join("/"), self.slash)
        });
        values.collect()
    }

    /// The suffix of the last segment that some route knows as a verb.
    fn verb_of<'p>(&self, segments: &[&'p str]) -> Option<&'p str> {
        let (_, verb) = segments.last()?.rsplit_once(':')?;
        self.verbs.contains(verb).then_some(verb)
    }
}

impl Node {
    fn literal(&self, segment: &str) -> Option<usize> {
        if !segment.contains('%') {
            return self.literals.get(segment).copied();
        }
        self.literals.get(&*escape::decode(segment)?).copied()
    }
}

/// The segments of a path; of most paths they need no memory of their own.
type Segments<'p> = SmallVec<[&'p str; 8]>;

/// Splits a path at its slashes: `/` has no segments, `/a/` has `a` and an empty one.
fn split(path: &str) -> Option<Segments<'_>> {
    let rest = path.strip_prefix('/')?;
    Some(if rest.is_empty() { Segments::new() } else { rest.split('/').collect() })
}

/// The segments without the verb that the last one carries.
fn without<'p>(segments: &[&'p str], verb: Option<&str>) -> Segments<'p> {
    let mut segments = Segments::from_slice(segments);
    if let (Some(verb), Some(last)) = (verb, segments.last_mut()) {
        *last = &last[..last.len() - verb.len() - 1];
    }
    segments
}

#[cfg(test)]
mod tests;
