// Runs the model files of edge-lstm: one file, no dependency, no WebAssembly, no eval.
//
//   import { Classifier } from "./edge-lstm.mjs";
//   (await Classifier.load("model.onnx")).predict("A wonderful film.");
//
// Browser, worker, extension, Node from 18. What the file means, byte by byte: docs/file-format.md.
// Math.fround stands where ONNX Runtime rounds to float32.

const { fround } = Math;

export class ModelError extends Error {
  name = "ModelError";
}

const DAMAGED = "the file was cut short or changed after it was written; copy it again";

// --- The bytes: a protocol buffer message

/** [value, where it ends] */
function varint(data, at) {
  for (let value = 0, factor = 1; ; factor *= 128) {
    if (at >= data.length || factor > 2 ** 63) throw new ModelError(DAMAGED);
    const byte = data[at++];
    value += (byte & 127) * factor;
    if (byte < 128) return [value, at];
  }
}

/** A message's fields: [number, value or bytes]. */
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

const ELEMENTS = { 1: Float32Array, 3: Int8Array };

/** A repeated number's values, packed or not. */
function integers(value) {
  if (typeof value === "number") return [value];
  const found = [];
  for (let at = 0, number; at < value.length; found.push(number)) [number, at] = varint(value, at);
  return found;
}

/** A graph's constants by name: { shape, values }. */
function constants(graph) {
  const found = new Map();
  for (const [number, tensor] of fields(graph)) {
    if (number !== 5) continue;
    let type, name, raw;
    const shape = [];
    for (const [n, value] of fields(tensor)) {
      if (n === 1) shape.push(...integers(value));
      else if (n === 2) type = value;
      else if (n === 8) name = utf8.decode(value);
      else if (n === 9) raw = value;
    }
    const Element = ELEMENTS[type];
    const count = shape.reduce((a, b) => a * b, 1);
    // a copy, since views need alignment
    if (Element && raw && raw.length === count * Element.BYTES_PER_ELEMENT)
      found.set(name, { shape, values: new Element(raw.slice().buffer) });
  }
  return found;
}

/** The n-grams that have a vector: "id" or "id,id" → its row. */
function ngramsOf(graph) {
  for (const [number, node] of fields(graph)) {
    if (number !== 1) continue;
    const parts = [...fields(node)];
    if (!parts.some(([n, value]) => n === 4 && utf8.decode(value) === "TfIdfVectorizer")) continue;
    const found = {};
    for (const [n, attribute] of parts) {
      if (n !== 5) continue;
      const values = [...fields(attribute)];
      const name = utf8.decode(values.find(([m]) => m === 1)[1]);
      found[name] = values.filter(([m]) => m === 8).flatMap(([, value]) => integers(value));
    }
    const { pool_int64s: pool, ngram_counts: starts } = found;
    const words = starts[1] ?? pool.length; // single ids first, then pairs
    const grams = pool.slice(0, words).map(String);
    for (let i = words; i < pool.length; i += 2) grams.push(`${pool[i]},${pool[i + 1]}`);
    return new Map(grams.map((gram, row) => [gram, row]));
  }
  return new Map();
}

// SHA-256's constants: fractional parts of roots of primes.
const primes = [];
for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
const fraction = (x) => ((x - Math.floor(x)) * 2 ** 32) | 0;
const ROUNDS = Int32Array.from(primes, (p) => fraction(Math.cbrt(p)));
const FIRST = Int32Array.from(primes.slice(0, 8), (p) => fraction(Math.sqrt(p)));

/** In hexadecimal (crypto.subtle is not on every page). */
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
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + ROUNDS[i] + w[i]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g, g = f, f = e, e = (d + t1) | 0;
      d = c, c = b, b = a, a = (t1 + t2) | 0;
    }
    [a, b, c, d, e, f, g, h].forEach((x, i) => (state[i] += x));
  }
  return Array.from(state, (value) => (value >>> 0).toString(16).padStart(8, "0")).join("");
}

// --- The model file

const FORMATS = ["1", "2", "3"];
const KEYS = "format tokenizer vocabulary labels network training quantization golden graph_sha256".split(" ");
const KERAS_RULE = "lower-case; each filter character becomes a space; split on spaces; drop empty pieces";
const FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n\r';
const RULE = { lowercase: "unicode", pad_id: 0, padding: "right", start_id: 1, first_word_id: 4, truncation: "keep the last ids" };
const FIRST_WORD_ID = 4;

