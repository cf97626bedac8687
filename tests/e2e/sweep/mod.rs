//! Each field's bad values, sent to each method: made from the contract's own rules, so that a new field or method is swept without
//! anybody thinking of it. What is wrong is named, by its path; nothing else is; and nothing is done.

mod grpc;
mod rest;

use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value,
};

/// A way to a field from the request down.
type Place = Vec<FieldDescriptor>;

/// A bad value, and what is said of it.
#[derive(Clone)]
struct Bad {
    what: &'static str,
    value: Option<Value>,
    /// What the error says would be right; empty where the contract says nothing of it.
    expected: String,
}

impl Bad {
    fn new(what: &'static str, value: impl Into<Option<Value>>) -> Self {
        Self { what, value: value.into(), expected: String::new() }
    }

    fn expecting(self, expected: impl Into<String>) -> Self {
        Self { expected: expected.into(), ..self }
    }
}

fn pool() -> DescriptorPool {
    DescriptorPool::decode(api::DESCRIPTOR_SET).unwrap()
}

/// What the contract says of a field.
#[allow(clippy::struct_excessive_bools, reason = "each is a separate option in the protos")]
struct Said {
    required: bool,
    output_only: bool,
    skip_zero: bool,
    decimal: bool,
    format: i32,
    rules: Option<DynamicMessage>,
}

impl Said {
    fn of(field: &FieldDescriptor) -> Self {
        let pool = field.parent_pool();
        let get = |name: &str| {
            let extension = pool.get_extension_by_name(name).unwrap();
            let options = field.options();
            options.has_extension(&extension).then(|| options.get_extension(&extension).into_owned())
        };
        let behaviors: Vec<i32> = get("google.api.field_behavior")
            .and_then(|value| Some(value.as_list()?.iter().filter_map(Value::as_enum_number).collect()))
            .unwrap_or_default();
        let rules = get("buf.validate.field").and_then(|rules| rules.as_message().cloned());
        let ignore = rules.as_ref().and_then(|rules| rules.get_field_by_name("ignore")?.as_enum_number());
        Self {
            required: behaviors.contains(&2),
            output_only: behaviors.contains(&3),
            skip_zero: ignore == Some(1),
            decimal: get("riskmesh.options.v1.decimal").and_then(|value| value.as_bool()).unwrap_or(false),
            format: get("riskmesh.options.v1.format").and_then(|value| value.as_enum_number()).unwrap_or(0),
            rules,
        }
    }

    fn rule(&self, kind: &str, name: &str) -> Option<Value> {
        let rules = self.rules.as_ref().filter(|rules| rules.has_field_by_name(kind))?;
        let rules = rules.get_field_by_name(kind)?.as_message().cloned()?;
        rules.has_field_by_name(name).then(|| rules.get_field_by_name(name).unwrap().into_owned())
    }

    fn pattern(&self) -> Option<String> {
        self.rule("string", "pattern")?.as_str().map(str::to_owned)
    }

    fn number(&self, kind: &str, name: &str) -> Option<i64> {
        let value = self.rule(kind, name)?;
        value
            .as_i64()
            .or_else(|| value.as_i32().map(i64::from))
            .or_else(|| value.as_u64().map(u64::cast_signed))
    }
}

/// A text that a pattern takes. A new pattern wants a line here.
fn sample(pattern: &str) -> &'static str {
    match pattern {
        "^[0-9]{1,12}$" => "7",
        "^[0-9]{10}$" => "0000000007",
        "^[0-9]{1,18}$" => "1",
        "^[0-9a-f]{32}$" => "00000000000000000000000000000007",
        "^[a-z0-9][a-z0-9._@+-]{0,63}$" => "ada",
        "^([A-Z]{2,3}|[0-9]{3})$" => "DEU",
        "^([A-Z]{3}|[0-9]{3})$" => "EUR",
        "^[A-U][0-9]{0,4}$" => "K66",
        "^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$" => "de-AT",
        "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$" => "Europe/Vienna",
        token if token.starts_with("^[A-Za-z0-9._:-]{1,") => "x-1",
        other => panic!("no sample of {other}"),
    }
}

