"""What schemathesis takes for wrong data, and proto3 JSON does not.

The documents say how answers are written, and what callers should send. Whoever reads proto3 JSON has to take two things more, so a
request that is wrong in nothing else proves nothing: null for a field that is not there, and the number of an enum's value for its
name.
"""

import schemathesis


def is_only_lenient(value, schema, components) -> bool:
    """Whether the value, or one inside it, is null, or a number where the schema has an enum."""
    name = schema.get("$ref", "").removeprefix("#/components/schemas/")
    schema = components[name] if name else schema
    if value is None:
        return True
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return any(is_only_lenient(inside, properties.get(key, {}), components) for key, inside in value.items())
    if isinstance(value, list):
        return any(is_only_lenient(inside, schema.get("items", {}), components) for inside in value)
    return "enum" in schema and str(value).isdigit()


@schemathesis.hook
def filter_case(context, case):
    if case.meta is None or not case.meta.generation.mode.is_negative:
        return True
    document = case.operation.schema.raw_schema
    components = document["components"]["schemas"]
    operation = document["paths"][case.operation.path][case.operation.method.lower()]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    schemas = {each["name"]: each.get("schema", {}) for each in operation["parameters"] if "name" in each}
    query = (case.query or {}).items()
    sent = [(value, schemas.get(name, {})) for name, value in query if value is not None]
    if isinstance(case.body, (dict, list)):
        sent.append((case.body, content.get("schema", {})))
    return not any(is_only_lenient(value, schema, components) for value, schema in sent)
