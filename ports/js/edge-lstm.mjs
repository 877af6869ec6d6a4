// Runs the model files of edge-lstm: (await Classifier.load("model.onnx")).predict("A wonderful film.")
// What they mean, byte by byte: docs/file-format.md. fround stands where ONNX Runtime rounds to float32.

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
		const kind = key % 8;
		let size = { 0: 0, 1: 8, 5: 4 }[kind];
		if (kind === 0) [value, at] = varint(data, at);
		if (kind === 2) [size, at] = varint(data, at);
		if (key < 8 || !(at + size <= data.length)) throw new ModelError(DAMAGED);
		yield [Math.floor(key / 8), kind ? data.subarray(at, at + size) : value];
		at += size;
	}
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

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
		const Element = { 1: Float32Array, 3: Int8Array }[type];
		const size = shape.reduce((a, b) => a * b, Element?.BYTES_PER_ELEMENT ?? NaN);
		// a copy, since views need alignment
		if (raw?.length === size) found.set(name, { shape, values: new Element(raw.slice().buffer) });
	}
	return found;
}

/** The n-grams that have a vector: "id" or "id,id" → its row. */
function ngramsOf(graph) {
	const rows = new Map();
	for (const [number, node] of fields(graph)) {
		const parts = number === 1 ? [...fields(node)] : [];
		if (!parts.some(([n, value]) => n === 4 && utf8.decode(value) === "TfIdfVectorizer")) continue;
		const found = {};
		for (const [n, attribute] of parts) {
			if (n !== 5) continue;
			const values = [...fields(attribute)];
			const name = utf8.decode(values.find(([m]) => m === 1)[1]);
			found[name] = values.filter(([m]) => m === 8).flatMap(([, value]) => integers(value));
		}
		const { pool_int64s: pool, ngram_counts } = found;
		const words = ngram_counts[1] ?? pool.length; // single ids first, then pairs
		for (let i = 0; i < pool.length; i += i < words ? 1 : 2)
			rows.set(i < words ? `${pool[i]}` : `${pool[i]},${pool[i + 1]}`, rows.size);
	}
	return rows;
}

// SHA-256's constants: fractional parts of roots of primes.
const primes = [];
for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
const ROUNDS = Int32Array.from(primes, (p) => (Math.cbrt(p) % 1) * 2 ** 32);
const FIRST = Int32Array.from(primes.slice(0, 8), (p) => (Math.sqrt(p) % 1) * 2 ** 32);
const turned = (x, n) => (x >>> n) | (x << (32 - n));

/** In hexadecimal. crypto.subtle is not on every page. */
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
			const x = w[i - 15], y = w[i - 2];
			const s0 = turned(x, 7) ^ turned(x, 18) ^ (x >>> 3);
			const s1 = turned(y, 17) ^ turned(y, 19) ^ (y >>> 10);
			w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
		}
		let [a, b, c, d, e, f, g, h] = state;
		for (let i = 0; i < 64; i++) {
			const s1 = turned(e, 6) ^ turned(e, 11) ^ turned(e, 25);
			const t1 = (h + s1 + ((e & f) ^ (~e & g)) + ROUNDS[i] + w[i]) | 0;
			const s0 = turned(a, 2) ^ turned(a, 13) ^ turned(a, 22);
			const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
			h = g, g = f, f = e, e = (d + t1) | 0;
			d = c, c = b, b = a, a = (t1 + t2) | 0;
		}
		[a, b, c, d, e, f, g, h].forEach((x, i) => (state[i] += x));
	}
	return Array.from(state, (value) => (value >>> 0).toString(16).padStart(8, "0")).join("");
}

// --- The model file

const KERAS_RULE = "lower-case; each filter character becomes a space; split on spaces; drop empty pieces";
const FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n\r';
const OOV_ID = 2;
const RULE = { lowercase: "unicode", pad_id: 0, padding: "right", start_id: 1, oov_id: OOV_ID, first_word_id: 4, truncation: "keep the last ids" };

