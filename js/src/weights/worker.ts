/** The worker's entry: bundled by itself and carried as text in the bundle. */
import { type Call, ChunkIO, serve } from "./io.js";

const io = new ChunkIO();
const scope = globalThis as unknown as {
  onmessage: ((event: MessageEvent<Call>) => void) | null;
  postMessage(message: unknown, transfer: Transferable[]): void;
};

scope.onmessage = ({ data }) => {
  void serve(io, data).then(([reply, transfer]) => scope.postMessage(reply, transfer));
};
