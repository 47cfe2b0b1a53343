/**
 * The engine's Wasm module, compiled once, and an instance of it with a small memory for whatever needs no image: hashing, until there is one, and
 * the constants that the module exports. Hashing leaves nothing in memory that a later call reads, so that all can have it in common.
 */
import { moduleOf } from "../base/wasm-module.js";
import { engineWasm } from "../generated/engine-wasm.js";

export interface EngineInstance {
  readonly instance: WebAssembly.Instance;
  readonly memory: WebAssembly.Memory;
}

/** To the end of the areas for hashing: memory that has to grow slows down every typed array of the process. */
const smallPages = 3;

let small: EngineInstance | null = null;

export const engineModule = (): WebAssembly.Module => moduleOf(engineWasm);

export function smallInstance(): EngineInstance {
  small ??= newSmallInstance();
  return small;
}

/** Calls no host function: what the rest of the engine imports is not there. */
export function newSmallInstance(): EngineInstance {
  const module = engineModule();
  const memory = new WebAssembly.Memory({ initial: smallPages });
  const env: WebAssembly.ModuleImports = { memory };
  for (const { name, kind } of WebAssembly.Module.imports(module))
    if (kind === "function") env[name] = absent;
  return { instance: new WebAssembly.Instance(module, { env }), memory };
}

function absent(): never {
  throw new Error("an instance that only hashes has no host");
}
