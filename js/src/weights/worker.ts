/** The workers' entry: bundled by itself and carried as text in the bundle. */
import { serveHashes } from "./hashing.js";
import { type Call, ChunkIO, type Introduction, serve } from "./io.js";

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
