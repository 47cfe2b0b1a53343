// An open file of a simulated disk. It holds two descriptions, as the Node backend does: one for itself and one for
// the flush off the thread, each told once of every failed write-back since it was opened.

import { PerdureError } from "../../bindings/base/errors.js";
import {
  type Access,
  checkRange,
  closedError,
  readOnlyError,
  type Storage,
} from "../../bindings/storage/storage.js";
import { nothingPersists } from "./crash-chooser.js";
import type { DiskMachine } from "./disk-machine.js";
import type { Operation, OperationKind } from "./disk-operations.js";
import type { SimulatedFile } from "./simulated-file.js";

interface Description {
  toldErrors: number;
}

export class SimulatedStorage implements Storage {
  private closed = false;
  private readonly own: Description;
  private readonly background: Description;

  constructor(
    private readonly machine: DiskMachine,
    private readonly process: string,
    private readonly file: SimulatedFile,
    private readonly access: Access,
    private readonly name: string,
    private readonly path: string,
  ) {
    this.own = { toldErrors: file.writebackErrors };
    this.background = { toldErrors: file.writebackErrors };
  }

  size(): number {
    this.checkOpen();
    return this.machine.perform(this.operation("size"), () => this.file.cache.size);
  }

  read(offset: number, into: Uint8Array): number {
    this.checkOpen();
    checkRange(offset, into.length);
    const operation = this.operation("read", offset, into.length);
    return this.machine.perform(operation, () => this.file.cache.read(offset, into));
  }

  write(offset: number, from: Uint8Array): void {
    this.writeParts(offset, [from]);
  }

  writeParts(offset: number, parts: readonly Uint8Array[]): void {
    this.checkWritable();
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    checkRange(offset, length);
    if (length === 0) return;
    const bytes = new Uint8Array(length);
    let position = 0;
    for (const part of parts) {
      bytes.set(part, position);
      position += part.length;
    }
    const apply = (mostBytes: number): void =>
      this.file.write(this.machine.nextOrder(), offset, bytes.subarray(0, mostBytes));
    this.machine.perform(this.operation("write", offset, length), apply, bytes);
  }

  flush(): void {
    this.checkOpen();
    if (this.access === "read") return;
    this.machine.perform(this.operation("flush"), (_, fault) => {
      const order = this.machine.lastOrder;
      if (fault === null) this.file.persist(order);
      else this.file.failWriteback(order, fault.options.persisted ?? nothingPersists);
      const error = this.tell(this.own);
      if (fault === null && error !== null) throw error;
    });
  }

  flushAsync(): Promise<void> {
    try {
      this.checkOpen();
      if (this.access === "read") return Promise.resolve();
      const operation = this.operation("flushAsync");
      return this.machine.perform(operation, (_, fault) =>
        this.machine.beginFlush(operation, this.file, fault, () => this.tell(this.background)),
      );
    } catch (error) {
      if (error instanceof PerdureError) return Promise.reject(error);
      throw error;
    }
  }

  truncate(size: number): void {
    this.checkWritable();
    checkRange(size, 0);
    this.machine.perform(this.operation("truncate", 0, size), () =>
      this.file.truncate(this.machine.nextOrder(), size),
    );
  }

  close(): void {
    this.closed = true;
  }

  private operation(kind: OperationKind, offset = 0, length = 0): Operation {
    const { process, name, file } = this;
    return { index: -1, kind, process, name, target: "", file: file.id, offset, length };
  }

  private tell(description: Description): PerdureError | null {
    if (description.toldErrors === this.file.writebackErrors) return null;
    description.toldErrors = this.file.writebackErrors;
    return new PerdureError("IO", `cannot flush ${this.path}: an earlier write-back failed`);
  }

  private checkOpen(): void {
    this.machine.checkRunning(this.process);
    if (this.closed) throw closedError(this.path);
  }

  private checkWritable(): void {
    this.checkOpen();
    if (this.access === "read") throw readOnlyError(this.path);
  }
}
