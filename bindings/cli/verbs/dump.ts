import { viewOf } from "../../base/bytes.js";
import { PerdureError } from "../../base/errors.js";
import { SLOT_BYTES } from "../../format/constants.js";
import { annotate, type DumpKind, recognise } from "../../format/dump.js";
import { HEADER } from "../../format/schema.js";
import { headerSlots } from "../../format/segment.js";
import type { Root } from "../../format/superblock.js";
import { type Role, rolesOf } from "../../inspect/roles.js";
import { surveySuperblocks } from "../../inspect/survey.js";
import { BlockMap } from "../../pager/block-map.js";
import { openFile } from "../../pager/files.js";
import type { StateFile } from "../../pager/state-file.js";
import { walkHeaders } from "../../pager/walk.js";
import { locate } from "../target.js";
import { UsageError, type Verb } from "../verb.js";

const kinds: readonly DumpKind[] = [
  "superblock",
  "forwarding",
  "header",
  "node",
  "directory",
  "free page",
  "data",
];
const kindNames = kinds.map((kind) => kind.replace(" ", "-"));

/** More slots at once are not dumped: nobody reads them. */
const MOST_SLOTS = 4096;

export const dump: Verb = {
  name: "dump",
  summary: "explain slots of a state file byte by byte",
  description: `Prints what every byte of a slot means; what is damaged is marked with "!". Takes any state file, however damaged,
and works while a program writes (then slots may change between two looks). A slot is 4096 bytes.

What can be dumped:
  <number>      the slot with this number
  <a>..<b>      the slots a to b
  superblocks   slots 0 and 1 (this is what is dumped when nothing is named)
  forwarding    slot 2, which says whether the file was taken over
  chain         the headers of all commits after the newest superblock
  image         the nodes of the block map
  free-map      the nodes and pages of the free map
  directory     the nodes and pages of the directory of snapshots`,
  arguments: [
    ["<file>", "the state file"],
    ["[what...]", "slots, ranges or names as above"],
  ],
  options: [
    ["--as <kind>", `take the slots for this, whatever they are: ${kindNames.join(", ")}`],
    ["--hex", "plain bytes; the same as --as data"],
  ],
  examples: [
    ["perdure dump app.state", "both superblocks"],
    ["perdure dump app.state chain", "what the last commits changed"],
    ["perdure dump app.state 17 40..42", "these slots, with what they are for"],
    ["perdure dump app.state 17 --as node", "slot 17 as a map node, even if nothing leads to it"],
  ],
  exits: [
    "dumped (damage is shown, not judged: that is what fsck is for)",
    "the file or the slot is not there, or it is no state file",
  ],
  run(_task, [path, what], options) {
    const { place, name, hasher, path: whole } = locate(path);
    const as = options.hex === true ? "data" : kindOf(options.as);
    const file = openFile(place, name, "read", hasher);
    try {
      const slots = (what as string[]).length > 0 ? (what as string[]) : ["superblocks"];
      const numbers = [...new Set(slots.flatMap((each) => slotsNamed(file, each)))];
      if (numbers.length > MOST_SLOTS)
        throw new UsageError(`${numbers.length} slots at once; at most ${MOST_SLOTS}`);
      const roles = rolesOf(file, new Set(numbers));
      const dumps = numbers.map((slot) => dumpSlot(file, slot, roles.get(slot)!, as));
      return {
        json: { file: whole, slots: dumps },
        text:
          dumps.length === 0
            ? ["nothing: it is empty"]
            : dumps.flatMap(({ slot, role, lines }, i) => [
                ...(i === 0 ? [] : [""]),
                `slot ${slot} (${role}): ${lines[0]}`,
                ...lines.slice(1),
              ]),
      };
    } finally {
      file.storage.close();
    }
  },
};

interface SlotDump {
  slot: number;
  role: string;
  kind: DumpKind;
  lines: string[];
}

function dumpSlot(file: StateFile, slot: number, role: Role, as: DumpKind | null): SlotDump {
  const first = file.read(slot);
  const kind = as ?? role.kind ?? recognise(first);
  const bytes = kind === "header" ? (role.bytes ?? headerFrom(file, first)) : first;
  return { slot, role: role.what, kind, lines: annotate(bytes, kind, file.hasher) };
}

/** All slots of the header that begins with these bytes, as far as they say where they are. */
function headerFrom(file: StateFile, first: Uint8Array): Uint8Array {
  const view = viewOf(first);
  const { bodyBytes, furtherSlot, furtherSlots } = HEADER.fields;
  const at = Number(view.getBigUint64(furtherSlot.offset, true));
  const count = view.getUint32(furtherSlots.offset, true);
  const fits =
    count === headerSlots(view.getUint32(bodyBytes.offset, true)) - 1 && at + count <= file.slots();
  if (count === 0 || !fits) return first;
  const bytes = new Uint8Array((1 + count) * SLOT_BYTES);
  bytes.set(first);
  file.readInto(at, bytes.subarray(SLOT_BYTES));
  return bytes;
}

function slotsNamed(file: StateFile, what: string): number[] {
  const range = /^(\d{1,15})(?:\.\.(\d{1,15}))?$/.exec(what);
  if (range) return slotRange(file, Number(range[1]), Number(range[2] ?? range[1]));
  if (what === "superblocks") return slotRange(file, 0, 1);
  if (what === "forwarding") return slotRange(file, 2, 2);
  const superblock = surveySuperblocks(file).find(({ state }) => state === "newest")?.superblock;
  const roots: Record<string, Root | undefined> = {
    image: superblock?.image,
    "free-map": superblock?.freeMap,
    directory: superblock?.directory,
  };
  if (what !== "chain" && !(what in roots)) {
    throw new UsageError(
      `"${what}" is neither a slot number nor one of superblocks, forwarding, chain, image, free-map, directory`,
    );
  }
  if (!superblock)
    throw new PerdureError(
      "CORRUPT",
      `${file.label}: both superblocks are damaged, so nothing leads to the ${what}`,
    );
  if (what === "chain") return walkHeaders(file, superblock).segments.map(({ slot }) => slot);
  const slots: number[] = [];
  new BlockMap(file, roots[what]!).visit({
    node: (slot) => slots.push(slot) > 0,
    leaf: (_, slot) => (what === "image" ? 0 : slots.push(slot)),
  });
  return slots;
}

function slotRange(file: StateFile, first: number, last: number): number[] {
  const slots = file.slots();
  if (last < first) throw new UsageError(`${first}..${last} is not a range`);
  if (last >= slots)
    throw new PerdureError("NOT_FOUND", `${file.label} has the slots 0 to ${slots - 1}, and no slot ${last}`);
  if (last - first >= MOST_SLOTS)
    throw new UsageError(`${last - first + 1} slots at once; at most ${MOST_SLOTS}`);
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

function kindOf(name: unknown): DumpKind | null {
  if (name === undefined) return null;
  const kind = kinds[kindNames.indexOf(String(name))];
  if (kind === undefined) throw new UsageError(`--as ${name}: one of ${kindNames.join(", ")}`);
  return kind;
}
