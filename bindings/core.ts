/**
 * The engine's Wasm instance and the views of its memory. It knows no files: a block that is not in memory is asked of the `Host`.
 *
 * Invariants. `bytes`, `data` and `states` show the memory as it is now: who calls what can make it grow renews them afterwards, and they are renewed
 * before the host is asked for anything. Addresses and counts that come back from Wasm are made unsigned where they do.
 */
import { type ErrorCode, PerdureError } from "./base/errors.js";
import { moduleOf } from "./base/wasm-module.js";
import { engineModule, smallInstance } from "./hash/engine-module.js";
import { WasmHasher } from "./hash/wasm-hasher.js";

export const BLOCK_BYTES = 4096;
/** Blocks in 4 GiB of linear memory; the high image begins with this block. */
export const LINEAR_BLOCKS = 2 ** 20;
const WASM_PAGE_BYTES = 65536;
const WASM_PAGES_MAX = 65536;

/** What the engine asks of its owner. None of these may call the engine; all may throw. */
export interface Host {
  /** Put the content of this block of linear memory into it; zeros when it was never written. */
  fault(block: number): void;
  /** Something will need a commit. */
  firstTouch(): void;
  /** A window must go: write this block of it to the file, before its commit. */
  spill(block: number): void;
}

/** The functions of the module, without those that only hash. Parameters are unsigned 32-bit numbers unless said otherwise. */
export interface EngineFunctions {
  format(): number;
  mount(): number;
  fetch(block: number): void;
  touch(block: number): void;
  discard(first: number, count: number): void;
  watch(first: number, count: number): void;
  unwatch(block: number, changed: number): void;
  settle(): void;
  revert(): void;
  forget(): void;
  alloc(size: number, align: number, zero: number): number;
  realloc(address: number, size: number): number;
  release(address: number): number;
  sizeOf(address: number): number;
  blockOf(address: number): number;
  trim(): void;
  heapStatistics(): void;
  registryFind(kind: number, nameBytes: number): number;
  registrySet(kind: number, nameBytes: number): number;
  registryDelete(kind: number, nameBytes: number): number;
  registryNext(kind: number, entry: number): number;
  registryCount(kind: number): number;
  /** Clusters are f64 here and below. */
  windowOf(cluster: number): number;
  dropClusters(first: number, count: number): number;
  /** Blocks of the high image, f64 as well. */
  dropBlocks(first: number, count: number): number;
  takeExtent(clusters: number): number;
  resizeExtent(extent: number, clusters: number): number;
  giveExtent(extent: number): number;
  treeCreate(): number;
  /** The key lies in the exchange area. Values are f64 here and below. */
  treeFind(tree: number, keyBytes: number): number;
  treeFindFirst(tree: number, keyBytes: number): number;
  treeInsert(tree: number, keyBytes: number, value: number): number;
  treeReplace(tree: number, keyBytes: number, value: number): number;
  treeDelete(tree: number, keyBytes: number): number;
  treeSeek(tree: number, keyBytes: number, mode: number): number;
  treeDestroy(tree: number): number;
  /** Row ids and pages are f64, and so are results that are: docs/TABLES.md §4. */
  tableInsert(table: number, bytes: number, atTail: number): number;
  tableFind(table: number, id: number): number;
  tableUpdate(table: number, id: number, bytes: number): number;
  tableDelete(table: number, id: number): number;
  tablePage(table: number, page: number): number;
  tableDropPage(table: number, page: number): number;
  tableTakeRun(table: number, pages: number, bytes: number): number;
}

export interface CoreOptions {
  /** Bytes of the heap that memory has room for from the start. */
  reserveBytes: number;
  /** The most bytes that the heap may have; 0 for no limit but that of linear memory. */
  maxBytes: number;
  /** Bytes of the windows onto high memory. */
  windowBytes: number;
}

