/** A file of text that is there when it is complete, or not at all, and that replaces no other. */
import { join } from "node:path";
import { PerdureError } from "../base/errors.js";
import { newName } from "../format/side-files.js";
import { randomNonce } from "../pager/random.js";
import { NodePlace } from "../storage/node.js";
import type { Storage } from "../storage/storage.js";

export class NewFile {
  readonly path: string;
  private readonly place: NodePlace;
  private readonly name: string;
  private readonly temporary: string;
  private readonly storage: Storage;
  private bytes = 0;

  /** INVALID_ARGUMENT when there is one of that name. */
  constructor(path: string) {
    const { place, name } = NodePlace.locate(path);
    this.place = place;
    this.name = name;
    this.path = join(place.label, name);
    this.temporary = newName(name, randomNonce());
    const storage = place.exists(name) ? null : place.createExclusive(this.temporary);
    if (storage === null) throw this.exists();
    this.storage = storage;
  }

  write(text: string): void {
    const bytes = Buffer.from(text);
    this.storage.write(this.bytes, bytes);
    this.bytes += bytes.length;
  }

  /** Makes it durable and gives it its name; its bytes. */
  complete(): number {
    this.storage.flush();
    if (!this.place.link(this.temporary, this.name)) throw this.exists();
    this.discard();
    this.place.flush();
    return this.bytes;
  }

  /** Takes away what has no name yet. */
  discard(): void {
    this.storage.close();
    this.place.remove(this.temporary);
  }

  private exists(): PerdureError {
    return new PerdureError("INVALID_ARGUMENT", `${this.path} exists already; it is not overwritten`);
  }
}
