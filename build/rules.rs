//! Request validation: turns the `buf.validate` rules, `field_behavior` and our formats into plain Rust checks. Only what the
//! contract uses is known; anything else fails the build instead of being skipped.

use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumValueDescriptor, ExtensionDescriptor, FieldDescriptor, Kind,
    MessageDescriptor, Value,
};
use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write as _;

/// The patterns in use: how a failure reads, and the check.
const PATTERNS: &[(&str, &str, &str)] = &[
    ("^[0-9]{1,12}$", "must be 1 to 12 digits", "check::digits(value, 1, 12)"),
    ("^[0-9]{10}$", "must be 10 digits", "check::digits(value, 10, 10)"),
    ("^[0-9]{1,18}$", "must be 1 to 18 digits", "check::digits(value, 1, 18)"),
    (
        "^[A-U][0-9]{0,4}$",
        "must be an ISIC code: a section, A to U, and up to four digits",
        "check::industry(value)",
    ),
    (
        "^([A-Z]{2,3}|[0-9]{3})$",
        "must be two or three letters A to Z, or three digits",
        "(check::letters(value, 2, 3) || check::digits(value, 3, 3))",
    ),
    (
        "^([A-Z]{3}|[0-9]{3})$",
        "must be three letters A to Z, or three digits",
        "(check::letters(value, 3, 3) || check::digits(value, 3, 3))",
    ),
    (
        "^[A-Za-z0-9._:-]{1,64}$",
        "must be 1 to 64 letters, digits, '.', '_', ':' or '-'",
        "check::token(value, 64)",
    ),
    (
        "^[A-Za-z0-9._:-]{1,34}$",
        "must be 1 to 34 letters, digits, '.', '_', ':' or '-'",
        "check::token(value, 34)",
    ),
    ("^[0-9a-f]{32}$", "must be 32 hex digits", "check::hex(value, 32)"),
    (
        "^[a-z0-9][a-z0-9._@+-]{0,63}$",
        "must be 1 to 64 small letters, digits, '.', '_', '@', '+' or '-' and start with a letter or a digit",
        "check::user_name(value)",
    ),
    (
        "^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$",
        "must be a language tag such as de-AT",
        "check::language(value)",
    ),
    (
        "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$",
        "must be a time zone such as Europe/Vienna",
        "check::time_zone(value)",
    ),
];

/// The formats of `riskmesh.options.v1.Format`: the check, and what it expects.
const FORMATS: &[(i32, &str, &str)] = &[
    (1, "date", "YYYY-MM-DD, from 1900-01-01 on"),
    (2, "country", "^[A-Z]{2}$"),
    (3, "currency", "^[A-Z]{3}$"),
    (4, "known_language", "a language of ISO 639, such as de or de-AT"),
    (5, "known_time_zone", "a name of the IANA time zone database, such as Europe/Vienna"),
];

/// What a decimal is.
const DECIMAL: &str = r"^[0-9]+(\.[0-9]+)?$";
/// What a time is.
const TIME: &str = "RFC 3339";

struct Extensions {
    rules: ExtensionDescriptor,
    behavior: ExtensionDescriptor,
    format: ExtensionDescriptor,
    decimal: ExtensionDescriptor,
    spelling: ExtensionDescriptor,
}

/// What is said about one field.
#[allow(clippy::struct_excessive_bools, reason = "each is a separate option in the protos")]
struct Field {
    required: bool,
    output_only: bool,
    skip_zero: bool,
    format: i32,
    decimal: bool,
    rules: Option<DynamicMessage>,
}

impl Field {
    /// What an error says would be right where something is missing or of no value there is: the field's own rules, so that nobody
    /// has to write it down again.
    fn expected(&self, kind: &Kind, spelling: Option<&ExtensionDescriptor>) -> String {
        let rules = self.rules.as_ref();
        match kind {
            Kind::Message(inner) if inner.full_name() == "google.protobuf.Timestamp" => TIME.into(),
            Kind::Message(_) => "an object".into(),
            Kind::Enum(values) => {
                let refused = typed(rules, "enum").map(|rules| numbers(&rules, "not_in")).unwrap_or_default();
                let mut values: Vec<_> =
                    values.values().filter(|value| !refused.contains(&value.number())).collect();
                values.sort_by_key(EnumValueDescriptor::number);
                let spelled = |value: &EnumValueDescriptor| {
                    let options = value.options();
                    let spelling = spelling.filter(|spelling| options.has_extension(spelling))?;
                    options.get_extension(spelling).as_str().map(str::to_owned)
                };
                format!("one of {}", values.iter().filter_map(spelled).collect::<Vec<_>>().join(", "))
            }
            _ => {
                let string = typed(rules, "string");
                let bound = |name: &str| string.as_ref().and_then(|string| unsigned(string, name));
                let least = bound("min_len").unwrap_or(0).max(1);
                match (FORMATS.iter().find(|(number, ..)| *number == self.format), bound("max_len")) {
                    _ if self.decimal => DECIMAL.into(),
                    (Some((.., expected)), _) => (*expected).into(),
                    (None, Some(most)) => format!("{least} to {most} characters"),
                    (None, None) => format!(">= {least} characters"),
                }
            }
        }
    }
}

