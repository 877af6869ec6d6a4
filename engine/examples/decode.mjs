// Answers texts with a model file of edge-lstm: `node decode.mjs MODEL.onnx TEXT…`.
// It was written from docs/file-format.md alone. It needs Node.js 20.11 or later, and no package.
// Each answer is a line of JSON; its probabilities are in the order of the file's labels.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { Constants, messageOf, NOT_A_MODEL, refuseIf, utf8 } from './file.mjs';
import { networkOf } from './network.mjs';
import { textOfRow } from './rows.mjs';

const round32 = Math.fround;
const sigmoid = x => 1 / (1 + Math.exp(-x));

// ---- Text to ids -----------------------------------------------------------------------------

function entriesOf(value) {
  const end = value.indexOf('\0');
  const pairs = [...value.slice(0, Math.max(0, end))];
  refuseIf(pairs.length % 3 !== 0, 'the vocabulary has incomplete letter pairs');
  const letters = {};
  for (let i = 0; i < pairs.length; i += 3) {
    refuseIf(pairs[i] > '\x7F', 'the vocabulary has a wrong letter pair');
    letters[pairs[i]] = pairs[i + 1] + pairs[i + 2];
  }
  const entries = [];
  let last = [];
  const text = [...value.slice(end + 1)].map(character => letters[character] ?? character).join('');
  refuseIf(text !== '' && text[0] > '\x1F', 'the vocabulary does not begin with an entry');
  for (const [, code, rest] of text.matchAll(/([\x01-\x1F])([^\x01-\x1F]*)/g)) {
    const shared = code.charCodeAt(0) - 1;
    refuseIf(shared > last.length, 'an entry of the vocabulary shares too much');
    last = [...last.slice(0, shared), ...rest];
    refuseIf(last.length === 0, 'an entry of the vocabulary is empty');
    entries.push(last.join(''));
  }
  return entries;
}

function encode(model, text) {
  const { rule, words, pieces } = model;
  text = text.toWellFormed();
  if (rule.lowercase === 'unicode') text = text.toLowerCase();
  if (rule.lowercase === 'ascii') text = text.replace(/[A-Z]/g, letter => letter.toLowerCase());
  let spaced = '';
  for (const character of text) {
    const c = rule.replacements[character] ?? character;
    if (rule.removed.includes(c)) continue;
    if (rule.separators.includes(c)) spaced += ' ';
    else spaced += rule.marks.includes(c) ? ` ${c} ` : c;
  }
  const parts = spaced.split(' ').filter(part => part !== '');
  const ids = rule.start_id === null ? [] : [rule.start_id];
  for (const part of parts) {
    if (words.has(part)) ids.push(words.get(part));
    else if (pieces.size > 0) ids.push(...piecesOf(pieces, part));
    else if (rule.oov_id !== null) ids.push(rule.oov_id);
  }
  const isKnown = id => id >= rule.first_word_id && id !== rule.oov_id;
  let status = 'ok';
  if (parts.length === 0) status = 'empty';
  else if (!ids.some(isKnown)) status = 'unknown_words';
  else if (ids.length > rule.length) status = 'truncated';
  const kept = rule.truncation === 'last' ? ids.slice(-rule.length) : ids.slice(0, rule.length);
  return { ids: kept, status };
}

function piecesOf(pieces, word) {
  const characters = [...word];
  const ids = [];
  let unknown = false;
  for (let at = 0; at < characters.length;) {
    let size = characters.length - at;
    while (size > 0 && !pieces.has(characters.slice(at, at + size).join(''))) size--;
    if (size > 0) ids.push(pieces.get(characters.slice(at, at + size).join('')));
    else if (!unknown) ids.push(2);
    unknown = size === 0;
    at += size || 1;
  }
  return ids;
}

// ---- Answers ---------------------------------------------------------------------------------

function probabilitiesOf(logits, labels, severalLabels) {
  if (severalLabels) return logits.map(z => round32(sigmoid(z)));
  if (labels === 2) return [round32(sigmoid(-logits[0])), round32(sigmoid(logits[0]))];
  const highest = logits.reduce((a, b) => Math.max(a, b));
  const powers = logits.map(z => Math.exp(z - highest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map(power => round32(power / sum));
}

/** The label, or those that reach their thresholds. */
function labelOf(probabilities, labels, thresholds) {
  const order = [...labels.keys()].sort((a, b) => probabilities[b] - probabilities[a] || a - b);
  if (!thresholds) return labels[order[0]];
  return order.filter(i => probabilities[i] >= thresholds[i]).map(i => labels[i]).join('|');
}

/** The mean of the numbers that the labels are. */
function scoreOf(probabilities, labels) {
  const sum = probabilities.reduce((a, b) => a + b);
  return probabilities.reduce((score, p, i) => score + Number(labels[i]) * p, 0) / sum;
}

export function openModel(bytes) {
  const file = messageOf(bytes);
  const metadata = new Map(file(14, 2).map(messageOf).map(
    entry => [1, 2].map(field => utf8(entry(field, 2)[0] ?? new Uint8Array()))));
  const text = name => metadata.get(`edge_lstm.${name}`);
  const json = name => JSON.parse(text(name) ?? 'null');
  refuseIf(text('format') === undefined, NOT_A_MODEL);
  refuseIf(text('format') !== '1', 'made by a newer version');
  const digest = createHash('sha256').update(bytes.subarray(0, -64)).digest('hex');
  refuseIf(digest !== bytes.subarray(-64).toString('latin1'), 'cut short or changed');
  const [rule, labels, network] = ['tokenizer', 'labels', 'network'].map(json);
  const entries = entriesOf(text('vocabulary'));
  const first = rule.first_word_id;
  refuseIf(first + entries.length !== network.num_words || labels.length !== network.labels,
    'the vocabulary or the labels do not fit the network');
  const ids = entries.map((entry, i) => [entry, first + i]);
  const constants = new Constants(messageOf(file(7, 2)[0]));
  return {
    rule, labels,
    words: new Map(ids.slice(0, rule.words)),
    pieces: new Map(ids.slice(rule.words)),
    fields: text('fields'),
    thresholds: network.multi_label ? json('multi_label').thresholds : null,
    isScore: json('question')?.type === 'score',
    golden: json('golden') ?? [],
    logits: networkOf(constants, network, rule.length),
  };
}

/** The answer to a text that the rule reads: one of a row was made of it by textOfRow. */
export function answer(model, text) {
  const { ids, status } = encode(model, text);
  const probabilities = probabilitiesOf(model.logits(ids), model.labels.length, model.thresholds);
  const label = labelOf(probabilities, model.labels, model.thresholds);
  const score = model.isScore ? scoreOf(probabilities, model.labels) : undefined;
  return { label, score, status, ids, probabilities };
}

if (process.argv[1] === import.meta.filename) {
  const [path, ...texts] = process.argv.slice(2);
  const model = openModel(readFileSync(path));
  for (const text of texts) {
    console.log(JSON.stringify(answer(model, model.fields ? textOfRow(text, model.fields) : text)));
  }
}
