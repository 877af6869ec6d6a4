// Makes a text of a row with fields, for decode.mjs. Written from docs/file-format.md alone.

/** A number as it is written: 0.DIGITS · 10^magnitude, or null if it is none. */
function decimalOf(text) {
  const parts = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d{1,8}))?$/.exec(text);
  if (!parts) return null;
  const all = parts[2] + (parts[3] ?? '');
  const digits = all.replace(/^0+/, '');
  if (digits === '') return { sign: 0, magnitude: 0, digits };
  const magnitude = parts[2].length + Number(parts[4] ?? 0) - (all.length - digits.length);
  return { sign: parts[1] ? -1 : 1, magnitude, digits: digits.replace(/0+$/, '') };
}

function compare(a, b) {
  if (a.sign !== b.sign || a.sign === 0) return a.sign - b.sign;
  const order = a.magnitude - b.magnitude || (a.digits > b.digits) - (a.digits < b.digits);
  return a.sign * order;
}

function numberInString(text) {
  if ([...text].length > 64) return null;
  const trimmed = text.replace(/^ +| +$/g, '');
  const date = new RegExp(/^(\d{4})-(\d\d)-(\d\d)/.source
    + /(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?(?:Z|([+-])(\d\d):?(\d\d))?)?$/.source)
    .exec(trimmed);
  if (!date) return decimalOf(trimmed);
  const [year, month, day, hour, minute, second, , zoneHour, zoneMinute] = date.slice(1)
    .map(part => Number(part ?? 0));
  const midnight = new Date(0);
  midnight.setUTCFullYear(year, month - 1, day);
  const isDay = midnight.getUTCMonth() === month - 1 && midnight.getUTCDate() === day;
  if (year === 0 || !isDay) return null;
  if (Math.max(hour, zoneHour) > 23 || Math.max(minute, second, zoneMinute) > 59) return null;
  const zone = (date[7] === '-' ? -60 : 60) * (60 * zoneHour + zoneMinute);
  return decimalOf(String(midnight / 1000 + 3600 * hour + 60 * minute + second - zone));
}

function pathOf({ path, key }) {
  return path === '' ? key : `${path}.${key}`;
}

/** What stands in a JSON text, in its order: the path and the spelling of each value. */
function valuesOf(json) {
  JSON.parse(json);
  const found = [];
  const open = [];
  for (const [token] of json.matchAll(/[{}[\]:,]|"(?:[^"\\]+|\\.)*"|[^\s{}[\]:,"]+/g)) {
    const inside = open.at(-1) ?? { path: '' };
    if (token === '}' || token === ']') open.pop();
    else if (token === ':') inside.key = found.pop().text;
    else if (token !== ',') {
      const path = inside.kind === 'object' ? pathOf(inside) : inside.path;
      const kind = { '"': 'string', '{': 'object', '[': 'list' }[token[0]] ?? 'literal';
      const text = kind === 'string' ? JSON.parse(token).toWellFormed() : token;
      const value = { path, kind, text, items: 0 };
      found.push(value);
      inside.items++;
      if (kind === 'object' || kind === 'list') open.push(value);
      if (open.length > 32) throw new Error('the row is nested too deeply');
    }
  }
  return found.filter(v => !(v.kind === 'string' && v.text === '')
    && !(v.kind === 'literal' && v.text === 'null'));
}

/** The number of a field in a row: a decimal, or a word that says why there is none. */
function numberOf({ part }, here) {
  if (part === undefined) {
    const last = here.findLast(v => v.kind === 'string' || v.kind === 'literal');
    if (!last) return 'missing';
    return (last.kind === 'string' ? numberInString : decimalOf)(last.text) ?? 'unknown';
  }
  if (part === 'length') {
    const lists = here.filter(v => v.kind === 'list');
    if (lists.length === 0) return 'missing';
    return decimalOf(String(lists.reduce((sum, list) => sum + list.items, 0)));
  }
  const numbers = here.filter(v => v.kind === 'literal' && /^[-\d]/.test(v.text))
    .map(v => decimalOf(v.text));
  if (numbers.length === 0) return 'missing';
  if (numbers.includes(null)) return 'unknown';
  if (part === 'sum') return sumOf(numbers) ?? 'unknown';
  return numbers.toSorted(compare).at(part === 'least' ? 0 : -1);
}

function sumOf(numbers) {
  const most = 8n * 10n ** 18n;
  let sum = 0n; // of whole millionths
  for (const { sign, magnitude, digits } of numbers) {
    if (magnitude > 12) return null;
    const whole = digits.padEnd(18, '0').slice(0, Math.max(0, magnitude + 6));
    sum += BigInt(sign) * BigInt(whole);
    if (sum > most || sum < -most) return null;
  }
  return decimalOf(`${sum}e-6`);
}

/** The place of a category's value among the known ones, or a word. */
function placeOf({ values }, here) {
  const last = here.findLast(v => v.kind === 'string' || v.kind === 'literal');
  if (!last) return 'missing';
  const number = last.kind === 'literal' && decimalOf(last.text);
  const place = values.findIndex(value => {
    const known = number && decimalOf(value);
    return known ? compare(known, number) === 0 : value === last.text && !number;
  });
  return place < 0 ? 'unknown' : place;
}

/** The text that a row becomes. rule: the value of `edge_lstm.fields`. */
export function textOfRow(text, rule) {
  if (text.startsWith('\u{FFFFD}')) return text.slice(2);
  const { fields, pairs } = JSON.parse(rule);
  const edges = valuesOf(rule).filter(v => v.path === 'fields.edges' && v.kind === 'literal')
    .map(v => decimalOf(v.text));
  const isRow = /^[ \t\n\r]*\{/.test(text);
  const name = fields.find(field => field.kind === 'text')?.name;
  if (!isRow && name === undefined) throw new Error('the file reads rows without a text');
  const row = isRow ? valuesOf(text) : [{ path: name, kind: 'string', text }];
  const strings = [];
  const words = [];
  let first = 0xF0000;
  const numbers = fields.map(field => {
    const here = row.filter(v => v.path === field.name);
    if (field.kind === 'text') {
      strings.push(...here.filter(v => v.kind === 'string').map(v => v.text));
      return null;
    }
    const isNumber = field.kind === 'number';
    const mine = isNumber ? edges.splice(0, field.edges.length) : [];
    const found = isNumber ? numberOf(field, here) : placeOf(field, here);
    const known = isNumber ? mine.length + 1 : field.values.length;
    const place = found.sign === undefined ? found
      : mine.filter(edge => compare(found, edge) > 0).length;
    words.push(first + ({ missing: known, unknown: known + 1 }[place] ?? place));
    first += known + 2;
    return found.sign === undefined ? null : found;
  });
  pairs.forEach(([a, b], i) => {
    if (!numbers[a] || !numbers[b]) return;
    words.push(first + 3 * i + 1 + Math.sign(compare(numbers[a], numbers[b])));
  });
  const spaced = strings.map(string => string.replace(/[\u{F0000}-\u{FFFFF}]/gu, ' '));
  return [...spaced, ...words.map(word => String.fromCodePoint(word))].join(' ');
}
