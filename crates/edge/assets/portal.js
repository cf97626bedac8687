// The reference portal: reads this server's OpenAPI documents, lists the operations, and calls them with a token that is pasted in.
// The token stays in this page: it is neither stored nor put into an address.
"use strict";

const VERSIONS = ["v2", "v1"];
// "/docs" or "/api/docs": what stands before it is where the API is.
const BASE = location.pathname.replace(/\/docs\/?$/, "");

/** An element with attributes and children; text is always text, never markup. */
function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(key, "");
    else if (value !== false && value != null) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

/** Follows a local $ref. */
function resolve(document_, node) {
  if (!node || !node.$ref) return node;
  return node.$ref.slice(2).split("/").reduce((at, key) => at[key], document_);
}

/** A value to start from: the schema's example, or one made of its properties' examples. */
function example(document_, schema, depth = 0) {
  const own = resolve(document_, schema) ?? {};
  if (own.examples?.length) return own.examples[0];
  if (own.enum) return own.enum[1] ?? own.enum[0];
  if (own.type === "array") return depth > 4 ? [] : [example(document_, own.items, depth + 1)];
  if (own.type === "object") {
    const names = own.required ?? [];
    return Object.fromEntries(names.map((name) => [name, depth > 4 ? null : example(document_, own.properties[name], depth + 1)]));
  }
  if (own.type === "integer" || own.type === "number") return own.minimum ?? 0;
  if (own.type === "boolean") return false;
  if (own.format === "date-time") return "2026-01-02T10:00:00Z";
  if (own.format === "decimal") return "100.00";
  return "";
}

/** What a schema takes, in a word: `string (date-time)`, `Client[]`. */
function typeOf(schema) {
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.type === "array") return `${typeOf(schema.items ?? {})}[]`;
  const kind = [schema.type ?? "any"].flat().join(" or ");
  const values = schema.enum ? `: ${schema.enum.join(", ")}` : "";
  return (schema.format ? `${kind} (${schema.format})` : kind) + values;
}

