// Runs the model files of edge-lstm: one file, no dependency, no WebAssembly, no eval.
//
//   import { Classifier } from "./edge-lstm.mjs";
//   const classifier = await Classifier.load("sentiment.int8.onnx");
//   classifier.predict("A wonderful film.");
//   // { label: "pos", probability: 0.988, probabilities: { neg: 0.012, pos: 0.988 }, status: "ok" }
//
// Browser, worker, extension, Node from 18. What the file means, byte by byte: docs/file-format.md.
// Numbers are kept as float32 (Math.fround) wherever ONNX Runtime rounds to it.

const { fround } = Math;

/** The bytes are no model file that this module runs; the message is one line: what is wrong; what to do. */
export class ModelError extends Error {
  constructor(message) {
    super(message);
    this.name = "ModelError";
  }
}

const DAMAGED = "the file was cut short or changed after it was written; copy it again";

// --- The bytes: a protocol buffer message ---------------------------------------------------------------

/** [value, where it ends]. Values are exact up to 2^53; nothing in a model file is larger. */
function varint(data, at) {
  for (let value = 0, factor = 1; ; factor *= 128) {
    if (at >= data.length || factor > 2 ** 63) throw new ModelError(DAMAGED);
    const byte = data[at++];
    value += (byte & 127) * factor;
    if (byte < 128) return [value, at];
  }
}

