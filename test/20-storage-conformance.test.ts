import { MemoryPlace, MemoryStorage } from "../bindings/storage/memory.js";
import { NodePlace } from "../bindings/storage/node.js";
import type { Storage } from "../bindings/storage/storage.js";
import { SimulatedDisk } from "./support/simulated-disk.js";
import { describePlace, describeStorage } from "./support/storage-conformance.js";
import { temporaryDirectory } from "./support/temporary-directory.js";

describeStorage("MemoryStorage", () => ({ storage: new MemoryStorage() }));
describePlace("MemoryPlace", () => ({ place: new MemoryPlace() }));

describeStorage(
  "NodeStorage",
  () => {
    const directory = temporaryDirectory();
    const storage = new NodePlace(directory.path).createExclusive("file") as Storage;
    return { storage, dispose: directory.remove };
  },
  { sparse: true },
);
describePlace("NodePlace", () => {
  const directory = temporaryDirectory();
  return { place: new NodePlace(directory.path), dispose: directory.remove };
});

describeStorage("a file of SimulatedDisk", () => ({
  storage: new SimulatedDisk().createExclusive("file") as Storage,
}));
describePlace("SimulatedDisk", () => ({ place: new SimulatedDisk() }));
describePlace("another process on a SimulatedDisk", () => ({ place: new SimulatedDisk().process("other") }));
