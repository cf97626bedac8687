//! What a caller may choose about JSON.

/// What changes names and forms of JSON from what proto3 JSON says: extensions of the descriptors, by their full names, and
/// rules for the names of enum values. Nothing by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extensions {
    /// A string extension of `google.protobuf.EnumValueOptions`: the value's spelling in JSON. It is what is printed;
    /// the proto name and the number are still read. The zero of an enum that spells its other values says nothing: as the value of
    /// a field it is left out, whatever [`PrintOptions`] say, and neither errors nor documents offer it.
    pub enum_spelling: Option<String>,
    /// A bool extension of `google.protobuf.FieldOptions`: 64-bit integers of the field print as JSON numbers.
    pub number: Option<String>,
    /// A bool extension of `google.protobuf.FieldOptions`: the string field also takes a JSON number. Its
    /// digits are the string, as written but for an exponent, which moves the point.
    pub decimal: Option<String>,
    /// Without any extension: enum values are printed without the prefix that style guides ask for, `RED` for `COLOR_RED` of
    /// the enum `Color`. Both are read. A spelling by [`enum_spelling`](Self::enum_spelling) goes first.
    pub strip_enum_prefix: bool,
    /// Names of enum values are read in upper or lower case.
    pub any_enum_case: bool,
}

/// What happens to a JSON key or a query parameter that names no field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UnknownFields {
    /// It is an error.
    #[default]
    Reject,
    /// It is skipped, and so are names that an enum does not have.
    Ignore,
}

/// How JSON is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseOptions {
    /// What happens to keys that name no field.
    pub unknown_fields: UnknownFields,
    /// How deep objects and arrays may nest.
    pub max_depth: usize,
    /// How many members of objects and elements of arrays a text may have, altogether. 2^20.
    pub max_values: usize,
}

impl Default for ParseOptions {
    fn default() -> Self {
        Self { unknown_fields: UnknownFields::Reject, max_depth: 100, max_values: 1 << 20 }
    }
}

/// How JSON is written. The default is proto3 JSON's own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "independent switches, as protobuf's own printers have them"
)]
pub struct PrintOptions {
    /// Singular scalars and enums without presence are printed also when they hold their default.
    pub always_print_primitive_fields: bool,
    /// Empty lists and maps are printed as `[]` and `{}`.
    pub always_print_empty_lists: bool,
    /// Enums print as numbers.
    pub enums_as_numbers: bool,
    /// Keys are the fields' names in the proto file, not their JSON names.
    pub proto_names: bool,
    /// 64-bit integers print as JSON numbers, not as strings.
    pub int64_as_numbers: bool,
    /// About how many bytes the text of one message may have; a few bytes on the wire may stand for long names. 64 MiB.
    pub max_bytes: usize,
}

impl Default for PrintOptions {
    fn default() -> Self {
        Self {
            always_print_primitive_fields: false,
            always_print_empty_lists: false,
            enums_as_numbers: false,
            proto_names: false,
            int64_as_numbers: false,
            max_bytes: 64 << 20,
        }
    }
}
