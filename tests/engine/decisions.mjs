// What JavaScript decides: standard input {module, cases: [{path, above, texts}]}, a JSON line for each case. The module
// exports decide, which the package's own does not.
import { readFileSync } from "node:fs";

const { module, cases } = JSON.parse(readFileSync(0, "utf-8"));
const { Classifier, ModelError, decide } = await import(module);
for (const { path, above, texts } of cases) {
  const file = await Classifier.load(path);
  const answers = texts.map(({ probabilities, read, unfamiliarity }) => {
    const answer = Float32Array.from(probabilities, (p) => p ?? NaN);
    try {
      const { label, labels, probability, status, score } = decide(file, answer, read, unfamiliarity, above ?? Infinity);
      return { label, labels, probability, status, score: score && [score.value, score.low, score.high] };
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      return null;
    }
  });
  console.log(JSON.stringify(answers));
}
