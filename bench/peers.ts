// The stores that perdure is measured against live in bench/node_modules, apart from what `npm ci` installs, so
// that working on the library never compiles a native addon.

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const folder = resolve(fileURLToPath(import.meta.url), "../../../bench");
const require = createRequire(join(folder, "package.json"));

/** A peer's module, typed by the caller: its own declarations are not there when the sources are compiled. */
export function peer<T>(name: string): T {
  return require(name) as T;
}

/** Installs the peers if one of them is missing or has another version than bench/package.json says. */
export function installPeers(): void {
  const { dependencies } = readJson(join(folder, "package.json")) as { dependencies: Record<string, string> };
  const present = Object.entries(dependencies).every(([name, version]) => {
    const path = join(folder, "node_modules", name, "package.json");
    return existsSync(path) && (readJson(path) as { version: string }).version === version;
  });
  if (present) return;
  console.log("Installing the peers (once; about a minute where no prebuilt binary can be fetched) …");
  const { status } = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: folder, stdio: "inherit" });
  if (status !== 0) throw new Error("npm ci in bench/ failed");
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, "utf8"));
}
