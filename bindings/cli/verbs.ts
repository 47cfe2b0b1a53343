/** The verbs, in the order of the help. */
import type { Verb } from "./verb.js";
import { backup } from "./verbs/backup.js";
import { compact } from "./verbs/compact.js";
import { demo } from "./verbs/demo.js";
import { dump } from "./verbs/dump.js";
import { exportTable } from "./verbs/export.js";
import { fsck } from "./verbs/fsck.js";
import { ingest } from "./verbs/ingest.js";
import { inspect } from "./verbs/inspect.js";
import { pipes } from "./verbs/pipes.js";
import { restore } from "./verbs/restore.js";
import { createSnapshot, deleteSnapshot, listSnapshots } from "./verbs/snapshot.js";
import { tables } from "./verbs/tables.js";
import { unlock } from "./verbs/unlock.js";

export const verbs: readonly Verb[] = [
  inspect,
  fsck,
  dump,
  listSnapshots,
  createSnapshot,
  deleteSnapshot,
  restore,
  backup,
  compact,
  unlock,
  tables,
  pipes,
  ingest,
  exportTable,
  demo,
];

/** First words of verbs of two words, with what they are about. */
export const groups: Readonly<Record<string, string>> = {
  snapshot: "list, create and delete the snapshots of a state",
};
