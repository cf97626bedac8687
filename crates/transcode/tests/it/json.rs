//! JSON by example: what is read, what is refused and where, and what is printed.

use riskmesh_transcode::plan::{ParseErrorKind, PrintError};
use riskmesh_transcode::{Extensions, ParseOptions, Plans, PrintOptions, UnknownFields};

use crate::pool::{MARKED, PLANS, POOL, parse, parse_with, print, print_with};

#[track_caller]
fn comes_back(name: &str, json: &str, printed: &str) {
    let wire = parse(name, json).unwrap_or_else(|e| panic!("{json}: {e}"));
    assert_eq!(print(name, &wire).unwrap(), printed, "{json}");
}

#[track_caller]
fn refused(name: &str, json: &str, error: &str) {
    let found = parse(name, json).expect_err(json).to_string();
    assert_eq!(found, error, "{json}");
}

#[test]
fn values_are_read_in_every_form_that_proto3_json_allows() {
    for (name, json, printed) in [
        ("Scalars", " { } ", "{}"),
        (
            "Scalars",
            r#"{"int32Field":"12","int64_field":-3.0,"uint64Field":"18446744073709551615"}"#,
            r#"{"int32Field":12,"int64Field":"-3","uint64Field":"18446744073709551615"}"#,
        ),
        (
            "Scalars",
            r#"{"int32Field":1e5,"uint32Field":"4e2","sint32Field":100000.000}"#,
            r#"{"int32Field":100000,"uint32Field":400,"sint32Field":100000}"#,
        ),
        (
            "Scalars",
            r#"{"doubleField":"NaN","floatField":"-Infinity"}"#,
            r#"{"doubleField":"NaN","floatField":"-Infinity"}"#,
        ),
        ("Scalars", r#"{"doubleField":"1.5","floatField":0.1}"#, r#"{"doubleField":1.5,"floatField":0.1}"#),
        ("Scalars", r#"{"doubleField":-0.0}"#, r#"{"doubleField":-0}"#),
        (
            "Scalars",
            r#"{"doubleField":1e21,"floatField":16777216}"#,
            r#"{"doubleField":1e+21,"floatField":16777216}"#,
        ),
        ("Scalars", r#"{"bytesField":"-_8"}"#, r#"{"bytesField":"+/8="}"#),
        ("Scalars", r#"{"color":"COLOR_RED"}"#, r#"{"color":"COLOR_RED"}"#),
        ("Scalars", r#"{"color":2}"#, r#"{"color":"COLOR_BLUE"}"#),
        ("Scalars", r#"{"color":77}"#, r#"{"color":77}"#),
        ("Scalars", r#"{"int32Field":null,"stringField":null}"#, "{}"),
        ("Scalars", r#"{"int32Field":0,"stringField":"","boolField":false,"color":0}"#, "{}"),
        (
            "Scalars",
            r#"{"stringField":"a\u00e9\ud83d\ude00\/\b\f\n\r\t\"\\\u0000"}"#,
            r#"{"stringField":"aé😀/\b\f\n\r\t\"\\\u0000"}"#,
        ),
        ("Scalars", r#"{"\u0073tringField":"x"}"#, r#"{"stringField":"x"}"#),
        (
            "Optionals",
            r#"{"int32Field":0,"stringField":"","color":"COLOR_UNSPECIFIED"}"#,
            r#"{"int32Field":0,"stringField":"","color":"COLOR_UNSPECIFIED"}"#,
        ),
        ("Lists", r#"{"int32s":[],"strings":null}"#, "{}"),
        ("Lists", r#"{"int32s":[1,"2",3.0],"unpacked":[4,5]}"#, r#"{"int32s":[1,2,3],"unpacked":[4,5]}"#),
        (
            "Maps",
            r#"{"strings":{"":"","a":"b"},"bools":{"true":"COLOR_RED"},"int32s":{"-1":"2"}}"#,
            r#"{"strings":{"":"","a":"b"},"int32s":{"-1":"2"},"bools":{"true":"COLOR_RED"}}"#,
        ),
        ("Tree", r#"{"nothing":null}"#, r#"{"nothing":null}"#),
        ("Tree", r#"{"number":null,"text":"x"}"#, r#"{"text":"x"}"#),
        (
            "Known",
            r#"{"timestamp":"2025-07-30T16:15:00.5+02:00","duration":"-1.5s"}"#,
            r#"{"timestamp":"2025-07-30T14:15:00.500Z","duration":"-1.500s"}"#,
        ),
        ("Known", r#"{"mask":"a.bC,d"}"#, r#"{"mask":"a.bC,d"}"#),
        ("Known", r#"{"mask":""}"#, r#"{"mask":""}"#),
        ("Known", r#"{"value":null}"#, r#"{"value":null}"#),
        ("Known", r#"{"values":[null,1,"a",true,[],{}]}"#, r#"{"values":[null,1,"a",true,[],{}]}"#),
        (
            "Known",
            r#"{"structure":{"a":{"b":[1,null]}},"list":[{}],"empty":{}}"#,
            r#"{"structure":{"a":{"b":[1,null]}},"list":[{}],"empty":{}}"#,
        ),
        (
            "Known",
            r#"{"int64Value":"0","boolValue":false,"stringValue":"","bytesValue":null}"#,
            r#"{"int64Value":"0","boolValue":false,"stringValue":""}"#,
        ),
        (
            "Known",
            r#"{"any":{"int32Field":1,"@type":"type.googleapis.com/test.Scalars"}}"#,
            r#"{"any":{"@type":"type.googleapis.com/test.Scalars","int32Field":1}}"#,
        ),
        (
            "Known",
            r#"{"any":{"@type":"x/google.protobuf.Duration","value":"1s"}}"#,
            r#"{"any":{"@type":"x/google.protobuf.Duration","value":"1s"}}"#,
        ),
        ("Known", r#"{"any":{}}"#, r#"{"any":{}}"#),
        (
            "Legacy",
            r#"{"needed":0,"inner":{"number":1,"words":["a"]},"item":[{"closed":"CLOSED_TWO"}]}"#,
            r#"{"needed":0,"inner":{"number":1,"words":["a"]},"item":[{"closed":"CLOSED_TWO"}]}"#,
        ),
        (
            "Legacy",
            r#"{"[test.note]":"n","[test.more]":[{"needed":1}]}"#,
            r#"{"[test.note]":"n","[test.more]":[{"needed":1}]}"#,
        ),
    ] {
        comes_back(name, json, printed);
    }
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    for (name, json, error) in [
        ("Scalars", "", "line 1, column 1: unexpected end of input"),
        ("Scalars", "[]", "line 1, column 1: expected an object, found an array"),
        ("Scalars", "{} x", "line 1, column 4: text after the end of the value"),
        ("Scalars", "{\n  \"nope\": 1}", "line 2, column 3, nope: unknown field"),
        ("Scalars", r#"{"int32Field":1,"int32_field":2}"#, "line 1, column 31, int32Field: given twice"),
        ("Scalars", r#"{"int32Field":null,"int32Field":2}"#, "line 1, column 33, int32Field: given twice"),
        ("Scalars", r#"{"int32Field":2147483648}"#, "line 1, column 15, int32Field: out of range"),
        ("Scalars", r#"{"uint32Field":-1}"#, "line 1, column 16, uint32Field: out of range"),
        ("Scalars", r#"{"int32Field":1.5}"#, "line 1, column 15, int32Field: not an integer"),
        ("Scalars", r#"{"int32Field":" 1"}"#, "line 1, column 15, int32Field: not an integer"),
        ("Scalars", r#"{"int32Field":""}"#, "line 1, column 15, int32Field: not an integer"),
        (
            "Scalars",
            r#"{"int32Field":01}"#,
            "line 1, column 15, int32Field: not a number as JSON writes them",
        ),
        ("Scalars", r#"{"int32Field":+1}"#, "line 1, column 15, int32Field: expected a value"),
        (
            "Scalars",
            r#"{"doubleField":1.}"#,
            "line 1, column 16, doubleField: not a number as JSON writes them",
        ),
        ("Scalars", r#"{"doubleField":NaN}"#, "line 1, column 16, doubleField: expected a value"),
        ("Scalars", r#"{"doubleField":1e999}"#, "line 1, column 16, doubleField: out of range"),
        ("Scalars", r#"{"floatField":3.5e38}"#, "line 1, column 15, floatField: out of range"),
        (
            "Scalars",
            r#"{"boolField":"true"}"#,
            "line 1, column 14, boolField: expected a boolean, found a string",
        ),
        ("Scalars", r#"{"boolField":truer}"#, "line 1, column 14, boolField: expected a value"),
        (
            "Scalars",
            r#"{"stringField":1}"#,
            "line 1, column 16, stringField: expected a string, found a number",
        ),
        (
            "Scalars",
            r#"{"stringField":"\ud800"}"#,
            "line 1, column 17, stringField: lone surrogate in a string",
        ),
        (
            "Scalars",
            r#"{"stringField":"\udc00\ud800"}"#,
            "line 1, column 17, stringField: lone surrogate in a string",
        ),
        ("Scalars", r#"{"stringField":"\x"}"#, "line 1, column 17, stringField: bad escape in a string"),
        (
            "Scalars",
            "{\"stringField\":\"a\nb\"}",
            "line 1, column 18, stringField: control character in a string",
        ),
        (
            "Scalars",
            r#"{"stringField":"é"#,
            "line 1, column 18, stringField: unexpected end of input in a string",
        ),
        ("Scalars", r#"{"bytesField":"*"}"#, "line 1, column 15, bytesField: not base64"),
        ("Scalars", r#"{"color":"PINK"}"#, "line 1, column 10, color: not a value of the enum"),
        ("Scalars", r#"{"int32Field":1,}"#, "line 1, column 17: expected a key in double quotes"),
        ("Scalars", r#"{"int32Field":1 "x":2}"#, "line 1, column 17: expected `,` or `}`"),
        ("Scalars", r#"{"int32Field" 1}"#, "line 1, column 15: expected `:`"),
        (
            "Lists",
            r#"{"scalars":[{},{"int32Field":"x"}]}"#,
            "line 1, column 30, scalars[1].int32Field: not an integer",
        ),
        (
            "Lists",
            r#"{"int32s":[1,null]}"#,
            "line 1, column 14, int32s[1]: expected an integer from -2147483648 to 2147483647, found null",
        ),
        ("Lists", r#"{"int32s":[1,]}"#, "line 1, column 14, int32s[1]: expected a value"),
        ("Lists", r#"{"int32s":1}"#, "line 1, column 11, int32s: expected an array, found a number"),
        ("Maps", r#"{"strings":{"a":"1","a":"2"}}"#, "line 1, column 21, strings[\"a\"]: given twice"),
        ("Maps", r#"{"int32s":{"1":1,"x":2}}"#, "line 1, column 18, int32s[\"x\"]: not an integer"),
        (
            "Maps",
            r#"{"strings":{"a":null}}"#,
            "line 1, column 17, strings[\"a\"]: expected a string, found null",
        ),
        (
            "Tree",
            r#"{"number":1,"text":"x"}"#,
            "line 1, column 20, text: another member of its oneof is given too",
        ),
        (
            "Known",
            r#"{"timestamp":"yesterday"}"#,
            "line 1, column 14, timestamp: not an RFC 3339 date and time",
        ),
        ("Known", r#"{"mask":"a_b"}"#, "line 1, column 9, mask: an underscore in a field mask"),
        (
            "Known",
            r#"{"any":{"@type":"x/test.Nope"}}"#,
            "line 1, column 17, any.@type: not the URL of a known message type",
        ),
        ("Known", r#"{"any":{"a":1}}"#, "line 1, column 9, any: an object without `@type`"),
        ("Known", r#"{"structure":{"a":1,"a":2}}"#, "line 1, column 21, structure[\"a\"]: given twice"),
        ("Legacy", r#"{"closed":3}"#, "line 1, column 11, closed: not a value of the enum"),
    ] {
        refused(name, json, error);
    }
}

#[test]
fn bad_utf8_is_refused_with_its_place() {
    let error =
        parse_with(&crate::pool::PLANS, "Scalars", b"{\"a\xff\"}", &ParseOptions::default()).unwrap_err();
    assert_eq!((error.kind, error.column), (ParseErrorKind::Syntax, 4));
}

#[test]
fn errors_tell_what_would_have_been_right() {
    let error = parse("Scalars", r#"{"color":"PINK"}"#).unwrap_err();
    assert_eq!(error.expected.unwrap(), "one of COLOR_UNSPECIFIED, COLOR_RED, COLOR_BLUE, COLOR_FAR");
    assert_eq!(error.kind, ParseErrorKind::Unknown);
    let error = parse("Scalars", r#"{"uint32Field":-1}"#).unwrap_err();
    assert_eq!(error.expected.unwrap(), "an integer from 0 to 4294967295");
}

#[test]
fn depth_limit_bounds_nesting_both_ways() {
    let nested = |depth: usize| format!("{}{}", r#"{"left":"#.repeat(depth) + "{}", "}".repeat(depth));
    let wire = parse("Tree", &nested(99)).unwrap();
    assert_eq!(print("Tree", &wire).unwrap(), nested(99));
    let error = parse("Tree", &nested(100)).unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ParseErrorKind::TooDeep, "nested too deeply"));
    let open = format!(r#"{{"value":{}"#, "[".repeat(100_000));
    assert_eq!(parse("Known", &open).unwrap_err().kind, ParseErrorKind::TooDeep);
    let mut deep = Vec::new();
    for _ in 0..101 {
        let mut outer = vec![0x1a];
        prost::encoding::encode_varint(deep.len() as u64, &mut outer);
        outer.extend(deep);
        deep = outer;
    }
    assert_eq!(print("Tree", &deep), Err(PrintError::TooDeep));
}

#[test]
fn a_text_that_would_be_too_long_is_not_printed() {
    let options = |max_bytes| PrintOptions {
        max_bytes,
        always_print_primitive_fields: true,
        always_print_empty_lists: true,
        ..PrintOptions::default()
    };
    // Two bytes that stand for a hundred, and one for ten.
    let (trees, colors) = ([0x12, 0].repeat(10_000), [&[0x82, 1, 0x90, 0x4e], &[1; 10_000][..]].concat());
    for (name, wire) in [("Tree", trees), ("Lists", colors)] {
        let whole = print_with(&PLANS, name, &wire, &options(usize::MAX)).unwrap();
        assert!(whole.len() > 4 * wire.len(), "{name}: {}", whole.len());
        assert_eq!(print_with(&PLANS, name, &wire, &options(whole.len())).as_ref(), Ok(&whole));
        assert_eq!(print_with(&PLANS, name, &wire, &options(whole.len() / 2)), Err(PrintError::TooLong));
    }
}

#[test]
fn field_count_limit_bounds_members_and_elements() {
    let scalars = |max_values, json: &str| {
        let options = ParseOptions { max_values, ..ParseOptions::default() };
        parse_with(&PLANS, "Known", json.as_bytes(), &options).map(drop)
    };
    // One member, then five in the value, two of them the elements.
    for json in
        [r#"{"value":{"a":1,"b":[true,{}],"":null}}"#, r#"{"value": {"a": 1, "b": [{}, {}], "": [ ]}}"#]
    {
        assert_eq!(scalars(6, json), Ok(()));
        let error = scalars(5, json).unwrap_err();
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ParseErrorKind::TooMany, "too many members and elements")
        );
    }
    // Keys that follow as predicted count like others.
    let fields = r#"{"givenName":"a","familyName":"b"}"#;
    let options = ParseOptions { max_values: 1, ..ParseOptions::default() };
    let error = parse_with(&PLANS, "Author", fields.as_bytes(), &options).unwrap_err();
    assert_eq!((error.kind, error.column), (ParseErrorKind::TooMany, 31));
    let options = ParseOptions { max_values: 2, ..ParseOptions::default() };
    assert!(parse_with(&PLANS, "Author", fields.as_bytes(), &options).is_ok());
    // An Any is looked through for its type first: that does not count.
    let any = r#"{"any":{"givenName":"a","@type":"x/test.Author"}}"#;
    assert_eq!(scalars(3, any), Ok(()));
    let many = format!(r#"{{"value":[{}1]}}"#, "1,".repeat(1 << 20));
    assert_eq!(parse("Known", &many).unwrap_err().kind, ParseErrorKind::TooMany);
}

#[test]
fn by_option_unknown_names_are_skipped() {
    let options = ParseOptions { unknown_fields: UnknownFields::Ignore, ..ParseOptions::default() };
    let json = br#"{"x":{"y":[1,"\"",null]},"int32Field":1,"color":"PINK"}"#;
    let wire = parse_with(&crate::pool::PLANS, "Scalars", json, &options).unwrap();
    assert_eq!(print("Scalars", &wire).unwrap(), r#"{"int32Field":1}"#);
    let json = br#"{"colors":["PINK","COLOR_RED"]}"#;
    let wire = parse_with(&crate::pool::PLANS, "Lists", json, &options).unwrap();
    assert_eq!(print("Lists", &wire).unwrap(), r#"{"colors":["COLOR_RED"]}"#);
    assert!(parse_with(&crate::pool::PLANS, "Scalars", br#"{"x":[1,]}"#, &options).is_err());
}

#[test]
fn enums_are_spelled_as_the_extension_says() {
    for json in [r#"{"color":"red"}"#, r#"{"color":"COLOR_RED"}"#, r#"{"color":1}"#] {
        let wire = parse_with(&MARKED, "Scalars", json.as_bytes(), &ParseOptions::default()).unwrap();
        let printed = print_with(&MARKED, "Scalars", &wire, &PrintOptions::default()).unwrap();
        assert_eq!(printed, r#"{"color":"red"}"#);
    }
    let error = parse_with(&MARKED, "Scalars", br#"{"color":"pink"}"#, &ParseOptions::default()).unwrap_err();
    assert_eq!(error.expected.unwrap(), "one of red, blue, COLOR_FAR");
}

#[test]
fn marked_counters_print_as_numbers() {
    let json = br#"{"total":"5","totals":[1,2],"quoted":7}"#;
    let wire = parse_with(&MARKED, "Marked", json, &ParseOptions::default()).unwrap();
    let printed = print_with(&MARKED, "Marked", &wire, &PrintOptions::default()).unwrap();
    assert_eq!(printed, r#"{"total":5,"totals":[1,2],"quoted":"7"}"#);
}

#[test]
fn marked_decimals_take_the_digits_of_exact_numbers() {
    for (json, printed) in [
        (r#"{"amount":100}"#, r#"{"amount":"100"}"#),
        (r#"{"amount":-1.50}"#, r#"{"amount":"-1.50"}"#),
        (r#"{"amounts":[0.1,"2"]}"#, r#"{"amounts":["0.1","2"]}"#),
        (r#"{"amounts":[1e2,1.5E-1]}"#, r#"{"amounts":["100","0.15"]}"#),
    ] {
        let wire = parse_with(&MARKED, "Marked", json.as_bytes(), &ParseOptions::default()).unwrap();
        assert_eq!(print_with(&MARKED, "Marked", &wire, &PrintOptions::default()).unwrap(), printed);
    }
    for json in [r#"{"amount":1e99}"#, r#"{"plain":1}"#, r#"{"amount":true}"#] {
        assert!(parse_with(&MARKED, "Marked", json.as_bytes(), &ParseOptions::default()).is_err(), "{json}");
    }
}

#[test]
fn extensions_that_do_not_fit_are_refused_by_name() {
    let with = |name: &str| Extensions { number: Some(name.to_owned()), ..Extensions::default() };
    let error = Plans::new(&POOL, &with("test.nope")).unwrap_err();
    assert_eq!(error.to_string(), "no extension test.nope in the descriptors");
    let error = Plans::new(&POOL, &with("test.spelling")).unwrap_err();
    assert_eq!(error.to_string(), "extension test.spelling is not a bool");
}

#[test]
fn wire_that_json_cannot_hold_is_an_error() {
    let value = |name: &str| Err(PrintError::Value { message: format!("google.protobuf.{name}") });
    assert_eq!(
        print("Scalars", &[0x72, 1, 0xff]),
        Err(PrintError::Utf8 { field: "string_field".to_owned() })
    );
    assert_eq!(print("Scalars", &[0x72, 5, b'a']), Err(PrintError::Malformed));
    assert_eq!(print("Known", &[0x2a, 0]), value("Value"));
    assert_eq!(print("Known", &[0x12, 4, 0x08, 1, 0x10, 0x81]), Err(PrintError::Malformed));
    let nan = [&[0x2a, 9, 0x11][..], &f64::NAN.to_le_bytes()].concat();
    assert_eq!(print("Known", &nan), value("Value"));
    // Paths that are empty, or hold what parts them.
    for mask in [&[0x0a, 0][..], &[0x0a, 1, b'a', 0x0a, 0], &[0x0a, 3, b'a', b',', b'b']] {
        let wire = [&[0x1a, mask.len() as u8][..], mask].concat();
        assert_eq!(print("Known", &wire), value("FieldMask"));
    }
    let url = [&[0x3a, 8, 0x0a, 6][..], b"x/nope"].concat();
    assert_eq!(print("Known", &url), Err(PrintError::UnknownType { url: "x/nope".to_owned() }));
}

#[test]
fn fields_of_other_wire_types_and_numbers_are_passed_over() {
    let wire = [0x18, 7, 0x1d, 1, 2, 3, 4, 0xa2, 0x06, 1, b'x', 0xab, 0x06, 0x08, 1, 0xac, 0x06];
    assert_eq!(print("Scalars", &wire).unwrap(), r#"{"int32Field":7}"#);
}

#[test]
fn print_options_enums_as_numbers_default_values_proto_names_and_64_bit_as_numbers() {
    let wire = parse("Scalars", r#"{"int64Field":"5","color":"COLOR_RED"}"#).unwrap();
    let printed = |options: PrintOptions| print_with(&PLANS, "Scalars", &wire, &options).unwrap();
    assert_eq!(printed(PrintOptions::default()), r#"{"int64Field":"5","color":"COLOR_RED"}"#);
    let none = PrintOptions::default();
    let enums = PrintOptions { enums_as_numbers: true, ..none.clone() };
    assert_eq!(printed(enums), r#"{"int64Field":"5","color":1}"#);
    let names = PrintOptions { proto_names: true, ..none.clone() };
    assert_eq!(printed(names), r#"{"int64_field":"5","color":"COLOR_RED"}"#);
    let numbers = PrintOptions { int64_as_numbers: true, ..none.clone() };
    assert_eq!(printed(numbers), r#"{"int64Field":5,"color":"COLOR_RED"}"#);
    let defaults = PrintOptions { always_print_primitive_fields: true, ..none };
    let text = r#"{"doubleField":0,"floatField":0,"int32Field":0,"int64Field":"5","uint32Field":0,"uint64Field":"0","#;
    assert!(printed(defaults).starts_with(text));
}

#[test]
fn a_zero_without_a_spelling_among_values_with_one_is_not_printed() {
    let all = PrintOptions {
        always_print_primitive_fields: true,
        always_print_empty_lists: true,
        ..PrintOptions::default()
    };
    for json in ["{}", r#"{"color":0}"#, r#"{"color":"COLOR_UNSPECIFIED"}"#] {
        let wire = parse_with(&MARKED, "Scalars", json.as_bytes(), &ParseOptions::default()).unwrap();
        // As it comes when it is set, too: any other value before it keeps it on the wire.
        let set = [&[0x80, 1, 0][..], &wire].concat();
        for wire in [&wire, &set] {
            let marked = print_with(&MARKED, "Scalars", wire, &all).unwrap();
            let plain = print_with(&PLANS, "Scalars", wire, &all).unwrap();
            assert_eq!(plain, marked.replace('}', r#","color":"COLOR_UNSPECIFIED"}"#), "{json}");
        }
    }
    let red = print_with(&MARKED, "Scalars", &[0x80, 1, 1], &all).unwrap();
    assert!(red.ends_with(r#""color":"red"}"#), "{red}");
}

#[test]
fn enum_prefixes_are_stripped_and_case_does_not_matter_where_that_is_wanted() {
    let plans = |strip_enum_prefix, any_enum_case| {
        Plans::new(&POOL, &Extensions { strip_enum_prefix, any_enum_case, ..Extensions::default() }).unwrap()
    };
    let round = |plans: &Plans, value: &str| {
        let json = format!("{{\"color\":{value}}}");
        let wire = parse_with(plans, "ListBooksRequest", json.as_bytes(), &ParseOptions::default()).ok()?;
        print_with(plans, "ListBooksRequest", &wire, &PrintOptions::default()).ok()
    };
    let (stripped, cased, both) = (plans(true, false), plans(false, true), plans(true, true));
    for value in ["\"RED\"", "\"COLOR_RED\"", "1"] {
        assert_eq!(round(&stripped, value).as_deref(), Some(r#"{"color":"RED"}"#), "{value}");
    }
    assert_eq!(round(&stripped, "\"red\""), None);
    assert_eq!(round(&cased, "\"color_Red\"").as_deref(), Some(r#"{"color":"COLOR_RED"}"#));
    assert_eq!(round(&cased, "\"red\""), None);
    assert_eq!(round(&both, "\"red\"").as_deref(), Some(r#"{"color":"RED"}"#));
}

#[test]
fn a_varint_counts_with_the_bits_of_its_kind_only() {
    // 2^32, which is 0 in 32 bits but not in 64.
    let high = [0x80, 0x80, 0x80, 0x80, 0x10];
    for (tag, printed) in [
        (&[0x18][..], "{}"),
        (&[0x28], "{}"),
        (&[0x38], "{}"),
        (&[0x80, 0x01], "{}"),
        (&[0x20], r#"{"int64Field":"4294967296"}"#),
        (&[0x68], r#"{"boolField":true}"#),
    ] {
        assert_eq!(print("Scalars", &[tag, &high].concat()).unwrap(), printed);
    }
    // The keys 1 and 2^32 + 1 of an int32, and the keys 1 and 2 of a bool, are the same: the last entry counts.
    let int32s = [0x12, 4, 0x08, 1, 0x10, 5, 0x12, 8, 0x08, 0x81, 0x80, 0x80, 0x80, 0x10, 0x10, 6];
    assert_eq!(print("Maps", &int32s).unwrap(), r#"{"int32s":{"1":"6"}}"#);
    let bools = [0x32, 4, 0x08, 1, 0x10, 1, 0x32, 4, 0x08, 2, 0x10, 2];
    assert_eq!(print("Maps", &bools).unwrap(), r#"{"bools":{"true":"COLOR_BLUE"}}"#);
}

#[test]
fn pieces_inside_pieces_are_merged_without_a_copy_each_level() {
    // A tree of one branch, each node in two pieces, so that each level is merged; copied level by level it would take minutes.
    let mut wire = [0x0a, 1, b'x'].repeat(50_000);
    for _ in 0..90 {
        let mut whole = vec![0x1a];
        prost::encode_length_delimiter(wire.len(), &mut whole).unwrap();
        whole.extend(&wire);
        whole.extend([0x1a, 0]);
        wire = whole;
    }
    let printed = print("Tree", &wire).unwrap();
    assert_eq!(printed.matches("left").count(), 90);
    assert!(printed.contains(r#"{"name":"x"}"#));
}

#[test]
fn numbers_that_a_closed_enum_lacks_are_left_out_in_any_order() {
    for wire in [&[0x08, 1, 0x28, 9][..], &[0x28, 9, 0x08, 1]] {
        assert_eq!(print("Legacy", wire).unwrap(), r#"{"needed":1}"#);
    }
}
