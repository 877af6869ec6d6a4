// Drops files on a page whose document is made of stand-ins: standard input {page, files, unfamiliar} → a JSON line for each file,
// with what is downloaded (as base64) or the error that is shown.
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

const { page, files, unfamiliar } = JSON.parse(readFileSync(0, "utf-8"));
const html = readFileSync(page, "utf-8");
const plain = [...html.matchAll(/<script type="text\/plain" id="(\w+)">(.*?)<\/script>/gs)];
const models = [...html.matchAll(/<script type="text\/plain" class="model" data-question="(\w*)">(.*?)<\/script>/gs)];
const [, script] = html.match(/<script type="module">(.*?)<\/script>/s);

class Element {
  style = {};
  value = "";
  textContent = "";
  dataset = {};
  children = [];
  append(...children) {
    this.children.push(...children);
  }
  replaceChildren(...children) {
    this.children = children;
  }
  setAttribute() {}
}
const elements = Object.fromEntries(plain.map(([, id, textContent]) => [id, Object.assign(new Element(), { textContent })]));
const listeners = {};
let downloaded;
globalThis.document = {
  title: "",
  body: { classList: { add() {}, remove() {} } },
  createElement: () => new Element(),
  getElementById: (id) => (elements[id] ??= new Element()),
  querySelector: () => new Element(),
  querySelectorAll: () => models.map(([, question, textContent]) => ({ dataset: { question }, textContent })),
};
globalThis.addEventListener = (name, listener) => (listeners[name] = listener);
URL.createObjectURL = (blob) => ((downloaded = blob), "blob:");
URL.revokeObjectURL = () => {};

const module = join(mkdtempSync(join(tmpdir(), "page-")), "page.mjs");
writeFileSync(module, script);
await import(module);
const [download, error] = ["download", "error"].map(document.getElementById);
for (const path of files) {
  const bytes = readFileSync(path);
  downloaded = undefined;
  download.hidden = true;
  const file = { name: basename(path), arrayBuffer: async () => Uint8Array.from(bytes).buffer };
  document.getElementById("unfamiliar").checked = unfamiliar;
  listeners.drop({ preventDefault() {}, dataTransfer: { files: [file] } });
  document.getElementById("unfamiliar").checked = !unfamiliar; // too late for this table
  while (download.hidden && !error.textContent) await new Promise((done) => setTimeout(done));
  const data = downloaded && Buffer.from(await downloaded.arrayBuffer()).toString("base64");
  const status = document.getElementById("status").textContent;
  console.log(JSON.stringify({ error: error.textContent, data, name: download.download, status }));
}
