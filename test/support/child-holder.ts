// A program that has a state file open for writing: it says "open", and then carries out each line that it hears: "commit" writes block 0 and
// says "committed <sequence>" or "failed <code>"; "close" closes and ends.

import { PerdureError } from "../../bindings/base/errors.js";
import { WasmHasher } from "../../bindings/hash/wasm-hasher.js";
import { openPager } from "../../bindings/pager/open.js";
import { NodePlace } from "../../bindings/storage/node.js";
import { NodeProcesses } from "../../bindings/storage/node-processes.js";
import { hear, say } from "./child-talk.js";

const [directory, name] = process.argv.slice(2);
const pager = openPager(new NodePlace(directory), name, WasmHasher.create(), new NodeProcesses(directory));
say("open");

for (let value = 100; ; value++) {
  const line = hear();
  if (line === "close") break;
  try {
    say(`committed ${pager.commit([{ block: 0, count: 1, bytes: new Uint8Array(4096).fill(value) }])}`);
  } catch (error) {
    if (!(error instanceof PerdureError)) throw error;
    say(`failed ${error.code}`);
  }
}
pager.close();
