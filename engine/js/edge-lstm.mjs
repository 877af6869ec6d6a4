// Runs the model files of edge-lstm by the engine in C, as WebAssembly. edge-lstm.d.ts describes what is public.
const TOLERANCE = 1e-3; // of a golden row's probability
const utf8 = new TextEncoder(), decoder = new TextDecoder();

export class ModelError extends Error {}

let engine; // a promise of the compiled module
export function useEngine(bytes) {
	engine = WebAssembly.compile(bytes);
}

/** The engine beside this module, or the one that was given. */
async function compiled() {
	if (typeof WebAssembly === "undefined") throw new Error("no WebAssembly here; use a browser that allows it");
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
	if (source.ok === false) throw new ModelError(`${source.url} answered ${source.status}; check the address`);
	if (source.arrayBuffer) source = await source.arrayBuffer();
	return new Uint8Array(source.buffer ?? source, source.byteOffset ?? 0, source.byteLength);
}

/** The metadata of a file that the engine has checked: field 14 of its message has a name and a value each. */
function metadataOf(bytes) {
	const found = {};
	let at = 0;
	const varint = () => {
		let value = 0, scale = 1, byte;
		do {
			byte = bytes[at++];
			value += (byte & 127) * scale;
			scale *= 128;
		} while (byte > 127);
		return value;
	};
	const piece = (size) => bytes.subarray(at, (at += size));
	while (at < bytes.length) {
		const tag = varint(), value = varint(); // of kind 2: the size of what follows
		if (tag % 8 !== 2) continue;
		const end = at + value, entry = { 1: "", 2: "" };
		while (tag >> 3 === 14 && at < end) entry[varint() >> 3] = decoder.decode(piece(varint()));
		found[entry[1].replace("edge_lstm.", "")] = entry[2];
		at = end;
	}
	return found;
}

/** A model file, ready to classify. It has an engine of its own: the memory is given back with it. */
export class Classifier {
	#c; // what the engine exports
	#base; // where its memory is free: an answer, then the file, the model and its worker, then a text
	#worker;
	#text;

	static async load(source) {
		const bytes = await bytesOf(source);
		return new Classifier((await WebAssembly.instantiate(await compiled())).exports, bytes);
	}

	constructor(exports, bytes) {
		this.#c = exports;
		this.#base = exports.__heap_base.value;
		const file = this.#base + 16, model = file + bytes.length;
		this.#reserve(model);
		this.#bytes(file, bytes.length).set(bytes);
		const needs = exports.edge_lstm_needs(file, bytes.length, 0, this.#base);
		if (needs) this.#reserve(model + needs);
		const opened = needs && exports.edge_lstm_open(file, bytes.length, 0, model, needs, this.#base);
		if (!opened) throw new ModelError(this.#string(new Uint32Array(exports.memory.buffer, this.#base, 1)[0]));
		const room = exports.edge_lstm_worker_needs(opened);
		this.#reserve(model + needs + room);
		this.#worker = exports.edge_lstm_worker_start(opened, model + needs, room);
		this.#text = model + needs + room;
		try {
			this.#describe(metadataOf(bytes));
		} catch (error) {
			throw new ModelError(`the file's metadata is unusable (${error.message}); export it again`);
		}
		this.bytes = bytes.length;
	}

	#describe({ labels, several, tokenizer, vocabulary, quantization, golden, abstention }) {
		const rule = JSON.parse(tokenizer);
		this.labels = JSON.parse(labels);
		this.thresholds = several ? JSON.parse(several).thresholds : null;
		this.golden = JSON.parse(golden ?? "[]");
		this.unfamiliar = JSON.parse(abstention ?? "{}").unfamiliar ?? [];
		this.precision = quantization ? "int8" : "fp32";
		this.words = rule.words ?? vocabulary.split("\n").filter(Boolean).length;
		this.length = rule.length;
	}

	predict(text, { unfamiliar } = {}) {
		let [answer, status] = this.#answer(text);
		if (unfamiliar !== undefined) {
			if (!(unfamiliar > 0 && unfamiliar < 1)) throw new RangeError(`a share is between 0 and 1, not ${unfamiliar}`);
			const found = this.unfamiliar.findLast(([share]) => share <= unfamiliar);
			if (!found) throw new ModelError(`no threshold for ${unfamiliar} in the file; export it with more texts`);
			// #put writes the text again where it is; its probabilities lie behind it.
			const score = this.#c.edge_lstm_unfamiliarity(this.#worker, ...this.#put(text));
			if (score > found[1] && ["ok", "truncated"].includes(status)) status = "unfamiliar";
		}
		const order = [...answer.keys()].sort((a, b) => answer[b] - answer[a]);
		const had = order.filter((i, n) => (this.thresholds ? answer[i] >= this.thresholds[i] : n < 1));
		const [label, ...labels] = [order[0], ...had].map((i) => this.labels[i]);
		const probabilities = new Map(this.labels.map((x, i) => [x, answer[i]]));
		return { label, labels, probability: answer[order[0]], probabilities, status };
	}

	encode(text) {
		const [at, size] = this.#put(text);
		const status = this.#c.edge_lstm_encode(this.#worker, at, size, this.#base, this.#base + 4);
		const [ids, count] = new Uint32Array(this.#c.memory.buffer, this.#base, 2);
		return { ids: [...new Int32Array(this.#c.memory.buffer, ids, count)], status: this.#string(status) };
	}

	check() {
		return this.golden.map((row) => {
			const answer = this.#answer(row.text)[0];
			const difference = Math.max(...row.probabilities.map((p, i) => Math.abs(p - answer[i])));
			const ok = String(this.encode(row.text).ids) === String(row.ids) && difference <= TOLERANCE;
			return { text: row.text, difference, ok };
		});
	}

	/** [Float32Array of the labels, status] */
	#answer(text) {
		const [at, size, out] = this.#put(text);
		const status = this.#c.edge_lstm_predict(this.#worker, at, size, out);
		return [new Float32Array(this.#c.memory.buffer, out, this.labels.length).slice(), this.#string(status)];
	}

	/** Write the text into memory: [where, bytes, where the probabilities go]. */
	#put(text) {
		const bytes = utf8.encode(text), out = (this.#text + bytes.length + 15) & ~15;
		this.#reserve(out + 4 * this.labels.length);
		this.#bytes(this.#text, bytes.length).set(bytes);
		return [this.#text, bytes.length, out];
	}

	#reserve(end) {
		const pages = Math.ceil((end - this.#c.memory.buffer.byteLength) / 65536);
		if (pages > 0) this.#c.memory.grow(pages);
	}

	#bytes(at, size) {
		return new Uint8Array(this.#c.memory.buffer, at, size);
	}

	/** What the engine says at this address. */
	#string(at) {
		const rest = new Uint8Array(this.#c.memory.buffer, at);
		return decoder.decode(rest.subarray(0, rest.indexOf(0)));
	}
}
