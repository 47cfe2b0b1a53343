// What a program loads that imports the library, as a network would carry it: the package's entry and its chunks, each packed by itself.

import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import type { Case, Workload } from "./harness.js";

const folder = resolve(fileURLToPath(import.meta.url), "../../../dist");

function sizeCase(name: string, size: (bytes: Uint8Array) => number): Case {
  return {
    name,
    run() {
      const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
      const loaded = files.filter((file) => file === "index.js" || file.startsWith("chunks"));
      const scripts = loaded.filter((file) => file.endsWith(".js"));
      return scripts.reduce((sum, file) => sum + size(readFileSync(join(folder, file))), 0);
    },
  };
}

const workload: Workload = {
  name: "size of the package's code",
  unit: "KiB",
  reference: "minified",
  iterations: 1,
  rounds: 1,
  cases: [
    sizeCase("minified", (bytes) => bytes.length),
    {
      ...sizeCase("gzip -9", (bytes) => gzipSync(bytes, { level: 9 }).length),
      bars: [{ kibibytesAtMost: 60 }],
    },
  ],
};

export default workload;
