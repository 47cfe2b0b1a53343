// The names of a simulated disk: as processes see them, as they are on the medium for certain, and the changes in
// between, of which a power cut keeps a prefix.

import type { Chooser } from "./crash-chooser.js";
import type { SimulatedFile } from "./simulated-file.js";

/** Names that come, go or change hands together, as the two of a rename. */
type NameChange = readonly (readonly [name: string, file: SimulatedFile | null])[];

export class SimulatedDirectory {
  readonly names: Map<string, SimulatedFile>;
  private pending: NameChange[] = [];

  constructor(private readonly durable = new Map<string, SimulatedFile>()) {
    this.names = new Map(durable);
  }

  change(...change: NameChange): void {
    applyChange(this.names, change);
    this.pending.push(change);
  }

  persist(): void {
    for (const change of this.pending) applyChange(this.durable, change);
    this.pending = [];
  }

  /** The names that a power cut leaves. */
  afterCrash(chooser: Chooser): Map<string, SimulatedFile> {
    const names = new Map(this.durable);
    if (this.pending.length > 0) {
      const kept = chooser.below(this.pending.length + 1);
      for (const change of this.pending.slice(0, kept)) applyChange(names, change);
    }
    return names;
  }

  /** The same names and pending changes, of copies of the files. */
  copy(copyFile: (file: SimulatedFile) => SimulatedFile): SimulatedDirectory {
    const copyMap = (names: Map<string, SimulatedFile>): Map<string, SimulatedFile> =>
      new Map([...names].map(([name, file]) => [name, copyFile(file)]));
    const copy = new SimulatedDirectory(copyMap(this.durable));
    copy.names.clear();
    for (const [name, file] of copyMap(this.names)) copy.names.set(name, file);
    copy.pending = this.pending.map((change) =>
      change.map(([name, file]) => [name, file === null ? null : copyFile(file)] as const),
    );
    return copy;
  }

  /** Every file that a name leads to now, or may lead to after a power cut. */
  files(): Set<SimulatedFile> {
    const files = new Set([...this.durable.values(), ...this.names.values()]);
    for (const change of this.pending) for (const [, file] of change) if (file !== null) files.add(file);
    return files;
  }
}

function applyChange(names: Map<string, SimulatedFile>, change: NameChange): void {
  for (const [name, file] of change) {
    if (file === null) names.delete(name);
    else names.set(name, file);
  }
}
