/**
 * Regions: named bytes in high memory, as many as there are, seen through windows. A region is an extent of clusters; its name leads to the
 * extent's descriptor. A window that was used last is used again without being looked up, as long as no window has moved.
 */
import { PerdureError } from "../base/errors.js";
import type { Engine } from "../engine.js";
import { copyWritten, discardClusters, EXTENT, eachPart, firstClusterOf, takeClusters } from "./extents.js";
import { Kind, Registry } from "./roots.js";
import type { Session } from "./session.js";

// Constants of the engine that every access needs: looking them up there would cost more than the access.
const CLUSTER_BYTES = 40_960;
const WINDOW_EPOCH = 0x3_0010;
const CLEAN = 3;
const DIRTY = 5;

/** The most bytes that an image can address beyond the low part. */
const MAX_BYTES = 2 ** 52 - 2 ** 32 - 2 ** 13;

export class Regions {
  private readonly registry: Registry;

  constructor(private readonly memory: Session) {
    this.registry = new Registry(memory, Kind.Region);
  }

  open(name: string, bytes: number | undefined): Region {
    if (bytes !== undefined) verifyLength(bytes);
    const known = this.registry.find(name);
    if (known !== null) {
      const region = new Region(this.memory, this.registry, name);
      if (bytes !== undefined && bytes > region.length && !this.memory.readOnly) region.resize(bytes);
      return region;
    }
    if (this.memory.readOnly || bytes === undefined)
      throw new PerdureError("NOT_FOUND", `there is no region ${JSON.stringify(name)}`);
    const { engine } = this.memory;
    const extent = takeExtent(engine, bytes);
    try {
      this.registry.set(name, extent);
    } catch (error) {
      if (engine.halt === null) engine.mutate(() => engine.core.functions.giveExtent(extent));
      throw error;
    }
    return new Region(this.memory, this.registry, name);
  }
}

/** Offsets are bytes from 0 to `length`; INVALID_ADDRESS outside. Values are little-endian at any alignment; what was never written is zero. */
export class Region {
  private readonly engine: Engine;
  private extent = 0;
  private firstCluster = 0;
  private bytes = 0;
  private generation = -1;
  /** The window that was used last. */
  private cluster = -1;
  private window = 0;
  private epoch = -1;

  /** Made by `Memory.region`. @internal */
  constructor(
    private readonly memory: Session,
    private readonly registry: Registry,
    readonly name: string,
  ) {
    this.engine = memory.engine;
    this.find();
  }

  /** Bytes. */
  get length(): number {
    this.ensureCurrent();
    return this.bytes;
  }

  getU8(offset: number): number {
    return this.dataAt(offset, 1).getUint8(this.at);
  }
  setU8(offset: number, value: number): void {
    this.target(offset, 1).setUint8(this.at, value);
    this.stored(offset, 1);
  }
  getI8(offset: number): number {
    return this.dataAt(offset, 1).getInt8(this.at);
  }
  setI8(offset: number, value: number): void {
    this.target(offset, 1).setInt8(this.at, value);
    this.stored(offset, 1);
  }
  getU16(offset: number): number {
    return this.dataAt(offset, 2).getUint16(this.at, true);
  }
  setU16(offset: number, value: number): void {
    this.target(offset, 2).setUint16(this.at, value, true);
    this.stored(offset, 2);
  }
  getI16(offset: number): number {
    return this.dataAt(offset, 2).getInt16(this.at, true);
  }
  setI16(offset: number, value: number): void {
    this.target(offset, 2).setInt16(this.at, value, true);
    this.stored(offset, 2);
  }
  getU32(offset: number): number {
    return this.dataAt(offset, 4).getUint32(this.at, true);
  }
  setU32(offset: number, value: number): void {
    this.target(offset, 4).setUint32(this.at, value, true);
    this.stored(offset, 4);
  }
  getI32(offset: number): number {
    return this.dataAt(offset, 4).getInt32(this.at, true);
  }
  setI32(offset: number, value: number): void {
    this.target(offset, 4).setInt32(this.at, value, true);
    this.stored(offset, 4);
  }
  getU64(offset: number): bigint {
    return this.dataAt(offset, 8).getBigUint64(this.at, true);
  }
  setU64(offset: number, value: bigint): void {
    this.target(offset, 8).setBigUint64(this.at, value, true);
    this.stored(offset, 8);
  }
  getI64(offset: number): bigint {
    return this.dataAt(offset, 8).getBigInt64(this.at, true);
  }
  setI64(offset: number, value: bigint): void {
    this.target(offset, 8).setBigInt64(this.at, value, true);
    this.stored(offset, 8);
  }
  getF32(offset: number): number {
    return this.dataAt(offset, 4).getFloat32(this.at, true);
  }
  setF32(offset: number, value: number): void {
    this.target(offset, 4).setFloat32(this.at, value, true);
    this.stored(offset, 4);
  }
  getF64(offset: number): number {
    return this.dataAt(offset, 8).getFloat64(this.at, true);
  }
  setF64(offset: number, value: number): void {
    this.target(offset, 8).setFloat64(this.at, value, true);
    this.stored(offset, 8);
  }

