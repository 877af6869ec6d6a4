// one_byte.mjs MODULE MODEL STEP MASK…: opens the file with one byte changed (exclusive or), at every STEP-th place and
// at each of the last 100, by each mask → the places of those that were opened, and how many were tried.
import { readFileSync } from "node:fs";

const [module, model, step, ...masks] = process.argv.slice(2);
const { Classifier, ModelError } = await import(module);
const data = new Uint8Array(readFileSync(model));
const opened = [];
let tried = 0;
for (let at = 0; at < data.length; at++)
  for (const mask of at % step === 0 || at + 100 >= data.length ? masks : []) {
    data[at] ^= mask;
    tried++;
    try {
      new Classifier(data);
      opened.push(at);
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
    }
    data[at] ^= mask;
  }
console.log([...opened, "of", tried].join(" "));
