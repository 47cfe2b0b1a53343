import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface TemporaryDirectory {
  readonly path: string;
  remove(): void;
}

/** A new directory on a real file system; its path contains no symbolic link. */
export function temporaryDirectory(): TemporaryDirectory {
  const path = realpathSync(mkdtempSync(join(tmpdir(), "perdure-")));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