/** A file's bytes, checked → its metadata (strings by key) and its encoded graph. */
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
  if (format === undefined) throw new ModelError("no model file of edge-lstm, or cut short; copy it again");
  if (!FORMATS.includes(format))
    throw new ModelError(`format version ${format.slice(0, 20)} is not supported; use a newer module`);
  const digest = metadata.get("edge_lstm.digest");
  let whole;
  if (digest === undefined) {
    // Of 0.1: only the graph has one. Anything that 0.1 did not write is the digest, damaged.
    const numbers = Array.from(fields(data), ([number]) => number).filter((n) => n !== 8 && n !== 14);
    const known = `${numbers.sort()}` === "1,2,3,7" && [...metadata.keys()].every((key) => KEYS.includes(key.slice(10)));
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

function describe({ graph, metadata }) {
  const json = (key) => JSON.parse(metadata.get(`edge_lstm.${key}`));
  const tokenizer = json("tokenizer");
  const keras = tokenizer.rule === KERAS_RULE;
  if (!keras && tokenizer.rule !== "pieces-1") refuse(`the text rule ${JSON.stringify(tokenizer.rule)}`);
  for (const [key, value] of Object.entries(keras ? { ...RULE, filters: FILTERS } : RULE))
    if (tokenizer[key] !== value) refuse(`a text rule with ${key} = ${JSON.stringify(tokenizer[key])}`);
  const vocabulary = metadata.get("edge_lstm.vocabulary");
  if (vocabulary === undefined) refuse("a file without a vocabulary");
  const lines = vocabulary ? vocabulary.split("\n") : [];
  const { separators = FILTERS, marks = "", replacements = {}, words = lines.length } = tokenizer;
  const network = json("network");
  const labels = json("labels").map(String);
  const { length, oov_id: oovId } = tokenizer;
  const { num_words: ids, embedding_dim: embedding, layers, pooling, pair_buckets: buckets = 0, ngrams = 0 } = network;
  const golden = metadata.has("edge_lstm.golden") ? json("golden") : [];
  if (!["last", "mean", "max", "mean+max"].includes(pooling)) refuse(`pooling ${JSON.stringify(pooling)}`);
  const several = network.several === true;
  const thresholds = several ? json("several").thresholds : null;
  const inRange = (value, low, high) => Number.isInteger(value) && value >= low && value <= high;
  if (
    labels.length !== network.labels ||
    labels.length < 2 ||
    several !== (metadata.get("edge_lstm.format") === "3") ||
    (several && (thresholds.length !== labels.length || !thresholds.every((t) => t > 0 && t <= 1))) ||
    !inRange(words, 0, lines.length) ||
    lines.length + FIRST_WORD_ID > ids + 1 ||
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
  // int8: two sentinel units a direction, two sentinel columns behind the embedding.
  const sentinels = int8 && table.shape[1] === embedding + 2 ? 2 : 0;
  const directions = network.bidirectional ? 2 : 1;
  const hidden = network.hidden + sentinels;
  const logits = labels.length === 2 && !several ? 1 : labels.length;
  const Weight = int8 ? Int8Array : Float32Array;
  const model = { int8, directions, hidden, logits, pooling, buckets, length, oovId, replacements, lstms: [] };
  const known = (from, to) => new Map(lines.slice(from, to).map((line, i) => [line, i + from + FIRST_WORD_ID]));
  model.words = known(0, words);
  model.pieces = known(words);
  model.longest = Math.max(0, ...lines.slice(words).map((piece) => [...piece].length));
  const escaped = (characters) => characters.replace(/[\\\]^-]/g, "\\$&");
  const those = (set) => escaped(set + Object.keys(replacements).filter((c) => set.includes(replacements[c])).join(""));
  model.word = new RegExp(`${marks && `[${those(marks)}]|`}[^ ${those(separators)}${those(marks)}]+`, "gu");
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
        saturated: sentinels && layers > 1,
      })),
    );
    inputs = directions * hidden;
  }
  model.pooled = inputs * (pooling === "mean+max" ? 2 : 1);
  model.ngrams = ngrams ? ngramsOf(graph) : new Map();
  model.ngramWidth = ngrams ? network.ngram_dim : 0;
  if (model.ngrams.size !== ngrams) refuse("a graph whose n-grams are not those of its network");
  const read = model.pooled + model.ngramWidth;
  model.headWeight = take("head_w", ngrams ? Weight : Float32Array, read, logits);
  if (ngrams) {
    model.vectors = take("ngram_vectors", Weight, ngrams, model.ngramWidth);
    model.ngramScales = int8 ? take("ngram_scales", Float32Array, model.ngramWidth) : null;
    if (int8) {
      const scales = take("head_w_scales", Float32Array, read, 1);
      model.headWeight = Float32Array.from(model.headWeight, (value, i) => value * scales[Math.floor(i / logits)]);
    }
  }
  model.headBias = take("head_b", Float32Array, logits);
  model.rows = ids + 1 + buckets;
  if (buckets) {
    model.pairs = take("pairs", Weight, logits, model.rows);
    model.pairsScale = int8 ? take("pairs_scale", Float32Array, 1)[0] : 1;
  }
  return { model, labels, thresholds, network, golden, length, precision: int8 ? "int8" : "fp32" };
}

