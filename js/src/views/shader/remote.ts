/** Pictures that the kernel draws, where the page has not the view's GPU. */
import type { AnyModel } from "@anywidget/types";
import { EngineError } from "../../errors.js";
import type { Frame, Values } from "./painter.js";

export interface Sent {
  readonly picture: ImageBitmap;
  readonly nan: number;
  readonly adapter: string;
}

interface Answer {
  readonly id?: string;
  readonly kind?: string;
  readonly message?: string;
  readonly line?: number;
  readonly column?: number;
  readonly nan?: number;
  readonly adapter?: string;
}

const PATIENCE_MS = 40_000;
const GONE = "The kernel does not answer: it is busy, or was restarted or has ended. In the latter cases run the cell again.";

export class Remote {
  private readonly waiting = new Map<string, (answer: Answer, buffers: readonly DataView[]) => void>();
  private readonly prefix = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`;
  private count = 0;
  private readonly listener = (answer: Answer, buffers: DataView[]): void => {
    this.waiting.get(answer?.id ?? "")?.(answer, buffers ?? []);
  };

  constructor(private readonly model: AnyModel) {
    model.on("msg:custom", this.listener);
  }

  /** Ask for a picture at 1/coarse of its size. */
  draw(frame: Frame, values: Values, coarse: number): Promise<Sent> {
    const id = `${this.prefix}-${++this.count}`;
    return new Promise((resolve, reject) => {
      const over = (): void => {
        clearTimeout(timer);
        this.waiting.delete(id);
      };
      const fail = (error: EngineError): void => {
        over();
        reject(error);
      };
      const timer = setTimeout(() => fail(new EngineError("internal", GONE)), PATIENCE_MS);
      this.waiting.set(id, (answer, buffers) => {
        const [png] = buffers;
        if (answer.kind === "error" || !png) {
          fail(new EngineError("internal", answer.message ?? "the kernel sent no picture", { line: answer.line, column: answer.column }));
          return;
        }
        over();
        const bytes = new Uint8Array(png.buffer as ArrayBuffer, png.byteOffset, png.byteLength);
        createImageBitmap(new Blob([bytes], { type: "image/png" })).then(
          (picture) => resolve({ picture, nan: answer.nan ?? 0, adapter: answer.adapter ?? "" }),
          (error: unknown) => reject(error),
        );
      });
      try {
        this.model.send({ id, kind: "draw", frame, values, coarse });
      } catch {
        fail(new EngineError("internal", GONE));
      }
    });
  }

  close(): void {
    this.model.off("msg:custom", this.listener);
    this.waiting.clear();
  }
}