  /** A copy of `length` bytes. */
  read(offset: number, length: number): Uint8Array {
    this.verify(offset, length, false);
    const into = new Uint8Array(length);
    eachPart(this.engine, this.firstCluster, offset, length, false, (part, done) => into.set(part, done));
    return into;
  }

  /** Over more than a cluster an error may leave it half done: then the memory is SUSPENDED. */
  write(offset: number, bytes: Uint8Array): void {
    if (!(bytes instanceof Uint8Array))
      throw new PerdureError("INVALID_ARGUMENT", "write takes a Uint8Array");
    this.verify(offset, bytes.length, true);
    const from = bytes.buffer === this.engine.core.bytes.buffer ? bytes.slice() : bytes;
    let written = 0;
    const put = (part: Uint8Array, done: number) => {
      part.set(from.subarray(done, done + part.length));
      written = done + part.length;
    };
    try {
      eachPart(this.engine, this.firstCluster, offset, from.length, true, put);
    } catch (error) {
      if (written === 0) throw error;
      this.engine.changeAll(() => {
        throw error;
      });
    }
  }

  /** Makes it longer, by zeros, or cuts it. */
  resize(bytes: number): void {
    verifyLength(bytes);
    this.ensureCurrent();
    const { engine } = this;
    engine.ensureWritable();
    const before = this.bytes;
    const clusters = clustersFor(bytes);
    const cut = clustersFor(before) - clusters;
    const { core } = engine;
    // What may be refused comes first.
    if (cut > 0) discardClusters(engine, this.firstCluster + clusters, cut);
    const result = engine.changeAll(() => {
      if (bytes < before) this.clearTail(bytes, before);
      const code = engine.mutate(() => core.functions.resizeExtent(this.extent, clusters));
      if (code === 0) setLength(engine, this.extent, bytes);
      return code;
    });
    if (result === core.constants.MUST_MOVE) this.move(bytes);
    else if (result !== 0)
      throw new PerdureError(
        "OUT_OF_MEMORY",
        `there is no room for ${bytes} bytes of region ${JSON.stringify(this.name)}`,
      );
    this.changed();
    this.find();
  }

  /** Gives its memory back; the name is free again, and leads to nothing until a region of that name is made. */
  drop(): void {
    this.ensureCurrent();
    const { engine } = this;
    engine.ensureWritable();
    const { functions } = engine.core;
    discardClusters(engine, this.firstCluster, clustersFor(this.bytes));
    engine.changeAll(() => {
      this.registry.delete(this.name);
      engine.mutate(() => functions.giveExtent(this.extent));
    });
    this.changed();
  }

  // Inside

  /** Where `dataAt` has found the bytes. */
  private at = 0;
  private static readonly scratch = new DataView(new ArrayBuffer(8));

  /** A view and, in `at`, the position in it at which `bytes` can be read. */
  private dataAt(offset: number, bytes: number): DataView {
    const address = this.locate(offset, bytes, false);
    if (address >= 0) {
      this.at = address;
      return this.engine.core.data;
    }
    this.at = 0;
    new Uint8Array(Region.scratch.buffer).set(this.read(offset, bytes));
    return Region.scratch;
  }

  /** The same for storing them; `stored` puts where they belong those that lie in two clusters. */
  private target(offset: number, bytes: number): DataView {
    const address = this.locate(offset, bytes, true);
    this.at = Math.max(address, 0);
    return address >= 0 ? this.engine.core.data : Region.scratch;
  }

  private stored(offset: number, bytes: number): void {
    if ((offset % CLUSTER_BYTES) + bytes > CLUSTER_BYTES)
      this.write(offset, new Uint8Array(Region.scratch.buffer.slice(0, bytes)));
  }

