//! Routing headers (<https://google.aip.dev/client-libraries/4222>): `x-goog-request-params` tells the proxies before a service what
//! a request is about, so that they need not read it.

use http::{HeaderName, HeaderValue};
use percent_encoding::utf8_percent_encode;
use prost_reflect::{DynamicMessage, MethodDescriptor};

use crate::escape::UNRESERVED;
use crate::plan::{Kind, MessageId, Plans, Raw, Reader, Shape};
use crate::template::{Segment, Template};

pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-goog-request-params");

/// The extension of `google.protobuf.MethodOptions` that carries routing rules.
const EXTENSION: &str = "google.api.routing";

/// Where the routing header of a call comes from.
#[derive(Debug)]
pub(crate) enum Routing {
    /// Implicit: all that the path binds.
    Bindings,
    /// Fields of the request message.
    Fields(Vec<Parameter>),
}

/// One parameter of a rule.
#[derive(Debug)]
pub(crate) struct Parameter {
    /// The field numbers from the request message down to a string.
    field: Vec<u32>,
    key: String,
    /// What the value must look like, and which part of it counts; none: all of it.
    template: Option<Template>,
}

impl Routing {
    /// The rule of a method, if it has one; an empty rule is one too, and turns the header off.
    pub(crate) fn explicit(
        rpc: &MethodDescriptor,
        input: MessageId,
        plans: &Plans,
    ) -> Result<Option<Self>, String> {
        let Some(extension) = rpc.parent_pool().get_extension_by_name(EXTENSION) else { return Ok(None) };
        let options = rpc.options();
        if !options.has_extension(&extension) {
            return Ok(None);
        }
        let rule = options.get_extension(&extension);
        let rule = rule.as_message().ok_or("its routing rule is not a message")?;
        let parameters = rule.get_field_by_name("routing_parameters");
        let parameters = parameters.iter().filter_map(|list| list.as_list()).flatten();
        let parameters = parameters.filter_map(|parameter| parameter.as_message());
        let parameters = parameters.map(|parameter| Parameter::new(parameter, input, plans));
        Ok(Some(Self::Fields(parameters.collect::<Result<_, _>>()?)))
    }

    /// The fields that the path of REST would bind, for calls that have no such path.
    pub(crate) fn implicit(template: &Template, input: MessageId, plans: &Plans) -> Self {
        let variables = template.variables.iter().map(|variable| variable.field_path.join("."));
        // What is no text has none to route by.
        let parameters = variables.filter_map(|name| {
            Some(Parameter { field: resolve(plans, input, &name)?, key: name, template: None })
        });
        Self::Fields(parameters.collect())
    }

    /// The header's value for a request whose path binds `bindings`, and whose message is `message`; none if there is nothing in it.
    pub(crate) fn value<'a>(
        &'a self,
        bindings: impl Iterator<Item = (&'a str, &'a str)>,
        message: &'a [u8],
    ) -> Option<HeaderValue> {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        match self {
            Self::Bindings => pairs.extend(bindings),
            Self::Fields(parameters) => {
                for (key, value) in parameters.iter().filter_map(|parameter| parameter.find(message)) {
                    // The last parameter of a key that matches is the one.
                    match pairs.iter_mut().find(|(known, _)| *known == key) {
                        Some(pair) => pair.1 = value,
                        None => pairs.push((key, value)),
                    }
                }
            }
        }
        let mut text = String::new();
        for (key, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            if !text.is_empty() {
                text.push('&');
            }
            text.extend(utf8_percent_encode(key, UNRESERVED));
            text.push('=');
            text.extend(utf8_percent_encode(value, UNRESERVED));
        }
        HeaderValue::try_from(text).ok().filter(|text| !text.is_empty())
    }
}

impl Parameter {
    fn new(parameter: &DynamicMessage, input: MessageId, plans: &Plans) -> Result<Self, String> {
        let text = |name| {
            let value = parameter.get_field_by_name(name);
            value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
        };
        let (name, template) = (text("field"), text("path_template"));
        let field = resolve(plans, input, &name)
            .ok_or_else(|| format!("its routing rule names {name}, which is no string field"))?;
        if template.is_empty() {
            return Ok(Self { field, key: name, template: None });
        }
        // Its grammar is that of paths without the first slash, and without verbs.
        let parsed = Template::parse(&format!("/{template}"));
        let parsed = parsed.map_err(|error| format!("its routing rule {template}: {error}"))?;
        let [variable] = &parsed.variables[..] else {
            return Err(format!("its routing rule {template} does not have one variable"));
        };
        if parsed.verb.is_some() {
            return Err(format!("its routing rule {template} has a verb"));
        }
        Ok(Self { field, key: variable.field_path.join("."), template: Some(parsed) })
    }

