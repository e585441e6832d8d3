/** Questions of a page to the Python side of a widget, and what it answers, on the widget's own comm. */
import { EngineError } from "../errors.js";
import { randomId } from "../host.js";
import type { Failed } from "../protocol.gen.js";
import type { Channel } from "../transports/link.js";

interface Message {
  readonly id: string;
  readonly kind: string;
}

/** Each of some questions without its id. */
type Unsent<Q> = Q extends Message ? Omit<Q, "id"> : never;

interface Answered<A> {
  readonly answer: A;
  readonly buffers: readonly ArrayBuffer[];
}

export interface Asking {
  /** Gives the question up; where Python takes the message `cancel`, it is told. */
  readonly signal?: AbortSignal | undefined;
  /** Ask again every so often: a message that came before the model was ready is answered then. */
  readonly repeatMs?: number;
  /** After which nobody answers any more. */
  readonly patienceMs?: number;
}

const tight = (view: DataView): ArrayBuffer => view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength) as ArrayBuffer;

function isOf<A extends Message, K extends A["kind"]>(answer: A, kind: K): answer is Extract<A, { readonly kind: K }> {
  return answer.kind === kind;
}

export class Questions<Q extends Message, A extends Message> {
  private readonly waiting = new Map<string, (answer: A | Failed, buffers: readonly DataView[]) => void>();
  private readonly prefix = randomId();
  private count = 0;
  private readonly listener = (answer: A | Failed | null, buffers: readonly DataView[] | undefined): void => {
    if (answer) this.waiting.get(answer.id)?.(answer, buffers ?? []);
  };

  /** @param gone what is wrong where messages go nowhere, or nobody answers */
  constructor(
    private readonly channel: Channel,
    private readonly gone: string,
  ) {
    channel.on("msg:custom", this.listener);
  }

  close(): void {
    this.channel.off("msg:custom", this.listener);
    this.waiting.clear();
  }

  /** Say something that gets no answer. */
  tell(question: Unsent<Q>, ...buffers: ArrayBuffer[]): void {
    // Where nobody hears it, the next question says so.
    this.send({ id: this.newId(), ...question }, () => undefined, buffers);
  }

  /** Ask something that is answered by a message of a kind. Rejects with Python's words where it fails there. */
  ask<K extends A["kind"]>(question: Unsent<Q>, kind: K, { signal, repeatMs, patienceMs }: Asking = {}): Promise<Answered<Extract<A, { readonly kind: K }>>> {
    const sent = { id: this.newId(), ...question };
    return new Promise((resolve, reject) => {
      let [again, patience] = [0, 0];
      const over = (): boolean => {
        clearInterval(again);
        clearTimeout(patience);
        return this.waiting.delete(sent.id);
      };
      const failed = (): void => {
        if (over()) reject(new EngineError("internal", this.gone));
      };
      this.waiting.set(sent.id, (answer, buffers) => {
        over();
        if (isFailed(answer)) reject(new EngineError("internal", answer.message, { line: answer.line, column: answer.column }));
        else if (isOf(answer, kind)) resolve({ answer, buffers: buffers.map(tight) });
        else reject(new EngineError("internal", `the kernel answered ${answer.kind} where ${kind} was asked for`));
      });
      if (repeatMs) again = setInterval(() => this.send(sent, failed), repeatMs);
      if (patienceMs) patience = setTimeout(failed, patienceMs);
      this.send(sent, failed);
      signal?.addEventListener("abort", () => {
        if (!over()) return;
        this.send({ id: sent.id, kind: "cancel" }, () => undefined);
        reject(new DOMException("given up", "AbortError"));
      });
    });
  }

  private newId(): string {
    return `${this.prefix}-${++this.count}`;
  }

  /** A comm that is closed throws, at once or later. */
  private send(message: object, failed: () => void, buffers: ArrayBuffer[] = []): void {
    try {
      const sent: unknown = buffers.length > 0 ? this.channel.send(message, undefined, buffers) : this.channel.send(message);
      if (sent instanceof Promise) sent.catch(failed);
    } catch {
      failed();
    }
  }
}

function isFailed(answer: Message): answer is Failed {
  return answer.kind === "error";
}
