/** `empty`: no words; `unknown_words`: no known word; `truncated`: only the end was read; `unfamiliar`: unlike the
 * training texts; `abstained`: too unsure for a label. */
export type Status = "ok" | "empty" | "unknown_words" | "truncated" | "unfamiliar" | "abstained";

/** The answer for one text. `label`: the most probable label; null if the model abstained. `labels`: this label, or none;
 * or, if the model gives several, all whose probability reaches their threshold. `probability`: of the most probable
 * label. `probabilities`: of every label, in the model's order. `score`: if the labels are numbers on a scale, the
 * expected value and the ends of the central 80 % of the probability; else, and if the model abstained, null. */
export interface Prediction {
  label: string | null;
  labels: string[];
  probability: number;
  probabilities: Map<string, number>;
  status: Status;
  score: { value: number; low: number; high: number } | null;
}

/** A row with fields, nested as JSON is. */
export type Row = { readonly [name: string]: unknown };

/** A field: its path, as `order.amount`, and how it is read. */
export interface Field {
  name: string;
  kind: "text" | "number" | "category";
  part?: "length" | "least" | "greatest" | "sum";
  edges?: number[];
  values?: string[];
}

/** The bytes are not a model file that the engine can run. The message is one line: what is wrong; what to do. */
export class ModelError extends Error {}

/** Sets the bytes of edge-lstm.wasm, if it is not next to this module. Call it before the first `load`. */
export function useEngine(bytes: BufferSource): void;

/** A model file, ready to classify. */
export class Classifier {
  /** From a URL, a file's path (Node), bytes, a Blob or File, or a Response. Rejects with ModelError. */
  static load(source: string | URL | ArrayBuffer | Uint8Array | Blob | Response): Promise<Classifier>;
  readonly labels: readonly string[];
  /** What the labels are: names, yes and no, or numbers on a scale. */
  readonly question: { type: "choice" | "yes_no" | "score"; yes?: string };
  /** If the model gives several labels per text, the lowest probability at which a text has each label; else null. */
  readonly thresholds: readonly number[] | null;
  /** The probability below which the model abstains, as predict and score on the command line do; 0: never. */
  readonly threshold: number;
  /** The texts of the file's self-test. `probabilities`: of the most probable labels, by their index. `example`: a
   * person put the text into the file to be shown. */
  readonly golden: { text: string; ids: number[]; probabilities: [label: number, probability: number][]; example?: boolean }[];
  /** The type of the weights; words in the vocabulary; ids of a text that are read at most; size of the file in bytes. */
  readonly precision: "int8" | "fp32"; readonly words: number; readonly length: number; readonly bytes: number;
  /** Shares of familiar texts that may be called unfamiliar, each with the score above which a text is. */
  readonly unfamiliar: readonly (readonly [share: number, threshold: number])[];
  /** What the model reads of a row; null if it reads a text. Such a model takes objects, or their JSON; `predict` throws
   * TypeError for a text that is neither, and that no field reads. */
  readonly fields: readonly Field[] | null;
  /** `unfamiliar`: the share of familiar texts that may be marked, such as 0.05; without it, no text is. Throws
   * RangeError if it is not a share. */
  predict(text: string | Row, options?: { unfamiliar?: number }): Prediction;
  encode(text: string | Row): { ids: number[]; status: Status };
  /** Runs the file's self-test. `difference`: the largest difference of a probability. */
  check(): { text: string; difference: number; ok: boolean }[];
}