// --- Arithmetic

// tanh as 128 parabolas a unit, each through three of Chebyshev's points: within 6e-9.
const CELLS = 9 * 128; // on either side of 0
const PARABOLAS = new Float64Array(3 * (2 * CELLS + 1));
for (let i = -CELLS; i <= CELLS; i++) {
  const r = Math.sqrt(3) / 4;
  const [low, middle, high] = [i - r, i, i + r].map((place) => Math.tanh(place / 128));
  PARABOLAS.set([middle, (high - low) / (2 * r), (high + low - 2 * middle) / (2 * r * r)], 3 * (i + CELLS));
}

function parabola(place) {
  const i = (place + (CELLS + 0.5)) | 0;
  const d = place - (i - CELLS);
  return PARABOLAS[3 * i] + d * (PARABOLAS[3 * i + 1] + d * PARABOLAS[3 * i + 2]);
}

const tanh = (x) => parabola(x < -9 ? -CELLS : x > 9 ? CELLS : x * 128);
const sigmoid = (x) => 0.5 + 0.5 * parabola(x < -18 ? -CELLS : x > 18 ? CELLS : x * 64);

// Three sums of integers fit in a double's 53 bits, 18 apart, while each is below 2^17: three products for one
// multiplication, of as many inputs as surely keep to that.
const SHIFT = 2 ** 18;
const MOST = 2 ** 17 - 1;
const LANES = 8; // sums that grow side by side
const HALF_EVEN = 1.5 * 2 ** 52; // adding and subtracting it rounds, halves to the even one

/** Quantizes x to 8 bits over the range that it has, in place → { step, zero }; x becomes q - zero. */
function quantize(x) {
  let low = 0, high = 0;
  for (let k = 0; k < x.length; k++)
    if (x[k] < low) low = x[k];
    else if (x[k] > high) high = x[k];
  const scale = range(low, high);
  for (let k = 0; k < x.length; k++) x[k] = rounded(x[k], scale.step, scale.zero);
  return scale;
}

const NO_SCALE = { step: 1 };

function range(low, high) {
  const step = low === high ? 1 : fround(fround(high - low) / 255);
  return { step, zero: Math.max(0, Math.min(255, fround(-low / step))) + HALF_EVEN - HALF_EVEN };
}

function rounded(x, step, zero) {
  const q = fround(x / step) + HALF_EVEN - HALF_EVEN + zero;
  return (q < 0 ? 0 : q > 255 ? 255 : q) - zero;
}

/** One direction's weights: [inputs] times them → [outputs]. */
class Product {
  constructor(weights, direction, inputs, outputs, scale) {
    const start = direction * inputs * outputs;
    Object.assign(this, { inputs, outputs, scale: scale ?? 1 });
    this.int8 = weights instanceof Int8Array;
    this.weights = weights.subarray(start, start + inputs * outputs); // int8: [inputs, outputs], else the reverse
    this.part = Math.ceil(outputs / (this.int8 ? 3 : 1) / LANES) * LANES;
    this.sums = new Float64Array(3 * this.part);
    this.last = new Float64Array(inputs);
    this.places = new Int32Array(inputs); // of inputs that changed
    this.changes = new Float64Array(inputs);
  }

