/** Ternary memories by name: made or found again, and one object for each as long as its memory is open. */
import { PerdureError } from "../../base/errors.js";
import { Kind, Registry } from "../roots.js";
import type { Session } from "../session.js";
import { ternaryFunctions } from "./functions.js";
import {
  type FrameRange,
  namesRegions,
  rangesDifference,
  rangesOf,
  readRanges,
  type TernaryOptions,
} from "./regions.js";
import { Gate, TernaryMemory } from "./ternary-memory.js";

const handles = new WeakMap<Session, Map<string, TernaryMemory>>();

/** LAYOUT when it is there with other frames than are asked for; NOT_FOUND in a reader when it is not. */
export function openTernary(memory: Session, name: string, options: TernaryOptions): TernaryMemory {
  const registry = new Registry(memory, Kind.Ternary);
  const entry = registry.find(name);
  const windows = windowsOf(memory, options);
  let gate: Gate | null = null;
  if (entry === null) {
    if (memory.readOnly)
      throw new PerdureError("NOT_FOUND", `there is no ternary memory ${JSON.stringify(name)}`);
    create(memory, registry, name, rangesOf(options));
    gate = new Gate();
  } else if (namesRegions(options)) {
    const difference = rangesDifference(readRanges(memory.engine, entry.address), rangesOf(options));
    if (difference !== null)
      throw new PerdureError("LAYOUT", `ternary memory ${JSON.stringify(name)}: ${difference}`);
  }
  if (windows !== null) {
    const { data, constants } = memory.engine.core;
    data.setUint32(constants.WINDOW_LIMIT, windows, true);
  }
  return handleOf(memory, name, gate);
}

function handleOf(memory: Session, name: string, gate: Gate | null): TernaryMemory {
  const known = handles.get(memory) ?? new Map<string, TernaryMemory>();
  handles.set(memory, known);
  // After a rollback that took it away it may have been made anew, and whoever makes it has its gate.
  const handle = gate === null ? known.get(name) : undefined;
  if (handle !== undefined) return handle;
  const made = new TernaryMemory(memory, name, gate);
  known.set(name, made);
  return made;
}

function create(memory: Session, registry: Registry, name: string, ranges: readonly FrameRange[]): void {
  const { engine } = memory;
  const { core } = engine;
  const functions = ternaryFunctions(engine);
  engine.ensureWritable();
  const most = core.constants.EXCHANGE_BYTES! / REQUEST_BYTES;
  if (ranges.length > most) throw new PerdureError("LIMIT", `${ranges.length} regions; ${most} are the most`);
  const record = engine.mutate(() => {
    for (const [i, { first, count, zone }] of ranges.entries()) {
      const at = core.constants.EXCHANGE + REQUEST_BYTES * i;
      core.data.setBigUint64(at, BigInt(first), true);
      core.data.setUint32(at + 8, count, true);
      core.data.setUint32(at + 12, zone, true);
    }
    return functions.createMemory(ranges.length);
  });
  if (core.codeOf(record) !== null)
    throw new PerdureError(
      "OUT_OF_MEMORY",
      `there is no room for the frames of ternary memory ${JSON.stringify(name)}; those below 4 GiB take heap, so give less of them, or a larger \`maxBytes\``,
    );
  try {
    registry.set(name, record);
  } catch (error) {
    if (engine.halt === null) engine.mutate(() => functions.destroyMemory(record));
    throw error;
  }
}

const REQUEST_BYTES = 16;

/** How many windows `windowBytes` are; null when nothing is said. */
function windowsOf(memory: Session, { windowBytes }: TernaryOptions): number | null {
  if (windowBytes === undefined) return null;
  if (!Number.isSafeInteger(windowBytes) || windowBytes <= 0)
    throw new PerdureError(
      "INVALID_ARGUMENT",
      `windowBytes is a number of bytes, not ${String(windowBytes)}`,
    );
  const { CLUSTER_BYTES } = memory.engine.core.constants;
  return Math.max(1, Math.min(Math.floor(windowBytes / CLUSTER_BYTES), 2 ** 20));
}
