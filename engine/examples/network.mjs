// The network of a model file, for decode.mjs. Written from docs/file-format.md alone.
import { FLOAT32, INT8, refuseIf, UINT8 } from './file.mjs';

const round32 = Math.fround;
const clip = (x, low, high) => Math.min(Math.max(x, low), high);

/** A ratio of polynomials, as ONNX Runtime computes it: each step is a fused multiply-add. */
function ratioOf(above, below) {
  const polynomial = (coefficients, s) => coefficients.reduce((sum, b) => round32(sum * s + b));
  [above, below] = [above, below].map(coefficients => coefficients.map(round32));
  return x => {
    const s = round32(x * x);
    return round32(round32(x * polynomial(above, s)) / polynomial(below, s));
  };
}

const sigmoidRatio = ratioOf(
  [4.37031012579801e-11, 1.15627324459942e-07, 6.08574864600143e-05, 8.51377133304701e-03,
    2.48287947061529e-01],
  [6.10247389755681e-13, 5.76102136993427e-09, 6.29106785017040e-06, 1.70198817374094e-03,
    1.16817656904453e-01, 9.93151921023180e-01]);
const tanhRatio = ratioOf(
  [-2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08,
    1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03],
  [1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03]);
const sigmoid = x => clip(round32(sigmoidRatio(clip(x, -18, 18)) + 0.5), 0, 1);
const tanh = x => tanhRatio(clip(x, -9, 9));
const accurateSigmoid = x => 1 / (1 + Math.exp(-x));

function roundHalfEven(x) {
  const below = Math.floor(x);
  return below + (x - below > 0.5 || (x - below === 0.5 && below % 2 !== 0));
}

/** rows · weights. Only int8 has a scale. The steps are between inputs and between outputs. */
function product(rows, { values, scale, outputs, steps: [byInput, byOutput] }) {
  let quantized = x => x;
  let factor = 1;
  if (scale !== undefined) {
    const end = pick => rows.reduce((found, row) => row.reduce((a, b) => pick(a, b), found), 0);
    const [low, high] = [end(Math.min), end(Math.max)];
    const step = low === high ? 1 : round32(round32(high - low) / 255);
    const zero = clip(roundHalfEven(round32(-low / step)), 0, 255);
    quantized = x => clip(roundHalfEven(round32(x / step)) + zero, 0, 255) - zero;
    factor = round32(step * scale);
  }
  return rows.map(row => {
    const sums = new Float64Array(outputs);
    row.forEach((x, i) => {
      const q = quantized(x);
      for (let o = 0; o < outputs; o++) sums[o] += q * values[i * byInput + o * byOutput];
    });
    return Float32Array.from(sums, sum => round32(sum) * factor);
  });
}

/** One direction of an LSTM: a function from the rows of a text to the outputs of each step. */
function directionOf(constants, int8, K, d, { shape: [D, inputs, H], hard, length }) {
  const weights = (name, rows) => ({
    values: constants.array(name, int8 ? INT8 : FLOAT32,
      ...int8 ? [D, rows, 4 * H] : [D, 4 * H, rows]).subarray(d * rows * 4 * H),
    scale: int8 ? constants.array(`${name}_scale`, FLOAT32, D)[d] : undefined,
    outputs: 4 * H,
    steps: int8 ? [4 * H, 1] : [1, rows],
  });
  const [w, r] = [weights(`lstm${K}_w`, inputs), weights(`lstm${K}_r`, H)];
  const b = constants.array(`lstm${K}_b`, FLOAT32, D, 4 * H).subarray(d * 4 * H);
  const gate = hard ? x => clip(round32(round32(round32(hard) * x) + 0.5), 0, 1) : sigmoid;
  const first = (name, T) => {
    if (!constants.has(name)) return new Float32Array(H);
    const S = constants.shape(name)[1];
    const at = (d * S + Math.min(length - T, S - 1)) * H;
    return constants.array(name, FLOAT32, D, S, H).subarray(at, at + H);
  };
  return x => {
    let [h, c] = ['h', 'c'].map(state => first(`lstm${K}_${state}`, x.length));
    const steps = product(x, w).map(fromX => {
      const [fromH] = product([h], r);
      const g = fromX.map((value, j) => round32(value + fromH[j]) + b[j]);
      const [i, o, f] = [0, 1, 2].map(k => g.subarray(k * H, (k + 1) * H).map(gate));
      const u = g.subarray(3 * H).map(tanh);
      c = c.map((value, j) => round32(f[j] * value) + round32(i[j] * u[j]));
      h = c.map((value, j) => o[j] * tanh(value));
      return h;
    });
    return { steps, last: h };
  };
}

/** The LSTMs: a function from the rows of a text to the values of the last one. */
function lstmsOf(constants, int8, layers, inputs, length) {
  const lstms = layers.map((layer, K) => {
    const D = layer.bidirectional ? 2 : 1;
    const shape = [D, inputs, layer.lstm + (int8 ? 2 : 0)];
    inputs = D * shape[2];
    return Array.from({ length: D }, (_, d) => directionOf(
      constants, int8, K, d, { shape, hard: layer.hard_sigmoid, length }));
  });
  const { gives, floor } = layers.at(-1);
  const pooled = x => {
    const T = x.length;
    const column = (start, join) => Array.from({ length: inputs },
      (_, j) => x.reduce((value, row) => round32(join(value, row[j])), start));
    return {
      mean: () => column(0, (a, b) => a + b).map(sum => round32(sum / (T || 1))),
      max: () => column(T && floor, Math.max),
    };
  };
  const run = x => {
    let ends;
    for (const directions of lstms) {
      const ran = directions.map((direction, d) => direction(d ? x.toReversed() : x));
      ends = ran.flatMap(({ last }) => [...last]);
      x = x.map((_, t) => ran.flatMap(({ steps }, d) => [...steps.at(d ? -1 - t : t)]));
    }
    return gives === 'last' ? ends : gives.split('+').flatMap(name => pooled(x)[name]());
  };
  return { run, size: inputs * gives.split('+').length };
}