    /// The key, and what of the field's value counts.
    fn find<'a>(&'a self, message: &'a [u8]) -> Option<(&'a str, &'a str)> {
        let value = str::from_utf8(last(message, &self.field)?).ok()?;
        let value = match &self.template {
            None => value,
            Some(template) => part(template, value)?,
        };
        Some((&*self.key, value)).filter(|(_, value)| !value.is_empty())
    }
}

/// The part of a text that the template's one variable captures, if the text matches.
fn part<'v>(template: &Template, value: &'v str) -> Option<&'v str> {
    let given: Vec<&str> = if value.is_empty() { Vec::new() } else { value.split('/').collect() };
    let wanted = &template.segments;
    let fits = |wanted: &[Segment], given: &[&str]| {
        wanted.len() == given.len()
            && wanted.iter().zip(given).all(|(wanted, given)| match wanted {
                Segment::Literal(text) => text == given,
                Segment::Star | Segment::DoubleStar => !given.is_empty(),
            })
    };
    let matches = match wanted.iter().position(|segment| *segment == Segment::DoubleStar) {
        None => fits(wanted, &given),
        Some(at) => {
            let after = wanted.len() - at - 1;
            given.len() >= at + after
                && fits(&wanted[..at], &given[..at])
                && fits(&wanted[at + 1..], &given[given.len() - after..])
        }
    };
    let variable = template.variables.first().filter(|_| matches)?;
    let range = variable.range(given.len());
    let offset = |count: usize| given[..count].iter().map(|segment| segment.len() + 1).sum::<usize>();
    let (start, end) = (offset(range.start), offset(range.end));
    value.get(start..end.saturating_sub(1).max(start))
}

/// The field numbers of a dotted path that ends in a string.
fn resolve(plans: &Plans, message: MessageId, path: &str) -> Option<Vec<u32>> {
    let mut at = Some(message);
    let mut numbers = Vec::new();
    let mut text = false;
    for name in path.split('.') {
        let field = plans.get(at?).fields.iter().find(|field| *field.name == *name)?;
        if field.shape != Shape::Singular {
            return None;
        }
        numbers.push(field.number);
        text = field.kind == Kind::String;
        at = field.message();
    }
    Some(numbers).filter(|_| text)
}

/// The value of a field as Protobuf merges what is concatenated: its last one.
fn last<'a>(message: &'a [u8], path: &[u32]) -> Option<&'a [u8]> {
    let (&number, inside) = path.split_first()?;
    let mut found = None;
    let mut reader = Reader::new(message);
    // What does not decode has no value; the service will say so.
    while let Some((of, raw)) = reader.field().ok()? {
        if let (true, Raw::Len(bytes)) = (of == number, raw) {
            found = if inside.is_empty() { Some(bytes) } else { last(bytes, inside).or(found) };
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_template_takes_its_part_of_a_value() {
        for (template, value, expected) in [
            ("{k=**}", "a/b", Some("a/b")),
            ("{k=**}", "", Some("")),
            ("{k}", "a", Some("a")),
            ("{k=*}", "a/b", None),
            ("{k=projects/*}/**", "projects/p", Some("projects/p")),
            ("{k=projects/*}/**", "projects/p/x/y", Some("projects/p")),
            ("{k=projects/*}/**", "projects//x", None),
            ("projects/*/{k=instances/*}/tables/*", "projects/p/instances/i/tables/t", Some("instances/i")),
            ("projects/*/{k=instances/*}/tables/*", "projects/p/instances/i", None),
            ("projects/{k=**}/end", "projects/a/b/end", Some("a/b")),
            ("projects/{k=**}/end", "projects/end", Some("")),
            ("{k=**}/end", "end", Some("")),
            ("{k=é/*}", "é/ü", Some("é/ü")),
        ] {
            let parsed = Template::parse(&format!("/{template}")).unwrap();
            assert_eq!(part(&parsed, value), expected, "{template} {value}");
        }
    }

    #[test]
    fn the_last_value_of_a_field_counts_as_in_a_merge() {
        let message = [0x0a, 1, b'a', 0x12, 3, 0x0a, 1, b'b', 0x0a, 1, b'c', 0x12, 0];
        assert_eq!(last(&message, &[1]), Some(&b"c"[..]));
        assert_eq!(last(&message, &[2, 1]), Some(&b"b"[..]));
        assert_eq!(last(&message, &[3]), None);
        assert_eq!(last(&[0x0a, 9], &[1]), None);
    }
}
