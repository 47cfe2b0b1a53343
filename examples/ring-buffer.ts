/**
 * The immortal ring buffer: a log of 4 KiB that survives the program, and forgets its oldest lines when it is full.
 *
 *     node build/examples/ring-buffer.js      creates the log and writes 120 lines
 *     node build/examples/ring-buffer.js      resumes it; now it is full, and the oldest lines go
 *
 * The log lives in ring-buffer.state, in the current directory. It is one block of memory:
 *
 *     0         8                                                  4096
 *     ┌─────────┬──────────────────────────────────────────────────┐
 *     │ written │ lines, each ended by "\n"; past the end go on    │
 *     │ (f64)   │ at the beginning                                 │
 *     └─────────┴──────────────────────────────────────────────────┘
 *
 * `written` counts all bytes that were ever written; the next one belongs at `written` modulo the room.
 */
import { openSync, type Ptr } from "perdure";

const LOG_BYTES = 4096;
const HEADER_BYTES = 8;
const ROOM = LOG_BYTES - HEADER_BYTES;

const memory = openSync("ring-buffer.state");

let log = memory.roots.get("log");
if (log === undefined) {
  log = memory.alloc(LOG_BYTES);
  memory.roots.set("log", log);
  console.log("Created a new log.");
} else {
  console.log(`Resuming the log at ${log}, after ${log.f64} bytes.`);
}

const run = memory.root("run", () => memory.alloc(4));
run.u32 += 1;
for (let reading = 1; reading <= 120; reading++) {
  // A line and the count of it become permanent together, or not at all. One flush for all of them, below, is enough.
  memory.transaction(() => append(log, `run ${run.u32}, reading ${reading}`), { durability: "none" });
}
memory.commit({ durability: "flush" });

const lines = readLines(log);
console.log(`${log.f64} bytes were written in ${run.u32} run${run.u32 === 1 ? "" : "s"}.`);
console.log(`The log holds the last ${lines.length} lines, from "${lines[0]}" to "${lines.at(-1)}".`);

function append(ring: Ptr, line: string): void {
  let written = ring.f64;
  for (const byte of new TextEncoder().encode(`${line}\n`)) {
    ring.add(HEADER_BYTES + (written % ROOM)).u8 = byte;
    written++;
  }
  ring.f64 = written;
}

/** Oldest first. The oldest may have lost its beginning to the newest: it is left out. */
function readLines(ring: Ptr): string[] {
  const written = ring.f64;
  const bytes = ring.add(HEADER_BYTES).read(ROOM);
  if (written <= ROOM) return textOf(bytes.subarray(0, written)).slice(0, -1);
  const seam = written % ROOM;
  return textOf(bytes.subarray(seam), bytes.subarray(0, seam)).slice(1, -1);
}

function textOf(...parts: Uint8Array[]): string[] {
  return Buffer.concat(parts).toString("utf8").split("\n");
}
