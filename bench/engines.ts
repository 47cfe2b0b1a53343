// perdure as a program has it: through its public surface. As a store of numbered blocks it is one large object, of which a change writes
// eight bytes in each block that it names, whatever the others are given to write.

import { join } from "node:path";
import { type Memory, MemoryStorage, type OpenOptions, openSync, type Ptr } from "../bindings/index.js";
import { blockBytes, type OpenStore, type Store, stateName } from "./stores.js";

const rootName = "blocks";

/** A memory without a file, for what is about memory alone; `letGo` ends it. */
export function openVolatile(options: OpenOptions = {}): Memory {
  return openSync("volatile", { autoCommit: false, storage: new MemoryStorage(), ...options });
}

/** Ends a memory without committing what was done to it. */
export function letGo(memory: Memory): void {
  memory.rollback();
  memory.close();
}

/** A memory in a file of this folder. */
export function openMemory(folder: string, options: OpenOptions = {}): Memory {
  return openSync(join(folder, stateName), options);
}

/** The object that has all blocks. */
export function blocksOf(memory: Memory): Ptr {
  const blocks = memory.roots.get(rootName);
  if (blocks === undefined) throw new Error(`${memory.path} has no blocks`);
  return blocks;
}

export function makeBlocks(memory: Memory, count: number): Ptr {
  return memory.root(rootName, () => memory.alloc(count * blockBytes));
}

/** Changes of eight bytes a block, and `commit()`. */
export function openCommitting(count: number): OpenStore {
  return (folder, durable) => {
    const { memory, write } = openBlocks(folder, count);
    const options = { durability: durable ? "flush" : "none" } as const;
    return {
      commit(changes) {
        write(changes);
        memory.commit(options);
      },
      close: () => memory.close(),
    };
  };
}

/** The same in `transaction()`. */
export function openTransacting(count: number): OpenStore {
  return (folder, durable) => {
    const { memory, write } = openBlocks(folder, count);
    const options = { durability: durable ? "flush" : "none" } as const;
    return {
      commit: (changes) => memory.transaction(() => write(changes), options),
      close: () => memory.close(),
    };
  };
}

function openBlocks(folder: string, count: number): { memory: Memory; write: Store["commit"] } {
  const memory = openMemory(folder);
  const { address } = makeBlocks(memory, count);
  let next = 1;
  return {
    memory,
    write(changes) {
      for (let i = 0; i < changes.length; i++) memory.setF64(address + changes[i].block * blockBytes, next++);
    },
  };
}
