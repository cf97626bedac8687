//! Both directions against prost-reflect's own JSON, on generated messages of every kind and shape of field.

use proptest::prelude::*;
use prost::Message as _;
use prost_reflect::{
    DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, SerializeOptions,
    Value,
};
use riskmesh_transcode::{ParseOptions, PrintOptions};

use crate::pool::{PLANS, POOL, descriptor, parse, print, print_with};

const MESSAGES: [&str; 7] = ["Scalars", "Lists", "Optionals", "Maps", "Tree", "Known", "Legacy"];

/// A generator of messages from a seed: `xorshift64*`.
struct Rng(u64);

impl Rng {
    fn new(seed: u64) -> Self {
        let mut rng = Self(seed | 1);
        for _ in 0..4 {
            rng.next();
        }
        rng
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 32) % bound
    }

    /// Numbers of every magnitude, with the borders.
    fn integer(&mut self) -> u64 {
        match self.below(6) {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << 63,
            3 => (1 << 31) - self.below(2),
            _ => {
                let bits = self.below(64);
                self.next() >> bits
            }
        }
    }

    fn text(&mut self) -> String {
        let alphabet = [
            'a', 'Z', '0', '"', '\\', '/', '\n', '\u{1}', '\u{7f}', 'é', '€', '😀', ' ', '\u{2028}', '\t',
            '<',
        ];
        (0..self.below(24)).map(|_| alphabet[self.below(16) as usize]).collect()
    }

    fn message(&mut self, descriptor: &MessageDescriptor, depth: u64) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        let range = |rng: &mut Self, from: i64, to: i64| from + rng.below((to - from) as u64) as i64;
        let mut set = |name: &str, value: Value| message.set_field_by_name(name, value);
        match descriptor.full_name() {
            "google.protobuf.Timestamp" => {
                set("seconds", Value::I64(range(self, -62_135_596_800, 253_402_300_799)));
                set("nanos", Value::I32(self.nanos()));
            }
            "google.protobuf.Duration" => {
                let seconds = range(self, -315_576_000_000, 315_576_000_000);
                set("seconds", Value::I64(seconds));
                set("nanos", Value::I32(self.nanos() * if seconds < 0 { -1 } else { 1 }));
            }
            "google.protobuf.FieldMask" => {
                let paths =
                    ["a", "b.c", "display_name", "a_b.c_d"].map(|path| Value::String(path.to_owned()));
                set("paths", Value::List(paths[..self.below(5) as usize].to_vec()));
            }
            "google.protobuf.Any" => {
                let name =
                    ["test.Scalars", "google.protobuf.Duration", "test.Lists", "google.protobuf.Struct"];
                let descriptor = POOL.get_message_by_name(name[self.below(4) as usize]).unwrap();
                set("type_url", Value::String(format!("type.googleapis.com/{}", descriptor.full_name())));
                set("value", Value::Bytes(self.message(&descriptor, depth + 1).encode_to_vec().into()));
            }
            // The oracle prints these as null when they are infinite; proto3 JSON has strings for that.
            "google.protobuf.DoubleValue" => set("value", Value::F64(self.float())),
            "google.protobuf.FloatValue" => set("value", Value::F32((self.float() % 1e30) as f32)),
            "google.protobuf.Value" => {
                let kinds: Vec<_> = descriptor.fields().collect();
                let kind = &kinds[self.below(if depth > 4 { 4 } else { 6 }) as usize];
                let value = match kind.name() {
                    "number_value" => Value::F64(self.float()),
                    _ => self.value(kind, depth + 1),
                };
                message.set_field(kind, value);
            }
            _ => {
                for field in descriptor.fields() {
                    if self.below(3) > 0
                        && let Some(value) = self.field(&field, depth)
                    {
                        message.set_field(&field, value);
                    }
                }
                for extension in descriptor.extensions().filter(|e| !e.is_list()) {
                    if self.below(2) > 0 {
                        message.set_extension(&extension, Value::String(self.text()));
                    }
                }
            }
        }
        message
    }

    fn nanos(&mut self) -> i32 {
        [0, 1, 1_000, 999_000_000, 123_456_789, 10_000_000][self.below(6) as usize]
    }

    /// Numbers of up to 15 digits: the oracle's reader is off by one in the last place beyond that.
    fn float(&mut self) -> f64 {
        let whole = (self.integer() >> 24) as f64;
        match self.below(4) {
            0 => 0.0,
            1 => whole,
            2 => -whole / 8.0,
            _ => -1.5e-7,
        }
    }

    fn field(&mut self, field: &FieldDescriptor, depth: u64) -> Option<Value> {
        let nests = matches!(field.kind(), Kind::Message(_));
        if nests && depth > 3 {
            return None;
        }
        let count = self.below(if nests { 3 } else { 5 });
        if field.is_map() {
            let Kind::Message(entry) = field.kind() else { return None };
            let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
            if matches!(value.kind(), Kind::Message(_)) && depth > 2 {
                return None;
            }
            let entry = |rng: &mut Self| {
                let key = match rng.value(&key, depth) {
                    Value::Bool(key) => MapKey::Bool(key),
                    Value::I32(key) => MapKey::I32(key),
                    Value::I64(key) => MapKey::I64(key),
                    Value::U32(key) => MapKey::U32(key),
                    Value::U64(key) => MapKey::U64(key),
                    Value::String(key) => MapKey::String(key),
                    other => panic!("no key: {other:?}"),
                };
                (key, rng.value(&value, depth + 1))
            };
            return Some(Value::Map((0..count).map(|_| entry(self)).collect()));
        }
        if field.is_list() {
            return Some(Value::List((0..count).map(|_| self.value(field, depth + 1)).collect()));
        }
        Some(self.value(field, depth + 1))
    }

    fn value(&mut self, field: &FieldDescriptor, depth: u64) -> Value {
        match field.kind() {
            Kind::Double => Value::F64(match self.below(8) {
                0 => f64::INFINITY,
                1 => f64::NEG_INFINITY,
                _ => self.float(),
            }),
            Kind::Float => Value::F32(self.float() as f32),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(self.integer() as i32),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(self.integer() as i64),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(self.integer() as u32),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(self.integer()),
            Kind::Bool => Value::Bool(self.below(2) == 0),
            Kind::String => Value::String(self.text()),
            Kind::Bytes => Value::Bytes(self.text().into_bytes().into()),
            Kind::Message(descriptor) => Value::Message(self.message(&descriptor, depth)),
            Kind::Enum(descriptor) => {
                let values: Vec<_> = descriptor.values().collect();
                let open = descriptor.name() == "Color" && self.below(4) == 0;
                let known = values[self.below(values.len() as u64) as usize].number();
                Value::EnumNumber(if open { self.integer() as i32 } else { known })
            }
        }
    }
}

