/** The workers' entry: bundled by itself and carried as text in the bundle. */
import { serveHashes } from "./hashing.js";
import { ChunkIO } from "./io.js";
import { type Call, type Introduction, serve } from "./workers.js";

const io = new ChunkIO();
const scope = globalThis as unknown as {
  onmessage: ((event: MessageEvent<Call | Introduction>) => void) | null;
  postMessage(message: unknown, transfer: Transferable[]): void;
};

scope.onmessage = ({ data }) => {
  if (!("role" in data)) void serve(io, data).then(([reply, transfer]) => scope.postMessage(reply, transfer));
  else if (data.role === "hasher") serveHashes(data.port);
  else io.hashers.add(data.port);
};
