// The text that a model of rows reads: "Rows with fields" of docs/file-format.md, from it alone.
// It is apart because a decoder of texts needs none of it.

/** The decimal sign · 0.digits · 10^power, or null if the text spells no number of JSON. */
function decimal(text) {
  const match = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d{1,8}))?$/.exec(text);
  if (match === null) return null;
  const [, minus, whole, fraction = "", exponent = "0"] = match;
  const digits = (whole + fraction).replace(/^0+/, "");
  if (digits === "") return { sign: 0, power: 0, digits };
  const power = digits.length - fraction.length + Number(exponent);
  return { sign: minus ? -1 : 1, power, digits: digits.replace(/0+$/, "") };
}

/** Below, at or above 0, as the one number is less than, equal to or greater than the other. */
function compare(one, other) {
  if (one.sign !== other.sign) return one.sign - other.sign;
  if (one.power !== other.power) return one.sign * (one.power - other.power);
  return one.sign * ((one.digits > other.digits) - (one.digits < other.digits));
}

const DATE =
  /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?:(:\d\d)(?:\.\d+)?)?(?:Z|([+-])(\d\d):?(\d\d))?)?$/;

/** The number of a string: a decimal, or the seconds of a date; null if it is neither. */
function numberOf(string) {
  if (string.length > 64) return null;
  const text = string.replace(/^ +| +$/g, "");
  const match = DATE.exec(text);
  if (match === null) return decimal(text);
  const [, day, time = "00:00", second = ":00", sign = "+", hours = 0, minutes = 0] = match;
  const written = `${day}T${time}${second}.000Z`;
  const date = new Date(written);
  const exists = !Number.isNaN(date.getTime()) && date.toISOString() === written;
  if (!exists || day.startsWith("0000") || hours > 23 || minutes > 59) return null;
  return decimal(String(date / 1000 - Number(`${sign}1`) * (hours * 3600 + minutes * 60)));
}

/** The sum of the numbers' whole millionths, or null if it is unknown. */
function sumOf(numbers) {
  let sum = 0n;
  for (const { sign, power, digits } of numbers) {
    if (power > 12) return null;
    const places = Math.max(power + 6, 0);
    sum += BigInt(sign) * BigInt(digits.slice(0, places).padEnd(places, "0"));
    if (sum > 8n * 10n ** 18n || sum < -8n * 10n ** 18n) return null;
  }
  return decimal(`${sum}e-6`);
}

/** The values and lists of a row, in its order: the path, kind and value of each. */
function valuesOf(text) {
  JSON.parse(text);
  // A repeated key has to stay, and the decimals of a number.
  const token = /("(?:[^"\\]|\\.)*")(\s*:)?|-?\d[\d.eE+-]*/g;
  const kept = text.replace(token, (found, string, colon, at) => {
    if (string === undefined) return `{"number":"${found}"}`;
    return colon ? `"${at}:${found.slice(1)}` : found;
  });
  const values = [];
  const walk = (value, path, depth) => {
    const add = (kind, added) => values.push({ path, kind, value: added });
    if (value === null || value === "") return;
    if (typeof value === "string") add("string", value);
    else if (typeof value === "boolean") add("word", String(value));
    else if ("number" in value) add("number", value.number);
    else {
      if (depth > 32) throw new Error("over 32 objects and lists inside each other");
      if (Array.isArray(value)) add("list", value.length);
      for (const [key, inner] of Object.entries(value)) {
        const name = key.slice(key.indexOf(":") + 1);
        const below = path === "" ? name : `${path}.${name}`;
        walk(inner, Array.isArray(value) ? path : below, depth + 1);
      }
    }
  };
  walk(JSON.parse(kept), "", 1);
  return values;
}

/** The number of a field: undefined if it is missing, null if it is unknown. */
function fieldNumber({ part }, found) {
  const last = found.findLast(({ kind }) => kind !== "list");
  if (part === undefined) return last && (last.kind === "string" ? numberOf : decimal)(last.value);
  const wanted = found.filter(({ kind }) => kind === (part === "length" ? "list" : "number"));
  const numbers = wanted.map(({ value }) => decimal(String(value)));
  if (numbers.length === 0) return undefined;
  if (numbers.includes(null)) return null;
  if (part === "length" || part === "sum") return sumOf(numbers);
  return numbers.sort(compare).at(part === "least" ? 0 : -1);
}

/** The place of a field's value in a category: undefined if it is missing, null if unknown. */
function placeOf({ values }, found) {
  const last = found.findLast(({ kind }) => kind !== "list");
  if (last === undefined) return undefined;
  const number = last.kind === "number" ? decimal(last.value) : undefined;
  if (number === null) return null;
  const isEqual = (value) => numberOf(value) !== null && compare(numberOf(value), number) === 0;
  const place = values.findIndex(number ? isEqual : (value) => value === last.value);
  return place < 0 ? null : place;
}

/** The text that the text rule reads. */
export function rowText({ fields, pairs }, text) {
  if (text.startsWith("\u{FFFFD}")) return text.slice(2);
  const texts = fields.filter(({ kind }) => kind === "text");
  const isRow = /^[ \t\n\r]*\{/.test(text);
  if (!isRow && texts.length === 0) throw new Error("not a row");
  const row = isRow ? valuesOf(text) : [{ path: texts[0].name, kind: "string", value: text }];
  const at = ({ name }) => row.filter(({ path, value }) => path === name && value !== "");
  const strings = texts.flatMap(at).filter(({ kind }) => kind === "string");
  const parts = strings.map(({ value }) => value.replace(/[\u{F0000}-\u{FFFFF}]/gu, " "));
  const numbers = fields.map((field) => (field.edges ? fieldNumber(field, at(field)) : undefined));
  let next = 0xf0000;
  const add = (place, words) => {
    if (place !== undefined) parts.push(String.fromCodePoint(next + place));
    next += words;
  };
  fields.forEach((field, k) => {
    const exceeds = (edge) => compare(numbers[k], numberOf(String(edge))) > 0;
    if (field.kind === "text") return;
    let place = field.edges ? numbers[k] : placeOf(field, at(field));
    if (field.edges && place) place = field.edges.filter(exceeds).length;
    const known = field.edges ? field.edges.length + 1 : field.values.length;
    const others = new Map([[undefined, known], [null, known + 1]]);
    add(others.get(place) ?? place, known + 2);
  });
  for (const [one, other] of pairs.map((pair) => pair.map((k) => numbers[k]))) {
    add(one && other ? 1 + Math.sign(compare(one, other)) : undefined, 3);
  }
  return parts.join(" ");
}
