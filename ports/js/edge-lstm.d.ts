/** The status of a text: `empty` has no words, `unknown_words` none of the vocabulary, of a `truncated` one
 * only the end was read. Every text gets an answer all the same. */
export type Status = "ok" | "empty" | "unknown_words" | "truncated";

/** The answer for one text: the most probable label, its probability, and every label's. `labels` are those that the
 * text has, the most probable first: that one, or, of a model that gives several, all that reach their threshold. */
export interface Prediction {
  label: string;
  labels: string[];
  probability: number;
  /** Every label's, in the order of {@link Classifier.labels}. */
  probabilities: Map<string, number>;
  status: Status;
}

/** One text as token ids, at most {@link Classifier.length} of them. */
export interface Encoded {
  ids: number[];
  status: Status;
}

/** A word of a text: `text.slice(start, end)`, with its ids: one, or those of its pieces. */
export interface Span {
  word: string;
  start: number;
  end: number;
  ids: number[];
}

/** A short text with the ids and probabilities that it had where the file was made. */
export interface GoldenRow {
  text: string;
  ids: number[];
  probabilities: number[];
}

/** A golden row's result here. `difference`: the largest of a probability; `ok`: at most 0.001, same ids. */
export interface Check {
  text: string;
  difference: number;
  ok: boolean;
}

/** The bytes are no model file that this module runs; the message is one line: what is wrong; what to do. */
export class ModelError extends Error {}

/** A model file, loaded and ready to classify. */
export class Classifier {
  /** From a URL, a file's path (Node), bytes, a Blob or File, or a Response. Rejects with ModelError. */
  static load(source: string | URL | ArrayBuffer | Uint8Array | Blob | Response): Promise<Classifier>;

  /** From a file's bytes, at once. Throws ModelError. */
  constructor(bytes: ArrayBuffer | Uint8Array);

  /** The labels, in the order of {@link probabilitiesOf}. */
  readonly labels: readonly string[];
  /** Of a model that gives several labels a text: the probability from which on a text has each; else null. */
  readonly thresholds: readonly number[] | null;
  /** The network's shape, as the file describes it. */
  readonly network: Record<string, unknown>;
  readonly golden: GoldenRow[];
  readonly precision: "int8" | "fp32";
  /** How many words the vocabulary has. */
  readonly words: number;
  /** How many ids of a text are read at most: the last ones. */
  readonly length: number;
  /** The file's size. */
  readonly bytes: number;

  predict(text: string): Prediction;
  encode(text: string): Encoded;
  /** Where the words stand in a text. */
  spans(text: string): Span[];
  /** Token ids → probabilities, in the order of {@link labels}. */
  probabilitiesOf(ids: ArrayLike<number>): Float32Array;
  /** The file's own test: its golden rows, answered here. */
  check(): Check[];
}

/** SHA-256 of bytes, in hexadecimal. */
export function sha256(bytes: Uint8Array): string;