/** A file's bytes, checked → its metadata (strings by key) and its encoded graph. */
function open(data) {
	let graph = new Uint8Array(0);
	const metadata = new Map();
	try {
		for (const [number, value] of fields(data)) {
			if (number === 7) graph = value;
			if (number !== 14) continue;
			const [[, bytes], [, text] = [0, new Uint8Array(0)]] = fields(value);
			metadata.set(utf8.decode(bytes), utf8.decode(text));
		}
	} catch {
		metadata.delete("edge_lstm.format");
	}
	const format = metadata.get("edge_lstm.format");
	if (format === undefined) throw new ModelError("no model file of edge-lstm, or cut short; copy it again");
	if (format !== "10")
		throw new ModelError(`format version ${format.slice(0, 20)} is not supported; export the model again, or use a newer module`);
	const end = data.length - 64; // where the digest of all before it begins
	if (sha256(data.subarray(0, end)) !== String.fromCharCode(...data.subarray(end))) throw new ModelError(DAMAGED);
	return { graph, metadata };
}

function refuse(what) {
	throw new ModelError(`${what} is not supported by this module; use one made by 'edge-lstm export'`);
}

function describe({ graph, metadata }) {
	const json = (key) => JSON.parse(metadata.get(`edge_lstm.${key}`));
	const tokenizer = json("tokenizer");
	const keras = tokenizer.rule === KERAS_RULE;
	if (!keras && tokenizer.rule !== "pieces-1") refuse(`the text rule ${JSON.stringify(tokenizer.rule)}`);
	for (const [key, value] of Object.entries(keras ? { ...RULE, filters: FILTERS } : RULE))
		if (tokenizer[key] !== value) refuse(`a text rule with ${key} = ${JSON.stringify(tokenizer[key])}`);
	const vocabulary = metadata.get("edge_lstm.vocabulary");
	const lines = vocabulary === "" ? [] : vocabulary.split("\n");
	const { length } = tokenizer;
	const { separators, marks, replacements, words } = keras ? { separators: FILTERS, marks: "", replacements: {}, words: lines.length } : tokenizer;
	const network = json("network");
	const labels = json("labels").map(String);
	const { num_words: ids, embedding_dim: embedding, pooling, several, ngrams } = network;
	const golden = JSON.parse(metadata.get("edge_lstm.golden") ?? "[]");
	if (!["last", "mean+max"].includes(pooling)) refuse(`pooling ${JSON.stringify(pooling)}`);
	const thresholds = metadata.has("edge_lstm.several") ? json("several").thresholds : null;
	const inRange = (value, low, high) => Number.isInteger(value) && value >= low && value <= high;
	if (
		labels.length !== network.labels ||
		labels.length < 2 ||
		several !== (thresholds !== null) ||
		(several && (thresholds.length !== labels.length || !thresholds.every((t) => t > 0 && t <= 1))) ||
		/\p{Cc}/u.test(labels.join("")) ||
		![separators, marks].every((set) => typeof set === "string") ||
		!inRange(words, 0, lines.length) ||
		lines.length + 4 !== ids ||
		!inRange(length, 1, 100_000) ||
		![embedding, network.hidden].every((value) => inRange(value, 1, 2 ** 31))
	)
		throw new ModelError("the file's metadata does not fit together; export it again");

	const weights = constants(graph);
	const int8 = weights.get("embedding")?.values instanceof Int8Array;
	const Weight = int8 ? Int8Array : Float32Array;
	const take = (name, shape, Element = Float32Array) => {
		const { values, shape: own } = weights.get(name) ?? {};
		if (!(values instanceof Element) || `${own}` !== `${shape}`) refuse(`a graph without ${name} of shape [${shape}]`);
		return values;
	};
	const scales = (name, ...shape) => (int8 ? take(name, shape) : []);
	// int8: two sentinel columns behind the embedding, two sentinel units a direction.
	const width = embedding + (int8 ? 2 : 0), hidden = network.hidden + (int8 ? 2 : 0), gates = 4 * hidden;
	const directions = network.bidirectional ? 2 : 1;
	const logits = labels.length === 2 && !several ? 1 : labels.length;
	const known = (from, to) => new Map(lines.slice(from, to).map((line, i) => [line, i + from + 4]));
	const those = (set) =>
		(set + Object.keys(replacements).filter((c) => set.includes(replacements[c])).join("")).replace(/[\\\]^-]/g, "\\$&");
	const model = { int8, hidden, logits, pooling, length, replacements, width, words: known(0, words), pieces: known(words) };
	model.longest = Math.max(0, ...lines.slice(words).map((piece) => [...piece].length));
	model.word = new RegExp(`${marks && `[${those(marks)}]|`}[^ ${those(separators)}${those(marks)}]+`, "gu");
	model.embedding = take("embedding", [ids + 1, width], Weight);
	model.embeddingScale = scales("embedding_scale", 1)[0] ?? 1;
	const product = (name, d, n) => {
		const values = take(name, int8 ? [directions, n, gates] : [directions, gates, n], Weight);
		return new Product(values, d, n, gates, scales(`${name}_scale`, directions)[d]);
	};
	const b = take("lstm_b", [directions, 2 * gates]);
	model.lstms = Array.from({ length: directions }, (_, d) => {
		const start = d * gates;
		const bias = b.slice(2 * start, 2 * start + gates).map((value, j) => value + b[2 * start + gates + j]);
		return Object.assign(new Lstm(), { input: product("lstm_w", d, width), recurrent: product("lstm_r", d, hidden), bias, start });
	});
	model.pooled = directions * hidden * (pooling === "last" ? 1 : 2);
	model.ngrams = ngrams ? ngramsOf(graph) : new Map();
	model.ngramWidth = ngrams ? network.ngram_dim : 0;
	if (model.ngrams.size !== ngrams) refuse("a graph whose n-grams are not those of its network");
	if (ngrams) {
		model.vectors = take("ngram_vectors", [ngrams, model.ngramWidth], Weight);
		model.ngramScales = scales("ngram_scales", model.ngramWidth);
	}
	const inputs = model.pooled + model.ngramWidth;
	const by = scales("head_w_scales", inputs, 1);
	const head = take("head_w", [inputs, logits], Weight);
	model.headWeight = Float32Array.from(head, (value, i) => value * (by[Math.floor(i / logits)] ?? 1));
	model.headBias = take("head_b", [logits]);
	return { model, labels, thresholds, network, golden, length, precision: int8 ? "int8" : "fp32" };
}