/// A value that is right, or none where the field may be absent and says nothing of itself.
fn good(field: &FieldDescriptor, depth: usize) -> Option<Value> {
    let said = Said::of(field);
    if said.output_only {
        return None;
    }
    let one = match field.kind() {
        Kind::String if said.pattern().is_some() => Value::String(sample(&said.pattern()?).into()),
        Kind::String if said.decimal => Value::String("1".into()),
        Kind::String => match said.format {
            1 => Value::String("2026-01-02".into()),
            2 => Value::String("DE".into()),
            3 => Value::String("EUR".into()),
            _ => {
                let least = said.number("string", "min_len").unwrap_or(0).max(i64::from(said.required));
                (least > 0).then(|| Value::String("x".repeat(least as usize)))?
            }
        },
        Kind::Enum(values) if said.required || field.is_list() => {
            Value::EnumNumber(values.values().map(|value| value.number()).max()?)
        }
        Kind::Int32 => Value::I32(said.number("int32", "gte")? as i32),
        Kind::Int64 => Value::I64(said.number("int64", "gte")?),
        Kind::Message(inner) if inner.full_name() == "google.protobuf.Timestamp" => {
            Value::Message(timestamp(&inner, 1_767_225_600))
        }
        Kind::Message(inner) if inner.full_name().starts_with("riskmesh.") && depth < 4 => {
            Value::Message(base(&inner, depth + 1))
        }
        _ => return None,
    };
    Some(if field.is_list() { Value::List(vec![one]) } else { one })
}

fn timestamp(message: &MessageDescriptor, seconds: i64) -> DynamicMessage {
    let mut at = DynamicMessage::new(message.clone());
    at.set_field_by_name("seconds", Value::I64(seconds));
    at
}

/// A message with every field that can be given, and nothing wrong. Of page parameters only the limit: a cursor is one that a page gave.
fn base(message: &MessageDescriptor, depth: usize) -> DynamicMessage {
    let mut made = DynamicMessage::new(message.clone());
    for field in message.fields().filter(|field| !["cursor", "offset"].contains(&field.name())) {
        if let Some(value) = good(&field, depth) {
            made.set_field(&field, value);
        }
    }
    made
}

/// What is wrong for a field, by what the contract says of it.
fn bad(field: &FieldDescriptor) -> Vec<Bad> {
    let said = Said::of(field);
    let mut bad = Vec::new();
    if field.is_list() {
        if let Some(most) = said.number("repeated", "max_items") {
            let item = good(field, 0).and_then(|value| value.as_list()?.first().cloned()).unwrap();
            let many = Value::List(vec![item; most as usize + 1]);
            bad.push(Bad::new("too many items", many).expecting(format!("<= {most} items")));
        }
        let least = said.number("repeated", "min_items").or_else(|| said.required.then_some(1));
        if let Some(least) = least {
            let none = Value::List(Vec::new());
            bad.push(Bad::new("no items", none).expecting(format!(">= {least} items")));
        }
        if said.rule("repeated", "unique").is_some() {
            let item = good(field, 0).and_then(|value| value.as_list()?.first().cloned()).unwrap();
            bad.push(Bad::new("an item twice", Value::List(vec![item; 2])).expecting("each item once"));
        }
        if let Kind::Enum(_) = field.kind() {
            for number in [0, 99] {
                bad.push(Bad::new("no value", Value::List(vec![Value::EnumNumber(number)])));
            }
        }
        return bad;
    }
    match field.kind() {
        Kind::String => bad.extend(bad_texts(&said)),
        Kind::Enum(_) => {
            if said.rule("enum", "defined_only").is_some() {
                bad.push(Bad::new("unknown", Value::EnumNumber(99)));
            }
            if said.required {
                bad.push(Bad::new("absent", None));
            }
        }
        Kind::Int32 => bad.extend(bad_numbers(&said, "int32", |number| Value::I32(number as i32))),
        Kind::Int64 => bad.extend(bad_numbers(&said, "int64", Value::I64)),
        Kind::Message(inner) => {
            if said.required {
                bad.push(Bad::new("absent", None));
            }
            if inner.full_name() == "google.protobuf.Timestamp" {
                bad.push(Bad::new("beyond all times", Value::Message(timestamp(&inner, i64::MAX))));
                if said.rule("timestamp", "gte").is_some() {
                    let early = Value::Message(timestamp(&inner, -62_135_596_800));
                    bad.push(Bad::new("long ago", early).expecting("RFC 3339, from 1900-01-01T00:00:00Z on"));
                }
            }
        }
        _ => {}
    }
    bad
}

