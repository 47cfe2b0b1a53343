/** Where pipes can read from beside tables. */
import { csv } from "./csv.js";
import { iterable, stream } from "./iterable.js";
import { jsonLines, lines } from "./lines.js";

export const sources = { lines, jsonLines, csv, iterable, stream };
