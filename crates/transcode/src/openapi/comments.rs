//! The protos' comments: words for people, and the examples inside them.

use std::collections::HashMap;

use prost_reflect::DescriptorPool;
use serde_json::Value;

/// Comments by file and place in it.
#[derive(Default)]
pub(super) struct Comments {
    texts: HashMap<(String, Vec<i32>), String>,
}

impl Comments {
    /// Of all files of a pool; of a pool without source information, none.
    pub(super) fn new(pool: &DescriptorPool) -> Self {
        let mut texts = HashMap::new();
        for file in pool.files() {
            let Some(info) = &file.file_descriptor_proto().source_code_info else { continue };
            for location in &info.location {
                let text = words(location.leading_comments());
                if !text.is_empty() {
                    texts.insert((file.name().to_owned(), location.path.clone()), text);
                }
            }
        }
        Self { texts }
    }

    /// The comment at a place.
    pub(super) fn at(&self, file: &str, path: &[i32]) -> &str {
        self.texts.get(&(file.to_owned(), path.to_vec())).map_or("", String::as_str)
    }
}

/// What a comment says to those who call: without internal parts (AIP-192) and words to linters, lines joined to paragraphs.
fn words(comment: &str) -> String {
    let mut public = String::new();
    let mut rest = comment;
    while let Some((before, after)) = rest.split_once("(--") {
        public.push_str(before);
        rest = after.split_once("--)").map_or("", |(_, after)| after);
    }
    public.push_str(rest);
    let mut text = String::new();
    let mut gap = "";
    for line in public.lines().map(str::trim).filter(|line| !line.starts_with("buf:lint:")) {
        if line.is_empty() {
            gap = "\n\n";
            continue;
        }
        if gap == " " && ["- ", "* "].iter().any(|bullet| line.starts_with(bullet)) {
            gap = "\n";
        }
        if !text.is_empty() {
            text.push_str(gap);
        }
        text.push_str(line);
        gap = " ";
    }
    text
}

/// The first sentence, without its stop.
pub(super) fn summary(text: &str) -> &str {
    let plain = text.split(['`', '\n']).next().unwrap_or_default().trim();
    plain.split_once(". ").map_or(plain, |(first, _)| first).trim_end_matches('.')
}

/// The first example of a message: `{"clientId":"424242"}` in backquotes. One with an ellipsis in it is for people only.
pub(super) fn object(text: &str) -> Option<Value> {
    spans(text).find_map(|span| span.starts_with('{').then(|| json(span)).flatten())
}

/// The example request of a method: `POST /v1/clients {"clientId":"424242"}` in backquotes.
pub(super) fn request_body(text: &str, http_method: &str) -> Option<Value> {
    spans(text).find_map(|span| {
        let (_, body) = span.strip_prefix(http_method)?.split_once(" {")?;
        json(&format!("{{{body}"))
    })
}

/// The example answer of a method: what follows an arrow, in backquotes.
pub(super) fn response_body(text: &str) -> Option<Value> {
    let (_, after) = text.split_once("` -> ")?;
    object(after)
}

/// The example of a field, at the end of its words: `The client's id: "424242".`
pub(super) fn value(text: &str) -> Option<&str> {
    let (_, after) = text.rsplit_once(": \"")?;
    after.split_once('"').map(|(value, _)| value)
}

fn spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn json(text: &str) -> Option<Value> {
    (!text.contains('…')).then(|| serde_json::from_str(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn examples_are_found_in_comments() {
        let text = "Reads a score. `GET /v1/analytics/7` -> `{\"clientId\":\"7\",\"riskScore\":37}`";
        assert_eq!(summary(text), "Reads a score");
        assert_eq!(response_body(text), Some(json!({"clientId": "7", "riskScore": 37})));
        assert_eq!(request_body("Makes. `POST /v1/x {\"a\":1}`", "POST"), Some(json!({"a": 1})));
        assert_eq!(request_body("Reads. `GET /v1/x`", "GET"), None);
        assert_eq!(value("The client's id: \"424242\"."), Some("424242"));
        assert_eq!(value("The letter, A to U: \"K\" is finance."), Some("K"));
        assert_eq!(value("The most items."), None);
    }

    #[test]
    fn an_ellipsis_is_no_example() {
        assert_eq!(object("A page. `{\"clients\":[…]}`"), None);
        assert_eq!(object("A page. `{\"cursor\":\"…\"}`"), None);
    }

    #[test]
    fn lines_are_joined_and_paragraphs_and_lists_stay() {
        assert_eq!(words(" One\n two.\n\n Three:\n - a\n - b\n"), "One two.\n\nThree:\n- a\n- b");
        assert_eq!(words(" Seen.\n (-- api-linter: off\n --)\n buf:lint:ignore X\n Too.\n"), "Seen.\n\nToo.");
    }
}