/// Rust source with an `impl Validate` for every message of the contract.
pub(crate) fn validation(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let find = |name: &str| pool.get_extension_by_name(name).ok_or_else(|| format!("no extension {name}"));
    let extensions = Extensions {
        rules: find("buf.validate.field")?,
        behavior: find("google.api.field_behavior")?,
        format: find("riskmesh.options.v1.format")?,
        decimal: find("riskmesh.options.v1.decimal")?,
        spelling: find("riskmesh.options.v1.spelling")?,
    };
    let requests: BTreeSet<String> = pool
        .services()
        .flat_map(|service| {
            service.methods().map(|method| method.input().full_name().to_owned()).collect::<Vec<_>>()
        })
        .collect();
    let mut source = String::new();
    for message in pool.all_messages() {
        let package = message.package_name();
        if package.starts_with("riskmesh.") && package != "riskmesh.options.v1" {
            validate(&mut source, &message, requests.contains(message.full_name()), &extensions)
                .map_err(|error| format!("{}: {error}", message.full_name()))?;
        }
    }
    Ok(source)
}

fn validate(
    source: &mut String,
    message: &MessageDescriptor,
    request: bool,
    extensions: &Extensions,
) -> Result<(), Box<dyn Error>> {
    let mut body = String::new();
    for field in message.fields() {
        check(&mut body, &field, extensions).map_err(|error| format!("{}: {error}", field.name()))?;
    }
    let (path, report) = if body.is_empty() { ("_path", "_report") } else { ("path", "report") };
    writeln!(
        source,
        "impl Validate for {} {{\n    const REQUEST: bool = {request};\n    fn check(&self, {path}: &Path<'_>, {report}: &mut \
         Report) {{\n{body}    }}\n}}",
        rust_name(message)
    )?;
    Ok(())
}

fn check(body: &mut String, field: &FieldDescriptor, extensions: &Extensions) -> Result<(), Box<dyn Error>> {
    let said = read(field, extensions)?;
    if said.output_only {
        return Ok(());
    }
    let (name, json) = (rust_field(field), field.json_name());
    let rules = said.rules.as_ref();
    if field.is_list() {
        if let Some(list) = typed(rules, "repeated") {
            let (min, max) = (unsigned(&list, "min_items"), unsigned(&list, "max_items"));
            writeln!(
                body,
                "        check::items(self.{name}.len(), {}, {}, &path.field({json:?}), report);",
                min.unwrap_or(0),
                max.map_or("usize::MAX".into(), |max| max.to_string())
            )?;
            if flag(&list, "unique") {
                writeln!(body, "        check::unique(&self.{name}, &path.field({json:?}), report);")?;
            }
            if let Some(items) = list.get_field_by_name("items").filter(|_| list.has_field_by_name("items")) {
                let items = items.as_message().cloned();
                let each = Field {
                    required: false,
                    output_only: false,
                    skip_zero: false,
                    format: 0,
                    decimal: false,
                    rules: items,
                };
                writeln!(body, "        for (index, value) in self.{name}.iter().enumerate() {{")?;
                scalar(body, field, &each, "path.index", &format!("{json:?}, index"), extensions)?;
                body.push_str("        }\n");
            }
        } else if said.required {
            writeln!(
                body,
                "        check::items(self.{name}.len(), 1, usize::MAX, &path.field({json:?}), report);"
            )?;
        }
        if let Kind::Message(inner) = field.kind()
            && ours(&inner)
        {
            writeln!(
                body,
                "        for (index, value) in self.{name}.iter().enumerate() {{\n            \
                 value.check(&path.index({json:?}, index), report);\n        }}"
            )?;
        }
        return Ok(());
    }
    if let Kind::Message(inner) = field.kind() {
        if ours(&inner) {
            let missing = if said.required {
                let expected = said.expected(&field.kind(), None);
                format!(
                    " else {{\n            report.add(&path.field({json:?}), \"is required\", {expected:?});\n        }}"
                )
            } else {
                String::new()
            };
            writeln!(
                body,
                "        if let Some(value) = &self.{name} {{\n            value.check(&path.field({json:?}), report);\n        \
                 }}{missing}"
            )?;
        } else {
            if said.required {
                let expected = said.expected(&field.kind(), None);
                writeln!(
                    body,
                    "        if self.{name}.is_none() {{\n            report.add(&path.field({json:?}), \"is required\", \
                     {expected:?});\n        }}"
                )?;
            }
            if inner.full_name() == "google.protobuf.Timestamp" {
                let least = typed(rules, "timestamp").and_then(|rules| seconds(&rules, "gte"));
                let least = least.map_or("i64::MIN".into(), |least| least.to_string());
                writeln!(
                    body,
                    "        check::timestamp(self.{name}.as_ref(), {least}, &path.field({json:?}), report);"
                )?;
            }
        }
        return Ok(());
    }
    let mut checks = String::new();
    scalar(&mut checks, field, &said, "path.field", &format!("{json:?}"), extensions)?;
    if checks.is_empty() {
        return Ok(());
    }
    if field.supports_presence() {
        writeln!(body, "        if let Some(value) = &self.{name} {{\n{checks}        }}")?;
    } else {
        writeln!(body, "        {{\n            let value = &self.{name};\n{checks}        }}")?;
    }
    Ok(())
}