// --- Arithmetic. In hot loops numbers stand as such: V8 fetches and checks a module's constants each time.

// At 128 places a unit; between them two terms of Taylor's series: within 2e-8.
const TANHS = Float64Array.from({ length: 2305 }, (_, i) => Math.tanh(i / 128 - 9));

function tanh(x) {
	const place = (x < -9 ? -9 : x > 9 ? 9 : x) * 128 + 1152;
	const i = (place + 0.5) & 4095;
	const d = (place - i) / 128;
	const t = TANHS[i];
	return t + d * (1 - t * t) * (1 - d * t);
}

const sigmoid = (x) => 0.5 + 0.5 * tanh(x / 2);

// ONNX Runtime's: quotients of polynomials in x², each step rounded once.
const SIGMOID = [
	[0, 0, 4.37031e-11, 1.1562732e-7, 6.085749e-5, 0.008513771, 0.24828795],
	[0, 6.1024739e-13, 5.7610214e-9, 6.291068e-6, 0.0017019882, 0.1168176569, 0.9931519],
].map((list) => list.map(fround));
const TANH = [
	[-2.76076848e-16, 2.000188e-13, -8.604672e-11, 5.1222971e-8, 1.48572236e-5, 0.00063726193, 0.0048935246],
	[0, 0, 0, 1.1982584e-6, 0.00011853471, 0.00226843463, 0.004893525],
].map((list) => list.map(fround));

function quotient(x, [above, below]) {
	const square = fround(x * x);
	let p = 0, q = 0;
	for (let k = 0; k < 7; k++) {
		p = fround(p * square + above[k]);
		q = fround(q * square + below[k]);
	}
	return fround(fround(p * x) / q);
}

const cut = (x, low, high) => Math.max(low, Math.min(high, x));
const exactTanh = (x) => (Math.abs(x) < 9 ? quotient(x, TANH) : Math.sign(x));
const exactSigmoid = (x) => (Math.abs(x) < 18 ? cut(fround(quotient(x, SIGMOID) + 0.5), 0, 1) : +(x > 0));

const nearest = (x) => x + 6755399441055744 - 6755399441055744; // 1.5 · 2^52: halves to the even one

/** The 8-bit scale of values from low to high, which include 0. */
function range(low, high) {
	const step = low === high ? 1 : fround(fround(high - low) / 255);
	return { step, zero: nearest(cut(fround(-low / step), 0, 255)) };
}

