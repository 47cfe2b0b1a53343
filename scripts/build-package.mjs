// Makes build/ a package of the same name, whose entries are the compiled ones: "perdure" in a compiled example or test
// means the sources beside it, as in a user's program it means dist/. (A package can import itself by its name: Node's
// documentation, "Packages", "Self-referencing a package using its name".)

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const { name, version, type, exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

const compiled = {};
for (const [entry, target] of Object.entries(exports)) {
  if (typeof target === "object") compiled[entry] = target.default.replace(/^\.\/dist\//, "./bindings/");
}
mkdirSync(join(root, "build"), { recursive: true });
writeFileSync(
  join(root, "build", "package.json"),
  `${JSON.stringify({ name, version, private: true, type, exports: compiled }, null, 2)}\n`,
);
