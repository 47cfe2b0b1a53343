// The hasher, without the fast-check that format-samples.ts brings along.

import { WasmHasher } from "../../bindings/hash/wasm-hasher.js";

export const hasher = WasmHasher.create();
