// A process of its own with an open memory, for tests of how a process may end, and of takeovers:
//
//     node child-memory.js <path> <scene>
//
// Each scene adds one to the root "p" of the file, and then ends in its way.

import { PerdureError } from "../../bindings/base/errors.js";
import { type Memory, openSync } from "../../bindings/index.js";
import { hear, say } from "./child-talk.js";

const [path, scene] = process.argv.slice(2);

function start(autoCommit = true): Memory {
  const memory = openSync(path, { autoCommit, reserve: 0 });
  memory.root("p", () => memory.alloc(8)).u32++;
  return memory;
}

const scenes: Record<string, () => void> = {
  end: () => void start(),
  "exit 0": () => {
    start();
    process.exit(0);
  },
  "exit 1": () => {
    start();
    process.exit(1);
  },
  throws: () => {
    start();
    throw new Error("on purpose");
  },
  rejects: () => {
    start();
    void Promise.reject(new Error("on purpose"));
  },
  "exit inside a transaction": () => {
    const memory = start();
    memory.transaction(() => {
      memory.roots.get("p")!.u32 = 100;
      process.exit(0);
    });
  },
  "exit while held": () => {
    const memory = start();
    memory.commit();
    memory.hold();
    memory.roots.get("p")!.u32 = 100;
    process.exit(0);
  },
  "exit with a view": () => {
    const memory = start();
    memory.commit();
    memory.view(memory.roots.get("p")!, Uint32Array, 1).array[0] = 50;
    process.exit(0);
  },
  "exit of two": () => {
    start();
    const second = openSync(`${path}-2`, { reserve: 0 });
    second.root("p", () => second.alloc(8)).u32 = 2;
    process.exit(0);
  },
  "no auto-commit": () => {
    start(false);
    process.exit(0);
  },
  "exit suspended": () => {
    const memory = start();
    memory.commit();
    memory.roots.get("p")!.u32 = 60;
    memory.engine.halt = new PerdureError("SUSPENDED", "on purpose");
    process.exit(0);
  },
  "exit without room": () => {
    const memory = start();
    memory.origin.pager!.commit = () => {
      throw new PerdureError("NO_SPACE", "on purpose");
    };
    process.exit(0);
  },
  /** Writes one commit for each line that it hears, and says what came of it. */
  writer: () => {
    const memory = start();
    memory.commit();
    say("ready");
    for (;;) {
      hear();
      try {
        memory.roots.get("p")!.u32++;
        say(`committed ${memory.commit()}`);
      } catch (error) {
        say((error as PerdureError).code);
      }
    }
  },
};

scenes[scene]();