function rounded(x, zero) {
	const q = nearest(x) + zero;
	return (q < 0 ? 0 : q > 255 ? 255 : q) - zero;
}

/** Rounds x to 8 bits over its range, in place: to q - zero → the step. exact(k): ONNX Runtime's value, asked for where
 * x[k] is within `close` of the range's ends or of where rounding turns. */
function quantize(x, exact) {
	const close = 1e-6;
	let low = 0, high = 0;
	for (let k = 0; k < x.length; k++)
		if (x[k] < low) low = x[k];
		else if (x[k] > high) high = x[k];
	const least = low + close, most = high - close;
	for (let k = low = high = 0; k < x.length; k++)
		if (x[k] < least || x[k] > most) {
			x[k] = exact(k);
			low = Math.min(low, x[k]);
			high = Math.max(high, x[k]);
		}
	const { step, zero } = range(low, high);
	const sure = 0.5 - close / step;
	for (let k = 0; k < x.length; k++) {
		let q = fround(x[k] / step);
		if (Math.abs(nearest(q) - q) > sure) q = fround(exact(k) / step);
		x[k] = rounded(q, zero);
	}
	return step;
}

/** One direction's weights: [inputs] times them → [outputs]; int8: [inputs, outputs], fp32 the reverse.
 * A double holds three sums of integers, of outputs j, j + part and j + 2 part, 18 bits apart, while each is below
 * 2^17: three products for one multiplication. */
class Product {
	constructor(weights, direction, inputs, outputs, scale = 1) {
		const int8 = weights instanceof Int8Array;
		const part = Math.ceil(outputs / (int8 ? 24 : 8)) * 8;
		const start = direction * inputs * outputs;
		const weight = (k, j) => (j < outputs ? weights[start + (int8 ? k * outputs + j : j * inputs + k)] : 0);
		const rows = new Float64Array(part * inputs); // in blocks of 8, a row an input
		const [largest, last, changes] = [1, 2, 3].map(() => new Float64Array(inputs)); // largest: weight of a row, in int8
		for (let k = 0; k < inputs; k++) {
			for (let j = 0; int8 && j < outputs; j++) largest[k] = Math.max(largest[k], Math.abs(weight(k, j)));
			for (let j = 0; j < part; j++)
				rows[(j - (j % 8)) * inputs + k * 8 + (j % 8)] =
					weight(k, j) + (int8 && 2 ** 18 * (weight(k, j + part) + 2 ** 18 * weight(k, j + 2 * part)));
		}
		const places = new Int32Array(inputs); // of what changed
		const sums = new Float64Array(3 * part);
		Object.assign(this, { int8, part, inputs, outputs, scale, rows, largest, last, changes, places, sums });
	}

	/** [outputs] and more: the sums of x[k] · weight[k, j]; x: for int8 q - zero. Sums of integers are exact, so int8
	 * adds what changed since the last call: a quarter of a state does not. */
	multiply(x) {
		const { int8, inputs, sums, last, places, changes, largest } = this;
		if (!int8) sums.fill(0), last.fill(0);
		let n = 0, from = 0, total = 0;
		for (let k = 0; k < inputs; k++) {
			const change = x[k] - last[k];
			if (change === 0) continue;
			last[k] = x[k];
			const most = Math.abs(change) * largest[k];
			if (total + most > 131071) {
				this.#add(from, n);
				from = n, total = 0;
			}
			total += most;
			places[n] = k * 8;
			changes[n++] = change;
		}
		this.#add(from, n);
		return sums;
	}

	#add(from, to) {
		const { rows, sums, part, int8, inputs, places, changes } = this;
		const up = 262144, down = int8 ? 1 / up : 0;
		const eight = new Float64Array(8);
		for (let j = 0; j < part; j += 8) {
			let s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
			for (let n = from; n < to; n++) {
				const at = (j * inputs + places[n]) & 0x3fffffff; // which spares each sum a check for overflow
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
			eight[0] = s0, eight[1] = s1, eight[2] = s2, eight[3] = s3;
			eight[4] = s4, eight[5] = s5, eight[6] = s6, eight[7] = s7;
			for (let n = 0; n < 8; n++) {
				const at = (j + n) & 0x3fffffff;
				const upper = nearest(eight[n] * down);
				const top = nearest(upper * down);
				sums[at] += eight[n] - upper * up;
				sums[at + part] += upper - top * up;
				sums[at + 2 * part] += top;
			}
		}
	}
}

