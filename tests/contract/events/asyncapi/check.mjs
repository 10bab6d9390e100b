// What AsyncAPI's own parser and three generators of types make of the published contracts.
// Usage: node check.mjs CONTRACTS, the directory infra/contracts. Prints the report, a line a check,
// and ends with 1 at the first that fails.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { JavaGenerator, TypeScriptGenerator } from "@asyncapi/modelina";
import { Parser } from "@asyncapi/parser";
import { compile } from "json-schema-to-typescript";
import { InputData, JSONSchemaInput, FetchingJSONSchemaStore, quicktype } from "quicktype-core";

const contracts = process.argv[2];
const read = (name) => readFileSync(path.join(contracts, name), "utf8");
const events = readdirSync(path.join(contracts, "events"))
  .filter((name) => name.endsWith(".golden.json"))
  .map((name) => name.split(".")[0]);
const golden = (name) => JSON.parse(read(`events/${name}.v1.golden.json`));
const added = (name) => {
  const message = golden(name);
  message.addedlater = "x";
  message.data.added_later = { deep: [1] };
  message.data.after.added_later = 1;
  message.data.change.added_later = null;
  message.data.after.payment_status = "added_later";
  return message;
};
const versions = JSON.parse(readFileSync(new URL("package.json", import.meta.url))).dependencies;
const report = (name, text) => console.log(`| ${name} ${versions[name]} | ${text} |`);
const work = mkdtempSync(path.join(tmpdir(), "asyncapi-"));

async function parsed() {
  const { document, diagnostics } = await new Parser().parse(read("asyncapi.json"));
  const said = diagnostics.map((each) => `${each.severity} ${each.code} ${each.path.join("/")}`);
  assert.deepEqual(diagnostics.filter((each) => each.severity === 0), []);
  assert.equal(document.messages().all().length, events.length);
  for (const message of document.messages().all()) {
    assert.equal(message.payload().id(), `${message.title()}Event`);
    assert.equal(message.examples().all().length, 1);
  }
  const remarks = [...new Set(said.map((line) => line.split(" ")[1]))].join(", ") || "none";
  report("@asyncapi/parser", `reads ${events.length} messages; errors: 0; other remarks: ${remarks}`);
  return document;
}

async function modelled(document) {
  for (const Generator of [JavaGenerator, TypeScriptGenerator]) {
    const models = await new Generator().generate(document);
    const names = models.map((each) => each.modelName);
    assert.deepEqual(names.filter((name) => /anonymous|reserved/i.test(name)), []);
    for (const name of events) assert.ok(names.includes(`${name}Event`), name);
    if (Generator === JavaGenerator) {
      const after = models.find((each) => each.modelName === "OrderAfter").result;
      assert.match(after, /private [Ll]ong gross/);
    }
    const language = Generator.name.replace("Generator", "");
    report("@asyncapi/modelina", `makes ${names.length} models for ${language}, none anonymous`);
  }
}

async function typed() {
  const lines = [];
  for (const name of events) {
    const schema = JSON.parse(read(`events/${name}.v1.schema.json`));
    writeFileSync(path.join(work, `${name}.ts`), await compile(schema, `${name}Event`));
    lines.push(`import type { ${name}Event } from "./${name}.ts";`);
    lines.push(`export const a${name}: ${name}Event = ${JSON.stringify(golden(name))};`);
    lines.push(`export const b${name}: ${name}Event = ${JSON.stringify(added(name))};`);
  }
  writeFileSync(path.join(work, "all.ts"), lines.join("\n"));
  const tsc = createRequire(import.meta.url).resolve("typescript/package.json");
  const options = ["--strict", "--noEmit", "--allowImportingTsExtensions", "--skipLibCheck"];
  execFileSync(
    process.execPath,
    [path.join(path.dirname(tsc), "bin", "tsc"), ...options, path.join(work, "all.ts")],
    { stdio: "inherit" },
  );
  report("json-schema-to-typescript", `${events.length} golden messages fit, as they are and extended`);
}

async function converted() {
  for (const name of events) {
    const source = new JSONSchemaInput(new FetchingJSONSchemaStore());
    await source.addSource({ name: `${name}Event`, schema: read(`events/${name}.v1.schema.json`) });
    const inputData = new InputData();
    inputData.addInput(source);
    const { lines } = await quicktype({ inputData, lang: "javascript" });
    const file = path.join(work, `${name}.cjs`);
    writeFileSync(file, lines.join("\n"));
    const module = await import(pathToFileURL(file).href);
    const convert = module.default[`to${name}Event`] ?? Object.values(module.default)[1];
    for (const message of [golden(name), added(name)]) {
      assert.equal(convert(JSON.stringify(message)).data.after.gross, message.data.after.gross);
    }
    const wrong = golden(name);
    delete wrong.data.after.gross;
    assert.throws(() => convert(JSON.stringify(wrong)));
  }
  report("quicktype-core", `reads ${events.length} golden messages, as they are and extended`);
}

try {
  console.log("# The contracts of events, as others read them\n");
  console.log("`make asyncapi`: AsyncAPI's parser, and generators of types, read the published");
  console.log("contracts. *Extended*: with one more member at each level, and an unknown status.\n");
  console.log("| Tool | Result |\n|---|---|");
  const document = await parsed();
  await modelled(document);
  await typed();
  await converted();
} finally {
  rmSync(work, { recursive: true });
}