fn generate(seed: u64) -> (&'static str, DynamicMessage) {
    let mut rng = Rng::new(seed);
    let name = MESSAGES[rng.below(MESSAGES.len() as u64) as usize];
    (name, rng.message(&descriptor(name), 0))
}

fn oracle_json(message: &DynamicMessage, options: &SerializeOptions) -> String {
    try_oracle_json(message, options).unwrap()
}

fn try_oracle_json(message: &DynamicMessage, options: &SerializeOptions) -> serde_json::Result<String> {
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut out);
    message.serialize_with_options(&mut serializer, options)?;
    Ok(String::from_utf8(out).unwrap())
}

/// Equal as JSON; numbers by value, so that `1` is `1.0`.
fn same(a: &serde_json::Value, b: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Number, Object};
    match (a, b) {
        (Number(a), Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Array(a), Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Object(a), Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

fn assert_same(ours: &str, oracle: &str) -> Result<(), TestCaseError> {
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect(text);
    prop_assert!(same(&value(ours), &value(oracle)), "\nours   {ours}\noracle {oracle}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn wire_becomes_the_json_that_the_oracle_writes(seed: u64) {
        let (name, message) = generate(seed);
        let ours = print(name, &message.encode_to_vec()).unwrap();
        assert_same(&ours, &oracle_json(&message, &SerializeOptions::new()))?;
    }

    #[test]
    fn options_print_what_the_oracle_prints_with_them(seed: u64) {
        let (name, message) = generate(seed);
        let options = PrintOptions {
            always_print_primitive_fields: true,
            always_print_empty_lists: true,
            enums_as_numbers: true,
            proto_names: true,
            int64_as_numbers: true,
            ..PrintOptions::default()
        };
        let ours = print_with(&PLANS, name, &message.encode_to_vec(), &options).unwrap();
        // The oracle prints proto2's and optional fields only where they are set, as we do.
        let oracle = SerializeOptions::new()
            .skip_default_fields(false)
            .use_enum_numbers(true)
            .use_proto_field_name(true)
            .stringify_64_bit_integers(false);
        assert_same(&ours, &oracle_json(&message, &oracle))?;
    }

    #[test]
    fn json_becomes_the_message_that_the_oracle_reads(seed: u64) {
        let (name, message) = generate(seed);
        let json = oracle_json(&message, &SerializeOptions::new());
        let wire = parse(name, &json).map_err(|e| TestCaseError::fail(format!("{e}\n{json}")))?;
        let ours = DynamicMessage::decode(descriptor(name), &*wire).unwrap();
        let mut reader = serde_json::Deserializer::from_str(&json);
        let oracle =
            DynamicMessage::deserialize_with_options(descriptor(name), &mut reader, &DeserializeOptions::new());
        // Compared as JSON: maps inside an Any are bytes, in whatever order.
        assert_same(&oracle_json(&ours, &SerializeOptions::new()), &oracle_json(&oracle.unwrap(), &SerializeOptions::new()))?;
    }

    #[test]
    fn json_comes_back_from_the_wire(seed: u64) {
        let (name, message) = generate(seed);
        let json = print(name, &message.encode_to_vec()).unwrap();
        let wire = parse(name, &json).map_err(|e| TestCaseError::fail(format!("{e}\n{json}")))?;
        assert_same(&print(name, &wire).unwrap(), &json)?;
    }

    #[test]
    fn messages_that_arrive_in_pieces_are_merged_as_protobuf_merges(seed: u64, other: u64) {
        let (name, message) = generate(seed);
        let mut wire = message.encode_to_vec();
        wire.extend(Rng::new(other).message(&descriptor(name), 0).encode_to_vec());
        let merged = DynamicMessage::decode(descriptor(name), &*wire).unwrap();
        // An Any may have got the type of one and the bytes of the other. The oracle then refuses fields of the wrong
        // wire type; we pass over them, as Protobuf's own parsers do.
        if let Ok(oracle) = try_oracle_json(&merged, &SerializeOptions::new()) {
            let ours = print(name, &wire).map_err(|e| TestCaseError::fail(e.to_string()))?;
            assert_same(&ours, &oracle)?;
        }
    }

    #[test]
    fn every_floating_point_number_comes_back_bit_by_bit(bits: u64) {
        let (double, float) = (f64::from_bits(bits), f32::from_bits(bits as u32));
        prop_assume!(!double.is_nan() && !float.is_nan() && double != 0.0 && float != 0.0);
        let mut message = DynamicMessage::new(descriptor("Scalars"));
        message.set_field_by_name("double_field", Value::F64(double));
        message.set_field_by_name("float_field", Value::F32(float));
        let wire = message.encode_to_vec();
        prop_assert_eq!(parse("Scalars", &print("Scalars", &wire).unwrap()).unwrap(), wire);
    }

    #[test]
    fn broken_bytes_are_refused_or_read_but_never_panic(seed: u64, at: prop::sample::Index, byte: u8) {
        let (name, message) = generate(seed);
        let mut wire = message.encode_to_vec();
        wire.push(0);
        let at = at.index(wire.len());
        wire[at] = byte;
        drop(print(name, &wire));
        drop(print(name, &wire[..at]));
    }

    #[test]
    fn broken_json_is_refused_or_read_but_never_panics(seed: u64, at: prop::sample::Index, byte: u8) {
        let (name, message) = generate(seed);
        let mut json = oracle_json(&message, &SerializeOptions::new()).into_bytes();
        let at = at.index(json.len());
        prop_assert!(crate::pool::parse_with(&PLANS, name, &json[..at], &ParseOptions::default()).is_err());
        json[at] = byte;
        if let Ok(wire) = crate::pool::parse_with(&PLANS, name, &json, &ParseOptions::default()) {
            prop_assert!(DynamicMessage::decode(descriptor(name), &*wire).is_ok());
        }
    }
}
