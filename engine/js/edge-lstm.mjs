// Runs the model files of edge-lstm by the engine in C, as WebAssembly. edge-lstm.d.ts describes
// what is public.
const utf8 = new TextEncoder();
const decoder = new TextDecoder();

export class ModelError extends Error {}

let engine; // a promise of the compiled module
export function useEngine(bytes) {
	engine = WebAssembly.compile(bytes);
}

/** The engine beside this module, or the one that was given. */
async function compiled() {
	if (typeof WebAssembly === "undefined")
		throw new Error("no WebAssembly here; use a browser that allows it");
	if (!engine) useEngine(await bytesOf(new URL("edge-lstm.wasm", import.meta.url)));
	return engine;
}

async function bytesOf(source) {
	if (typeof source === "string" || source instanceof URL) {
		const inNode = globalThis.process?.versions?.node && !/^https?:/.test(source);
		const files = "node:fs/promises"; // a name that bundlers do not follow
		const path = /^file:/.test(source) ? new URL(source) : source;
		source = inNode ? await (await import(files)).readFile(path) : await fetch(source);
	}
	if (source.ok === false)
		throw new ModelError(`${source.url} answered ${source.status}; check the address`);
	if (source.arrayBuffer) source = await source.arrayBuffer();
	return new Uint8Array(source.buffer ?? source, source.byteOffset ?? 0, source.byteLength);
}

/** The probability from which on a text gets its label, by a file's risk–coverage curve and its own
 * default. */
function thresholdOf({ default: share, points }) {
	if (share === undefined) return 0;
	const isShown = ([, answered, wrong]) => {
		// The tail of a binomial distribution; log: the logarithm of its next term.
		let log = answered * Math.log1p(-share);
		let tail = 0;
		for (let i = 0; i <= wrong; i++) {
			if (i) log += Math.log(((answered - i + 1) / i) * (share / (1 - share)));
			tail += Math.exp(log);
		}
		return wrong <= share * answered && tail <= 1 - 0.9;
	};
	const point = points.find(isShown);
	if (!point) throw new Error("no threshold for its default of --abstain");
	return Math.fround(point[0]);
}

/** The expected value of labels that are numbers, and the ends of the central 80 % of the
 * probability. */
function scoreOf(labels, answer) {
	const levels = labels.map((label, i) => [Number(label), answer[i]]).sort(([a], [b]) => a - b);
	const total = levels.reduce((sum, [, p]) => sum + p, 0);
	let value = 0;
	let below = 0;
	let low;
	let high;
	for (const [level, p] of levels) {
		const share = p / total;
		value += share * level;
		below += share;
		if (below >= 0.1 - 1e-6) low ??= level; // sums of float32 probabilities miss a border by less
		if (below >= 0.9 - 1e-6) high ??= level;
	}
	return { value, low, high };
}

const MOST_PROBABLE = 1.01; // as core/model_checks.py has it

/** The prediction that Python's decide.py makes of a text's answer, and of how it was read.
 * file: its labels, thresholds, threshold and question, as a Classifier has them.
 * score: how unlike the training texts the text is; `above`: from where on it is unfamiliar. */
function decide(file, answer, status, score = 0, above = Infinity) {
	if (status !== "error" && !answer.every((p) => p >= 0 && p <= MOST_PROBABLE))
		throw new ModelError("the file gives values that are not probabilities; export it again");
	if (score > above && ["ok", "truncated"].includes(status)) status = "unfamiliar";
	const order = [...answer.keys()].sort((a, b) => answer[b] - answer[a]);
	const probability = answer[order[0]];
	const isUnsure = !file.thresholds && probability < Math.fround(file.threshold);
	if (isUnsure) status = "abstained";
	const had = order.filter((i, n) => (file.thresholds ? answer[i] >= file.thresholds[i] : n < 1));
	const hasLabel = !isUnsure && status !== "error";
	const labels = hasLabel ? had.map((i) => file.labels[i]) : [];
	const label = hasLabel ? file.labels[order[0]] : null;
	const probabilities = new Map(file.labels.map((x, i) => [x, answer[i]]));
	const isScore = file.question.type === "score" && hasLabel;
	const value = isScore ? scoreOf(file.labels, answer) : null;
	return { label, labels, probability, probabilities, status, score: value };
}

/** A row as the engine takes it: an object becomes JSON. */
const textOf = (row) => (typeof row === "string" ? row : JSON.stringify(row));

/** Begins a text that was made of a row already, as those of the self-test. */
const READ_MARK = "\u{FFFFD}";

/** A model file, ready to classify. It has an engine of its own: the memory is given back with it.
 */
export class Classifier {
	#c; // what the engine exports
	#base; // where its memory is free: an answer, then the file, the model and its worker, then a text
	#model;
	#worker;
	#text;
	labels = [];
	question = { type: "choice" };
	#bytes = (at, size) => new Uint8Array(this.#c.memory.buffer, at, size);
	#numbers = () => new Uint32Array(this.#c.memory.buffer, this.#base, 2); // that a call left

