// Answer texts with a model file: node decode.mjs MODEL TEXT…
//
// Written from docs/file-format.md alone, and in its order, for Node 20. Rows need rows.mjs too.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { rowText } from "./rows.mjs";

const { exp, floor, fround, max, min, sqrt } = Math;
const refuse = (why) => { throw new Error(why); };
const cut = (x, low, high) => min(max(x, low), high);
const utf8 = (bytes) => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);

/** The fields of a message: a list of the values of each number. */
function message(bytes) {
  const fields = {};
  let at = 0;
  const take = (size) => bytes.subarray(at, (at += size));
  const varint = () => {
    const size = 1 + bytes.subarray(at, at + 10).findIndex((byte) => byte < 128);
    if (size === 0) refuse("not a model file");
    return take(size).reduceRight((value, byte) => 128 * value + (byte & 127), 0);
  };
  const values = { 0: varint, 1: () => take(8), 2: () => take(varint()), 5: () => take(4) };
  while (at < bytes.length) {
    const key = varint();
    const value = values[key % 8]?.();
    if (value === undefined || at > bytes.length) refuse("not a model file");
    (fields[floor(key / 8)] ??= []).push(value);
  }
  return fields;
}

/** The value of a field that occurs once; an empty one if it is missing. */
const only = (fields, number) => fields[number]?.at(-1) ?? Buffer.alloc(0);

function read(bytes) {
  const file = message(bytes);
  const texts = (entry) => [utf8(only(entry, 1)), utf8(only(entry, 2))];
  const metadata = Object.fromEntries((file[14] ?? []).map(message).map(texts));
  const format = metadata["edge_lstm.format"] ?? refuse("not a model file");
  if (format !== "1") refuse("made by a newer version");
  const digest = createHash("sha256").update(bytes.subarray(0, -64)).digest("hex");
  if (bytes.subarray(-64).toString() !== digest) refuse("cut short or changed");
  const [rule, network, labels, several, fields] = [
    "tokenizer", "network", "labels", "multi_label", "fields",
  ].map((key) => JSON.parse(metadata[`edge_lstm.${key}`] ?? "null"));
  const known = vocabulary(metadata["edge_lstm.vocabulary"]);
  const ids = known.map((entry, place) => [entry, rule.first_word_id + place]);
  if (network.num_words !== rule.first_word_id + ids.length) refuse("num_words does not fit");
  const constants = constantsOf(message(only(file, 7)));
  const int8 = "head_w_scales" in constants;
  constants.embedding = table(constants, "embedding", network.embedding_dim);
  if (int8) constants.embedding = constants.embedding?.map((row) => [...row, 127, -128]);
  constants.ngram_vectors = table(constants, "ngram_vectors", network.ngram_dim);
  constants.head_w = table(constants, "head_w", constants.head_b.length);
  const words = new Map(ids.slice(0, rule.words));
  const pieces = new Map(ids.slice(rule.words));
  return { rule, words, pieces, labels, several, fields, network, constants, int8 };
}

const split = (values, size) =>
  Array.from({ length: values.length / size }, (_, k) => values.subarray(k * size, (k + 1) * size));

/** The values as nested lists of these dimensions. */
const nested = (values, [count, ...inner]) =>
  inner.length ? split(values, values.length / count).map((part) => nested(part, inner)) : values;

function constantsOf(graph) {
  const constants = {};
  for (const tensor of graph[5].map(message)) {
    const Type = { 1: Float32Array, 2: Uint8Array, 3: Int8Array }[only(tensor, 2)];
    const numbers = Type && new Type(new Uint8Array(only(tensor, 9)).buffer);
    if (Type) constants[utf8(only(tensor, 8))] = nested(numbers, tensor[1] ?? []);
  }
  return constants;
}

