/**
 * Draws the pictures of docs/TERNARY.md from the constants that the machine is built of.
 *
 *     node build/scripts/draw-ternary.js
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { FRAME_MAX, PAGE_MAX, PAGE_TRYTES, TABLE_ENTRIES, tableIndices } from "../bindings/trit/address.js";
import { Tryte } from "../bindings/trit/tryte.js";

export const PICTURES = fileURLToPath(new URL("../../docs/pictures/", import.meta.url));

const number = (value: number): string => value.toLocaleString("en-US");
/** How many trits hold so many values. */
const tritsOf = (values: number): number => Math.round(Math.log(values) / Math.log(3));

const ink = "#24292f";
const soft = "#57606a";
const fills = ["#ddf4ff", "#dafbe1", "#fff8c5", "#ffebe9", "#f6f8fa"];

class Picture {
  private readonly parts: string[] = [];

  constructor(
    private readonly title: string,
    private readonly width: number,
    private readonly height: number,
  ) {}

  box(x: number, y: number, width: number, height: number, fill: number, lines: readonly string[]): this {
    this.parts.push(
      `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="4" fill="${fills[fill]}" stroke="${soft}"/>`,
    );
    const first = y + height / 2 - (lines.length - 1) * 8 + 4;
    lines.forEach((line, i) => this.text(x + width / 2, first + 16 * i, line, i === 0 ? ink : soft));
    return this;
  }

  text(x: number, y: number, text: string, fill = soft, anchor = "middle"): this {
    this.parts.push(`<text x="${x}" y="${y}" text-anchor="${anchor}" fill="${fill}">${text}</text>`);
    return this;
  }

  arrow(x1: number, y1: number, x2: number, y2: number): this {
    this.parts.push(
      `<path d="M${x1} ${y1} L${x2} ${y2}" stroke="${soft}" fill="none" marker-end="url(#head)"/>`,
    );
    return this;
  }

  get svg(): string {
    const { width, height } = this;
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="12" role="img">`,
      `<title>${this.title}</title>`,
      `<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="${soft}"/></marker></defs>`,
      `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
      ...this.parts,
      "</svg>",
      "",
    ].join("\n");
  }
}

function trytePicture(): Picture {
  const value = Tryte.from(200);
  const trits = value.trits();
  const picture = new Picture(`the number ${value.valueOf()} in six trits`, 640, 130);
  trits
    .map((trit, i) => ({ trit, weight: 3 ** i }))
    .reverse()
    .forEach(({ trit, weight }, i) => {
      const sign = trit === 0 ? "0" : trit > 0 ? "+" : "−";
      picture.box(20 + 100 * i, 20, 90, 50, trit === 0 ? 4 : trit > 0 ? 1 : 3, [sign, `× ${weight}`]);
    });
  const sum = trits
    .map((trit, i) => (trit === 0 ? "" : `${trit > 0 ? "+" : "−"} ${3 ** i}`))
    .filter((text) => text !== "")
    .reverse()
    .join(" ");
  return picture.text(320, 100, `${sum.replace(/^\+ /, "")} = ${value.valueOf()}, written ${value}`, ink);
}

function addressPicture(): Picture {
  const index = tritsOf(TABLE_ENTRIES);
  const offset = tritsOf(PAGE_TRYTES);
  const picture = new Picture("a virtual address", 640, 150);
  const part = (x: number, width: number, fill: number, name: string, trits: number, values: number) =>
    picture.box(x, 30, width, 60, fill, [name, `${trits} trits`, `${number(values)} values`]);
  part(20, 160, 0, "index of level 3", index, TABLE_ENTRIES);
  part(184, 160, 0, "index of level 2", index, TABLE_ENTRIES);
  part(348, 160, 0, "index of level 1", index, TABLE_ENTRIES);
  part(512, 108, 2, "offset", offset, PAGE_TRYTES);
  return picture
    .text(264, 115, `page: ${3 * index} trits, −${number(PAGE_MAX)} … ${number(PAGE_MAX)}`, ink)
    .text(566, 115, "within the page", ink)
    .text(320, 138, `${3 * index + offset} trits in all; negative addresses are the kernel's`);
}

function entryPicture(): Picture {
  const flags = ["present", "writable", "user", "accessed", "dirty", "global"];
  const picture = new Picture("an entry of a page table", 760, 120);
  flags.forEach((flag, i) => picture.box(20 + 84 * i, 20, 80, 44, i < 3 ? 1 : 2, [flag, "− 0 +"]));
  picture.box(528, 20, 212, 44, 0, ["frame", `${tritsOf(2 * FRAME_MAX + 1)} trits`]);
  return picture
    .text(270, 90, `${flags.length} trits of three values each`, ink)
    .text(634, 90, `0 … ${number(FRAME_MAX)}`, ink);
}

function walkPicture(): Picture {
  const page = 1_000_000_000;
  const indices = tableIndices(page);
  const picture = new Picture("the walk of an address", 760, 190);
  ["level 3", "level 2", "level 1"].forEach((level, i) => {
    const x = 20 + 190 * i;
    picture.box(x, 40, 130, 100, 0, [
      level,
      `${number(TABLE_ENTRIES)} entries`,
      `entry ${number(indices[i])}`,
    ]);
    picture.arrow(x + 130, 90, x + 188, 90);
  });
  return picture
    .box(590, 40, 150, 100, 2, ["frame", `${PAGE_TRYTES} trytes`, `${2 * PAGE_TRYTES} bytes`])
    .text(380, 24, `page ${number(page)}`, ink)
    .text(380, 170, "a table exists only where something below it is mapped");
}

/** By file name. */
export function pictures(): Record<string, string> {
  return {
    "ternary-tryte.svg": trytePicture().svg,
    "ternary-address.svg": addressPicture().svg,
    "ternary-entry.svg": entryPicture().svg,
    "ternary-walk.svg": walkPicture().svg,
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  mkdirSync(PICTURES, { recursive: true });
  for (const [name, svg] of Object.entries(pictures())) writeFileSync(PICTURES + name, svg);
}
