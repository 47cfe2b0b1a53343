// Checks the rows of a table: that records are what the definition says, that each run belongs to one of them, and that indexes have one entry for each. Written from
// docs/TABLES.md §3, §5 and §6.
import { checkTree } from "./check-tree.js";
import { blockBytes, type TableImage, viewOf } from "./table-image.js";

const recordMax = 2000;
const indexesMax = 1000;
const fixedBytes: Record<string, number> = {
  u8: 1,
  i8: 1,
  bool: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  u64: 8,
  i64: 8,
  f64: 8,
};

/** What the records of a definition have in common. */
interface Shape {
  /** Where the ends begin. */
  ends: number;
  entries: number;
}

/** `records`: row id → page × 4096 + offset; `runs`: first page → bytes. */
export function checkRows(
  image: TableImage,
  records: ReadonlyMap<number, number>,
  runs: ReadonlyMap<number, number>,
): void {
  const stored = shapeOf(image, 64);
  // While a migration is under way, rows below its progress have the other definition already.
  const target = image.u32(72) === 0 ? null : shapeOf(image, 72);
  const progress = image.u64(80);
  const referred = new Set<number>();
  for (const [id, where] of records) {
    const shape = target !== null && id < progress ? target : stored;
    if (shape !== null) checkRecord(image, id, where, shape, runs, referred);
  }
  if (stored !== null)
    for (const run of runs.keys()) if (!referred.has(run)) image.say(`run ${run} belongs to no row`);
  checkIndexes(image, records);
}

function checkRecord(
  image: TableImage,
  id: number,
  where: number,
  { ends, entries }: Shape,
  runs: ReadonlyMap<number, number>,
  referred: Set<number>,
): void {
  const bytes = image.page(Math.floor(where / blockBytes));
  if (bytes === undefined) return;
  const view = viewOf(bytes);
  const at = where % blockBytes;
  const length = view.getUint16(at, true);
  const count = view.getUint8(at + 2);
  let begin = ends + 2 * count;
  if (count > entries || length > recordMax || begin > length) {
    image.say(`row ${id}: a record of ${length} bytes with ${count} entries`);
    return;
  }
  for (let entry = 0; entry < count; entry++) {
    const raw = view.getUint16(at + ends + 2 * entry, true);
    const end = raw & 0x1fff;
    if (end < begin || end > length) image.say(`row ${id}: entry ${entry} ends at ${end}`);
    if ((raw & 0x8000) !== 0 && end !== begin) image.say(`row ${id}: entry ${entry} is null, but has bytes`);
    if ((raw & 0x4000) !== 0) {
      const run = Number(view.getBigUint64(at + begin, true));
      if (runs.get(run) !== view.getUint32(at + begin + 8, true) || referred.has(run))
        image.say(`row ${id}: entry ${entry} refers to run ${run}`);
      referred.add(run);
    }
    begin = end;
  }
  if (begin !== length) image.say(`row ${id}: ${length} bytes, its entries end at ${begin}`);
}

/** Each index has one entry for each row, as far as it is built. */
function checkIndexes(image: TableImage, records: ReadonlyMap<number, number>): void {
  let count = 0;
  for (let record = image.u32(88); record !== 0 && count < indexesMax; count++) {
    const view = viewOf(image.bytes(record, 24));
    const tree = view.getUint32(0, true);
    const what = `index ${count}`;
    if ((image.parts.objects.get(record) ?? 0) < 24 + view.getUint32(16, true)) {
      image.say(`${what}: its record is no live object`);
      return;
    }
    const built = Number(view.getBigUint64(8, true));
    const seen = new Set<number>();
    const report = checkTree(image.source, tree, image.parts.objects, (_, id) => {
      if (!records.has(id) || id >= built) image.say(`${what}: an entry leads to ${id}`);
      seen.add(id);
    });
    for (const problem of report.problems) image.say(`${what}: ${problem}`);
    image.objects.push(record, tree, ...report.nodes);
    const rows = [...records.keys()].filter((id) => id < built).length;
    if (seen.size !== rows || report.entries !== rows)
      image.say(`${what}: ${report.entries} entries for ${seen.size} of ${rows} rows`);
    record = view.getUint32(4, true);
  }
  if (count !== image.u32(92)) image.say(`${image.u32(92)} indexes, found ${count}`);
}

/** Of the definition that the record leads to; null when there is none, or it cannot be read. */
function shapeOf(image: TableImage, offset: number): Shape | null {
  const [address, length] = [image.u32(offset), image.u32(offset + 4)];
  if (length === 0) return null;
  if ((image.parts.objects.get(address) ?? 0) < length) {
    image.say("its definition is no live object");
    return null;
  }
  image.objects.push(address);
  let fields: [string, string][];
  let added: [string, string][];
  try {
    ({ fields, added } = JSON.parse(new TextDecoder().decode(image.bytes(address, length))));
  } catch {
    image.say("its definition cannot be read");
    return null;
  }
  const widths = fields.map(([, type]) => fixedBytes[type.replace("?", "")] ?? 0);
  const optionals = fields.filter(([, type], i) => widths[i] > 0 && type.endsWith("?")).length;
  return {
    ends: 3 + Math.max(1, Math.ceil(optionals / 8)) + widths.reduce((sum, width) => sum + width, 0),
    entries: widths.filter((width) => width === 0).length + added.length,
  };
}