/** The limits of a value, as JSON Schema calls them. */
function limitsOf(schema) {
  const keywords = ["pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "readOnly"];
  return keywords.filter((keyword) => schema[keyword] !== undefined).map((keyword) => `${keyword} ${schema[keyword]}`).join(", ");
}

/** The fields of a schema; objects inside open on demand, so that one that holds itself ends. */
function fieldsOf(document_, schema) {
  const own = resolve(document_, schema.type === "array" ? schema.items : schema) ?? {};
  const rows = Object.entries(own.properties ?? {}).flatMap(([name, field]) => {
    const inside = resolve(document_, field.type === "array" ? field.items : field) ?? {};
    const words = [field.description ?? inside.description, limitsOf(field)].filter(Boolean).join(" ");
    const deeper = inside.properties ? el("details", { class: "inside" }, el("summary", {}, typeOf(field))) : null;
    deeper?.addEventListener("toggle", () => deeper.children.length > 1 || deeper.append(fieldsOf(document_, field)), { once: true });
    const required = own.required?.includes(name) ? " *" : "";
    return [el("dt", {}, el("code", {}, name), required, " ", el("small", {}, deeper ? "" : typeOf(field))), el("dd", {}, words, deeper)];
  });
  return rows.length ? el("dl", {}, ...rows) : el("p", {}, el("code", {}, typeOf(own)), " ", own.description ?? "");
}

/** What is sent, and what comes back: fields by media type, then every answer by its status. */
function reference(document_, operation) {
  const bodies = (content) => Object.entries(content ?? {}).flatMap(([media, { schema }]) => [
    el("p", {}, el("code", {}, media), " ", schema ? typeOf(schema) : ""), schema ? fieldsOf(document_, schema) : null,
  ]);
  const answers = Object.entries(operation.responses).map(([status, node]) => {
    const answer = resolve(document_, node);
    // Descriptions are CommonMark, of which there are lists and code here.
    const words = answer.description.split("\n").map((line) => line.replace(/^- /, "").replaceAll("`", ""));
    const lines = words.length > 1 ? words.map((line) => el("p", {}, line)) : [];
    const headers = Object.keys(answer.headers ?? {}).join(", ");
    const shown = status.startsWith("2") ? bodies(answer.content) : [];
    return el(
      "details", { class: "inside" }, el("summary", {}, el("span", { class: "verb" }, status), words.length > 1 ? words.map((line) => line.split(":")[0]).join(", ") : words[0]),
      ...lines, headers ? el("p", {}, el("small", {}, `Headers: ${headers}`)) : null, ...shown,
    );
  });
  const body = operation.requestBody ? [el("h3", {}, "Request body"), ...bodies(operation.requestBody.content)] : [];
  return el("details", { class: "inside reference" }, el("summary", {}, "Body and answers"), ...body, el("h3", {}, "Answers"), ...answers);
}

/** The same request for a shell; the token is named there, not shown. */
function curl(verb, url, headers, body) {
  const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const shown = Object.entries(headers).map(([name, value]) => (name === "authorization" ? `-H "Authorization: Bearer $TOKEN"` : `-H ${quote(`${name}: ${value}`)}`));
  return ["curl", verb === "GET" ? "" : `-X ${verb}`, ...shown, body === undefined ? "" : `-d ${quote(body)}`, quote(new URL(url, location.href).href)].filter(Boolean).join(" ");
}

/** The inputs of a parameter. */
function parameterField(document_, parameter) {
  const schema = resolve(document_, parameter.schema) ?? {};
  const attributes = { "data-name": parameter.name, "data-in": parameter.in, "aria-label": parameter.name };
  let input;
  if (schema.enum) {
    input = el("select", attributes, el("option", { value: "" }, "–"), ...schema.enum.map((value) => el("option", { value }, value)));
  } else {
    input = el("input", { ...attributes, placeholder: parameter.example, required: parameter.required, spellcheck: "false" });
    if (parameter.in === "path" && parameter.example) input.value = parameter.example;
  }
  const label = el("span", {}, parameter.name, parameter.required ? " *" : "", el("small", {}, ` (${parameter.in})`));
  return el("label", { class: "field" }, label, input, el("small", {}, parameter.description ?? ""));
}

async function call(verb, path, form, output) {
  const query = new URLSearchParams();
  const headers = { accept: "application/json" };
  let url = path;
  for (const input of form.querySelectorAll("[data-in]")) {
    const value = input.value.trim();
    if (input.dataset.in === "path") url = url.replace(`{${input.dataset.name}}`, encodeURIComponent(value));
    else if (value === "") continue;
    else if (input.dataset.in === "query") query.append(input.dataset.name, value);
    else headers[input.dataset.name] = value;
  }
  const token = document.getElementById("token").value.trim();
  if (token) headers.authorization = `Bearer ${token}`;
  const body = form.querySelector("textarea")?.value;
  if (body !== undefined) headers["content-type"] = "application/json";
  const text = query.toString();
  const target = BASE + url + (text ? `?${text}` : "");
  const started = performance.now();
  output.replaceChildren("…");
  try {
    const answer = await fetch(target, { method: verb, headers, body, cache: "no-store" });
    const raw = await answer.text();
    let shown = raw;
    try { shown = JSON.stringify(JSON.parse(raw), null, 2); } catch { /* not JSON: as it is */ }
    const taken = Math.round(performance.now() - started);
    const head = `${answer.status} ${answer.statusText} · ${taken} ms · X-Request-Id: ${answer.headers.get("x-request-id") ?? ""}`;
    const fields = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    output.replaceChildren(
      el("p", { class: answer.ok ? "" : "bad" }, head),
      el("pre", {}, shown),
      el("details", { class: "inside" }, el("summary", {}, "Headers"), el("pre", {}, fields)),
      el("details", { class: "inside" }, el("summary", {}, "As a command"), el("pre", {}, curl(verb, target, headers, body))),
    );
  } catch (error) {
    output.replaceChildren(el("p", { class: "bad" }, `No answer: ${error.message}`));
  }
}

function operationNode(document_, path, verb, operation) {
  const form = el("form", {});
  for (const reference of operation.parameters ?? []) form.append(parameterField(document_, resolve(document_, reference)));
  const content = operation.requestBody?.content?.["application/json"];
  if (content) {
    const start = content.example ?? example(document_, content.schema);
    const area = el("textarea", { "aria-label": "Request body", spellcheck: "false" });
    area.value = JSON.stringify(start, null, 2);
    form.append(area);
  }
  const output = el("div", { "aria-live": "polite" });
  form.append(el("button", { type: "submit" }, "Send"), output);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    call(verb.toUpperCase(), path, form, output);
  });
  const permission = operation.security?.[0]?.bearer?.[0];
  const deprecation = operation["x-deprecation"];
  return el(
    "details", { class: operation.deprecated ? "deprecated" : null, id: operation.operationId },
    el("summary", {}, el("span", { class: "verb" }, verb.toUpperCase()), el("span", { class: "path" }, path), el("span", {}, operation.summary)),
    el(
      "div", { class: "body" },
      el("p", {}, operation.description),
      deprecation ? el("p", { class: "bad" }, `Deprecated since ${deprecation.since}, gone on ${deprecation.sunset}; use ${deprecation.successor}.`) : null,
      permission ? el("p", {}, "Needs the permission ", el("code", {}, permission), ".") : null,
      reference(document_, operation),
      form,
    ),
  );
}

async function show(version) {
  const links = VERSIONS.map((name) => el("a", { href: `#${name}`, "aria-current": name === version ? "page" : null }, name));
  const source = `${BASE}/openapi/${version}.json`;
  document.getElementById("versions").replaceChildren(...links, el("a", { href: source }, "OpenAPI"));
  const main = document.getElementById("operations");
  const answer = await fetch(source);
  const document_ = await answer.json();
  document.getElementById("about").textContent = document_.info.description.replaceAll("`", "");
  main.replaceChildren();
  for (const tag of document_.tags) {
    main.append(el("h2", {}, tag.name), el("p", {}, tag.description));
    for (const [path, operations] of Object.entries(document_.paths)) {
      for (const [verb, operation] of Object.entries(operations)) {
        if (operation.tags.includes(tag.name)) main.append(operationNode(document_, path, verb, operation));
      }
    }
  }
}

function current() {
  const name = location.hash.slice(1);
  return VERSIONS.includes(name) ? name : VERSIONS[0];
}

addEventListener("hashchange", () => show(current()));
show(current());
