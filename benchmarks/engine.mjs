// What engine.py runs in Node: the engine as WebAssembly. node engine.mjs MODEL TEXTS ROUNDS
// Prints the first answer, and then the mean µs of the fastest of the rounds.

import { readFileSync } from "node:fs";
import { Classifier } from "../engine/js/edge-lstm.mjs";

const [model, file, rounds] = process.argv.slice(2);
const texts = JSON.parse(readFileSync(file, "utf-8"));
const classifier = await Classifier.load(new Uint8Array(readFileSync(model)));
console.log(classifier.predict(texts[0]).label);
const fastest = texts.map(() => Infinity);
for (let round = 0; round < Number(rounds); round++)
  for (const [i, text] of texts.entries()) {
    const start = performance.now();
    classifier.predict(text);
    fastest[i] = Math.min(fastest[i], performance.now() - start);
  }
console.log((1000 * fastest.reduce((a, b) => a + b)) / texts.length);
