/** Pictures that the kernel draws, where the page has not the view's GPU. */
import type { Picture, ViewAnswer, ViewDraw, ViewFrame } from "../../protocol.gen.js";
import type { Channel } from "../../transports/link.js";
import { Questions } from "../questions.js";

export interface Sent {
  readonly picture: ImageBitmap;
  readonly nan: number;
  readonly adapter: string;
}

const PATIENCE_MS = 40_000;
const GONE = "The kernel does not answer: it is busy, or was restarted or has ended. In the latter cases run the cell again.";

export class Remote {
  private readonly questions: Questions<ViewDraw, ViewAnswer>;

  constructor(channel: Channel) {
    this.questions = new Questions(channel, GONE);
  }

  /** Ask for a picture at 1/coarse of its size. */
  async draw(frame: ViewFrame, values: Picture["values"], coarse: number): Promise<Sent> {
    const { answer, buffers } = await this.questions.ask({ kind: "draw", frame, values, coarse }, "drawn", { patienceMs: PATIENCE_MS });
    const picture = await createImageBitmap(new Blob([...buffers.slice(0, 1)], { type: "image/png" }));
    return { picture, nan: answer.nan, adapter: answer.adapter };
  }

  close(): void {
    this.questions.close();
  }
}
