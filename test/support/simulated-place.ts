// The directory of a simulated disk as one process sees it.

import {
  type Access,
  checkName,
  notFoundError,
  type Place,
  type Storage,
} from "../../bindings/storage/storage.js";
import type { DiskMachine } from "./disk-machine.js";
import type { Operation, OperationKind } from "./disk-operations.js";
import type { SimulatedDirectory } from "./simulated-directory.js";
import type { SimulatedFile } from "./simulated-file.js";
import { SimulatedStorage } from "./simulated-storage.js";

export class SimulatedPlace implements Place {
  constructor(
    readonly label: string,
    private readonly process: string,
    private readonly machine: DiskMachine,
    private readonly directory: SimulatedDirectory,
    private readonly newFile: () => SimulatedFile,
  ) {}

  open(name: string, access: Access): Storage {
    checkName(name);
    return this.machine.perform(this.operation("open", name), () =>
      this.storage(this.find(name), access, name),
    );
  }

  createExclusive(name: string): Storage | null {
    checkName(name);
    return this.machine.perform(this.operation("create", name), () => {
      if (this.directory.names.has(name)) return null;
      const file = this.newFile();
      this.directory.change([name, file]);
      return this.storage(file, "write", name);
    });
  }

  link(from: string, to: string): boolean {
    checkName(from);
    checkName(to);
    return this.machine.perform(this.operation("link", from, to), () => {
      const file = this.find(from);
      if (this.directory.names.has(to)) return false;
      this.directory.change([to, file]);
      return true;
    });
  }

  rename(from: string, to: string): void {
    checkName(from);
    checkName(to);
    this.machine.perform(this.operation("rename", from, to), () => {
      const file = this.find(from);
      if (this.directory.names.get(to) === file) return false;
      this.directory.change([to, file], [from, null]);
      return true;
    });
  }

  remove(name: string): boolean {
    checkName(name);
    return this.machine.perform(this.operation("remove", name), () => {
      if (!this.directory.names.has(name)) return false;
      this.directory.change([name, null]);
      return true;
    });
  }

  list(prefix: string): string[] {
    return this.machine.perform(this.operation("list", prefix), () =>
      [...this.directory.names.keys()].filter((name) => name.startsWith(prefix)).sort(),
    );
  }

  readFile(name: string): Uint8Array | null {
    checkName(name);
    return this.machine.perform(this.operation("readFile", name), () => {
      const content = this.directory.names.get(name)?.cache;
      return content === undefined ? null : content.slice(0, content.size);
    });
  }

  exists(name: string): boolean {
    checkName(name);
    return this.machine.perform(this.operation("exists", name), () => this.directory.names.has(name));
  }

  flush(): void {
    this.machine.perform(this.operation("flushDirectory", ""), () => this.directory.persist());
  }

  private operation(kind: OperationKind, name: string, target = ""): Operation {
    return { index: -1, kind, process: this.process, name, target, file: -1, offset: 0, length: 0 };
  }

  private find(name: string): SimulatedFile {
    const file = this.directory.names.get(name);
    if (file === undefined) throw notFoundError(`${this.label}/${name}`);
    return file;
  }

  private storage(file: SimulatedFile, access: Access, name: string): Storage {
    return new SimulatedStorage(this.machine, this.process, file, access, name, `${this.label}/${name}`);
  }
}
