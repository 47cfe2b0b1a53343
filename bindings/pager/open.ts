/**
 * The ways to get a `Pager`: a name in a place, with the writer's lock, or a bare storage that nobody else can open.
 */
import { PerdureError } from "../base/errors.js";
import { SLOT_BYTES } from "../format/constants.js";
import {
  decodeLock,
  decodePin,
  MAX_RECORD_BYTES,
  parseTemporaryName,
  temporaryName,
} from "../format/side-files.js";
import type { Hasher } from "../hash/hasher.js";
import type { Processes } from "../storage/processes.js";
import type { Place, Storage } from "../storage/storage.js";
import { copyState } from "./copy.js";
import { createFile, openFile, relocate, removeUnfinished, run } from "./files.js";
import { acquireLock, hasLower, type Lock, readRecord } from "./lock.js";
import { Pager } from "./pager.js";
import { listPins } from "./pins.js";
import { readSuperblocks, recover, type Superblocks } from "./recover.js";
import { StateFile } from "./state-file.js";
import { DEFAULT_LIMITS, type Limits, WriterState } from "./writer-state.js";

export interface PagerOptions {
  /** Create the file when there is none; default true. */
  create?: boolean;
  /** Take the writer's place although its owner is not proven dead. */
  takeover?: boolean;
  limits?: Partial<Limits>;
  /** Told of the slots copied so far when the file has to be copied: by a takeover, or to finish one. */
  onCopied?: (slots: number) => void;
}

/** How often opening begins again because another process replaced the file meanwhile. */
const ATTEMPTS = 5;

/** Opens `name` for writing. LOCKED, NOT_FOUND, CORRUPT, VERSION, NO_SPACE, READ_ONLY, IO. */
export function openPager(
  place: Place,
  name: string,
  hasher: Hasher,
  processes: Processes,
  options: PagerOptions = {},
): Pager {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  if (!place.exists(name)) {
    if (options.create === false)
      throw new PerdureError("NOT_FOUND", `there is no file ${place.label}/${name}`);
    createFile(place, name, hasher);
  }
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const opening = new Opening(place, name, hasher, processes, limits, options.onCopied);
    const state = opening.open(options.takeover === true);
    if (state === null) continue;
    const { lock } = opening;
    const home = {
      place,
      name,
      lock: lock!,
      reopen: () => opening.recoverOwn(),
      pinnedSnapshots: (uuid: Uint8Array) =>
        listPins(place, name, uuid, hasher, processes).flatMap(({ snapshot }) => snapshot ?? []),
    };
    return new Pager(state, home, hasher);
  }
  throw new PerdureError(
    "LOCKED",
    `${place.label}/${name}: other processes keep replacing the file; try again`,
  );
}

/** Opens a storage that this process has for itself; an empty one becomes a new state file. */
export function openPagerOn(storage: Storage, hasher: Hasher, options: PagerOptions = {}): Pager {
  const file = new StateFile(storage, hasher, "storage");
  if (storage.size() === 0) {
    if (options.create === false) throw new PerdureError("NOT_FOUND", "the storage is empty");
    run(copyState(null, file, 0));
    storage.flush();
  }
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const start = ({ newest, fallback }: Superblocks) =>
    new WriterState(file, newest, fallback, newest.writer + 1, limits, false, () => []);
  return new Pager(recover(start, file), null, hasher);
}

class Opening {
  lock: Lock | null = null;
  private file: StateFile | null = null;

  constructor(
    private readonly place: Place,
    private readonly name: string,
    private readonly hasher: Hasher,
    private readonly processes: Processes,
    private readonly limits: Limits,
    private readonly onCopied?: (slots: number) => void,
  ) {}

  /** Null when the file was replaced by another process meanwhile. */
  open(takeover: boolean): WriterState | null {
    try {
      const { place, name } = this;
      this.reopen();
      this.lock = acquireLock(
        place,
        name,
        this.processes,
        { reopen: () => this.reopen(), writer: () => this.writer() },
        takeover,
      );
      const { n } = this.lock;
      const forced = takeover && hasLower(place, name, n);
      if (!forced && !this.file!.isForwarded()) {
        return this.recoverFile(() => this.tidy());
      }
      if (relocate(place, name, this.file!, n, this.onCopied)) return this.recoverOwn();
    } catch (error) {
      this.letGo();
      throw error;
    }
    this.letGo();
    return null;
  }

  /** Opens the copy that this process put under the name; LOCKED when it is another's by now. */
  recoverOwn(): WriterState {
    this.reopen();
    if (this.writer() !== this.lock!.n) {
      throw new PerdureError(
        "LOCKED",
        `${this.place.label}/${this.name}: another process has taken this file over`,
      );
    }
    const state = this.recoverFile();
    this.lock!.removeLower();
    return state;
  }

  private recoverFile(beforeWriting = () => {}): WriterState {
    const { place, name, hasher, processes, limits } = this;
    const file = this.file!;
    this.file = null;
    const start = ({ newest, fallback }: Superblocks) =>
      new WriterState(file, newest, fallback, this.lock!.n, limits, true, () =>
        listPins(place, name, newest.uuid, hasher, processes),
      );
    try {
      // Whoever created or renamed the file may have died before its name was durable.
      place.flush();
      return recover(start, file, beforeWriting);
    } catch (error) {
      file.storage.close();
      throw error;
    }
  }

  private reopen(): void {
    this.file?.storage.close();
    this.file = null;
    this.file = openFile(this.place, this.name, "write", this.hasher);
  }

  /** The writer number in the file that is open. */
  private writer(): number {
    return readSuperblocks(this.file!).newest.writer;
  }

  /** Removes what processes that are dead by now have left half done. */
  private tidy(): void {
    const { place, name } = this;
    removeUnfinished(place, name);
    for (const file of place.list(temporaryName(name, ""))) {
      if (parseTemporaryName(name, file) === null) continue;
      const bytes = readRecord(place, file, SLOT_BYTES + MAX_RECORD_BYTES);
      if (typeof bytes === "string") continue;
      const record = decodeLock(bytes) ?? decodePin(bytes);
      // One that is not complete may be somebody's who is writing it now; it is then written again, under another name.
      if (record === null || this.processes.isDead(record.process)) place.remove(file);
    }
  }

  private letGo(): void {
    this.file?.storage.close();
    this.file = null;
    this.lock?.release();
  }
}
