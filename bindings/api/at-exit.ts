/** The last commit of a process that ends as it should. */
import type { Memory } from "./memory.js";

const memories = new Set<Memory>();
let listening = false;

/**
 * Commits and closes the memory when the process ends with exit code 0. One that ends in any other way leaves the file at its last commit, as if it
 * had been killed.
 */
export function closeAtExit(memory: Memory): void {
  memories.add(memory);
  memory.addEventListener("close", () => memories.delete(memory));
  if (listening || typeof process !== "object" || typeof process.once !== "function") return;
  listening = true;
  process.once("exit", (code) => {
    if (code !== 0) return;
    for (const each of [...memories]) {
      try {
        each.finish();
      } catch (error) {
        process.exitCode = 1;
        console.error(`perdure: ${each.path} was not committed at the end of the process:`, error);
      }
    }
  });
}
