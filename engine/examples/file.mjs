// The bytes of a model file, for decode.mjs. Written from docs/file-format.md alone.

export const FLOAT32 = 1, UINT8 = 2, INT8 = 3;
export const NOT_A_MODEL = 'not a model file';

export function refuseIf(wrong, reason) {
  if (wrong) throw new Error(reason);
}

/** A function from a field's number and wire type to its values, in their order. */
export function messageOf(bytes) {
  const found = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      refuseIf(at >= bytes.length, NOT_A_MODEL);
      value += (bytes[at] & 127) * 2 ** (7 * i);
      if (bytes[at++] < 128) return value;
    }
    throw new Error(NOT_A_MODEL);
  };
  while (at < bytes.length) {
    const key = varint();
    const type = key % 8;
    refuseIf(key < 8 || ![0, 1, 2, 5].includes(type), NOT_A_MODEL);
    let value = { 1: 8, 5: 4 }[type] ?? varint(); // of all types but 0, the size
    if (type !== 0) {
      refuseIf(value > bytes.length - at, NOT_A_MODEL);
      value = bytes.subarray(at, at += value);
    }
    found.push({ field: Math.floor(key / 8), type, value });
  }
  return (field, type) => found.filter(f => f.field === field && f.type === type)
    .map(f => f.value);
}

export function utf8(bytes) {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
}

export class Constants {
  constructor(graph) {
    const tensors = graph(5, 2).map(messageOf);
    this.all = new Map(tensors.map(tensor => [utf8(tensor(8, 2)[0]), tensor]));
  }

  has(name) {
    return this.all.has(name);
  }

  shape(name) {
    refuseIf(!this.has(name), `${name} is missing`);
    return this.all.get(name)(1, 0);
  }

  array(name, type, ...shape) {
    const isRight = this.shape(name).join() === shape.join();
    const [bytes] = this.all.get(name)(9, 2);
    const size = shape.reduce((a, b) => a * b) * (type === FLOAT32 ? 4 : 1);
    refuseIf(!isRight || this.all.get(name)(2, 0)[0] !== type || bytes?.length !== size,
      `${name} has another type, shape or size`);
    if (type !== FLOAT32) return type === INT8 ? Int8Array.from(bytes) : bytes;
    const view = new DataView(bytes.buffer, bytes.byteOffset, size);
    const values = Float32Array.from({ length: size / 4 }, (_, i) => view.getFloat32(4 * i, true));
    const least = /_scales?$/.test(name) ? Number.MIN_VALUE : -Infinity;
    refuseIf(!values.every(v => Number.isFinite(v) && v >= least), `${name} has a wrong value`);
    return values;
  }

  /** The int8 numbers of a table, whatever its form. */
  table(name, rows, columns) {
    const forms = ['', '_q', '_c'].filter(form => this.has(name + form));
    refuseIf(forms.length !== 1, `${name} has ${forms.length} forms`);
    if (forms[0] === '') return this.array(name, INT8, rows, columns);
    if (forms[0] === '_c') {
      const codes = this.array(`${name}_c`, UINT8, rows, Math.ceil(columns / 4));
      const book = this.array(`${name}_b`, INT8, 256, 4);
      const all = Int8Array.from({ length: 4 * codes.length },
        (_, i) => book[4 * codes[i >> 2] + i % 4]);
      return all.filter((_, i) => i % (all.length / rows) < columns);
    }
    const [R, C] = columns < 4 ? [Math.ceil(rows * columns / 16), 16] : [rows, columns];
    const width = 2 * Math.ceil(C / 2);
    const bytes = this.array(`${name}_q`, UINT8, R, width / 2);
    const multipliers = this.array(`${name}_m`, UINT8, Math.ceil(R / 2));
    const half = (of, i) => of[i >> 1] >> 4 * (i % 2) & 15;
    const halves = Int8Array.from({ length: R * width }, (_, i) => half(bytes, i));
    const isUsed = (_, i) => i % width < C && i < rows * columns * (width / C);
    refuseIf(halves.includes(0) || !halves.every((h, i) => h === 8 || isUsed(h, i)),
      `${name} has a wrong value`);
    return halves.map((h, i) => (h - 8) * (half(multipliers, Math.floor(i / width)) + 1))
      .filter(isUsed);
  }
}
