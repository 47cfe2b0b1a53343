// Carries out a program's steps on a real file, and says each one before and after: "a <step>" when it is attempted, "k <step>
// <sequence>" when it is acknowledged, and "o <step>" for the step after which it found the file when it opened it.
//
//     child-steps.js <directory> <seed> <acknowledged> <attempted> <chain slots> <chain commits> <kill at call, or 0>

import { nextTurn } from "../../bindings/base/turn.js";
import { WasmHasher } from "../../bindings/hash/wasm-hasher.js";
import { openPager } from "../../bindings/pager/open.js";
import type { Pager } from "../../bindings/pager/pager.js";
import { NodePlace } from "../../bindings/storage/node.js";
import { NodeProcesses } from "../../bindings/storage/node-processes.js";
import {
  applyStep,
  changesOf,
  newState,
  PROGRAM_BLOCKS,
  type Step,
  stateDifference,
  stepOf,
  viewOf,
} from "./child-model.js";
import { WatchedPlace } from "./child-place.js";
import { say } from "./child-talk.js";

const directory = process.argv[2];
const [seed, acknowledged, attempted, chainSlots, chainCommits, killAt] = process.argv.slice(3).map(Number);
let calls = 0;
const place = new WatchedPlace(new NodePlace(directory), () => {
  if (++calls === killAt) process.kill(process.pid, "SIGKILL");
});
const hasher = WasmHasher.create();
const processes = new NodeProcesses(directory);
const open = () =>
  openPager(place, "state", hasher, processes, { limits: { chainSlots, chainCommits, mapNodes: 8 } });

let pager = open();
const state = newState();
for (let k = 1; k <= acknowledged; k++) applyStep(state, stepOf(seed, k, state), k);
let done = acknowledged;
let difference = stateDifference(viewOf(pager), state, PROGRAM_BLOCKS);
while (difference !== null && done < attempted) {
  done++;
  applyStep(state, stepOf(seed, done, state), done);
  difference = stateDifference(viewOf(pager), state, PROGRAM_BLOCKS);
}
if (difference !== null)
  throw new Error(`after steps ${acknowledged} to ${attempted} of ${seed}: ${difference}`);
say(`o ${done}`);

for (let k = done + 1; ; k++) {
  const step = stepOf(seed, k, state);
  say(`a ${k}`);
  await carryOut(pager, step, k);
  applyStep(state, step, k);
  say(`k ${k} ${pager.sequence}`);
  if (k % 16 === 0) await nextTurn();
}

async function carryOut(handle: Pager, step: Step, k: number): Promise<void> {
  switch (step.kind) {
    case "commit": {
      for (const { block, bytes } of step.spilled.flatMap((each) => changesOf([each], k)))
        handle.spill(block, bytes!);
      const discards = step.discarded.map((block) => ({ block, count: 1, bytes: null }));
      handle.commit([...changesOf(step.written, k), ...discards], step.durable);
      break;
    }
    case "rollback":
      for (const block of step.spilled) handle.spill(block, changesOf([block], k)[0].bytes!);
      handle.rollback();
      break;
    case "flush":
      handle.flush();
      break;
    case "flushed":
      // Goes on while the next steps are carried out; a failure ends the program as an unhandled rejection.
      void handle.flushed();
      break;
    case "checkpoint":
      handle.checkpoint();
      break;
    case "create":
      handle.createSnapshot(step.name);
      break;
    case "delete":
      handle.deleteSnapshot(step.name);
      break;
    case "restore":
      handle.restoreSnapshot(step.name);
      break;
    case "compact":
      await handle.compact();
      break;
    case "reopen":
      handle.close();
      pager = open();
      break;
  }
}