/** The rows of a table, whichever of the three forms it has. */
function table(constants, name, columns) {
  const part = (form) => constants[`${name}_${form}`];
  const stored = part("q") && columns < 4 ? 16 : columns;
  const halves = (bytes) => [...bytes].flatMap((byte) => [byte & 15, byte >> 4]);
  const factors = halves(part("m") ?? []).map((half) => 1 + half);
  const numbers =
    part("q")?.map((row, k) => halves(row).map((half) => (half - 8) * factors[k])) ??
    part("c")?.map((row) => [...row].flatMap((code) => [...part("b")[code]]));
  if (numbers === undefined) return constants[name];
  return split(Int8Array.from(numbers.flatMap((row) => row.slice(0, stored))), columns);
}

function encode({ rule, words, pieces }, text) {
  const capitals = { unicode: /.*/s, ascii: /[A-Z]/g, none: /(?!)/ }[rule.lowercase];
  let spaced = "";
  for (const each of text.toWellFormed().replace(capitals, (found) => found.toLowerCase())) {
    const letter = rule.replacements[each] ?? each;
    if (rule.separators.includes(letter)) spaced += " ";
    else if (rule.marks.includes(letter)) spaced += ` ${letter} `;
    else if (!rule.removed.includes(letter)) spaced += letter;
  }
  const found = spaced.split(" ").filter((word) => word !== "");
  const unknown = (word) => (pieces.size > 0 ? piecesOf(word, pieces) : (rule.oov_id ?? []));
  const ids = [rule.start_id ?? [], found.map((word) => words.get(word) ?? unknown(word))].flat(2);
  let status = ids.length > rule.length ? "truncated" : "ok";
  if (ids.every((id) => id < rule.first_word_id || id === rule.oov_id)) status = "unknown_words";
  if (found.length === 0) status = "empty";
  const kept = rule.truncation === "last" ? ids.slice(-rule.length) : ids.slice(0, rule.length);
  return { ids: kept, status };
}

function piecesOf(word, pieces) {
  const ids = [];
  let at = 0;
  while (at < word.length) {
    let end = word.length;
    while (end > at && !pieces.has(word.slice(at, end))) end--;
    const id = pieces.get(word.slice(at, end)) ?? 2;
    if (id !== 2 || ids.at(-1) !== 2) ids.push(id);
    at = max(end, at + 1);
  }
  return ids;
}

/** The entries of the vocabulary: words, then pieces. */
function vocabulary(value) {
  const [, pairs = "", coded] = value.match(/^(?:([^\0]*)\0)?(.*)$/s);
  if (!/^([\0-\x7f]..)*$/su.test(pairs)) refuse("letter pairs that are incomplete");
  const two = new Map(pairs.match(/.../gsu)?.map(([letter, ...rest]) => [letter, rest.join("")]));
  const spelled = Array.from(coded, (letter) => two.get(letter) ?? letter).join("");
  let entry = [];
  return (spelled.match(/[\x01-\x1f][^\0-\x1f]*/g) ?? []).map(([code, ...rest]) => {
    entry = [...entry.slice(0, code.charCodeAt(0) - 1), ...rest];
    return entry.join("");
  });
}

// Arithmetic: a Float32Array rounds what is put in; adding 1.5 · 2⁵² rounds, halves to even
const even = (x) => x + 1.5 * 2 ** 52 - 1.5 * 2 ** 52;
const plus = (row, other) => row.map((value, j) => value + other[j]);

/** A row times a matrix, added up from left to right. */
function times(row, matrix, sums = new Float32Array(matrix[0].length)) {
  row.forEach((value, i) => {
    for (let j = 0; j < sums.length; j++) sums[j] += fround(value * matrix[i][j]);
  });
  return sums;
}

/** The rows times a matrix; with a scale, they are first rounded over the range of all. */
function product(rows, matrix, scale) {
  if (scale === undefined) return rows.map((row) => times(row, matrix));
  const low = rows.reduce((least, row) => min(least, ...row), 0);
  const high = rows.reduce((most, row) => max(most, ...row), 0);
  const step = fround(fround(high - low) / 255) || 1;
  const zero = cut(even(fround(-low / step)), 0, 255);
  return rows.map((row) => {
    const rounded = row.map((value) => cut(even(fround(value / step)) + zero, 0, 255) - zero);
    const sums = times(rounded, matrix, new Float64Array(matrix[0].length));
    return Float32Array.from(sums, (sum) => fround(sum) * fround(step * scale));
  });
}

