// Storage on the file system of Node, Deno and Bun, through `node:fs`.

import fs from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { PerdureError } from "../base/errors.js";
import { fileError, systemCode } from "./node-errors.js";
import { type FileSystem, NodeStorage } from "./node-storage.js";
import { type Access, checkName, type Place, type Storage } from "./storage.js";

export { type FileSystem, NodeStorage } from "./node-storage.js";

/** How often `open` begins again because the name moved to another file between its two opens. */
const maxOpens = 100;

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL } = fs.constants;
/** Opening a pipe must not wait for its other end. Windows has neither the flag nor the pipe. */
const openFlags = fs.constants.O_NONBLOCK ?? 0;

/** A directory of the file system. */
export class NodePlace implements Place {
  readonly label: string;

  constructor(
    directory: string,
    private readonly fileSystem: FileSystem = fs,
  ) {
    this.label = resolve(directory);
  }

  /**
   * The place and the name of the file behind `path`, symbolic links followed: side files lie next to the file
   * itself, whatever it was called, and a rename replaces the file and not a link to it. The file need not exist;
   * its directory must, or NOT_FOUND.
   */
  static locate(path: string, fileSystem: FileSystem = fs): { place: NodePlace; name: string } {
    if (path === "") throw new PerdureError("INVALID_ARGUMENT", "the path is empty");
    let whole: string;
    try {
      whole =
        realPathOrNull(path, fileSystem) ?? join(fileSystem.realpathSync(dirname(path)), basename(path));
    } catch (error) {
      throw fileError(error, "find", path, "read");
    }
    const name = basename(whole);
    checkName(name);
    return { place: new NodePlace(dirname(whole), fileSystem), name };
  }

  open(name: string, access: Access): Storage {
    const path = this.path(name);
    const write = access === "write";
    for (let opens = 0; opens < maxOpens; opens++) {
      const descriptor = this.openDescriptor(path, (write ? O_RDWR : O_RDONLY) | openFlags, access);
      if (!write) return new NodeStorage(this.fileSystem, path, descriptor, null);
      const second = this.openSecond(path, descriptor);
      if (second !== null) return new NodeStorage(this.fileSystem, path, descriptor, second);
      this.fileSystem.closeSync(descriptor);
    }
    throw new PerdureError("IO", `cannot open ${path}: the name keeps moving to other files`);
  }

  createExclusive(name: string): Storage | null {
    const path = this.path(name);
    let descriptor: number;
    try {
      descriptor = this.openDescriptor(path, O_RDWR | O_CREAT | O_EXCL | openFlags, "write");
    } catch (error) {
      if (systemCode(error) === "EEXIST") return null;
      throw error;
    }
    try {
      const second = this.openSecond(path, descriptor) ?? descriptor;
      return new NodeStorage(this.fileSystem, path, descriptor, second);
    } catch (error) {
      this.remove(name);
      throw error;
    }
  }

  link(from: string, to: string): boolean {
    const [fromPath, toPath] = [this.path(from), this.path(to)];
    try {
      this.fileSystem.linkSync(fromPath, toPath);
      return true;
    } catch (error) {
      const code = systemCode(error);
      if (code === "EEXIST") return false;
      if (code === "EPERM" || code === "ENOTSUP" || code === "EOPNOTSUPP" || code === "ENOSYS") {
        const message = `cannot link ${fromPath} to ${toPath}: the file system has no hard links for this file`;
        throw new PerdureError("UNSUPPORTED", message, { cause: error });
      }
      throw fileError(error, "link", `${fromPath} to ${toPath}`, "write");
    }
  }

  rename(from: string, to: string): void {
    const [fromPath, toPath] = [this.path(from), this.path(to)];
    try {
      this.fileSystem.renameSync(fromPath, toPath);
    } catch (error) {
      throw fileError(error, "rename", `${fromPath} to ${toPath}`, "write");
    }
  }

  remove(name: string): boolean {
    const path = this.path(name);
    try {
      this.fileSystem.unlinkSync(path);
      return true;
    } catch (error) {
      if (systemCode(error) === "ENOENT") return false;
      throw fileError(error, "remove", path, "write");
    }
  }

  list(prefix: string): string[] {
    try {
      return this.fileSystem
        .readdirSync(this.label)
        .filter((name) => name.startsWith(prefix))
        .sort();
    } catch (error) {
      throw fileError(error, "list", this.label, "read");
    }
  }

  readFile(name: string): Uint8Array | null {
    let file: Storage;
    try {
      file = this.open(name, "read");
    } catch (error) {
      if (error instanceof PerdureError && error.code === "NOT_FOUND") return null;
      throw error;
    }
    try {
      const bytes = new Uint8Array(file.size());
      return bytes.subarray(0, file.read(0, bytes));
    } finally {
      file.close();
    }
  }

  exists(name: string): boolean {
    const path = this.path(name);
    try {
      return this.fileSystem.lstatSync(path, { throwIfNoEntry: false }) !== undefined;
    } catch (error) {
      throw fileError(error, "look for", path, "read");
    }
  }

  /** Where the system or the file system cannot flush a directory (Windows, some network mounts), does nothing. */
  flush(): void {
    let descriptor: number | null = null;
    try {
      descriptor = this.fileSystem.openSync(this.label, O_RDONLY);
      this.fileSystem.fsyncSync(descriptor);
    } catch (error) {
      const code = systemCode(error);
      if (code === "EINVAL" || code === "EPERM" || code === "EISDIR") return;
      throw fileError(error, "flush the directory", this.label, "write");
    } finally {
      if (descriptor !== null) this.fileSystem.closeSync(descriptor);
    }
  }

  private path(name: string): string {
    checkName(name);
    return join(this.label, name);
  }

  /** Opens a file and nothing else: directories, pipes and devices are refused. */
  private openDescriptor(path: string, flags: number, access: Access): number {
    let descriptor: number;
    try {
      descriptor = this.fileSystem.openSync(path, flags, 0o666);
    } catch (error) {
      throw fileError(error, "open", path, access);
    }
    try {
      if (this.fileSystem.fstatSync(descriptor).isFile()) return descriptor;
    } catch (error) {
      this.fileSystem.closeSync(descriptor);
      throw fileError(error, "open", path, access);
    }
    this.fileSystem.closeSync(descriptor);
    throw new PerdureError("INVALID_ARGUMENT", `${path} is not a regular file`);
  }

  /** A second description of the open file; null when the path no longer leads to it. Closes the first if it throws. */
  private openSecond(path: string, descriptor: number): number | null {
    let second: number;
    try {
      second = this.openDescriptor(path, O_RDWR | openFlags, "write");
    } catch (error) {
      if (error instanceof PerdureError && error.code === "NOT_FOUND") return null;
      this.fileSystem.closeSync(descriptor);
      throw error;
    }
    const [a, b] = [descriptor, second].map((one) => this.fileSystem.fstatSync(one, { bigint: true }));
    if (a?.ino === b?.ino && a?.dev === b?.dev) return second;
    this.fileSystem.closeSync(second);
    return null;
  }
}

/** The path with its links followed; null when nothing is there. A link that leads nowhere is NOT_FOUND. */
function realPathOrNull(path: string, fileSystem: FileSystem): string | null {
  try {
    return fileSystem.realpathSync(path);
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    if (fileSystem.lstatSync(path, { throwIfNoEntry: false }) === undefined) return null;
    throw new PerdureError("NOT_FOUND", `${path} is a symbolic link that leads nowhere`, { cause: error });
  }
}