  /** [outputs] and more: the sums of x[k] · weight[k, j]; x: [inputs], for int8 q - zero.
   * Sums of integers are exact, so int8 adds what changed since the last call: a quarter of a state does not. */
  multiply(x) {
    if (!this.rows) this.#pack();
    const { int8, inputs, sums, last, places, changes, largest } = this;
    if (!int8) sums.fill(0), last.fill(0);
    let n = 0, from = 0, total = 0;
    for (let k = 0; k < inputs; k++) {
      const change = x[k] - last[k];
      if (change === 0) continue;
      last[k] = x[k];
      const most = Math.abs(change) * largest[k];
      if (total + most > MOST) {
        this.#add(from, n);
        from = n, total = 0;
      }
      total += most;
      places[n] = k * LANES;
      changes[n++] = change;
    }
    if (n > from) this.#add(from, n);
    return sums;
  }

  /** In blocks of LANES numbers, a row an input. A number holds outputs j, j + part, j + 2 part. */
  #pack() {
    const { inputs, outputs, weights, part, int8 } = this;
    const weight = (k, j) => (j < outputs ? weights[int8 ? k * outputs + j : j * inputs + k] : 0);
    this.largest = new Float64Array(inputs); // weight of a row; 0 for fp32
    this.rows = new Float64Array(part * inputs);
    for (let k = 0; k < inputs; k++) {
      if (int8) for (let j = 0; j < outputs; j++) this.largest[k] = Math.max(this.largest[k], Math.abs(weight(k, j)));
      for (let j = 0; j < part; j++)
        this.rows[(j - (j % LANES)) * inputs + k * LANES + (j % LANES)] =
          weight(k, j) + (int8 && SHIFT * (weight(k, j + part) + SHIFT * weight(k, j + 2 * part)));
    }
  }

  #add(from, to) {
    const { rows, sums, part, int8, inputs, places, changes } = this;
    const lanes = new Float64Array(LANES);
    for (let j = 0; j < part; j += LANES) {
      const block = j * inputs;
      let s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
      for (let n = from; n < to; n++) {
        const at = block + places[n];
        const change = changes[n];
        s0 += change * rows[at];
        s1 += change * rows[at + 1];
        s2 += change * rows[at + 2];
        s3 += change * rows[at + 3];
        s4 += change * rows[at + 4];
        s5 += change * rows[at + 5];
        s6 += change * rows[at + 6];
        s7 += change * rows[at + 7];
      }
      lanes[0] = s0, lanes[1] = s1, lanes[2] = s2, lanes[3] = s3;
      lanes[4] = s4, lanes[5] = s5, lanes[6] = s6, lanes[7] = s7;
      for (let n = 0; n < LANES; n++) {
        const upper = int8 ? lanes[n] / SHIFT + HALF_EVEN - HALF_EVEN : 0;
        const top = upper / SHIFT + HALF_EVEN - HALF_EVEN;
        sums[j + n] += lanes[n] - upper * SHIFT;
        sums[j + n + part] += upper - top * SHIFT;
        sums[j + n + 2 * part] += top;
      }
    }
  }
}

// --- The classifier

const SPACELESS = /[\u0e00-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff\u{20000}-\u{3ffff}]/u;
const CACHED_IDS = 2048; // the commonest words' products with the first layer's weights are kept

/** A model file, loaded and ready to classify. What is public is described in edge-lstm.d.ts. */
export class Classifier {
  #model;
  #cache = [];

  constructor(bytes) {
    // A Buffer of Node's has another slice().
    const data = ArrayBuffer.isView(bytes)
      ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      : new Uint8Array(bytes);
    try {
      const { model, ...rest } = describe(open(data));
      this.#model = model;
      Object.assign(this, rest, { words: model.words.size, bytes: data.length });
    } catch (error) {
      if (error instanceof ModelError) throw error;
      throw new ModelError(`the file's metadata is unusable (${error.message}); export it again`);
    }
  }

  static async load(source) {
    if (typeof source === "string" || source instanceof URL) {
      const node = globalThis.process?.versions?.node && !/^https?:/.test(source);
      const files = "node:fs/promises"; // a name that bundlers do not follow
      const path = /^file:/.test(source) ? new URL(source) : source;
      source = node ? await (await import(files)).readFile(path) : await fetch(source);
    }
    if (source.ok === false) throw new ModelError(`${source.url} answered ${source.status}; check the address`);
    return new Classifier(source.arrayBuffer ? await source.arrayBuffer() : source);
  }