/** One direction. Its gates stand in ONNX's order, from `start` on: input, output, forget, cell.
 * Where int8 rounds, a last bit may decide: a unit whose output is that close to where rounding turns is computed as
 * ONNX Runtime does it, from the last step on at which it was. */
class Lstm {
	/** products: of the input, a row a step as it reads; writes into rows of outputs. */
	run(products, outputs, width) {
		const { recurrent, bias, start } = this;
		const { int8 } = recurrent;
		const steps = products.length, hidden = bias.length / 4, size = recurrent.sums.length;
		const h = new Float64Array(hidden), c = new Float64Array(hidden);
		const factors = new Float64Array(steps);
		Object.assign(this, { products, factors, cells: new Float64Array(hidden), since: new Int32Array(hidden) });
		if (int8 && !(this.history?.length >= steps * size)) this.history = new Float64Array(steps * size);
		for (let i = 0; i < steps; i++) {
			const row = products[i];
			const step = int8 && i ? quantize(h, (j) => this.#exact(j, i)) : 1;
			const by = (factors[i] = fround(step * recurrent.scale));
			const sums = recurrent.multiply(h);
			if (int8) this.history.set(sums, i * size);
			const out = (start ? steps - 1 - i : i) * width + start / 4;
			for (let j = 0; j < hidden; j++) {
				const o = j + hidden, f = o + hidden, u = f + hidden;
				const fresh = sigmoid(row[start + j] + sums[j] * by + bias[j]) * tanh(row[start + u] + sums[u] * by + bias[u]);
				c[j] = sigmoid(row[start + f] + sums[f] * by + bias[f]) * c[j] + fresh;
				outputs[out + j] = h[j] = sigmoid(row[start + o] + sums[o] * by + bias[o]) * tanh(c[j]);
			}
		}
	}

	/** The output of unit j after i steps; `cells` has its cell after the steps that `since` counts. */
	#exact(j, i) {
		const { products, factors, cells, since, history, bias, start, recurrent } = this;
		const hidden = since.length;
		const gate = (n, k) => {
			const sum = products[n][start + k] + fround(history[n * recurrent.sums.length + k] * factors[n]);
			return fround(fround(sum) + bias[k]);
		};
		for (let n = since[j]; n < i; n++) {
			const fresh = fround(exactSigmoid(gate(n, j)) * exactTanh(gate(n, j + 3 * hidden)));
			cells[j] = fround(fround(exactSigmoid(gate(n, j + 2 * hidden)) * cells[j]) + fresh);
		}
		since[j] = i;
		return fround(exactSigmoid(gate(i - 1, j + hidden)) * exactTanh(cells[j]));
	}
}

// --- The classifier

const SPACELESS = /[\u0e00-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff\u{20000}-\u{3ffff}]/u;

/** A model file, ready to classify. What is public is described in edge-lstm.d.ts. */
export class Classifier {
	#model;
	#cache = [];

	constructor(bytes) {
		const { buffer = bytes, byteOffset, byteLength } = bytes;
		const data = new Uint8Array(buffer, byteOffset, byteLength); // a Buffer of Node's has another slice()
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
		const { length, words, pieces, word, replacements } = this.#model;
		const ids = [1]; // the start
		let any = false;
		for (let [found] of String(text).toLowerCase().matchAll(word)) {
			any = true;
			for (const c in replacements) found = found.replaceAll(c, replacements[c]);
			const id = words.get(found);
			if (id === undefined && pieces.size) this.#pieces(found, (piece) => ids.push(piece));
			else ids.push(id ?? OOV_ID);
		}
		const known = ids.some((id) => id >= 4);
		const status = !known ? (any ? "unknown_words" : "empty") : ids.length > length ? "truncated" : "ok";
		return { ids: ids.slice(-length), status };
	}

