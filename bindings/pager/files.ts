/**
 * The state file as a name in a place: creation, copies to a new name, and relocation (forced takeover, compaction, and finishing an interrupted
 * one). FORMAT.md §9 says why a stopped owner or a second taker can do no harm; the order of the steps here is that proof.
 */
import { equalBytes, fromHex } from "../base/bytes.js";
import { PerdureError } from "../base/errors.js";
import { FORWARDING_SLOT, SLOT_BYTES } from "../format/constants.js";
import { encodeForwarding } from "../format/forwarding.js";
import { nodeDigestOffset } from "../format/node.js";
import { newName, parseNewName } from "../format/side-files.js";
import type { Hasher } from "../hash/hasher.js";
import type { Place } from "../storage/storage.js";
import { BlockMap } from "./block-map.js";
import { type CopySource, copyState } from "./copy.js";
import { readDirectory } from "./directory.js";
import { randomNonce } from "./random.js";
import { findCommit, readSuperblocks } from "./recover.js";
import { replay } from "./replay.js";
import { SlotSet } from "./slot-set.js";
import { StateFile } from "./state-file.js";

/** How often something that another process moved is begun again. */
const ATTEMPTS = 5;

export function openFile(place: Place, name: string, access: "read" | "write", hasher: Hasher): StateFile {
  return new StateFile(place.open(name, access), hasher, `${place.label}/${name}`);
}

/** Creates an empty state file; when another process was faster, that one's stays. */
export function createFile(place: Place, name: string, hasher: Hasher): void {
  run(writeNewFile(place, name, hasher, null, 0));
}

/** Writes a copy of `source` under a name that must not exist yet. */
export function* copyFile(
  place: Place,
  name: string,
  hasher: Hasher,
  source: CopySource,
): Generator<number, void> {
  const exists = () =>
    new PerdureError(
      "INVALID_ARGUMENT",
      `${place.label}/${name} exists already; a copy never overwrites a file`,
    );
  if (place.exists(name)) throw exists();
  if (!(yield* writeNewFile(place, name, hasher, source, 0))) throw exists();
}

/** Whole or not at all: the new file gets its name when it is complete and durable. False when the name was taken meanwhile. */
function* writeNewFile(
  place: Place,
  name: string,
  hasher: Hasher,
  source: CopySource | null,
  writer: number,
): Generator<number, boolean> {
  const temporary = newName(name, randomNonce());
  try {
    yield* writeCopy(place, temporary, hasher, source, writer);
    const linked = place.link(temporary, name);
    place.remove(temporary);
    place.flush();
    return linked;
  } catch (error) {
    place.remove(temporary);
    // A writer that took the name over removes what is not the state yet.
    if (error instanceof PerdureError && error.code === "NOT_FOUND" && place.exists(name)) return false;
    throw error;
  }
}

function* writeCopy(
  place: Place,
  temporary: string,
  hasher: Hasher,
  source: CopySource | null,
  writer: number,
): Generator<number, void> {
  const storage = place.createExclusive(temporary);
  if (storage === null)
    throw new PerdureError("IO", `${place.label}/${temporary} exists although its name was drawn at random`);
  try {
    yield* copyState(source, new StateFile(storage, hasher, `${place.label}/${temporary}`), writer);
    storage.flush();
  } finally {
    storage.close();
  }
}

/**
 * Fences whoever still has `file` open, and replaces it under `name` by a copy of the commit that walking it finds. `file` is the one that the lock was
 * checked on. False when the name leads elsewhere by now: then the caller begins again with a new lock.
 */
export function relocate(
  place: Place,
  name: string,
  file: StateFile,
  writer: number,
  onCopied?: (slots: number) => void,
): boolean {
  ensureSound(file);
  const forwarding = fence(file, writer);
  removeUnfinished(place, name);
  if (!carries(place, name, file.hasher, forwarding)) return false;
  const temporary = newName(name, randomNonce());
  try {
    copyRetrying(place, temporary, writer, file, onCopied);
    if (!equalBytes(file.read(FORWARDING_SLOT), forwarding)) throw overtaken(file);
    renameNew(place, temporary, name, overtaken(file));
  } catch (error) {
    place.remove(temporary);
    throw error;
  }
  return true;
}

/**
 * Replaces the file by a copy that its living owner makes of it. The owner commits nothing meanwhile, so it can copy first and fence itself
 * last: when the copy fails, nothing has happened.
 */
export function* replaceByCopy(
  place: Place,
  name: string,
  hasher: Hasher,
  writer: number,
  source: CopySource,
): Generator<number, void> {
  const { file } = source;
  const temporary = newName(name, randomNonce());
  try {
    yield* writeCopy(place, temporary, hasher, source, writer);
    if (file.isForwarded()) throw takenOver(file);
    // Not read back: a taker that sets the slot now removes the copy, or finds that the name leads elsewhere.
    fence(file, writer);
    renameNew(place, temporary, name, takenOver(file));
  } catch (error) {
    place.remove(temporary);
    throw error;
  }
}

