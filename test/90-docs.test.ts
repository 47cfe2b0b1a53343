// The documents say only what runs: each TypeScript snippet of the front page is executed, those of another page as one program, links lead somewhere, and every
// decision is listed by its number.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { pictures } from "../scripts/draw-ternary.js";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

function documents(): string[] {
  const tracked = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "*.md"], {
    cwd: root,
    encoding: "utf8",
  });
  return tracked.split("\n").filter((path) => path !== "" && existsSync(join(root, path)));
}

/** The anchor that GitHub gives a heading. */
function anchorOf(heading: string): string {
  return heading
    .replace(/^#+\s*/, "")
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s-]/gu, "")
    .trim()
    .replace(/\s/g, "-");
}

describe("documents", () => {
  const snippetsOf = (page: string) =>
    [...readFileSync(join(root, page), "utf8").matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code);
  const programs = snippetsOf("README.md").map((code, i) => [`snippet ${i + 1} of the front page`, code]);

  it("the front page has snippets", () => assert.ok(programs.length > 0));

  programs.push(["the page on the ternary machine", snippetsOf("docs/TERNARY.md").join("\n")]);

  programs.forEach(([name, code], i) => {
    it(`${name} runs`, async () => {
      const directory = mkdtempSync(join(tmpdir(), "perdure-"));
      const path = join(root, "build/test", `readme-${process.pid}-${i}.mjs`);
      // The package as it will be installed, and files where they do no harm. `using` is not in every Node: the view is closed at the end anyway.
      const runnable = code
        .replaceAll('from "perdure"', 'from "../bindings/index.js"')
        .replaceAll('from "perdure/ternary"', 'from "../bindings/ternary.js"')
        .replaceAll(/"(\w+\.state)"/g, (_, name) => JSON.stringify(join(directory, name)))
        .replaceAll("using ", "const ");
      try {
        writeFileSync(path, runnable);
        // Twice: what was made by the first run is found by the second.
        for (const run of [1, 2]) await import(`${pathToFileURL(path).href}?${run}`);
      } finally {
        rmSync(path, { force: true });
        rmSync(directory, { recursive: true });
      }
    });
  });

  it("pictures of the ternary machine are what the constants say", () => {
    for (const [name, svg] of Object.entries(pictures()))
      assert.equal(
        readFileSync(join(root, "docs/pictures", name), "utf8"),
        svg,
        "draw them anew: node build/scripts/draw-ternary.js",
      );
  });

  it("links between documents lead somewhere", () => {
    for (const document of documents()) {
      const text = readFileSync(join(root, document), "utf8");
      for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target)) continue;
        const [path, anchor] = target.split("#");
        const file = path === "" ? join(root, document) : resolve(root, dirname(document), path);
        assert.ok(existsSync(file), `${document} links to ${target}`);
        if (anchor === undefined) continue;
        const anchors =
          readFileSync(file, "utf8")
            .match(/^#+ .*$/gm)
            ?.map(anchorOf) ?? [];
        assert.ok(
          anchors.includes(anchor),
          `${document} links to ${target}, but the anchors are ${anchors.join(" ")}`,
        );
      }
    }
  });

  it("decisions are numbered without a gap", () => {
    const numbers = readdirSync(join(root, "docs/adr"))
      .filter((name) => /^\d/.test(name))
      .map((name) => Number(name.slice(0, 4)))
      .sort((a, b) => a - b);
    assert.deepEqual(
      numbers,
      numbers.map((_, i) => i + 1),
    );
  });
});
