// What the JavaScript port answers: standard input {module, models: [{path, texts, options}]}, a JSON line for each model.
import { readFileSync } from "node:fs";

const { module, models } = JSON.parse(readFileSync(0, "utf-8"));
const { Classifier, ModelError } = await import(module);
for (const { path, texts, options } of models) {
  let line;
  try {
    const classifier = await Classifier.load(path);
    const answers = texts.map((text) => {
      const { labels, probability, probabilities, status } = classifier.predict(text, options);
      return { labels, probability, probabilities: [...probabilities], status };
    });
    line = { labels: classifier.labels, answers, check: classifier.check() };
  } catch (error) {
    line = { error: error.message, refused: error instanceof ModelError };
  }
  console.log(JSON.stringify(line));
}
