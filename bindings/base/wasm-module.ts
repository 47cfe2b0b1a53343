/** The Wasm modules that the library carries as text. */
import { fromHex } from "./bytes.js";

const compiled = new Map<string, WebAssembly.Module>();

/** The module that a text of hexadecimal digits is; compiled once. */
export function moduleOf(text: string): WebAssembly.Module {
  let module = compiled.get(text);
  if (module === undefined) {
    module = new WebAssembly.Module(fromHex(text)!);
    compiled.set(text, module);
  }
  return module;
}
