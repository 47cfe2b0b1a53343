// Files with a hash that accepts everything, so that trees and chains can lead back to themselves; and lies of all kinds at random.

import { Operation } from "../../bindings/format/segment.js";
import type { Root } from "../../bindings/format/superblock.js";
import { credulous, HostileFile, nodeBytes, type Placed } from "./hostile-builder.js";
import type { Lie } from "./hostile-files.js";
import { blockOf } from "./hostile-samples.js";
import type { Random } from "./random.js";

/** With a hash that accepts everything: cycles. */
export function bitingTails(): Lie[] {
  const biting = (what: string, change: (file: HostileFile) => void): Lie => {
    const file = new HostileFile(credulous);
    file.honestImage();
    change(file);
    return { what, file };
  };
  const cycle = (file: HostileFile, entries: number) => {
    const slot = file.take();
    return file.node(new Map(Array.from({ length: entries }, (_, i) => [i, { slot, digest: 1n }])), slot);
  };
  return [
    biting("an image that contains itself", (file) => {
      file.image = file.root(cycle(file, 256), 5);
    }),
    biting("a free map that contains itself", (file) => {
      file.freeMap = file.root(cycle(file, 256), 5);
    }),
    biting("a directory that contains itself", (file) => {
      file.directory = file.root(cycle(file, 256), 5);
    }),
    biting("a snapshot that contains itself", (file) => {
      file.snapshots([{ name: "s", root: file.root(cycle(file, 256), 5), sequence: 1, time: 1 }]);
    }),
    biting("a chain that comes back to its first header", (file) => {
      file.commit({ entries: [], header: { next: 64 } });
    }),
    biting("an image in its own log", (file) => {
      file.superblock.runs = [{ slot: 3, slots: 125 }];
      file.commit({ entries: [{ block: 0, slot: 64, digest: 1n }] });
    }),
  ];
}

/** Any of these lies and others, mixed: trees of random shape over the same few slots, planes, runs, chains. */
export function randomLie(random: Random): HostileFile {
  const file = new HostileFile(random.oneIn(3) ? credulous : undefined);
  const placed: Placed[] = [...file.honestImage().values()];
  const any = (): Placed => {
    if (random.oneIn(12)) return { slot: random.pick([1, 2, 64, 100, 127, 128, 2 ** 47]), digest: 1n };
    const one = random.pick(placed);
    return random.oneIn(12) ? { ...one, digest: one.digest ^ 1n } : one;
  };
  const entries = (): Map<number, Placed> =>
    new Map(
      Array.from({ length: random.pick([0, 1, 3, 256]) }, (_, i) => [
        random.oneIn(2) ? i : random.below(256),
        any(),
      ]),
    );
  for (let i = random.below(8); i > 0; i--)
    placed.push(random.oneIn(3) ? file.put(nodeBytes(entries())) : file.node(entries()));
  const root = (): Root => ({ ...any(), height: 1 + random.below(5) });
  if (random.oneIn(2)) file.image = root();
  if (random.oneIn(3)) file.directory = root();
  else if (random.oneIn(2))
    file.snapshots(
      [0, 1, 2].map((i) => ({ ...file.honestSnapshot(`s${i}`), ...(random.oneIn(2) && { root: root() }) })),
    );
  if (random.oneIn(3))
    file.freeMap = random.oneIn(2) ? root() : file.freeMapOf(file.imagePlane, [random.below(200)]);
  for (const slot of [...file.imagePlane]) if (random.oneIn(20)) file.imagePlane.delete(slot);
  if (random.oneIn(3))
    file.superblock = {
      chainNext: 20,
      runs: [
        { slot: 20, slots: 30 },
        { slot: 80, slots: 1 + random.below(60) },
      ],
    };
  if (random.oneIn(4)) file.fallback = { image: root(), freeMap: root(), directory: root() };
  if (random.oneIn(6)) file.put(blockOf(5), 2);
  for (let i = random.below(5); i > 0; i--) randomLink(file, random, any, root);
  return file;
}

function randomLink(file: HostileFile, random: Random, any: () => Placed, root: () => Root): void {
  const runs = [{ slot: 3 + random.below(100), slots: 4 + random.below(60) }];
  const header = random.oneIn(3) ? { next: 3 + random.below(120) } : {};
  const entries = Array.from({ length: random.below(4) }, (_, i) => ({
    block: 3 * i + random.below(3),
    ...any(),
  }));
  const name = `s${random.below(4)}`;
  const snapshot = random.pick([Operation.CreateSnapshot, Operation.DeleteSnapshot]);
  random.pick([
    () => file.commit({ entries, header }),
    () => file.commit({ entries, header }),
    () => file.record(Operation.Checkpoint, { name: "", image: null, runs }),
    () => file.record(Operation.Restore, { name, image: root(), runs }),
    () => file.record(snapshot, { name, image: null, runs }),
  ])();
}
