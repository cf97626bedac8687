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
  const started = performance.now();
  output.replaceChildren("…");
  try {
    const answer = await fetch(BASE + url + (text ? `?${text}` : ""), { method: verb, headers, body, cache: "no-store" });
    const raw = await answer.text();
    let shown = raw;
    try { shown = JSON.stringify(JSON.parse(raw), null, 2); } catch { /* not JSON: as it is */ }
    const taken = Math.round(performance.now() - started);
    const head = `${answer.status} ${answer.statusText} · ${taken} ms · X-Request-Id: ${answer.headers.get("x-request-id") ?? ""}`;
    output.replaceChildren(el("p", { class: answer.ok ? "" : "bad" }, head), el("pre", {}, shown));
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