// ONNX Runtime's functions: P and Q, from the coefficient of the highest power down
const [SIGMOID_P, SIGMOID_Q, TANH_P, TANH_Q] = [
  [4.37031012579801e-11, 1.15627324459942e-7, 6.08574864600143e-5, 8.51377133304701e-3,
    2.48287947061529e-1],
  [6.10247389755681e-13, 5.76102136993427e-9, 6.2910678501704e-6, 1.70198817374094e-3,
    1.16817656904453e-1, 9.9315192102318e-1],
  [-2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-8,
    1.48572235717979e-5, 6.37261928875436e-4, 4.89352455891786e-3],
  [1.19825839466702e-6, 1.18534705686654e-4, 2.268434632439e-3, 4.89352518554385e-3],
].map((part) => part.map(fround));

/** x · P(x²) / Q(x²) */
function ratio(x, p, q) {
  const square = fround(x * x);
  const at = (part) => part.reduce((sum, next) => fround(sum * square + next));
  return fround(fround(x * at(p)) / at(q));
}

const sigmoid = (x) => 1 / (1 + exp(-x));
const sigmoid8 = (x) => cut(fround(ratio(cut(x, -18, 18), SIGMOID_P, SIGMOID_Q) + 0.5), 0, 1);
const tanh8 = (x) => ratio(cut(x, -9, 9), TANH_P, TANH_Q);
const ACTIVATIONS = { relu: (x) => max(x, 0), tanh: Math.tanh, sigmoid, linear: (x) => x };

/** The states h of LSTM k in direction d: the first one, and those after each row. */
function lstm({ constants, rule, int8 }, k, { hard_sigmoid: slope }, d, rows) {
  const part = (name) => constants[`lstm${k}_${name}`]?.[d];
  const transposed = (matrix) => Array.from(matrix[0], (_, i) => matrix.map((row) => row[i]));
  const [w, r] = [part("w"), part("r")].map((matrix) => (int8 ? matrix : transposed(matrix)));
  const units = part("b").length / 4;
  const first = (states = [new Float32Array(units)]) =>
    states[min(rule.length - rows.length, states.length - 1)];
  const [soft, tanh] = int8 ? [sigmoid8, tanh8] : [sigmoid, Math.tanh];
  const hard = (x) => cut(fround(fround(fround(slope) * x) + 0.5), 0, 1);
  const gate = slope ? hard : soft;
  let c = first(part("c"));
  const states = [first(part("h"))];
  for (const fromX of product(rows, w, part("w_scale"))) {
    const [fromH] = product([states.at(-1)], r, part("r_scale"));
    const [i, o, f, u] = split(plus(plus(fromX, fromH), part("b")), units);
    c = c.map((value, j) => fround(gate(f[j]) * value) + fround(gate(i[j]) * tanh(u[j])));
    states.push(c.map((value, j) => gate(o[j]) * tanh(value)));
  }
  return states;
}

/** What the next layer reads of LSTM k: a row for each step, or one row of values. */
function outputs(model, k, layer, rows) {
  const join = (...parts) => Float32Array.from(parts.flatMap((part) => [...part]));
  const forward = lstm(model, k, layer, 0, rows);
  const backward = layer.bidirectional ? lstm(model, k, layer, 1, rows.toReversed()) : null;
  const last = join(forward.at(-1), backward?.at(-1) ?? []);
  const steps = rows.map((_, t) => join(forward[t + 1], backward?.[rows.length - t] ?? []));
  const mean = steps.reduce(plus, last.map(() => 0)).map((sum) => sum / (rows.length || 1));
  const highest = (j) => steps.reduce((most, row) => max(most, row[j]), layer.floor);
  const most = rows.length > 0 ? last.map((_, j) => highest(j)) : last.map(() => 0);
  return { steps, last, mean, max: most, "mean+max": join(mean, most) }[layer.gives];
}