/** Fixed addresses and block states, from the module's exported constants. */
export interface Constants {
  readonly DIRTY_COUNT: number;
  readonly GROWTH_LOCK: number;
  readonly HEAP_LIMIT: number;
  readonly EXCHANGE: number;
  readonly STATES: number;
  readonly COMMIT_COUNT: number;
  readonly UNFLUSHED: number;
  readonly DIRTY_LIST: number;
  readonly LOW_IMAGE: number;
  readonly HEADER: number;
  readonly HEAP: number;
  readonly HEAP_BLOCKS: number;
  readonly PAGE_MAP: number;
  readonly ADDRESS_MIN: number;
  readonly ENTRY_NAME: number;
  readonly NAME_BYTES_MAX: number;
  readonly ABSENT: number;
  readonly EMPTY: number;
  readonly DISCARDED: number;
  readonly CLEAN: number;
  readonly DIRTY: number;
  readonly WATCHED: number;
  readonly WATCHED_DIRTY: number;
  readonly WINDOWS: number;
  readonly WINDOW_DESCRIPTORS: number;
  readonly WINDOW_EPOCH: number;
  readonly STATE_EPOCH: number;
  readonly RECORD: number;
  readonly WINDOW_LIMIT: number;
  readonly DIRTY_WINDOWS: number;
  readonly CLUSTER_BLOCKS: number;
  readonly CLUSTER_BYTES: number;
  readonly [name: string]: number;
}

export class Core {
  readonly functions: EngineFunctions;
  readonly constants: Constants;
  readonly memory: WebAssembly.Memory;
  bytes!: Uint8Array<ArrayBuffer>;
  data!: DataView<ArrayBuffer>;
  /** The state bytes of all blocks of linear memory. */
  states!: Uint8Array<ArrayBuffer>;
  private readonly codes: ReadonlyMap<number, ErrorCode>;
  private readonly env: WebAssembly.ModuleImports;

  /** `hasher` hashes in this memory from now on. OUT_OF_MEMORY when the runtime has no room for what is reserved. */
  constructor(
    host: Host,
    options: CoreOptions,
    readonly hasher = new WasmHasher(),
  ) {
    const module = engineModule();
    this.constants = engineConstants();
    this.memory = reserve(options.reserveBytes, this.constants.HEAP);
    this.env = {
      memory: this.memory,
      // One call may make memory grow, and then need blocks.
      fault: (block: number) => {
        this.renew();
        host.fault(block >>> 0);
      },
      firstTouch: () => host.firstTouch(),
      spill: (block: number) => {
        this.renew();
        host.spill(block >>> 0);
      },
    };
    const instance = new WebAssembly.Instance(module, { env: this.env });
    // A plain object: the exports themselves are a frozen dictionary, and slower to call through.
    this.functions = { ...instance.exports } as unknown as EngineFunctions;
    this.codes = new Map(CODES.map((code) => [this.constants[code], code]));
    hasher.moveTo({ instance, memory: this.memory });
    this.renew();
    const { HEAP_LIMIT, WINDOW_LIMIT, CLUSTER_BYTES } = this.constants;
    if (options.maxBytes > 0) {
      const blocks = Math.max(1, Math.min(Math.floor(options.maxBytes / BLOCK_BYTES), LINEAR_BLOCKS));
      this.data.setUint32(HEAP_LIMIT, blocks, true);
    }
    const windows = Math.max(1, Math.min(Math.floor(options.windowBytes / CLUSTER_BYTES), LINEAR_BLOCKS));
    this.data.setUint32(WINDOW_LIMIT, windows, true);
  }

  /** The functions and constants of another module of assembly/, given as hexadecimal digits, on the same memory: it has no state of its own. */
  join(text: string): Record<string, unknown> {
    const { exports } = new WebAssembly.Instance(moduleOf(text), { env: this.env });
    return { ...exports };
  }

  /** Renews the views when memory has grown. */
  renew(): void {
    // Growth detaches what was; asking the memory itself for its buffer costs more than all the rest.
    if (this.bytes !== undefined && this.bytes.length !== 0) return;
    const { buffer } = this.memory;
    this.bytes = new Uint8Array(buffer);
    this.data = new DataView(buffer);
    this.states = new Uint8Array(buffer, this.constants.STATES, LINEAR_BLOCKS);
  }

