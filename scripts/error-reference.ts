/**
 * Writes docs/ERRORS.md from the table of the codes.
 *
 *     node build/scripts/error-reference.js
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { errorTable } from "../bindings/base/errors.js";

export const ERRORS_PATH = fileURLToPath(new URL("../../docs/ERRORS.md", import.meta.url));

export function errorReference(): string {
  const rows = Object.entries(errorTable).map(
    ([code, { meaning, remedy }]) => `| \`${code}\` | ${meaning} | ${remedy} |`,
  );
  return `# Errors

Whatever the library throws on purpose is a \`PerdureError\`. Decide by its \`code\`; the message is for people and may change; the \`cause\`, where
there is one, is what the system below has reported. This page is written by \`node build/scripts/error-reference.js\` from \`bindings/base/errors.ts\`.

| code | what has happened | what to do |
| --- | --- | --- |
${rows.join("\n")}
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(ERRORS_PATH, errorReference());
