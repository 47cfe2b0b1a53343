#!/usr/bin/env node
// The command `perdure`.

import { main } from "./cli/main.js";

// Who reads the output may stop early, as `head` does.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});
process.exitCode = await main(process.argv.slice(2));