/** The n-grams: a function from ids to their part of the values that the head reads. */
function ngramsOf(constants, int8, shape) {
  const { ngram_words: W, ngram_slots: M, ngram_dim: w, ngram_counts: counts } = shape;
  const vectors = int8 ? constants.table('ngram_vectors', W + M, w)
    : constants.array('ngram_vectors', FLOAT32, W + M, w);
  const scales = int8 ? constants.array('ngram_scales', FLOAT32, w) : new Array(w).fill(1);
  const B = M && constants.shape('pair_displacements')[0];
  const displacements = M && constants.array('pair_displacements', UINT8, B);
  const fingerprints = M && constants.array('pair_fingerprints', UINT8, M);
  const rowOfPair = (a, b) => {
    const k = BigInt((a * 131072 + b) % 2147483647);
    const [h, g] = [950706376n, 742938285n].map(factor => Number(k * factor % 2147483647n));
    const step = M === 1 ? 1 : 1 + Math.floor(h / B) % (M - 1);
    const slot = (g + displacements[h % B] * step) % M;
    return fingerprints[slot] === 1 + g % 255 ? W + slot : null;
  };
  return ids => {
    const rows = ids.filter(id => id >= 2 && id < W + 2).map(id => id - 2);
    const pairs = M ? ids.slice(1).map((b, i) => [ids[i], b]) : [];
    rows.push(...pairs.filter(([a, b]) => a && b).map(pair => rowOfPair(...pair)));
    const occurrences = new Map();
    for (const row of rows) occurrences.set(row, (occurrences.get(row) ?? 0) + 1);
    const sums = new Float64Array(w);
    for (const [row, often] of occurrences) {
      const count = row === null ? 0 : counts[Math.min(often, counts.length) - 1];
      for (let j = 0; j < w; j++) sums[j] += count && count * vectors[row * w + j];
    }
    const root = round32(Math.sqrt(ids.length || 1));
    return [...sums].map((sum, j) => round32(round32(sum * scales[j]) / root));
  };
}

const ACTIVATIONS = {
  relu: x => Math.max(x, 0), tanh: Math.tanh, sigmoid: accurateSigmoid, linear: x => x,
};

/** The whole network: a function from ids to logits. */
export function networkOf(constants, network, length) {
  const int8 = constants.has('head_w_scales');
  const { num_words: N, embedding_dim: E, padding } = network;
  const lstmLayers = network.layers.filter(layer => layer.lstm !== undefined);
  const denseLayers = network.layers.filter(layer => layer.dense !== undefined);
  refuseIf(lstmLayers.length + denseLayers.length !== network.layers.length, 'an unknown layer');
  let values = () => [];
  let size = 0;
  if (lstmLayers.length > 0) {
    const table = int8 ? constants.table('embedding', N + 1, E)
      : constants.array('embedding', FLOAT32, N + 1, E);
    const scale = int8 ? constants.array('embedding_scale', FLOAT32, 1)[0] : 1;
    const sentinels = int8 ? [127, -128] : [];
    const rowOf = id => Float32Array.from(
      [...table.subarray(id * E, (id + 1) * E), ...sentinels], value => value * scale);
    const lstms = lstmsOf(constants, int8, lstmLayers, E + sentinels.length, length);
    size = lstms.size;
    values = ids => lstms.run(ids.map(rowOf));
  }
  const dense = (name, rows, columns, activation, isTable) => {
    let weights;
    if (int8) {
      weights = isTable ? constants.table(`${name}_w`, rows, columns)
        : constants.array(`${name}_w`, INT8, rows, columns);
      const scales = constants.array(`${name}_w_scales`, FLOAT32, rows, 1);
      weights = Float32Array.from(weights, (v, i) => v * scales[Math.floor(i / columns)]);
    } else weights = constants.array(`${name}_w`, FLOAT32, rows, columns);
    const biases = constants.array(`${name}_b`, FLOAT32, columns);
    const matrix = { values: weights, outputs: columns, steps: [columns, 1] };
    return input => [...product([input], matrix)[0]].map(
      (sum, j) => round32(activation(round32(sum + biases[j]))));
  };
  denseLayers.forEach(({ dense: units, activation }, J) => {
    const layer = dense(`dense${J}`, size, units, ACTIVATIONS[activation], false);
    const below = values;
    values = ids => layer(below(ids));
    size = units;
  });
  const hasNgrams = network.ngram_words + network.ngram_slots > 0;
  const ngrams = hasNgrams ? ngramsOf(constants, int8, network) : () => [];
  const logits = network.labels === 2 && !network.multi_label ? 1 : network.labels;
  const inputs = size + (hasNgrams ? network.ngram_dim : 0);
  const head = dense('head', inputs, logits, ACTIVATIONS.linear, true);
  return ids => {
    const zeros = new Array(padding === 'none' ? 0 : length - ids.length).fill(0);
    const padded = padding === 'front' ? [...zeros, ...ids] : [...ids, ...zeros];
    return head([...values(padded), ...ngrams(ids)]);
  };
}