  /** The address of bytes that lie in one cluster, ready to be used; −1 for those that lie in two. */
  private locate(offset: number, bytes: number, write: boolean): number {
    this.verify(offset, bytes, write);
    const { core } = this.engine;
    const cluster = Math.floor(offset / CLUSTER_BYTES);
    const within = offset - cluster * CLUSTER_BYTES;
    if (within + bytes > CLUSTER_BYTES) return -1;
    if (cluster !== this.cluster || this.epoch !== core.data.getUint32(WINDOW_EPOCH, true))
      this.show(cluster);
    const address = this.window + within;
    const needed = write ? DIRTY : CLEAN;
    const isReady =
      core.states[address >>> 12] >= needed && core.states[(address + bytes - 1) >>> 12] >= needed;
    if (!isReady) this.engine.ensure(address, bytes, write);
    return address;
  }

  private show(cluster: number): void {
    this.window = this.engine.windowOf(this.firstCluster + cluster);
    this.cluster = cluster;
    this.epoch = this.engine.core.data.getUint32(WINDOW_EPOCH, true);
  }

  private verify(offset: number, bytes: number, write: boolean): void {
    this.ensureCurrent();
    const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(bytes);
    if (!whole || offset < 0 || bytes < 0 || offset + bytes > this.bytes) {
      const message = `${bytes} bytes at ${offset} are not in region ${JSON.stringify(this.name)} of ${this.bytes} bytes`;
      throw new PerdureError("INVALID_ADDRESS", message);
    }
    if (write) this.engine.ensureWritable();
  }

  /** Other handles of this region look it up again. */
  private changed(): void {
    this.engine.generation++;
  }

  /** After a rollback, a restore, a refresh, or another handle's doing, it may be elsewhere, of another length, or gone. */
  private ensureCurrent(): void {
    if (this.generation === this.engine.generation && this.memory.isOpen) return;
    this.memory.ensureOpen();
    this.find();
  }

  private find(): void {
    const { engine } = this;
    const entry = this.registry.find(this.name);
    if (entry === null)
      throw new PerdureError("NOT_FOUND", `there is no region ${JSON.stringify(this.name)} any more`);
    this.extent = entry.address;
    this.firstCluster = firstClusterOf(engine, this.extent);
    this.bytes = Number(engine.core.data.getBigUint64(this.extent + EXTENT.length, true));
    this.generation = engine.generation;
    this.cluster = -1;
  }

  /** What is cut off within the last cluster that stays is made zeros, so that growing again shows zeros. */
  private clearTail(from: number, to: number): void {
    const end = Math.min(to, Math.max(1, Math.ceil(from / CLUSTER_BYTES)) * CLUSTER_BYTES);
    if (end > from) this.write(from, new Uint8Array(end - from));
  }

  /** Another extent with the same content. */
  private move(bytes: number): void {
    const { engine } = this;
    const { functions } = engine.core;
    const extent = takeExtent(engine, bytes);
    const old = { extent: this.extent, first: this.firstCluster, clusters: clustersFor(this.bytes) };
    engine.changeAll(() => {
      this.registry.set(this.name, extent);
      copyWritten(engine, old.first, firstClusterOf(engine, extent), old.clusters);
      discardClusters(engine, old.first, old.clusters);
      engine.mutate(() => functions.giveExtent(old.extent));
    });
  }
}

function takeExtent(engine: Engine, bytes: number): number {
  const extent = takeClusters(engine, clustersFor(bytes), `${bytes} bytes`);
  setLength(engine, extent, bytes);
  return extent;
}

function setLength(engine: Engine, extent: number, bytes: number): void {
  engine.ensure(extent, EXTENT.bytes, true);
  engine.core.data.setBigUint64(extent + EXTENT.length, BigInt(bytes), true);
}

function clustersFor(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / CLUSTER_BYTES));
}

function verifyLength(bytes: number): void {
  if (Number.isSafeInteger(bytes) && bytes >= 0 && bytes <= MAX_BYTES) return;
  const message = `a region has 0 to ${MAX_BYTES} bytes, not ${String(bytes)}`;
  throw new PerdureError(
    Number.isSafeInteger(bytes) && bytes > 0 ? "OUT_OF_MEMORY" : "INVALID_ARGUMENT",
    message,
  );
}
