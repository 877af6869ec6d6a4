// What engine.py runs in Node and in Chromium: the engine as WebAssembly, or onnxruntime-web.

/** Read a model, answer the first text, and time all of them.
 *
 * urls: of the modules, engine, and ort where onnxruntime-web runs. first: told the first label.
 * Returns [ms to the first answer, µs per text: the mean of the fastest of so many rounds].
 */
export async function measure(urls, bytes, texts, rounds, first = () => {}) {
  const start = performance.now();
  const { Classifier } = await import(urls.engine);
  const file = await bytes();
  const classifier = await Classifier.load(file);
  const predict = urls.ort ? await onnxruntimeWeb(urls.ort, file, classifier) : (text) => classifier.predict(text);
  first((await predict(texts[0])).label);
  const cold = performance.now() - start;
  const fastest = texts.map(() => Infinity);
  for (let round = 0; round < rounds; round++)
    for (const [i, text] of texts.entries()) {
      const start = performance.now();
      await predict(text);
      fastest[i] = Math.min(fastest[i], performance.now() - start);
    }
  return [cold, (1000 * fastest.reduce((a, b) => a + b)) / texts.length];
}

/** onnxruntime-web's answers: the classifier checks the file, and gives labels and ids. */
async function onnxruntimeWeb(url, file, classifier) {
  const ort = await import(url);
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(file, { executionProviders: ["wasm"] });
  return async (text) => {
    const row = new Int32Array(classifier.length); // padding is 0, on the right
    row.set(classifier.encode(text).ids);
    const { probabilities } = await session.run({ input_ids: new ort.Tensor("int32", row, [1, row.length]) });
    return { label: classifier.labels[probabilities.data.indexOf(Math.max(...probabilities.data))] };
  };
}

// node engine.mjs MODEL TEXTS ROUNDS URLS
if (typeof process !== "undefined") {
  const { readFileSync } = await import("node:fs");
  const [model, texts, rounds, urls] = process.argv.slice(2);
  const bytes = () => new Uint8Array(readFileSync(model));
  const told = JSON.parse(readFileSync(texts, "utf-8"));
  const [, micros] = await measure(JSON.parse(urls), bytes, told, Number(rounds), console.log);
  console.log(micros);
  process.exit(0); // onnxruntime-web does not always end
}