fn bad_texts(said: &Said) -> Vec<Bad> {
    let text = |what, text: &str| Bad::new(what, Value::String(text.into()));
    let mut bad = Vec::new();
    if let Some(pattern) = said.pattern() {
        for value in ["!", "a b", "\u{0}", "ä", &"9".repeat(65)] {
            bad.push(text("of another form", value).expecting(&pattern));
        }
        if !said.skip_zero {
            bad.push(text("empty", "").expecting(&pattern));
        }
    }
    if said.decimal {
        for value in ["abc", "-1", "1e5", "1.", ".5", "NaN", "1,5"] {
            bad.push(text("no amount", value).expecting("^[0-9]+(\\.[0-9]+)?$"));
        }
        bad.push(text("no amount", "0").expecting("> 0"));
    }
    let (what, values, expected) = match said.format {
        1 => (
            "no date",
            &["2026-13-01", "2026-02-30", "02.01.2026", "2026-1-2", "1899-12-31", "0001-01-01"][..],
            "YYYY-MM-DD, from 1900-01-01 on",
        ),
        2 => ("no country", &["XX", "de", "DEU", "D"][..], "^[A-Z]{2}$"),
        3 => ("no currency", &["XXQ", "eur", "EURO", "E"][..], "^[A-Z]{3}$"),
        4 => {
            ("no language", &["xx", "qqq", "deu", "de-XX"][..], "a language of ISO 639, such as de or de-AT")
        }
        5 => (
            "no time zone",
            &["Mars/Base", "europe/vienna", "CEST"][..],
            "a name of the IANA time zone database, such as Europe/Vienna",
        ),
        _ => ("", &[][..], ""),
    };
    bad.extend(values.iter().map(|value| text(what, value).expecting(expected)));
    if let Some(least) = said.number("string", "min_len").filter(|least| *least > 1) {
        let short = text("too short", &"x".repeat(least as usize - 1));
        bad.push(short.expecting(format!(">= {least} characters")));
    }
    if let Some(most) = said.number("string", "max_len") {
        let long = text("too long", &"x".repeat(most as usize + 1));
        bad.push(long.expecting(format!("<= {most} characters")));
        let least = said.number("string", "min_len").unwrap_or(0);
        bad.push(text("with a control character", &format!("a\u{7}{}", "x".repeat(least as usize))));
    }
    if said.required {
        bad.push(Bad::new("absent", None));
    }
    bad
}

fn bad_numbers(said: &Said, kind: &str, value: impl Fn(i64) -> Value) -> Vec<Bad> {
    let (least, most) = (said.number(kind, "gte"), said.number(kind, "lte"));
    let expected = match (least, most) {
        (Some(least), Some(most)) => format!("{least}..{most}"),
        (Some(least), None) => format!(">= {least}"),
        (None, Some(most)) => format!("<= {most}"),
        (None, None) => return Vec::new(),
    };
    let small = least.map(|least| Bad::new("too small", value(least - 1)));
    let large = most.map(|most| Bad::new("too large", value(most + 1)));
    small.into_iter().chain(large).map(|bad| bad.expecting(&expected)).collect()
}

/// Every field that callers give, from the request down.
fn places(message: &MessageDescriptor, above: &Place, found: &mut Vec<Place>) {
    for field in message.fields().filter(|field| !Said::of(field).output_only) {
        let mut place = above.clone();
        place.push(field.clone());
        found.push(place.clone());
        if let Kind::Message(inner) = field.kind()
            && inner.full_name().starts_with("riskmesh.")
            && place.len() < 5
        {
            places(&inner, &place, found);
        }
    }
}

/// The path as errors name it: JSON names, and of lists the first item.
fn named(place: &Place) -> String {
    let last = place.len() - 1;
    let name = |(at, field): (usize, &FieldDescriptor)| {
        let item = if field.is_list() && at < last { "[0]" } else { "" };
        format!("{}{item}", field.json_name())
    };
    place.iter().enumerate().map(name).collect::<Vec<_>>().join(".")
}

/// The message with another value at a place.
fn with(message: &mut DynamicMessage, place: &[FieldDescriptor], value: Option<&Value>) {
    let (field, rest) = place.split_first().unwrap();
    if rest.is_empty() {
        match value {
            Some(value) => message.set_field(field, value.clone()),
            None => message.clear_field(field),
        }
        return;
    }
    match message.get_field_mut(field) {
        Value::Message(inner) => with(inner, rest, value),
        Value::List(items) => match items.first_mut() {
            Some(Value::Message(inner)) => with(inner, rest, value),
            _ => panic!("no item in {}", field.full_name()),
        },
        _ => panic!("{} holds nothing", field.full_name()),
    }
}

/// The contract's methods that people call: the others refuse them before anything is looked at.
fn methods() -> Vec<MethodDescriptor> {
    let pool = pool();
    let services = pool.services().filter(|service| service.full_name().starts_with("riskmesh."));
    let services = services.filter(|service| !service.full_name().starts_with("riskmesh.operator."));
    let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
    methods.filter(|method| !method.name().starts_with("Scan")).collect()
}

/// Every bad value of every field of a request, each with the way to its field.
fn all_bad(message: &MessageDescriptor) -> Vec<(Place, Bad)> {
    let mut found = Vec::new();
    places(message, &Vec::new(), &mut found);
    let each = |place: Place| bad(place.last().unwrap()).into_iter().map(move |bad| (place.clone(), bad));
    found.into_iter().flat_map(each).collect()
}