  /** The bytes of some blocks, where they lie. */
  blocks(first: number, count: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.bytes.buffer, first * BLOCK_BYTES, count * BLOCK_BYTES);
  }

  /** The error that a code of the engine stands for, or null for an address or OK. */
  codeOf(result: number): ErrorCode | null {
    if (result === 0 || result >= this.constants.ADDRESS_MIN) return null;
    return this.codes.get(result) ?? "CORRUPT";
  }

  /** The block of the image that a block of linear memory shows. */
  imageBlock(block: number): number {
    const { WINDOWS, WINDOW_DESCRIPTORS, CLUSTER_BLOCKS, LOW_IMAGE } = this.constants;
    if (block >= LOW_IMAGE / BLOCK_BYTES) return block;
    const index = block - WINDOWS / BLOCK_BYTES;
    const descriptor = WINDOW_DESCRIPTORS + DESCRIPTOR_BYTES * Math.floor(index / CLUSTER_BLOCKS);
    return this.firstBlockOf(descriptor) + (index % CLUSTER_BLOCKS);
  }

  /** Calls `visit` with each dirty block of a window: where it lies, and which block of the image it is. */
  eachDirtyInWindows(visit: (block: number, imageBlock: number) => void): void {
    const { data, constants } = this;
    let descriptor = data.getUint32(constants.DIRTY_WINDOWS, true);
    for (; descriptor !== 0; descriptor = data.getUint32(descriptor + DESCRIPTOR.next, true)) {
      const first = data.getUint32(descriptor + DESCRIPTOR.block, true);
      const dirty = data.getUint16(descriptor + DESCRIPTOR.dirty, true);
      const image = this.firstBlockOf(descriptor);
      for (let i = 0; i < constants.CLUSTER_BLOCKS; i++) if ((dirty >>> i) & 1) visit(first + i, image + i);
    }
  }

  private firstBlockOf(descriptor: number): number {
    const cluster = Number(this.data.getBigUint64(descriptor, true));
    return LINEAR_BLOCKS + cluster * this.constants.CLUSTER_BLOCKS;
  }
}

/**
 * Memory with room for so many bytes of the heap. It is made that large at once: growth detaches the views that there were, and as soon as any buffer
 * of a process has been detached, V8 asks at every access to a typed array or DataView whether its own was.
 */
function reserve(bytes: number, heap: number): WebAssembly.Memory {
  const initial = Math.min(Math.ceil((heap + bytes) / WASM_PAGE_BYTES), WASM_PAGES_MAX);
  try {
    return new WebAssembly.Memory({ initial, maximum: WASM_PAGES_MAX });
  } catch (cause) {
    throw new PerdureError(
      "OUT_OF_MEMORY",
      `the runtime has no room for ${bytes} reserved bytes; open with a smaller \`reserve\``,
      { cause },
    );
  }
}

/** The codes of assembly/base/codes.ts, which exports them under these names. */
const CODES: readonly ErrorCode[] = [
  "OUT_OF_MEMORY",
  "INVALID_ALIGNMENT",
  "INVALID_ADDRESS",
  "INVALID_ARGUMENT",
  "DOUBLE_FREE",
  "NOT_FOUND",
  "CORRUPT",
  "VERSION",
  "BUSY",
  "LIMIT",
  "DUPLICATE",
  "ADDRESS_NOT_MAPPED",
  "ALREADY_MAPPED",
  "PERMISSION_DENIED",
];

/** Of windows, as docs/ENGINE.md §9 draws their descriptors. */
const DESCRIPTOR_BYTES = 32;
const DESCRIPTOR = { next: 8, block: 16, dirty: 20 } as const;

let knownConstants: Constants | null = null;

function engineConstants(): Constants {
  if (knownConstants !== null) return knownConstants;
  const found: Record<string, number> = {};
  for (const [name, value] of Object.entries(smallInstance().instance.exports)) {
    if (value instanceof WebAssembly.Global) found[name] = (value.value as number) >>> 0;
  }
  knownConstants = found as Constants;
  return knownConstants;
}