  encode(text) {
    const { length, oovId, words, pieces, word, replacements } = this.#model;
    const ids = [1]; // the start
    let any = false;
    for (let [found] of String(text).toLowerCase().matchAll(word)) {
      any = true;
      for (const c in replacements) found = found.replaceAll(c, replacements[c]);
      const id = words.get(found);
      if (id !== undefined) ids.push(id);
      else if (pieces.size) this.#pieces(found, (piece) => ids.push(piece));
      else if (oovId !== null) ids.push(oovId);
    }
    const known = ids.some((id) => id >= FIRST_WORD_ID);
    const status = !known ? (any ? "unknown_words" : "empty") : ids.length > length ? "truncated" : "ok";
    return { ids: ids.slice(-length), status };
  }

  /** A word's pieces: at each place the longest that starts there; unknown characters in a row are one oov_id. */
  #pieces(word, add) {
    const { pieces, longest, oovId } = this.#model;
    const characters = [...word];
    let last;
    for (let at = 0, size; at < characters.length; at += size) {
      let id;
      for (size = Math.min(longest, characters.length - at); size > 0; size--) {
        id = pieces.get(characters.slice(at, at + size).join(""));
        if (id !== undefined) break;
      }
      size ||= 1;
      id ??= oovId;
      if (id !== null && (id !== oovId || last !== oovId)) add(id, at, at + size);
      last = id;
    }
  }

  spans(text) {
    const { word, words, pieces } = this.#model;
    return Array.from(text.matchAll(word)).flatMap(({ 0: found, index }) => {
      const whole = { word: found, start: index, end: index + found.length, ids: this.encode(found).ids.slice(1) };
      const lower = found.toLowerCase();
      if (!pieces.size || words.has(lower) || lower.length !== found.length || !SPACELESS.test(found)) return [whole];
      const parts = []; // of a script without spaces, each piece counts as a word
      const characters = [...found];
      const place = (n) => index + characters.slice(0, n).join("").length;
      this.#pieces(lower, (id, at, end) =>
        parts.push({ word: characters.slice(at, end).join(""), start: place(at), end: place(end), ids: [id] }),
      );
      return parts;
    });
  }

  probabilitiesOf(ids) {
    const model = this.#model;
    const logits = this.#logits(ids.length ? Array.from(ids) : [0]);
    if (this.thresholds) return Float32Array.from(logits, sigmoid);
    if (model.logits === 1) {
      const second = sigmoid(logits[0]);
      return Float32Array.of(1 - second, second);
    }
    const most = Math.max(...logits);
    const powers = Array.from(logits, (x) => Math.exp(x - most));
    const total = powers.reduce((a, b) => a + b);
    return Float32Array.from(powers, (x) => x / total);
  }

  predict(text) {
    const { ids, status } = this.encode(text);
    const answer = this.probabilitiesOf(ids);
    const order = [...answer.keys()].sort((a, b) => answer[b] - answer[a]);
    const had = order.filter((i, n) => (this.thresholds ? answer[i] >= this.thresholds[i] : n < 1));
    const [label, ...labels] = [order[0], ...had].map((i) => this.labels[i]);
    const probabilities = Object.fromEntries(this.labels.map((x, i) => [x, answer[i]]));
    return { label, labels, probability: answer[order[0]], probabilities, status };
  }

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
    const pool = new Float64Array(pooled + model.ngramWidth);
    for (let j = 0; j < width; j++) {
      let sum = 0;
      let most = 0; // of the outputs and 0
      for (let at = j; at < outputs.length; at += width) {
        sum += outputs[at];
        if (outputs[at] > most) most = outputs[at];
      }
      // The last state of each direction is the one after its own last step.
      if (model.pooling === "last") pool[j] = outputs[(j < hidden ? steps - 1 : 0) * width + j];
      if (model.pooling.includes("mean")) pool[j] = sum / steps;
      if (model.pooling.includes("max")) pool[pooled - width + j] = most;
    }
    if (model.ngramWidth) this.#addNgrams(pool.subarray(pooled), ids);
    const answer = model.headBias.slice();
    for (let l = 0; l < logits; l++) {
      let sum = 0;
      for (let j = 0; j < pool.length; j++) sum += pool[j] * model.headWeight[j * logits + l];
      answer[l] += sum;
      if (!model.buckets) continue;
      const row = l * model.rows;
      sum = 0;
      for (let t = 0; t < steps; t++) {
        sum += model.pairs[row + ids[t]];
        const bucket = (ids[t - 1] * 40503 + ids[t] * 7 + 123457) % model.buckets;
        if (t) sum += model.pairs[row + model.rows - model.buckets + bucket];
      }
      answer[l] += fround(sum * model.pairsScale);
    }
    return answer;
  }

  /** The vectors of the n-grams that a text holds, each once, over the square root of its length. */
  #addNgrams(out, ids) {
    const { ngrams, vectors, ngramScales, ngramWidth } = this.#model;
    const held = new Set(ids.flatMap((id, t) => [ngrams.get(`${id}`), ngrams.get(`${ids[t - 1]},${id}`)]));
    held.delete(undefined);
    for (const row of held) for (let j = 0; j < ngramWidth; j++) out[j] += vectors[row * ngramWidth + j];
    for (let j = 0; j < ngramWidth; j++) out[j] = fround(fround(out[j] * (ngramScales?.[j] ?? 1)) / fround(Math.sqrt(ids.length)));
  }

  /** Embedded ids times the first layer's weights: [directions, 4, hidden] for each step. */
  #firstProducts(ids) {
    const { embedding, embeddingScale, width, lstms, int8 } = this.#model;
    // int8 rounds over the whole text's range; sentinel columns make it one for all.
    let low = 0, high = 0;
    for (const id of int8 ? ids : [])
      for (let k = id * width; k < (id + 1) * width; k++) {
        if (embedding[k] < low) low = embedding[k];
        else if (embedding[k] > high) high = embedding[k];
      }
    const scale = range(fround(low * embeddingScale), fround(high * embeddingScale));
    const { step, zero } = scale;
    if (this.#cache.step !== step || this.#cache.zero !== zero) this.#cache = Object.assign([], scale);
    const x = new Float64Array(width);
    return ids.map((id) => {
      let product = this.#cache[id];
      if (product) return product;
      for (let k = 0; k < width; k++) {
        const value = fround(embedding[id * width + k] * embeddingScale);
        x[k] = int8 ? rounded(value, step, zero) : value;
      }
      product = multiply(lstms[0], x, scale);
      if (id < CACHED_IDS) this.#cache[id] = product;
      return product;
    });
  }
}

