// A process that says who it is (the argument is the directory of the state file), and then of each identity that it hears whether that
// process is dead. "nested" makes it start a child of its own, whose pid it says and which it never reaps while it is stopped.

import { spawn } from "node:child_process";
import { NodeProcesses } from "../../bindings/storage/node-processes.js";
import { hear, say } from "./child-talk.js";

const [directory, mode] = process.argv.slice(2);
const processes = new NodeProcesses(directory);
say(JSON.stringify(processes.self));
if (mode === "nested") {
  const nested = spawn(process.execPath, [process.argv[1], directory], {
    stdio: ["pipe", "ignore", "inherit", 3],
  });
  nested.on("spawn", () => process.kill(process.pid, "SIGSTOP"));
  nested.on("exit", () => process.exit());
} else {
  for (;;) say(String(processes.isDead(JSON.parse(hear()))));
}