/** The values times a matrix of the file, plus its bias. */
function dense({ constants }, name, values) {
  const scales = constants[`${name}_w_scales`];
  const scaled = (row, i) => Float32Array.from(row, (weight) => weight * (scales?.[i][0] ?? 1));
  return plus(times(values, constants[`${name}_w`].map(scaled)), constants[`${name}_b`]);
}

/** The slot of a pair of ids, or nothing if it has none. */
function slotOf({ pair_displacements: displacements, pair_fingerprints: fingerprints }, a, b) {
  if (!fingerprints || !a || !b) return undefined;
  const [M, B, p] = [fingerprints.length, displacements.length, 2 ** 31 - 1].map(BigInt);
  const k = (BigInt(a) * 131072n + BigInt(b)) % p;
  const h = (k * 950706376n) % p;
  const g = (k * 742938285n) % p;
  const step = M === 1n ? 1n : 1n + ((h / B) % (M - 1n));
  const slot = Number((g + BigInt(displacements[h % B]) * step) % M);
  return fingerprints[slot] === 1 + Number(g % 255n) ? slot : undefined;
}

function ngramPart({ constants, network }, ids) {
  const { ngram_words: words, ngram_counts: counts } = network;
  const occurrences = new Map();
  const add = (row) => occurrences.set(row, (occurrences.get(row) ?? 0) + 1);
  ids.forEach((id, at) => {
    const slot = slotOf(constants, ids[at - 1], id);
    if (id >= 2 && id < words + 2) add(id - 2);
    if (slot !== undefined) add(words + slot);
  });
  let sums = new Float32Array(network.ngram_dim);
  for (const [row, times] of occurrences) {
    const count = counts[min(times, counts.length) - 1];
    sums = sums.map((sum, j) => sum + fround(count * constants.ngram_vectors[row][j]));
  }
  const root = fround(sqrt(ids.length)) || 1;
  return sums.map((sum, j) => fround(sum * (constants.ngram_scales?.[j] ?? 1)) / root);
}

function logits(model, ids) {
  const { rule, network, constants } = model;
  const zeros = Array(network.padding === "none" ? 0 : rule.length - ids.length).fill(0);
  const padded = network.padding === "front" ? [...zeros, ...ids] : [...ids, ...zeros];
  const { embedding, embedding_scale: [scale] = [1] } = constants;
  const vector = (id) => Float32Array.from(embedding[id], (number) => number * scale);
  const lstms = network.layers.filter((layer) => "lstm" in layer).length;
  let values = lstms > 0 ? padded.map(vector) : [];
  network.layers.forEach((layer, k) => {
    if (k < lstms) values = outputs(model, k, layer, values);
    else values = dense(model, `dense${k - lstms}`, values).map(ACTIVATIONS[layer.activation]);
  });
  return dense(model, "head", Float32Array.of(...values, ...ngramPart(model, ids)));
}

function probabilitiesOf({ several }, z) {
  if (several) return z.map(sigmoid);
  if (z.length === 1) return Float32Array.of(1 - sigmoid(z[0]), sigmoid(z[0]));
  const most = max(...z);
  const powers = z.map((logit) => exp(logit - most));
  const sum = powers.reduce((total, power) => total + power);
  return powers.map((power) => power / sum);
}

function answer(model, text) {
  const { ids, status } = encode(model, model.fields ? rowText(model.fields, text) : text);
  const probabilities = [...probabilitiesOf(model, logits(model, ids))];
  const order = [...model.labels.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
  const reaches = (i) => probabilities[i] >= model.several.thresholds[i];
  const given = model.several ? order.filter(reaches) : [order[0]];
  const label = given.map((i) => model.labels[i]).join("|");
  return { label, status, ids, probabilities };
}

const [path, ...texts] = process.argv.slice(2);
try {
  const model = read(readFileSync(path));
  for (const text of texts) console.log(JSON.stringify(answer(model, text)));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
