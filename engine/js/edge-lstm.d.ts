/** `empty`: no words; `unknown_words`: no known one; `truncated`: only the end was read; `unfamiliar`: to the model. */
export type Status = "ok" | "empty" | "unknown_words" | "truncated" | "unfamiliar";

/** The answer for one text. `label`: the most probable one. `labels`: that one, or, of a model that gives several, all
 * whose probability reaches their threshold. `probabilities`: every label's, in the model's order. `score`: of a model
 * whose labels are numbers on a scale, the expected value with the central 80 % of the probability; else null. */
export interface Prediction {
  label: string;
  labels: string[];
  probability: number;
  probabilities: Map<string, number>;
  status: Status;
  score: { value: number; low: number; high: number } | null;
}

/** The bytes are no model file that the engine runs; the message is one line: what is wrong; what to do. */
export class ModelError extends Error {}

/** The bytes of edge-lstm.wasm, where it does not lie beside this module. Call it before the first `load`. */
export function useEngine(bytes: BufferSource): void;

/** A model file, ready to classify. */
export class Classifier {
  /** From a URL, a file's path (Node), bytes, a Blob or File, or a Response. Rejects with ModelError. */
  static load(source: string | URL | ArrayBuffer | Uint8Array | Blob | Response): Promise<Classifier>;
  readonly labels: readonly string[];
  /** What the labels are: names, yes and no, or numbers on a scale. */
  readonly question: { type: "choice" | "yes_no" | "score"; yes?: string };
  /** Of a model that gives several labels per text: the probability from which on a text has each; else null. */
  readonly thresholds: readonly number[] | null;
  /** The probability below which predict and score on the command line leave the label out; 0: none. */
  readonly threshold: number;
  /** The file's own test. `probabilities`: of the most probable labels, by their number. `example`: a person put the
   * text into the file, to be shown. */
  readonly golden: { text: string; ids: number[]; probabilities: [label: number, probability: number][]; example?: boolean }[];
  /** How weights are kept; words of the vocabulary; ids of a text that are read at most; the file's bytes. */
  readonly precision: "int8" | "fp32"; readonly words: number; readonly length: number; readonly bytes: number;
  /** Shares of familiar texts that may be called unfamiliar, each with the score above which a text is. */
  readonly unfamiliar: readonly (readonly [share: number, threshold: number])[];
  /** `unfamiliar`: the share to go by, such as 0.05; without it no text is. Throws RangeError where it is no share. */
  predict(text: string, options?: { unfamiliar?: number }): Prediction;
  encode(text: string): { ids: number[]; status: Status };
  /** The file's own test: its golden rows, answered here. `difference`: the largest of a probability. */
  check(): { text: string; difference: number; ok: boolean }[];
}