/// The checks of one scalar in a variable `value`, a reference.
fn scalar(
    body: &mut String,
    field: &FieldDescriptor,
    said: &Field,
    path: &str,
    at: &str,
    extensions: &Extensions,
) -> Result<(), Box<dyn Error>> {
    let expected = said.expected(&field.kind(), Some(&extensions.spelling));
    let add = |issue: &str, expected: &str| format!("report.add(&{path}({at}), {issue:?}, {expected:?})");
    let rules = said.rules.as_ref();
    match field.kind() {
        Kind::String => {
            let string = typed(rules, "string");
            let get = |name: &str| string.as_ref().and_then(|string| unsigned(string, name));
            let pattern = string.as_ref().filter(|string| string.has_field_by_name("pattern"));
            let pattern =
                pattern.and_then(|string| Some(string.get_field_by_name("pattern")?.as_str()?.to_owned()));
            let mut checks = String::new();
            if get("min_len").is_some() || get("max_len").is_some() {
                let (min, max) = (get("min_len").unwrap_or(0), get("max_len").unwrap_or(u64::MAX));
                writeln!(checks, "            check::text(value, {min}, {max}, &{path}({at}), report);")?;
            }
            if said.decimal {
                writeln!(checks, "            check::decimal(value, &{path}({at}), report);")?;
            }
            if said.format != 0 {
                let known = FORMATS.iter().find(|(number, ..)| *number == said.format);
                let (_, test, _) =
                    known.ok_or_else(|| format!("format {} is not known to build/rules.rs", said.format))?;
                writeln!(checks, "            check::{test}(value, &{path}({at}), report);")?;
            }
            // One violation for what is missing, or has not even the form: the rest is for those who send something.
            let first = if let Some(pattern) = &pattern {
                let (_, words, test) = PATTERNS
                    .iter()
                    .find(|(known, ..)| known == pattern)
                    .ok_or_else(|| format!("pattern {pattern} has no check in build/rules.rs"))?;
                let zero = if said.skip_zero { "!value.is_empty() && " } else { "" };
                Some((format!("{zero}!{test}"), add(words, pattern)))
            } else if said.required {
                Some(("value.trim().is_empty()".to_owned(), add("is required", &expected)))
            } else {
                None
            };
            match first {
                Some((wrong, add)) if checks.is_empty() => {
                    writeln!(body, "            if {wrong} {{\n                {add};\n            }}")?;
                }
                Some((wrong, add)) => writeln!(
                    body,
                    "            if {wrong} {{\n                {add};\n            }} else {{\n{checks}            }}"
                )?,
                None => body.push_str(&checks),
            }
        }
        Kind::Enum(kind) => {
            let rules = typed(rules, "enum");
            let refused = rules.as_ref().map(|rules| numbers(rules, "not_in")).unwrap_or_default();
            if rules.is_some_and(|rules| flag(&rules, "defined_only")) {
                let known =
                    kind.values().map(|value| value.number()).filter(|number| !refused.contains(number));
                let known: Vec<String> = known.map(|number| number.to_string()).collect();
                writeln!(
                    body,
                    "            if !matches!(*value, {}) {{\n                {};\n            }}",
                    known.join(" | "),
                    add("is not one of the values there are", &expected)
                )?;
            } else if !refused.is_empty() {
                return Err("not_in without defined_only is not known to build/rules.rs".into());
            }
            if said.required {
                writeln!(
                    body,
                    "            if *value == 0 {{\n                {};\n            }}",
                    add("is required", &expected)
                )?;
            }
        }
        Kind::Int32 | Kind::Int64 => {
            let Some(range) =
                typed(rules, if matches!(field.kind(), Kind::Int32) { "int32" } else { "int64" })
            else {
                return Ok(());
            };
            for unknown in ["lt", "gt"] {
                if range.has_field_by_name(unknown) {
                    return Err(format!("rule {unknown} is not known to build/rules.rs").into());
                }
            }
            let bound = |name: &str| {
                let value = range.get_field_by_name(name).filter(|_| range.has_field_by_name(name))?;
                value.as_i32().map(i64::from).or_else(|| value.as_i64())
            };
            let (issue, expected, test) = match (bound("gte"), bound("lte")) {
                (Some(low), Some(high)) => (
                    format!("must be {low} to {high}"),
                    format!("{low}..{high}"),
                    format!("({low}..={high}).contains(value)"),
                ),
                (Some(low), None) => {
                    (format!("must be at least {low}"), format!(">= {low}"), format!("*value >= {low}"))
                }
                (None, Some(high)) => {
                    (format!("must be at most {high}"), format!("<= {high}"), format!("*value <= {high}"))
                }
                (None, None) => return Ok(()),
            };
            writeln!(
                body,
                "            if !({test}) {{\n                {};\n            }}",
                add(&issue, &expected)
            )?;
        }
        kind if rules.is_some() || said.required => {
            return Err(format!("no rules are known for {kind:?}").into());
        }
        _ => {}
    }
    Ok(())
}

