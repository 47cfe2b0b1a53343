/**
 * The body of a record: the log runs from here on, and what the checkpoint does to the snapshots. FORMAT.md §7.
 *
 *     u32 runs · u32 bytes of the name · runs, 12 bytes each · for a restore: the image root, 24 bytes · the name
 */
import { viewOf } from "../base/bytes.js";
import { MAX_RUNS, MAX_SNAPSHOT_NAME_BYTES } from "./constants.js";
import { type Decoded, damaged, decoded } from "./decoded.js";
import { decodeName, encodeName } from "./names.js";
import { Operation } from "./operation.js";
import { readRuns, rootProblem, runCountProblem, runsProblem, writeRuns } from "./runs.js";
import { RECORD, ROOT, type Root, RUN, type Run, readRoot, writeRoot } from "./schema.js";

export interface RecordBody {
  /** The next header begins in the first slot of the first one. */
  runs: Run[];
  /** Of the snapshot; empty for a plain checkpoint. */
  name: string;
  /** The root that is restored; null for all other operations. */
  image: Root | null;
}

const leastBytes = RECORD.bytes + RUN.bytes;
const mostBytes = RECORD.bytes + MAX_RUNS * RUN.bytes + ROOT.bytes + MAX_SNAPSHOT_NAME_BYTES;

/** Whether some record has a body of so many bytes. */
export function recordBodyFits(bodyBytes: number): boolean {
  return bodyBytes >= leastBytes && bodyBytes <= mostBytes;
}

/** The body, to be put at offset 128 of a new header. */
export function encodeRecordBody(operation: Operation, { runs, name, image }: RecordBody): Uint8Array {
  if ((operation === Operation.Restore) !== (image !== null)) throw new RangeError("a root is for restoring");
  const nameBytes = operation === Operation.Checkpoint ? new Uint8Array(0) : encodeName(name);
  const rootBytes = image === null ? 0 : ROOT.bytes;
  const rootAt = RECORD.bytes + runs.length * RUN.bytes;
  const bytes = new Uint8Array(rootAt + rootBytes + nameBytes.length);
  const view = viewOf(bytes);
  view.setUint32(RECORD.fields.runCount.offset, runs.length, true);
  view.setUint32(RECORD.fields.nameBytes.offset, nameBytes.length, true);
  writeRuns(view, RECORD.fields.runs.offset, runs);
  if (image !== null) writeRoot(view, rootAt, image);
  bytes.set(nameBytes, rootAt + rootBytes);
  return bytes;
}

export function decodeRecordBody(operation: Operation, bytes: Uint8Array): Decoded<RecordBody> {
  if (!recordBodyFits(bytes.length)) return damaged(`a record of ${bytes.length} bytes`);
  const view = viewOf(bytes);
  const runCount = view.getUint32(RECORD.fields.runCount.offset, true);
  const nameBytes = view.getUint32(RECORD.fields.nameBytes.offset, true);
  const countProblem = runCountProblem(runCount);
  if (countProblem !== null) return damaged(countProblem);
  const rootAt = RECORD.bytes + runCount * RUN.bytes;
  const nameAt = rootAt + (operation === Operation.Restore ? ROOT.bytes : 0);
  if (nameAt + nameBytes !== bytes.length) {
    return damaged(`${bytes.length} bytes for ${runCount} log runs and a name of ${nameBytes}`);
  }
  const runs = readRuns(view, RECORD.fields.runs.offset, runCount);
  const image = operation === Operation.Restore ? readRoot(view, rootAt) : null;
  const problem = runsProblem(runs, runs[0].slot) ?? (image && rootProblem(image));
  if (problem !== null) return damaged(problem);
  const name =
    operation === Operation.Checkpoint && nameBytes === 0 ? "" : decodeName(bytes.subarray(nameAt));
  if (name === null || (operation === Operation.Checkpoint && name !== "")) {
    return damaged(`a name of ${nameBytes} bytes that does not fit operation ${operation}`);
  }
  return decoded({ runs, name, image });
}
