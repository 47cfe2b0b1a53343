// One minified ES module for each entry of the package, and its declarations beside it. The sources import nothing but each
// other, Node's own modules and (the command line alone) the dependencies of the package, which stay imports. So joining what tsc has
// written is all there is to do.

import { chmodSync, cpSync, readFileSync, rmSync, statSync } from "node:fs";
import terser from "@rollup/plugin-terser";

const { dependencies } = JSON.parse(readFileSync("package.json", "utf8"));

const declarations = {
  name: "declarations",
  buildStart() {
    rmSync("dist", { recursive: true, force: true });
  },
  writeBundle() {
    cpSync("build/bindings", "dist/types", {
      recursive: true,
      filter: (path) => statSync(path).isDirectory() || path.endsWith(".d.ts"),
    });
    chmodSync("dist/cli.js", 0o755);
  },
};

export default {
  input: {
    index: "build/bindings/index.js",
    ternary: "build/bindings/ternary.js",
    cli: "build/bindings/cli.js",
    // A process of its own, which is killed.
    "demo-child": "build/bindings/cli/demo/child.js",
  },
  output: { dir: "dist", format: "es", chunkFileNames: "chunks/[name].js", hoistTransitiveImports: false },
  external: [/^node:/, ...Object.keys(dependencies)],
  treeshake: { moduleSideEffects: false },
  plugins: [declarations, terser({ module: true, ecma: 2020, compress: { passes: 2 } })],
  onwarn(warning) {
    // The helper that tsc writes for `using` begins with `this && this.…`, which is meant to be undefined here.
    if (warning.code === "THIS_IS_UNDEFINED") return;
    throw new Error(warning.message);
  },
};