function multiply(layer, x, { step }) {
  const { outputs } = layer[0].input;
  const product = new Float32Array(layer.length * outputs);
  layer.forEach(({ input }, d) => {
    const sums = input.multiply(x);
    const multiplier = fround(step * input.scale);
    for (let j = 0; j < outputs; j++) product[d * outputs + j] = fround(sums[j] * multiplier);
  });
  return product;
}

/** As #firstProducts, for the layer before's outputs [steps, width]. */
function products(layer, outputs, steps, width) {
  const x = Float64Array.from(outputs);
  const scale = layer[0].input.int8 ? quantize(x) : NO_SCALE;
  return Array.from({ length: steps }, (_, t) => multiply(layer, x.subarray(t * width, (t + 1) * width), scale));
}

/** One direction of one layer. gates: its products with the input; writes into outputs. */
function run(lstm, direction, gates, outputs, steps, hidden, width) {
  const { recurrent, bias } = lstm;
  const h = new Float64Array(hidden);
  const c = new Float32Array(hidden);
  if (lstm.saturated) c.set([20, -20], hidden - 2); // a stacked network's sentinel units start at their ends
  const start = direction * 4 * hidden; // gates in ONNX's order: input, output, forget, cell
  for (let i = 0; i < steps; i++) {
    const t = direction ? steps - 1 - i : i;
    const gate = gates[t];
    const { step } = recurrent.int8 ? quantize(h) : NO_SCALE;
    const sums = recurrent.multiply(h);
    const by = fround(step * recurrent.scale);
    const out = t * width + direction * hidden;
    for (let j = 0; j < hidden; j++) {
      const o = j + hidden, f = o + hidden, u = f + hidden;
      const fresh = sigmoid(gate[start + j] + sums[j] * by + bias[j]) * tanh(gate[start + u] + sums[u] * by + bias[u]);
      const cell = sigmoid(gate[start + f] + sums[f] * by + bias[f]) * c[j] + fresh;
      c[j] = cell;
      h[j] = outputs[out + j] = fround(sigmoid(gate[start + o] + sums[o] * by + bias[o]) * tanh(cell));
    }
  }
}