	/** The longest piece at each place; unknown characters in a row are one oov_id. */
	#pieces(word, add) {
		const { pieces, longest } = this.#model;
		const characters = [...word];
		let last;
		for (let at = 0, size; at < characters.length; at += size) {
			let id;
			for (size = Math.min(longest, characters.length - at); size > 0; size--) {
				id = pieces.get(characters.slice(at, at + size).join(""));
				if (id !== undefined) break;
			}
			size ||= 1;
			id ??= OOV_ID;
			if (id !== OOV_ID || last !== OOV_ID) add(id, at, at + size);
			last = id;
		}
	}

	spans(text) {
		const { word, words, pieces } = this.#model;
		return Array.from(text.matchAll(word)).flatMap(({ 0: found, index }) => {
			const lower = found.toLowerCase(), characters = [...found];
			const span = (ids, at, end) => {
				const [start, stop] = [at, end].map((n) => index + characters.slice(0, n).join("").length);
				return { word: text.slice(start, stop), start, end: stop, ids };
			};
			if (!pieces.size || words.has(lower) || lower.length !== found.length || !SPACELESS.test(found))
				return [span(this.encode(found).ids.slice(1), 0)];
			const parts = []; // of a script without spaces, each piece counts as a word
			this.#pieces(lower, (id, at, end) => parts.push(span([id], at, end)));
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
		const probabilities = new Map(this.labels.map((x, i) => [x, answer[i]]));
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
		const { hidden, logits, pooled, lstms } = model;
		const steps = ids.length, width = lstms.length * hidden;
		const rows = this.#products(ids);
		const outputs = new Float32Array(steps * width);
		for (const lstm of lstms) lstm.run(rows, outputs, width), rows.reverse();
		const pool = new Float64Array(pooled + model.ngramWidth);
		for (let j = 0; j < width; j++) {
			let sum = 0, most = 0; // most: of the outputs and 0
			for (let at = j; at < outputs.length; at += width) {
				sum += outputs[at];
				if (outputs[at] > most) most = outputs[at];
			}
			// A direction's last state is the one after its own last step.
			if (model.pooling === "last") pool[j] = outputs[(j < hidden ? steps - 1 : 0) * width + j];
			else (pool[j] = sum / steps), (pool[width + j] = most);
		}
		if (model.ngramWidth) this.#addNgrams(pool.subarray(pooled), ids);
		const answer = model.headBias.slice();
		for (let l = 0; l < logits; l++) {
			let sum = 0;
			for (let j = 0; j < pool.length; j++) sum += pool[j] * model.headWeight[j * logits + l];
			answer[l] += sum;
		}
		return answer;
	}

	/** The vectors of the n-grams that a text holds, each once, over the square root of its length. */
	#addNgrams(out, ids) {
		const { ngrams, vectors, ngramScales, ngramWidth } = this.#model;
		const held = new Set(ids.flatMap((id, t) => [ngrams.get(`${id}`), ngrams.get(`${ids[t - 1]},${id}`)]));
		held.delete(undefined);
		for (const row of held) for (let j = 0; j < ngramWidth; j++) out[j] += vectors[row * ngramWidth + j];
		for (let j = 0; j < ngramWidth; j++) out[j] = fround(fround(out[j] * (ngramScales[j] ?? 1)) / fround(Math.sqrt(ids.length)));
	}

	/** Embedded ids times their weights: a row of all gates for each step. */
	#products(ids) {
		const { embedding, embeddingScale, width, lstms, int8 } = this.#model;
		let low = 0, high = 0; // of the whole text; sentinel columns make it one for all
		for (const id of int8 ? ids : [])
			for (let k = id * width; k < (id + 1) * width; k++) {
				low = Math.min(low, embedding[k]);
				high = Math.max(high, embedding[k]);
			}
		const { step, zero } = range(fround(low * embeddingScale), fround(high * embeddingScale));
		if (this.#cache.step !== step || this.#cache.zero !== zero) this.#cache = Object.assign([], { step, zero });
		const x = new Float64Array(width);
		return ids.map((id) => {
			let product = this.#cache[id];
			if (product) return product;
			for (let k = 0; k < width; k++) {
				const value = fround(embedding[id * width + k] * embeddingScale);
				x[k] = int8 ? rounded(fround(value / step), zero) : value;
			}
			product = multiply(lstms, x, step);
			if (id < 2048) this.#cache[id] = product; // the commonest words'
			return product;
		});
	}
}

function multiply(lstms, x, step) {
	const { outputs } = lstms[0].input;
	const product = new Float32Array(lstms.length * outputs);
	for (const { input, start } of lstms) {
		const sums = input.multiply(x);
		const by = fround(step * input.scale);
		for (let j = 0; j < outputs; j++) product[start + j] = sums[j] * by;
	}
	return product;
}
