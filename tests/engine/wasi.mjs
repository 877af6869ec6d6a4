// wasi.mjs PROGRAM.wasm ARGUMENTS…: runs a WASI program with this machine's files.
import { readFile } from "node:fs/promises";
import { WASI } from "node:wasi";

const [path, ...args] = process.argv.slice(2);
const wasi = new WASI({ version: "preview1", args: [path, ...args], preopens: { "/": "/" }, returnOnExit: true });
const instance = await WebAssembly.instantiate(await WebAssembly.compile(await readFile(path)), wasi.getImportObject());
process.exitCode = wasi.start(instance);