/** Removes state files of this name that are not the state yet; whoever was making one finds it gone and gives up. */
export function removeUnfinished(place: Place, name: string): void {
  for (const file of place.list(newName(name, ""))) if (parseNewName(name, file) !== null) place.remove(file);
}

/** Sets slot 2, durably; from here on no owner of this file acknowledges anything. What is not a sound state file is left untouched. */
function fence(file: StateFile, writer: number): Uint8Array {
  const { newest } = readSuperblocks(file);
  const nonce = fromHex(randomNonce())!;
  const bytes = encodeForwarding({ uuid: newest.uuid, nonce, writer, time: Date.now() }, file.hasher);
  file.write(FORWARDING_SLOT, bytes);
  file.storage.flush();
  return bytes;
}

/** Whether the file that the name leads to now is the one that was fenced. */
function carries(place: Place, name: string, hasher: Hasher, forwarding: Uint8Array): boolean {
  const again = openFile(place, name, "read", hasher);
  try {
    return equalBytes(again.read(FORWARDING_SLOT), forwarding);
  } finally {
    again.storage.close();
  }
}

/**
 * Throws CORRUPT for a file that cannot be copied, before anything is written to it. Only what fails twice in the same place, while nothing moved, is
 * damage; a living owner may move the file faster than it can be read, until it is fenced.
 */
function ensureSound(file: StateFile): void {
  let failed = "";
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const { generation } = readSuperblocks(file).newest;
    try {
      verifySource(walkedSource(file));
      return;
    } catch (error) {
      if (!(error instanceof PerdureError && error.code === "CORRUPT")) throw error;
      const now = `${generation} ${error.message}`;
      if (now === failed) throw error;
      failed = now;
    }
  }
}

/** Fails where copying `source` would. */
function verifySource({ file, map, snapshots, forks }: CopySource): void {
  const bytes = new Uint8Array(SLOT_BYTES);
  const seen = new SlotSet();
  const isNew = (slot: number): boolean => {
    if (!seen.has(slot)) {
      seen.add(slot);
      return true;
    }
    if (snapshots.length === 0) throw file.corrupt(`a tree reaches slot ${slot} twice`);
    return false;
  };
  const trees = snapshots.map(({ name, root }) => forks.get(name) ?? new BlockMap(file, root));
  for (const tree of [map, ...trees]) {
    tree.visit({
      node: isNew,
      leaf: (block, slot, node, entry) => {
        if (isNew(slot)) file.readVerified(slot, bytes, node.view, nodeDigestOffset(entry), `block ${block}`);
      },
    });
  }
}

/** Begun again while the fenced owner still moves the file: it can finish at most what it is doing now. */
function copyRetrying(
  place: Place,
  temporary: string,
  writer: number,
  file: StateFile,
  onCopied?: (slots: number) => void,
): void {
  for (let attempt = 1; ; attempt++) {
    try {
      const source = walkedSource(file);
      run(writeCopy(place, temporary, file.hasher, source, writer), onCopied);
      // A checkpoint of the owner meanwhile may have covered what looked like a torn tail.
      if (readSuperblocks(file).newest.generation === source.generation) return;
      if (attempt === ATTEMPTS) throw overtaken(file);
    } catch (error) {
      if (!(error instanceof PerdureError && error.code === "CORRUPT") || attempt === ATTEMPTS) throw error;
    }
    place.remove(temporary);
  }
}

/** Whoever opens the name after this flushes the directory first. */
function renameNew(place: Place, temporary: string, name: string, gone: PerdureError): void {
  try {
    place.rename(temporary, name);
  } catch (error) {
    if (error instanceof PerdureError && error.code === "NOT_FOUND") throw gone;
    throw error;
  }
}

const overtaken = (file: StateFile) =>
  new PerdureError(
    "LOCKED",
    `${file.label}: another process is taking this file over; open it again when it is done`,
  );

const takenOver = (file: StateFile) =>
  new PerdureError("FENCED", `${file.label}: another process has taken this file over; open it again`);

function walkedSource(file: StateFile): CopySource & { generation: number } {
  const { newest } = readSuperblocks(file);
  const walk = findCommit(file, newest);
  const { map, snapshots, forks } = replay(file, walk);
  return {
    file,
    map,
    snapshots: snapshots ?? readDirectory(file, newest.directory),
    forks,
    sequence: walk.sequence,
    generation: newest.generation,
  };
}

/** Runs a stepwise copy to its end at once. */
export function run<Y, T>(steps: Generator<Y, T>, onStep?: (step: Y) => void): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    onStep?.(step.value);
  }
}