fn read(field: &FieldDescriptor, extensions: &Extensions) -> Result<Field, Box<dyn Error>> {
    let options = field.options();
    let behaviors: Vec<i32> = options
        .get_extension(&extensions.behavior)
        .as_list()
        .map(|list| list.iter().filter_map(Value::as_enum_number).collect())
        .unwrap_or_default();
    let rules = options
        .has_extension(&extensions.rules)
        .then(|| options.get_extension(&extensions.rules).as_message().cloned())
        .flatten();
    let skip_zero = match rules.as_ref().and_then(|rules| rules.get_field_by_name("ignore")?.as_enum_number())
    {
        None | Some(0) => false,
        Some(1) => true,
        Some(other) => return Err(format!("ignore = {other} is not known to build/rules.rs").into()),
    };
    Ok(Field {
        required: behaviors.contains(&2) || rules.as_ref().is_some_and(|rules| flag(rules, "required")),
        output_only: behaviors.contains(&3),
        skip_zero,
        format: options.get_extension(&extensions.format).as_enum_number().unwrap_or(0),
        decimal: options.get_extension(&extensions.decimal).as_bool().unwrap_or(false),
        rules,
    })
}

fn typed(rules: Option<&DynamicMessage>, kind: &str) -> Option<DynamicMessage> {
    let rules = rules.filter(|rules| rules.has_field_by_name(kind))?;
    rules.get_field_by_name(kind)?.as_message().cloned()
}

fn unsigned(message: &DynamicMessage, field: &str) -> Option<u64> {
    message.get_field_by_name(field).filter(|_| message.has_field_by_name(field))?.as_u64()
}

fn seconds(message: &DynamicMessage, field: &str) -> Option<i64> {
    let time = message.get_field_by_name(field).filter(|_| message.has_field_by_name(field))?;
    time.as_message()?.get_field_by_name("seconds")?.as_i64()
}

fn numbers(message: &DynamicMessage, field: &str) -> Vec<i32> {
    let list = message.get_field_by_name(field);
    let list = list.as_ref().and_then(|list| list.as_list());
    list.map(|list| list.iter().filter_map(Value::as_i32).collect()).unwrap_or_default()
}

fn flag(message: &DynamicMessage, field: &str) -> bool {
    message.get_field_by_name(field).and_then(|value| value.as_bool()).unwrap_or(false)
}

fn ours(message: &MessageDescriptor) -> bool {
    message.package_name().starts_with("riskmesh.")
}

/// `riskmesh.clients.v1.Client` -> `crate::clients::v1::Client`; the contract nests no messages.
fn rust_name(message: &MessageDescriptor) -> String {
    let path = message.full_name().trim_start_matches("riskmesh.").replace('.', "::");
    format!("crate::{path}")
}

fn rust_field(field: &FieldDescriptor) -> String {
    if field.name() == "type" { "r#type".into() } else { field.name().to_owned() }
}
