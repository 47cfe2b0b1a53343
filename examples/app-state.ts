/**
 * The state of a program, kept as what it is: structs that point at each other, changed in transactions, with snapshots to go back to.
 *
 *     node build/examples/app-state.js      a list of tasks: adds some, fails to add one, clears all, travels back
 *     node build/examples/app-state.js      the tasks are still there, and more come
 *
 * The tasks live in app-state.state, in the current directory, as a linked list.
 */
import { type Memory, openSync, type Ptr, struct } from "perdure";

const App = struct({ nextId: "u32", taskCount: "u32", newest: "ptr" });
const Task = struct({ id: "u32", isDone: "bool", title: "char[60]", older: "ptr" });

const memory = openSync("app-state.state");
const app = App.root(memory, "app", (fresh) => {
  fresh.nextId = 1;
});
show(app.taskCount === 0 ? "A new list" : "Resumed");

// A transaction is one commit: after a crash all of it is there, or nothing.
memory.transaction(() => {
  addTask("Read the documents");
  addTask("Write a program");
});
completeTask(app.nextId - 2);
show("Two tasks more, one of them done");

// One that throws never happened, not even in memory.
try {
  memory.transaction(() => {
    addTask("A task that will not be");
    throw new Error("changed my mind");
  });
} catch (error) {
  show(`Rolled back (${(error as Error).message})`);
}

// A snapshot is the whole memory as it was, at the price of what changes afterwards.
const name = `before clearing, at ${app.nextId}`;
memory.snapshots.create(name);
memory.transaction(clear);
show("Cleared");

const past = memory.snapshots.open(name);
const then = App.root(past, "app");
console.log(`In the snapshot there are still ${then.taskCount}, the newest: "${[...tasks(past)][0]?.title}"`);
past.close();

memory.snapshots.restore(name);
memory.snapshots.delete(name);
show("Back in time");

function addTask(title: string): void {
  const place = Task.alloc(memory);
  Object.assign(Task.at(memory, place), { id: app.nextId, title, older: app.newest });
  app.newest = place;
  app.nextId++;
  app.taskCount++;
}

function completeTask(id: number): void {
  for (const task of tasks(memory)) if (task.id === id) task.isDone = true;
}

function clear(): void {
  let place = app.newest;
  while (place !== null) {
    const { older } = Task.at(memory, place);
    memory.release(place);
    place = older;
  }
  app.newest = null;
  app.taskCount = 0;
}

/** Newest first. What it gives are not copies: to assign a field is to change memory. */
function* tasks(from: Memory) {
  let place: Ptr | null = App.root(from, "app").newest;
  while (place !== null) {
    const task = Task.at(from, place);
    yield task;
    place = task.older;
  }
}

function show(what: string): void {
  const list = [...tasks(memory)].map(({ id, isDone }) => `${id}${isDone ? " done" : ""}`);
  console.log(`${what}: ${app.taskCount} tasks [${list.reverse().join(", ")}]`);
}