	static async load(source) {
		const bytes = await bytesOf(source);
		return new Classifier((await WebAssembly.instantiate(await compiled())).exports, bytes);
	}

	constructor(exports, bytes) {
		this.#c = exports;
		this.#base = exports.__heap_base.value;
		const file = this.#base + 16;
		const model = file + bytes.length;
		this.#reserve(model);
		this.#bytes(file, bytes.length).set(bytes);
		const needs = exports.edge_lstm_needs(file, bytes.length, 0, this.#base);
		if (needs) this.#reserve(model + needs);
		this.#model = needs && exports.edge_lstm_open(file, bytes.length, 0, model, needs, this.#base);
		if (!this.#model) throw new ModelError(this.#string(this.#numbers()[0]));
		const room = exports.edge_lstm_worker_needs(this.#model);
		this.#text = model + needs + room;
		this.#reserve(this.#text);
		this.#worker = exports.edge_lstm_worker_start(this.#model, model + needs, room);
		try {
			const read = (name, otherwise) => JSON.parse(this.#metadata(name) || otherwise);
			const rule = read("tokenizer");
			this.labels = read("labels");
			this.thresholds = read("multi_label", "{}").thresholds ?? null;
			this.question = read("question", '{"type":"choice"}');
			this.golden = read("golden", "[]");
			this.fields = read("fields", "null")?.fields ?? null;
			const curve = read("abstention", "{}");
			this.unfamiliar = curve.unfamiliar ?? [];
			this.threshold = thresholdOf(curve);
			this.precision = this.#metadata("quantization") ? "int8" : "fp32";
			this.words = rule.words ?? read("network").num_words - 4; // ids below are of no word
			this.length = rule.length;
		} catch (error) {
			throw new ModelError(`the file's metadata is unusable (${error.message}); export it again`);
		}
		this.bytes = bytes.length;
	}

	/** An entry of the file's metadata, empty where there is none. */
	#metadata(name) {
		const [key] = this.#put(`edge_lstm.${name}\0`);
		const at = this.#c.edge_lstm_metadata(this.#model, key, this.#base);
		return decoder.decode(this.#bytes(at, at && this.#numbers()[0]));
	}

	predict(row, { unfamiliar } = {}) {
		const text = textOf(row);
		const [answer, status] = this.#answer(text);
		if (status === "error")
			throw new TypeError("the text is not the JSON object of fields that this model reads");
		if (unfamiliar === undefined) return decide(this, answer, status);
		if (!(unfamiliar > 0 && unfamiliar < 1))
			throw new RangeError(`a share is between 0 and 1, not ${unfamiliar}`);
		const found = this.unfamiliar.findLast(([share]) => share <= unfamiliar);
		if (!found)
			throw new ModelError(`no threshold for ${unfamiliar} in the file; export it with more texts`);
		// #put writes the text again where it is; its probabilities lie behind it.
		const score = this.#c.edge_lstm_unfamiliarity(this.#worker, ...this.#put(text));
		return decide(this, answer, status, score, found[1]);
	}

	encode(row) {
		const [at, size] = this.#put(textOf(row));
		const status = this.#c.edge_lstm_encode(this.#worker, at, size, this.#base, this.#base + 4);
		const [ids, count] = this.#numbers();
		const numbers = new Int32Array(this.#c.memory.buffer, ids, count);
		return { ids: [...numbers], status: this.#string(status) };
	}

	check() {
		return this.golden.map((row) => {
			const text = (this.fields ? READ_MARK : "") + row.text;
			const answer = this.#answer(text)[0];
			const difference = Math.max(...row.probabilities.map(([i, p]) => Math.abs(p - answer[i])));
			const isWhole = row.probabilities.length === Math.min(5, answer.length);
			const hasIds = String(this.encode(text).ids) === String(row.ids);
			const ok = hasIds && isWhole && difference <= 1e-3;
			return { text: row.text, difference, ok };
		});
	}

	/** [Float32Array of the labels, status] */
	#answer(text) {
		const [at, size, out] = this.#put(text);
		const status = this.#c.edge_lstm_predict(this.#worker, at, size, out);
		const answer = new Float32Array(this.#c.memory.buffer, out, this.labels.length);
		return [answer.slice(), this.#string(status)];
	}

	/** Write the text into memory: [where, bytes, where the probabilities go]. */
	#put(text) {
		const bytes = utf8.encode(text);
		const out = (this.#text + bytes.length + 15) & ~15;
		this.#reserve(out + 4 * this.labels.length);
		this.#bytes(this.#text, bytes.length).set(bytes);
		return [this.#text, bytes.length, out];
	}

	#reserve(end) {
		const pages = Math.ceil((end - this.#c.memory.buffer.byteLength) / 65536);
		if (pages > 0) this.#c.memory.grow(pages);
	}

	/** What the engine says at this address. */
	#string(at) {
		const rest = this.#bytes(at);
		return decoder.decode(rest.subarray(0, rest.indexOf(0)));
	}
}
