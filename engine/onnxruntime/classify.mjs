// A model file of edge-lstm with onnxruntime-web, in a browser or in Node.
//
//     npm install onnxruntime-web
//     import { load } from "./classify.mjs";
//     const predict = await load(ort, await (await fetch("model.onnx")).arrayBuffer());
//     await predict("A wonderful film."); // { label, labels, probability, probabilities, status }
//
// onnxruntime-web runs the network; edge-lstm.mjs checks the file, and gives labels and ids.
import { Classifier } from "../../engine/js/edge-lstm.mjs";

/** ort: the module "onnxruntime-web"; bytes: an ArrayBuffer → a function from a text to its answer. */
export async function load(ort, bytes) {
  const classifier = await Classifier.load(bytes);
  const { thresholds } = classifier;
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  return async (text) => {
    const { ids, status } = classifier.encode(text);
    const row = new Int32Array(classifier.length); // padding is 0, on the right
    row.set(ids);
    const input = new ort.Tensor("int32", row, [1, row.length]);
    const { probabilities } = await session.run({ input_ids: input });
    const answer = probabilities.data;
    const best = answer.indexOf(Math.max(...answer));
    return {
      label: classifier.labels[best],
      labels: classifier.labels.filter((_, i) => (thresholds ? answer[i] >= thresholds[i] : i === best)),
      probability: answer[best],
      probabilities: new Map(classifier.labels.map((label, i) => [label, answer[i]])),
      status,
    };
  };
}