/** A message's fields: [field number, a number or a view of its bytes]. */
function* fields(data) {
  let key, value;
  for (let at = 0; at < data.length; ) {
    [key, at] = varint(data, at);
    const number = Math.floor(key / 8);
    const kind = key % 8;
    if (kind === 0) {
      [value, at] = varint(data, at);
      yield [number, value];
      continue;
    }
    let size = { 1: 8, 5: 4 }[kind] ?? 0;
    if (kind === 2) [size, at] = varint(data, at);
    if (number === 0 || ![1, 2, 5].includes(kind) || at + size > data.length) throw new ModelError(DAMAGED);
    yield [number, data.subarray(at, at + size)];
    at += size;
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const ELEMENTS = { 1: Float32Array, 2: Uint8Array, 3: Int8Array, 6: Int32Array };

/** A GraphProto → its constants by name: { shape, values }. Of a TensorProto: 1 dims, 2 type, 8 name, 9 data. */
function constants(graph) {
  const found = new Map();
  for (const [number, tensor] of fields(graph)) {
    if (number !== 5) continue;
    let type, name, raw;
    const shape = [];
    for (const [n, value] of fields(tensor)) {
      if (n === 2) type = value;
      else if (n === 8) name = utf8.decode(value);
      else if (n === 9) raw = value;
      else if (n === 1 && typeof value === "number") shape.push(value);
      else if (n === 1)
        for (let at = 0, dim; at < value.length; ) {
          [dim, at] = varint(value, at);
          shape.push(dim);
        }
    }
    const Element = ELEMENTS[type];
    const count = shape.reduce((a, b) => a * b, 1);
    // A copy: views of more than a byte need their own alignment.
    if (Element && raw && raw.length === count * Element.BYTES_PER_ELEMENT)
      found.set(name, { shape, values: new Element(raw.slice().buffer) });
  }
  return found;
}

// The round constants and the first state of SHA-256 are the fractional parts of roots of the first primes.
const primes = [];
for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
const fraction = (x) => ((x - Math.floor(x)) * 2 ** 32) | 0;
const ROUNDS = Int32Array.from(primes, (p) => fraction(Math.cbrt(p)));
const FIRST = Int32Array.from(primes.slice(0, 8), (p) => fraction(Math.sqrt(p)));

/** SHA-256 of bytes, in hexadecimal. crypto.subtle has it too, but not on every page. */
export function sha256(bytes) {
  const padded = new Uint8Array((((bytes.length + 8) >> 6) + 1) << 6);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(bytes.length / 2 ** 29));
  view.setUint32(padded.length - 4, bytes.length << 3);
  const state = FIRST.slice();
  const w = new Int32Array(64);
  for (let block = 0; block < padded.length; block += 64) {
    for (let i = 0; i < 16; i++) w[i] = view.getInt32(block + 4 * i);
    for (let i = 16; i < 64; i++) {
      const x = w[i - 15];
      const y = w[i - 2];
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
    }
    let a = state[0];
    let b = state[1];
    let c = state[2];
    let d = state[3];
    let e = state[4];
    let f = state[5];
    let g = state[6];
    let h = state[7];
    for (let i = 0; i < 64; i++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + ROUNDS[i] + w[i]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
  }
  return Array.from(state, (value) => (value >>> 0).toString(16).padStart(8, "0")).join("");
}

// --- The model file -------------------------------------------------------------------------------------

const FORMATS = ["1"];
const KEYS = ["format", "tokenizer", "vocabulary", "labels", "network", "training", "quantization", "golden", "graph_sha256"];
const FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n\r';
const RULE = {
  rule: "lower-case; each filter character becomes a space; split on spaces; drop empty pieces",
  lowercase: "unicode",
  filters: FILTERS,
  pad_id: 0,
  padding: "right",
  start_id: 1,
  first_word_id: 4,
  truncation: "keep the last ids",
};
const START_ID = 1;
const FIRST_WORD_ID = 4;

/** A file's bytes → its metadata (strings by key) and its encoded graph, after all checks of the bytes. */
function open(data) {
  let graph = new Uint8Array(0);
  const metadata = new Map();
  const places = new Map();
  try {
    for (const [number, value] of fields(data)) {
      if (number === 7) graph = value;
      if (number !== 14) continue;
      const [[, key], [, bytes] = [0, new Uint8Array(0)]] = fields(value);
      metadata.set(utf8.decode(key), utf8.decode(bytes));
      places.set(utf8.decode(key), bytes);
    }
  } catch {
    metadata.delete("edge_lstm.format");
  }
  const format = metadata.get("edge_lstm.format");
  if (format === undefined) throw new ModelError("not a model file of edge-lstm, or cut short; copy it again");
  if (!FORMATS.includes(format))
    throw new ModelError(`format version ${format.slice(0, 20)} is not supported; this module reads ${FORMATS}`);
  const digest = metadata.get("edge_lstm.digest");
  let whole;
  if (digest === undefined) {
    // A file of edge-lstm 0.1: its graph has one. Another key would be that of the digest, damaged.
    const known = [...metadata.keys()].every((key) => KEYS.includes(key.replace("edge_lstm.", "")));
    whole = known && metadata.get("edge_lstm.graph_sha256") === sha256(graph);
  } else {
    const zeroed = data.slice();
    const start = places.get("edge_lstm.digest").byteOffset - data.byteOffset + 2;
    zeroed.fill(48, start, start + 64); // the digest covers every byte, its own 64 digits as "0"
    whole = digest.length === 66 && digest === `1:${sha256(zeroed)}`;
  }
  if (!whole) throw new ModelError(DAMAGED);
  return { graph, metadata };
}

const refuse = (what) => {
  throw new ModelError(`${what} is not supported by this module; use one made by 'edge-lstm export'`);
};

/** Metadata and graph → what the network needs, every shape checked. */
function describe({ graph, metadata }) {
  const json = (key) => JSON.parse(metadata.get(`edge_lstm.${key}`));
  const tokenizer = json("tokenizer");
  for (const [key, value] of Object.entries(RULE))
    if (tokenizer[key] !== value) refuse(`a text rule with ${key} = ${JSON.stringify(tokenizer[key])}`);
  const vocabulary = metadata.get("edge_lstm.vocabulary");
  if (vocabulary === undefined) refuse("a file without a vocabulary");
  const words = vocabulary ? vocabulary.split("\n") : [];
  const network = json("network");
  const labels = json("labels").map(String);
  const { length, oov_id: oovId } = tokenizer;
  const { num_words: ids, embedding_dim: embedding, layers, pooling, pair_buckets: buckets = 0 } = network;
  const golden = metadata.has("edge_lstm.golden") ? json("golden") : [];
  if (!["last", "mean", "max", "mean+max"].includes(pooling)) refuse(`pooling ${JSON.stringify(pooling)}`);
  const inRange = (value, low, high) => Number.isInteger(value) && value >= low && value <= high;
  if (
    labels.length !== network.labels ||
    labels.length < 2 ||
    words.length + FIRST_WORD_ID > ids + 1 ||
    !inRange(length, 1, 100_000) ||
    !(oovId === null || inRange(oovId, 2, ids)) ||
    ![ids, embedding, network.hidden, layers].every((value) => inRange(value, 1, 2 ** 31)) ||
    !inRange(buckets, 0, 2 ** 31)
  )
    throw new ModelError("the file's metadata does not fit together; export it again");

  const found = constants(graph);
  const take = (name, Element, ...shape) => {
    const constant = found.get(name);
    if (!constant || !(constant.values instanceof Element) || String(constant.shape) !== String(shape))
      refuse(`a graph without ${name} of shape [${shape}]`);
    return constant.values;
  };
  const table = found.get("embedding");
  const int8 = table?.values instanceof Int8Array;
  // An int8 file has two sentinel units a direction, and two sentinel columns behind the embedding.
  const sentinels = int8 && table.shape[1] === embedding + 2 ? 2 : 0;
  const directions = network.bidirectional ? 2 : 1;
  const hidden = network.hidden + sentinels;
  const logits = labels.length === 2 ? 1 : labels.length;
  const Weight = int8 ? Int8Array : Float32Array;
  const model = { int8, sentinels, directions, hidden, logits, pooling, buckets, length, oovId, lstms: [] };
  let inputs = embedding + sentinels;
  model.embedding = take("embedding", Weight, ids + 1, inputs);
  model.width = inputs;
  model.embeddingScale = int8 ? take("embedding_scale", Float32Array, 1)[0] : 1;
  for (let layer = 0; layer < layers; layer++) {
    const name = `lstm${layer}_`;
    const shape = (n) => (int8 ? [directions, n, 4 * hidden] : [directions, 4 * hidden, n]);
    const w = take(`${name}w`, Weight, ...shape(inputs));
    const r = take(`${name}r`, Weight, ...shape(hidden));
    const b = take(`${name}b`, Float32Array, directions, 8 * hidden);
    const scales = int8 ? ["w", "r"].map((x) => take(`${name}${x}_scale`, Float32Array, directions)) : [[], []];
    model.lstms.push(
      Array.from({ length: directions }, (_, d) => ({
        input: new Product(w, d, inputs, 4 * hidden, scales[0][d]),
        recurrent: new Product(r, d, hidden, 4 * hidden, scales[1][d]),
        bias: Float32Array.from({ length: 4 * hidden }, (_, j) => b[d * 8 * hidden + j] + b[d * 8 * hidden + 4 * hidden + j]),
        saturated: sentinels && layers > 1 ? 20 : 0,
      })),
    );
    inputs = directions * hidden;
  }
  model.pooled = inputs * (pooling === "mean+max" ? 2 : 1);
  model.headWeight = take("head_w", Float32Array, model.pooled, logits);
  model.headBias = take("head_b", Float32Array, logits);
  model.pairStart = ids + 1;
  model.rows = ids + 1 + buckets;
  if (buckets) {
    model.pairs = take("pairs", Weight, logits, model.rows);
    model.pairsScale = int8 ? take("pairs_scale", Float32Array, 1)[0] : 1;
  }
  return { model, words, labels, network, golden };
}

// --- Arithmetic -----------------------------------------------------------------------------------------

// Tables with a straight line between two entries: within 7e-8 of the exact functions, which is what float32 can tell
// apart, in three fifths of the time that a rational function takes. NaN passes through.
const CELLS = 18432; // on either side of 0: up to 18 for sigmoid, up to 9 for tanh
const table = (f, most) => Float32Array.from({ length: 2 * CELLS + 2 }, (_, i) => f(((i - CELLS) / CELLS) * most));
const SIGMOID = table((x) => 1 / (1 + Math.exp(-x)), 18);
const TANH = table(Math.tanh, 9);

function sigmoid(x) {
  if (x < -18) x = -18;
  else if (x > 18) x = 18;
  const place = x * 1024 + CELLS;
  const i = place | 0;
  return fround(SIGMOID[i] + (place - i) * (SIGMOID[i + 1] - SIGMOID[i]));
}

function tanh(x) {
  if (x < -9) x = -9;
  else if (x > 9) x = 9;
  const place = x * 2048 + CELLS;
  const i = place | 0;
  return fround(TANH[i] + (place - i) * (TANH[i + 1] - TANH[i]));
}

// Three sums of integers fit in one double's 53 bits, 18 bits apart, while each stays below 2^17: three products for
// one multiplication. Inputs are taken in blocks that keep to that: activations are at most 128 (or 255) from their
// zero, so the weights of a block may add up to 1,023 (or 513).
const SHIFT = 2 ** 18;
const LANES = 8; // sums that grow side by side
const HALF_EVEN = 1.5 * 2 ** 52; // adding and subtracting it rounds to an integer, halves to the even one

/** Quantizes x to 8 bits over the range that it has, in place → { step, zero }; x becomes q - zero. */
function quantize(x) {
  let low = 0;
  let high = 0;
  for (let k = 0; k < x.length; k++) {
    if (x[k] < low) low = x[k];
    else if (x[k] > high) high = x[k];
  }
  const scale = range(low, high);
  const { step, zero } = scale;
  for (let k = 0; k < x.length; k++) x[k] = rounded(x[k], step, zero);
  return scale;
}

const NO_SCALE = { step: 1, zero: 0 };

function range(low, high) {
  const step = low === high ? 1 : fround(fround(high - low) / 255);
  return { step, zero: Math.max(0, Math.min(255, fround(-low / step))) + HALF_EVEN - HALF_EVEN };
}

function rounded(x, step, zero) {
  const q = fround(x / step) + HALF_EVEN - HALF_EVEN + zero;
  return (q < 0 ? 0 : q > 255 ? 255 : q) - zero;
}

/** One direction's weights, ready to be multiplied: [inputs] times them → [outputs]. */
class Product {
  #packed = {}; // for the two limits of a block, made when it is needed

  constructor(weights, direction, inputs, outputs, scale) {
    const start = direction * inputs * outputs;
    this.inputs = inputs;
    this.outputs = outputs;
    this.scale = scale ?? 1;
    this.int8 = weights instanceof Int8Array;
    this.weights = weights.subarray(start, start + inputs * outputs); // int8: [inputs, outputs], else the reverse
    this.third = Math.ceil(outputs / 3 / LANES) * LANES;
    this.sums = new Float64Array(3 * this.third);
    if (!this.int8) this.weights = Float64Array.from(this.weights);
  }

  /** Float64Array, the first [outputs]: the sums of x[k] · weight[k, j]; x: Float64Array [inputs], for int8 q - zero. */
  multiply(x, zero) {
    if (!this.int8) return this.#multiplyFloats(x);
    const { rows, blocks } = this.#pack(zero === 127 || zero === 128 ? 1023 : 513);
    this.sums.fill(0);
    for (const { from, to, at } of blocks) addBlock(this.sums, rows, x, from, to, at, this.third);
    return this.sums;
  }

  /** Blocks of inputs; in each, for LANES numbers at a time, a row an input. A number holds outputs j, j + third, … */
  #pack(limit) {
    if (this.#packed[limit]) return this.#packed[limit];
    const { inputs, outputs, weights, third } = this;
    const totals = new Int32Array(outputs);
    const blocks = [];
    for (let k = 0, from = 0; k <= inputs; k++) {
      const fits = k < inputs && totals.every((sum, j) => sum + Math.abs(weights[k * outputs + j]) <= limit);
      if (!fits && k > from) {
        blocks.push({ from, to: k, at: from * third });
        from = k;
        totals.fill(0);
      }
      if (k < inputs) totals.forEach((sum, j) => (totals[j] = sum + Math.abs(weights[k * outputs + j])));
    }
    const rows = new Float64Array(third * inputs);
    const weight = (k, j) => (j < outputs ? weights[k * outputs + j] : 0);
    for (const { from, to, at } of blocks)
      for (let j = 0, i = at; j < third; j += LANES)
        for (let k = from; k < to; k++)
          for (let lane = j; lane < j + LANES; lane++)
            rows[i++] = weight(k, lane) + SHIFT * (weight(k, lane + third) + SHIFT * weight(k, lane + 2 * third));
    return (this.#packed[limit] = { rows, blocks });
  }

  #multiplyFloats(x) {
    const { weights, inputs, outputs, sums } = this;
    for (let j = 0; j < outputs; j += 4) {
      // The gates' outputs are a multiple of four.
      const a0 = j * inputs;
      const a1 = a0 + inputs;
      const a2 = a1 + inputs;
      const a3 = a2 + inputs;
      let s0 = 0;
      let s1 = 0;
      let s2 = 0;
      let s3 = 0;
      for (let k = 0; k < inputs; k++) {
        const xk = x[k];
        s0 += xk * weights[a0 + k];
        s1 += xk * weights[a1 + k];
        s2 += xk * weights[a2 + k];
        s3 += xk * weights[a3 + k];
      }
      sums[j] = s0;
      sums[j + 1] = s1;
      sums[j + 2] = s2;
      sums[j + 3] = s3;
    }
    return sums;
  }
}

function addBlock(sums, rows, x, from, to, at, third) {
  for (let j = 0; j < third; j += LANES) {
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    let s4 = 0;
    let s5 = 0;
    let s6 = 0;
    let s7 = 0;
    for (let k = from; k < to; k++, at += LANES) {
      const xk = x[k];
      s0 += xk * rows[at];
      s1 += xk * rows[at + 1];
      s2 += xk * rows[at + 2];
      s3 += xk * rows[at + 3];
      s4 += xk * rows[at + 4];
      s5 += xk * rows[at + 5];
      s6 += xk * rows[at + 6];
      s7 += xk * rows[at + 7];
    }
    unpack(sums, j, third, s0);
    unpack(sums, j + 1, third, s1);
    unpack(sums, j + 2, third, s2);
    unpack(sums, j + 3, third, s3);
    unpack(sums, j + 4, third, s4);
    unpack(sums, j + 5, third, s5);
    unpack(sums, j + 6, third, s6);
    unpack(sums, j + 7, third, s7);
  }
}

function unpack(sums, j, third, sum) {
  const upper = sum / SHIFT + HALF_EVEN - HALF_EVEN;
  const top = upper / SHIFT + HALF_EVEN - HALF_EVEN;
  sums[j] += sum - upper * SHIFT;
  sums[j + third] += upper - top * SHIFT;
  sums[j + 2 * third] += top;
}

// --- The classifier -------------------------------------------------------------------------------------

const CACHED_IDS = 2048; // products of the commonest words' embeddings with the first layer's weights are kept

/** A model file, loaded and ready to classify. */
export class Classifier {
  #model;
  #ids;
  #cache = [];

  /** From a file's bytes, at once. Throws ModelError. */
  constructor(bytes) {
    // A plain Uint8Array: a Buffer of Node's has another slice().
    const data = ArrayBuffer.isView(bytes)
      ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      : new Uint8Array(bytes);
    let described;
    try {
      described = describe(open(data));
    } catch (error) {
      if (error instanceof ModelError) throw error;
      throw new ModelError(`the file's metadata is unusable (${error.message}); export it again`);
    }
    const { model, words, labels, network, golden } = described;
    this.#model = model;
    this.#ids = new Map(words.map((word, i) => [word, i + FIRST_WORD_ID]));
    this.labels = Object.freeze(labels);
    this.network = network;
    this.golden = golden;
    this.precision = model.int8 ? "int8" : "fp32";
    this.words = words.length;
    this.length = model.length;
    this.bytes = data.length;
  }

  /** From a URL, a file's path (Node), bytes, a Blob or File, or a Response. */
  static async load(source) {
    if (typeof source === "string" || source instanceof URL) {
      const isNode = typeof process === "object" && process.versions?.node && !/^https?:/.test(String(source));
      if (isNode) {
        const files = "node:fs/promises"; // a name that bundlers for the browser do not follow
        source = await (await import(files)).readFile(/^file:/.test(String(source)) ? new URL(source) : source);
      } else {
        source = await fetch(source);
      }
    }
    if (typeof Response === "function" && source instanceof Response) {
      if (!source.ok) throw new ModelError(`${source.url} answered ${source.status}; check the address`);
      source = await source.arrayBuffer();
    } else if (typeof Blob === "function" && source instanceof Blob) {
      source = await source.arrayBuffer();
    }
    return new Classifier(source);
  }

  /** Text → { ids, at most `length` of them, and a status: ok, empty, unknown_words or truncated }. */
  encode(text) {
    const { length, oovId } = this.#model;
    const ids = [START_ID];
    let words = 0;
    let known = false;
    for (const { word } of spans(String(text).toLowerCase())) {
      words++;
      const id = this.#ids.get(word) ?? oovId;
      if (id === null) continue;
      ids.push(id);
      known ||= id >= FIRST_WORD_ID;
    }
    const status = !known ? (words ? "unknown_words" : "empty") : ids.length > length ? "truncated" : "ok";
    return { ids: ids.slice(-length), status };
  }

  /** Where the words stand in a text: { word, start, end, ids } each. */
  spans(text) {
    return [...spans(text)].map((span) => ({ ...span, ids: this.encode(span.word).ids.slice(1) }));
  }

  /** Token ids, at most `length` of them → Float32Array [labels], in the order of `labels`. */
  probabilitiesOf(ids) {
    const model = this.#model;
    const logits = this.#logits(ids.length ? Array.from(ids) : [0]);
    if (model.logits === 1) {
      const second = sigmoid(logits[0]);
      return Float32Array.of(1 - second, second);
    }
    const most = Math.max(...logits);
    const powers = Array.from(logits, (value) => Math.exp(value - most));
    const total = powers.reduce((a, b) => a + b, 0);
    return Float32Array.from(powers, (value) => value / total);
  }

  /** One text → its label, the label's probability, all probabilities, and the status. */
  predict(text) {
    const { ids, status } = this.encode(text);
    const answer = this.probabilitiesOf(ids);
    const best = answer.reduce((most, value, i) => (value > answer[most] ? i : most), 0);
    const probabilities = Object.fromEntries(this.labels.map((label, i) => [label, answer[i]]));
    return { label: this.labels[best], probability: answer[best], probabilities, status };
  }

  /** The file's own test: its golden rows, each with how far this machine's answer is from the file's. */
  check() {
    return this.golden.map((row) => {
      const { ids } = this.encode(row.text);
      const answer = this.probabilitiesOf(ids);
      const difference = Math.max(...row.probabilities.map((p, i) => Math.abs(p - answer[i])));
      return { text: row.text, difference, ok: String(ids) === String(row.ids) && difference <= 1e-3 };
    });
  }

  #logits(ids) {
    const model = this.#model;
    const { directions, hidden, logits, pooled } = model;
    const steps = ids.length;
    const width = directions * hidden;
    let outputs; // Float32Array [steps, width]
    model.lstms.forEach((layer, n) => {
      const gates = n === 0 ? this.#firstProducts(ids) : products(layer, outputs, steps, width);
      outputs = new Float32Array(steps * width);
      layer.forEach((lstm, d) => run(lstm, d, gates, outputs, steps, hidden, width));
    });
    const pool = new Float64Array(pooled);
    let at = 0;
    if (model.pooling === "last")
      for (let d = 0; d < directions; d++) // each direction's state after its last step
        for (let j = 0; j < hidden; j++) pool[at++] = outputs[(d ? 0 : steps - 1) * width + d * hidden + j];
    if (model.pooling.includes("mean"))
      for (let j = 0; j < width; j++) {
        let sum = 0;
        for (let t = 0; t < steps; t++) sum += outputs[t * width + j];
        pool[at++] = sum / steps;
      }
    if (model.pooling.includes("max"))
      for (let j = 0; j < width; j++) {
        let most = 0; // of the outputs and 0
        for (let t = 0; t < steps; t++) if (outputs[t * width + j] > most) most = outputs[t * width + j];
        pool[at++] = most;
      }
    const answer = Float32Array.from(model.headBias);
    for (let l = 0; l < logits; l++) {
      let sum = 0;
      for (let j = 0; j < pooled; j++) sum += pool[j] * model.headWeight[j * logits + l];
      answer[l] += sum;
    }
    if (model.buckets)
      for (let l = 0; l < logits; l++) {
        const row = l * model.rows;
        let sum = 0;
        for (let t = 0; t < steps; t++) {
          sum += model.pairs[row + ids[t]];
          if (t) {
            const bucket = (ids[t - 1] * 40503 + ids[t] * 7 + 123457) % model.buckets;
            sum += model.pairs[row + model.pairStart + bucket];
          }
        }
        answer[l] += fround(sum * model.pairsScale);
      }
    return answer;
  }

  /** Embedded ids times the first layer's weights: a Float32Array [directions · 4 · hidden] for each step. */
  #firstProducts(ids) {
    const { embedding, embeddingScale, width, lstms, int8 } = this.#model;
    // The range that int8 rounds over is that of the whole text. Sentinel columns make it the same for all.
    let low = 0;
    let high = 0;
    if (int8)
      for (const id of ids)
        for (let k = id * width; k < (id + 1) * width; k++) {
          if (embedding[k] < low) low = embedding[k];
          else if (embedding[k] > high) high = embedding[k];
        }
    const { step, zero } = range(fround(low * embeddingScale), fround(high * embeddingScale));
    if (this.#cache.step !== step || this.#cache.zero !== zero) this.#cache = Object.assign([], { step, zero });
    const x = new Float64Array(width);
    return ids.map((id) => {
      let product = this.#cache[id];
      if (product) return product;
      for (let k = 0; k < width; k++) {
        const value = fround(embedding[id * width + k] * embeddingScale);
        x[k] = int8 ? rounded(value, step, zero) : value;
      }
      product = multiply(lstms[0], x, { step, zero });
      if (id < CACHED_IDS) this.#cache[id] = product;
      return product;
    });
  }
}

/** One step's input x times the weights of all directions: Float32Array [directions · 4 · hidden]. */
function multiply(layer, x, { step, zero }) {
  const { outputs } = layer[0].input;
  const product = new Float32Array(layer.length * outputs);
  layer.forEach(({ input }, d) => {
    const sums = input.multiply(x, zero);
    const multiplier = fround(step * input.scale);
    for (let j = 0; j < outputs; j++) product[d * outputs + j] = sums[j] * multiplier;
  });
  return product;
}

/** As #firstProducts, for the outputs [steps, width] of the layer before. */
function products(layer, outputs, steps, width) {
  const x = Float64Array.from(outputs);
  const scale = layer[0].input.int8 ? quantize(x) : NO_SCALE;
  return Array.from({ length: steps }, (_, t) => multiply(layer, x.subarray(t * width, (t + 1) * width), scale));
}

/** One direction of one layer over the text. gates: its products with the input; writes into outputs. */
function run(lstm, direction, gates, outputs, steps, hidden, width) {
  const { recurrent, bias } = lstm;
  const h = new Float64Array(hidden);
  const c = new Float32Array(hidden);
  if (lstm.saturated) {
    c[hidden - 2] = lstm.saturated; // a stacked network's sentinel units start at their ends
    c[hidden - 1] = -lstm.saturated;
  }
  const start = direction * 4 * hidden; // gates in ONNX's order: input, output, forget, cell
  for (let i = 0; i < steps; i++) {
    const t = direction ? steps - 1 - i : i;
    const gate = gates[t];
    const { step, zero } = recurrent.int8 ? quantize(h) : NO_SCALE;
    const sums = recurrent.multiply(h, zero);
    const by = fround(step * recurrent.scale);
    const out = t * width + direction * hidden;
    for (let j = 0; j < hidden; j++) {
      const o = j + hidden;
      const f = o + hidden;
      const u = f + hidden;
      const input = sigmoid(fround(fround(gate[start + j] + fround(sums[j] * by)) + bias[j]));
      const output = sigmoid(fround(fround(gate[start + o] + fround(sums[o] * by)) + bias[o]));
      const forget = sigmoid(fround(fround(gate[start + f] + fround(sums[f] * by)) + bias[f]));
      const cell = tanh(fround(fround(gate[start + u] + fround(sums[u] * by)) + bias[u]));
      c[j] = fround(forget * c[j]) + fround(input * cell);
      h[j] = outputs[out + j] = fround(output * tanh(c[j]));
    }
  }
}

const WORD = /[^!"#$%&()*+,\-./:;<=>?@[\\\]^_`{|}~\t\n\r ]+/g;

/** The pieces between filter characters and spaces, with where they stand. */
function* spans(text) {
  for (const match of text.matchAll(WORD))
    yield { word: match[0], start: match.index, end: match.index + match[0].length };
}
